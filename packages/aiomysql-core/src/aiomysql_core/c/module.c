/* What is worth writing in C between the event loop and the protocol session, in the rooms of the
 * Python modules that do the same.
 *
 * POSIX systems only: sockets are read and written by their descriptors.
 */
#include "module.h"

#include "engine/cursor_state.h"
#include "transport/fast_path.h"
#include "waiting/ready.h"
#include "waiting/ready_context.h"
#include "engine/runner_state.h"
#include "waiting/waiter.h"
#include "transport/receiver.h"

#include <stddef.h>

DEFINE_SLOTS(SLOT_OWNERS, SLOTS)

int
find_all_late_objects(State *state)
{
    PyObject *flags;

    if (find_owned_slots(&state->owners, &state->offsets) < 0) {
        return -1;
    }
    Py_XSETREF(state->prepared_statement_type,
               import_name("aiomysql_core.statements", "PreparedStatement"));
    if (state->prepared_statement_type == NULL) {
        return -1;
    }
    Py_XSETREF(state->forks, import_name("aiomysql_core.transport.stream", "Forks"));
    if (state->forks == NULL) {
        return -1;
    }
    flags = import_name("aiomysql_protocol.session", "MAYBE_IN_TRANSACTION");
    if (flags == NULL) {
        return -1;
    }
    state->maybe_in_transaction = PyLong_AsUnsignedLongMask(flags);
    Py_DECREF(flags);
    if (PyErr_Occurred()) {
        return -1;
    }
    state->late_objects_found = 1;
    return 0;
}

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
    {offsetof(State, quick_response), "aiomysql_protocol.session", "quick_response"},
    {offsetof(State, literals), "aiomysql_protocol.values.literals", "literals"},
    {offsetof(State, drain_rows), "aiomysql_protocol.rows.text", "drain_rows"},
    {offsetof(State, is_simple_statement), "aiomysql_protocol.sql.statements",
     "is_simple_statement"},
    {offsetof(State, start_query), "aiomysql_protocol.commands.query", "start_query"},
    {offsetof(State, start_execution), "aiomysql_protocol.commands.prepared", "start_execution"},
    {offsetof(State, query_type), "aiomysql_protocol.commands.query", "Query"},
    {offsetof(State, execute_type), "aiomysql_protocol.commands.prepared", "Execute"},
    {offsetof(State, monotonic), "time", "monotonic"},
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
    return import_running_loop(&state->running_loop);
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
    state->context_names = Py_BuildValue("(s)", "context");
    if (state->context_names == NULL || import_objects(state) < 0) {
        return -1;
    }
    state->ready_type = add_type(module, &Ready_spec);
    state->waiter_type = add_type(module, &Waiter_spec);
    if (state->ready_type == NULL || state->waiter_type == NULL) {
        return -1;
    }
    set_vectorcall(state->ready_type, Ready_vectorcall);
    set_vectorcall(state->waiter_type, Waiter_vectorcall);
    state->done = new_ready(state->ready_type, Py_None);
    state->fast_path_type = add_type(module, &FastPath_spec);
    state->receiver_type = add_type(module, &Receiver_spec);
    state->cursor_state_type = add_type(module, &CursorState_spec);
    state->ready_context_type = add_type(module, &ReadyContext_spec);
    if (state->done == NULL || state->fast_path_type == NULL || state->receiver_type == NULL ||
        state->cursor_state_type == NULL || state->ready_context_type == NULL) {
        return -1;
    }
    return 0;
}

#define STATE_OBJECTS(X)                                                                           \
    X(fast_path_type) X(receiver_type) X(cursor_state_type) X(ready_context_type) X(ready_type)    \
    X(waiter_type) X(done) X(quick_response) X(literals) X(drain_rows) X(is_simple_statement)      \
    X(start_query) X(start_execution) X(query_type) X(execute_type) X(monotonic)                   \
    X(running_loop.get) X(running_loop.current_tasks) X(forks)                                     \
    X(prepared_statement_type) X(context_manager) X(context_names)

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

#define X(name) Py_VISIT(state->name);
    STATE_OBJECTS(X)
#undef X
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

/* same_items(a, b) -> bool */
static PyObject *
same_items(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t size;

    if (nargs != 2 || !PyTuple_Check(args[0]) || !PyTuple_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "same_items takes two tuples");
        return NULL;
    }
    size = PyTuple_GET_SIZE(args[0]);
    if (PyTuple_GET_SIZE(args[1]) != size) {
        Py_RETURN_FALSE;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        if (PyTuple_GET_ITEM(args[0], i) != PyTuple_GET_ITEM(args[1], i)) {
            Py_RETURN_FALSE;
        }
    }
    Py_RETURN_TRUE;
}

static PyMethodDef module_methods[] = {
    {"new_cursor", METHOD(new_cursor), METH_FASTCALL, "See cursor_state.new_cursor."},
    {"nothing_to_end", nothing_to_end, METH_O, "See runner_state.nothing_to_end."},
    {"wake_next", METHOD(wake_next), METH_FASTCALL, "See runner_state.wake_next."},
    {"same_items", METHOD(same_items), METH_FASTCALL, "See options.same_items."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "aiomysql_core._speedups",
    .m_doc = "What is worth writing in C; see _accelerator.py.",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

State *
state_of(PyObject *object)
{
    PyObject *module = PyType_GetModuleByDef(Py_TYPE(object), &module_def);

    return module == NULL ? NULL : PyModule_GetState(module);
}

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&module_def);
}
