/* What is worth writing in C, in the rooms of the Python modules that do the same. */
#include "module.h"

#include "commands/exchange_state.h"
#include "commands/requests.h"
#include "commands/response.h"
#include "login/handshake.h"
#include "rows/containers.h"
#include "rows/decoder.h"
#include "session_state.h"
#include "sql/statements.h"
#include "values/file_rows.h"
#include "values/literals.h"
#include "values/parameter_rows.h"
#include "values/parameters.h"
#include "values/row_literals.h"
#include "wire/payloads.h"

#include <stddef.h>

DEFINE_SLOTS(SLOT_OWNERS, SLOTS)

int
find_all_slots(State *state)
{
    return find_owned_slots(&state->owners, &state->offsets);
}

static const char *const name_texts[NAME_COUNT] = {
#define X(name) #name,
    NAMES(X)
#undef X
};

static int
intern_names(State *state)
{
    PyObject **names = (PyObject **)&state->names;

    for (int i = 0; i < NAME_COUNT; i++) {
        names[i] = PyUnicode_InternFromString(name_texts[i]);
        if (names[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

/* What the modules have that this one's functions use, and where in the state it is kept.  They take
 * nothing from this one, which they would find half made. */
static const struct {
    size_t offset;
    const char *module;
    const char *name;
} imports[] = {
    {offsetof(State, checked_plans), "aiomysql_protocol.rows.cells", "checked_plans"},
    {offsetof(State, general_reader), "aiomysql_protocol.rows.cells", "general_reader"},
    {offsetof(State, decimal), "aiomysql_protocol.rows.cells", "exact_decimal"},
    {offsetof(State, checked_binary_plans), "aiomysql_protocol.rows.binary_cells",
     "checked_binary_plans"},
    {offsetof(State, general_binary_reader), "aiomysql_protocol.rows.binary_cells",
     "general_binary_reader"},
    {offsetof(State, malformed), "aiomysql_protocol.wire.errors", "malformed"},
    {offsetof(State, malformed_packet), "aiomysql_protocol.wire.errors", "MalformedPacket"},
    {offsetof(State, ok_type), "aiomysql_protocol.wire.packets", "Ok"},
    {offsetof(State, parse_ok), "aiomysql_protocol.wire.packets", "parse_ok"},
    {offsetof(State, decimal_type), "decimal", "Decimal"},
};

/* -1: an exception is set. */
static int
import_objects(State *state)
{
    PyObject *deque;

    for (size_t i = 0; i < sizeof(imports) / sizeof(imports[0]); i++) {
        PyObject *object = import_name(imports[i].module, imports[i].name);
        if (object == NULL) {
            return -1;
        }
        *(PyObject **)((char *)state + imports[i].offset) = object;
    }
    if ((state->no_ok = PyObject_CallNoArgs(state->ok_type)) == NULL ||
        (deque = import_name("collections", "deque")) == NULL) {
        return -1;
    }
    state->deque_append = PyObject_GetAttrString(deque, "append");
    state->deque_popleft = PyObject_GetAttrString(deque, "popleft");
    Py_DECREF(deque);
    if (state->deque_append == NULL || state->deque_popleft == NULL) {
        return -1;
    }
    /* Python 3.12's datetime has no C part in an interpreter with a lock of its own. */
    state->datetime = PyCapsule_Import(PyDateTime_CAPSULE_NAME, 0);
    if (state->datetime == NULL) {
        PyErr_Clear();
    }
    return 0;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    PyObject *functions;
    int failed;

    if (intern_names(state) < 0 || (state->null = PyUnicode_InternFromString("NULL")) == NULL ||
        import_objects(state) < 0) {
        return -1;
    }
    if ((state->decoder_type = add_type(module, &TextRowDecoder_spec)) == NULL ||
        (state->binary_decoder_type = add_type(module, &BinaryRowDecoder_spec)) == NULL ||
        (state->payload_type = add_type(module, &LongPayload_spec)) == NULL ||
        (state->exchange_state_type = add_type(module, &ExchangeState_spec)) == NULL ||
        (state->result_state_type = add_type(module, &ResultState_spec)) == NULL ||
        (state->session_state_type = add_type(module, &SessionState_spec)) == NULL) {
        return -1;
    }
    functions = session_functions();
    failed = functions == NULL || PyModule_AddObjectRef(module, "session_functions", functions) < 0;
    Py_XDECREF(functions);
    return failed ? -1 : 0;
}

#define STATE_OBJECTS(X)                                                                           \
    X(decoder_type) X(binary_decoder_type) X(payload_type) X(exchange_state_type)                  \
    X(result_state_type) X(session_state_type) X(checked_plans) X(general_reader)                  \
    X(checked_binary_plans) X(general_binary_reader) X(malformed) X(malformed_packet)              \
    X(decimal) X(decimal_type) X(ok_type) X(no_ok) X(parse_ok) X(deque_append)      \
    X(deque_popleft) X(general_execution) X(null)

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

static PyMethodDef module_methods[] = {
    {"encode_execution", METHOD(encode_execution), METH_FASTCALL,
     "See prepared.encode_execution."},
    {"encode_query", METHOD(encode_query), METH_FASTCALL, "See query.encode_query."},
    {"drain_rows", drain_rows, METH_O, "See text.drain_rows."},
    {"literals", METHOD(literals), METH_FASTCALL, "See literals.literals."},
    {"pack_parameters", METHOD(pack_parameters), METH_FASTCALL,
     "See parameters.pack_parameters."},
    {"read_greeting", read_greeting, METH_O, "See handshake.read_greeting."},
    {"whole_payload", METHOD(whole_payload), METH_FASTCALL, "See payloads.whole_payload."},
    {"is_row_change", METHOD(is_row_change), METH_FASTCALL, "See statements.is_row_change."},
    {"is_simple_statement", METHOD(is_simple_statement), METH_FASTCALL,
     "See statements.is_simple_statement."},
    {"write_file_rows", METHOD(write_file_rows), METH_FASTCALL,
     "See file_rows.write_file_rows."},
    {"write_parameter_rows", METHOD(write_parameter_rows), METH_FASTCALL,
     "See parameter_rows.write_parameter_rows."},
    {"write_rows", METHOD(write_rows), METH_FASTCALL, "See literals.write_rows."},
    {"read_response", METHOD(read_response), METH_FASTCALL, "See response.read_response."},
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
    .m_name = "aiomysql_protocol._speedups",
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
