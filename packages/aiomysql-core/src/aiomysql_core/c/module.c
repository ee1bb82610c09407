/* What is worth writing in C between the event loop and the protocol session, in the rooms of the
 * Python modules that do the same.
 *
 * POSIX systems only: sockets are read and written by their descriptors.
 */
#include "module.h"

#include "engine/connection_state.h"
#include "engine/cursor_state.h"
#include "engine/runner_state.h"
#include "statement_encoder.h"
#include "transport/stream_state.h"
#include "waiting/ready.h"
#include "waiting/ready_context.h"
#include "waiting/waiter.h"

#include <stddef.h>

DEFINE_SLOTS(SLOT_OWNERS, SLOTS)

/* What this module uses of others, and where in the state it is kept. */
typedef struct {
    size_t offset;
    const char *module;
    const char *name;
} Import;

static int
import_all(State *state, const Import *imports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        PyObject *object = import_name(imports[i].module, imports[i].name);
        if (object == NULL) {
            return -1;
        }
        Py_XSETREF(*(PyObject **)((char *)state + imports[i].offset), object);
    }
    return 0;
}

#define IMPORTED(field, module, name) {offsetof(State, field), module, name}

static const Import late_imports[] = {
    IMPORTED(prepared_statement_type, "aiomysql_core.statements", "PreparedStatement"),
    IMPORTED(done_future, "aiomysql_core.waiting.waiter", "done_future"),
    IMPORTED(cursor_hooks, "aiomysql_core.compat.hooks", "cursor_hooks"),
    IMPORTED(cursor_hooks_of, "aiomysql_core.compat.hooks", "cursor_hooks_of"),
    IMPORTED(connection_hooks, "aiomysql_core.compat.hooks", "connection_hooks"),
    IMPORTED(connection_hooks_of, "aiomysql_core.compat.hooks", "connection_hooks_of"),
    IMPORTED(cursor_attributes, "aiomysql_core.compat.hooks", "CURSOR_ATTRIBUTES"),
    IMPORTED(connection_attributes, "aiomysql_core.compat.hooks", "CONNECTION_ATTRIBUTES"),
};

int
find_all_late_objects(State *state)
{
    PyObject *flags;

    if (find_owned_slots(&state->owners, &state->offsets) < 0 ||
        import_all(state, late_imports, sizeof(late_imports) / sizeof(late_imports[0])) < 0) {
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
    if (!PyType_Check(state->prepared_statement_type) || !PyTuple_Check(state->cursor_attributes) ||
        !PyTuple_Check(state->connection_attributes)) {
        PyErr_SetString(PyExc_TypeError, "a class, or a tuple, is expected");
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

static const Import imports[] = {
    IMPORTED(literals, "aiomysql_protocol.values.literals", "literals"),
    IMPORTED(encode_statement, "aiomysql_protocol.values.literals", "encode_statement"),
    IMPORTED(drain_rows, "aiomysql_protocol.rows.text", "drain_rows"),
    IMPORTED(encode_query, "aiomysql_protocol.commands.query", "encode_query"),
    IMPORTED(encode_execution, "aiomysql_protocol.commands.prepared", "encode_execution"),
    IMPORTED(unknown_row_count, "aiomysql_protocol.commands.query", "UNKNOWN_ROW_COUNT"),
    IMPORTED(programming_error, "pymysql.err", "ProgrammingError"),
    IMPORTED(cancelled_error, "asyncio", "CancelledError"),
};

/* Find what is called of the protocol's sessions.  -1: an exception is set. */
static int
find_session_functions(State *state)
{
    state->session_functions = import_name("aiomysql_protocol.session_state", "functions");
    if (state->session_functions == NULL) {
        return -1;
    }
    if (state->session_functions == Py_None) {
        return 0; /* sessions are in Python: no stream can be made here */
    }
    state->session = PyCapsule_GetPointer(state->session_functions, SESSION_FUNCTIONS);
    if (state->session == NULL) {
        return -1;
    }
    if (state->session->count < 2) {
        PyErr_SetString(PyExc_ImportError, "aiomysql-protocol is too old for this aiomysql-core");
        return -1;
    }
    return 0;
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
    state->query_names = Py_BuildValue("(sss)", "unbuffered", "files", "source");
    if (state->context_names == NULL || state->query_names == NULL ||
        import_all(state, imports, sizeof(imports) / sizeof(imports[0])) < 0 ||
        import_running_loop(&state->running_loop) < 0 || count_forks() < 0 ||
        find_session_functions(state) < 0) {
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
    state->runner_state_type = add_type(module, &RunnerState_spec);
    state->statement_encoder_type = add_type(module, &StatementEncoder_spec);
    state->stream_state_type = add_type(module, &StreamState_spec);
    state->connection_state_type = add_type(module, &ConnectionState_spec);
    state->cursor_state_type = add_type(module, &CursorState_spec);
    state->ready_context_type = add_type(module, &ReadyContext_spec);
    if (state->done == NULL || state->runner_state_type == NULL ||
        state->statement_encoder_type == NULL || state->stream_state_type == NULL ||
        state->connection_state_type == NULL || state->cursor_state_type == NULL ||
        state->ready_context_type == NULL) {
        return -1;
    }
    return 0;
}

#define STATE_OBJECTS(X)                                                                           \
    X(connection_state_type) X(cursor_state_type) X(ready_context_type) X(ready_type)              \
    X(runner_state_type) X(cursor_attributes) X(connection_attributes)                             \
    X(statement_encoder_type) X(stream_state_type) X(waiter_type) X(done) X(literals)              \
    X(drain_rows) X(encode_query) X(encode_execution) X(encode_statement) X(cancelled_error)       \
    X(programming_error) X(unknown_row_count) X(session_functions) X(running_loop.get)             \
    X(running_loop.current_tasks)                                                                  \
    X(done_future) X(prepared_statement_type) X(cursor_hooks) X(cursor_hooks_of)                   \
    X(connection_hooks) X(connection_hooks_of)                                                     \
    X(context_manager) X(context_names) X(query_names)

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
    {"hand_over", hand_over, METH_O, "See runner_state.hand_over."},
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
state_of_type(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &module_def);

    return module == NULL ? NULL : PyModule_GetState(module);
}

State *
state_of(PyObject *object)
{
    return state_of_type(Py_TYPE(object));
}

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&module_def);
}
