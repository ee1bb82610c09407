/* What happens at each lease of a connection, see lease_queue.py and acquire.py. */
#include "module.h"

#include "acquire.h"
#include "lease_queue.h"

#include <stddef.h>

DEFINE_SLOTS(SLOT_OWNERS, SLOTS)

static const char *const name_texts[NAME_COUNT] = {
#define X(name) #name,
    NAMES(X)
#undef X
};

/* What this module uses of others, and where in the state it is kept. */
static const struct {
    size_t offset;
    const char *module;
    const char *name;
} imports[] = {
    {offsetof(State, hand_over), "aiomysql_core.engine.runner_state", "hand_over"},
    {offsetof(State, wake_next), "aiomysql_core.engine.runner_state", "wake_next"},
    {offsetof(State, waiter_type), "aiomysql_core.waiting.waiter", "Waiter"},
    {offsetof(State, done_future), "aiomysql_core.waiting.waiter", "done_future"},
    {offsetof(State, done), "aiomysql_core.waiting.ready", "DONE"},
    {offsetof(State, cancelled_error), "asyncio", "CancelledError"},
    {offsetof(State, deque_type), "collections", "deque"},
    {offsetof(State, monotonic), "time", "monotonic"},
    {offsetof(State, current_task), "asyncio", "current_task"},
};

static int
import_objects(State *state)
{
    for (size_t i = 0; i < sizeof(imports) / sizeof(imports[0]); i++) {
        PyObject *object = import_name(imports[i].module, imports[i].name);
        if (object == NULL) {
            return -1;
        }
        *(PyObject **)((char *)state + imports[i].offset) = object;
    }
    if (!PyExceptionClass_Check(state->cancelled_error)) {
        PyErr_SetString(PyExc_TypeError, "asyncio.CancelledError is no exception class");
        return -1;
    }
    return import_running_loop(&state->running_loop);
}

static int
import_verdicts(State *state)
{
    static const char *const texts[VERDICT_COUNT] = {
#define X(name) #name,
        VERDICTS(X)
#undef X
    };
    PyObject *type = import_name("aiomysql_pool.verdict", "Verdict");

    for (int i = 0; type != NULL && i < VERDICT_COUNT; i++) {
        state->verdicts[i] = PyObject_GetAttrString(type, texts[i]);
        if (state->verdicts[i] == NULL) {
            Py_CLEAR(type);
        }
    }
    Py_XDECREF(type);
    return type == NULL ? -1 : 0;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    PyObject **names = (PyObject **)&state->names;

    for (int i = 0; i < NAME_COUNT; i++) {
        names[i] = PyUnicode_InternFromString(name_texts[i]);
        if (names[i] == NULL) {
            return -1;
        }
    }
    /* (The modules of Verdict and ConnectionHolder use nothing of this one.) */
    if (import_objects(state) < 0 || import_verdicts(state) < 0 ||
        find_owned_slots(&state->owners, &state->offsets) < 0) {
        return -1;
    }
    if ((state->pool_waiter_type = add_type(module, &PoolWaiter_spec)) == NULL ||
        (state->lease_queue_type = add_type(module, &LeaseQueue_spec)) == NULL ||
        (state->acquire_context_type = add_type(module, &AcquireContext_spec)) == NULL) {
        return -1;
    }
    set_vectorcall(state->acquire_context_type, AcquireContext_vectorcall);
    return 0;
}

#define STATE_OBJECTS(X)                                                                           \
    X(running_loop.get) X(running_loop.current_tasks) X(acquire_context_type) X(lease_queue_type)  \
    X(pool_waiter_type) X(hand_over) X(wake_next) X(waiter_type) X(done_future) X(done)       \
    X(cancelled_error) X(deque_type) X(monotonic) X(current_task)

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

#define X(name) Py_VISIT(state->name);
    STATE_OBJECTS(X)
#undef X
    for (int i = 0; i < VERDICT_COUNT; i++) {
        Py_VISIT(state->verdicts[i]);
    }
    return owners_traverse(&state->owners, visit, arg);
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);

#define X(name) Py_CLEAR(state->name);
    STATE_OBJECTS(X)
#undef X
    owners_clear(&state->owners);
    for (int i = 0; i < VERDICT_COUNT; i++) {
        Py_CLEAR(state->verdicts[i]);
    }
    for (int i = 0; i < NAME_COUNT; i++) {
        Py_CLEAR(((PyObject **)&state->names)[i]);
    }
    return 0;
}

static void
module_free(void *module)
{
    (void)module_clear((PyObject *)module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "aiomysql_pool._speedups",
    .m_doc = "What is worth writing in C; see _accelerator.py.",
    .m_size = sizeof(State),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&module_def);
}
