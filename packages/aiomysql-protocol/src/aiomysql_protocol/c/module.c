/* What is worth writing in C, in the rooms of the Python modules that do the same. */
#include "module.h"

#include "commands/exchange_state.h"
#include "commands/requests.h"
#include "commands/response.h"
#include "login/handshake.h"
#include "rows/containers.h"
#include "rows/decoder.h"
#include "sql/statements.h"
#include "values/literals.h"
#include "values/parameters.h"
#include "values/row_literals.h"
#include "wire/payloads.h"

enum { NAME_COUNT = sizeof(Names) / sizeof(PyObject *) };

DEFINE_SLOTS(SLOT_OWNERS, SLOTS)

int
find_all_slots(State *state)
{
    return find_owned_slots(&state->owners, &state->offsets);
}

static const char *const name_texts[NAME_COUNT] = {
    "prefixes",
    "new_result",
    "binary",
    "for_binary",
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

/* What the modules have that this one's functions use.  They take nothing from this one, which they
 * would find half made.  -1: an exception is set. */
static int
import_objects(State *state)
{
    PyObject *deque;

    if ((state->checked_plans = import_name("aiomysql_protocol.rows.cells", "checked_plans")) ==
            NULL ||
        (state->general_reader = import_name("aiomysql_protocol.rows.cells", "general_reader")) ==
            NULL ||
        (state->decimal = import_name("aiomysql_protocol.rows.cells", "exact_decimal")) == NULL ||
        (state->checked_binary_plans =
             import_name("aiomysql_protocol.rows.binary_cells", "checked_binary_plans")) == NULL ||
        (state->general_binary_reader =
             import_name("aiomysql_protocol.rows.binary_cells", "general_binary_reader")) == NULL ||
        (state->malformed = import_name("aiomysql_protocol.wire.errors", "malformed")) == NULL ||
        (state->ok_type = import_name("aiomysql_protocol.wire.packets", "Ok")) == NULL ||
        (state->decimal_type = import_name("decimal", "Decimal")) == NULL ||
        (state->error = import_name("pymysql.err", "Error")) == NULL ||
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

    if (intern_names(state) < 0 || (state->null = PyUnicode_InternFromString("NULL")) == NULL ||
        import_objects(state) < 0) {
        return -1;
    }
    if ((state->decoder_type = add_type(module, &TextRowDecoder_spec)) == NULL ||
        (state->binary_decoder_type = add_type(module, &BinaryRowDecoder_spec)) == NULL ||
        (state->payload_type = add_type(module, &LongPayload_spec)) == NULL ||
        (state->exchange_state_type = add_type(module, &ExchangeState_spec)) == NULL ||
        (state->result_state_type = add_type(module, &ResultState_spec)) == NULL) {
        return -1;
    }
    return 0;
}

#define STATE_OBJECTS(X)                                                                           \
    X(decoder_type) X(binary_decoder_type) X(payload_type) X(exchange_state_type)                  \
    X(result_state_type) X(checked_plans) X(general_reader) X(checked_binary_plans)                \
    X(general_binary_reader) X(malformed) X(decimal) X(decimal_type) X(error) X(ok_type)           \
    X(response_type) X(deque_append) X(deque_popleft) X(null)                                      \
    X(kinds[0].type) X(kinds[0].new_result) X(kinds[1].type) X(kinds[1].new_result)

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
    {"dict_rows", METHOD(dict_rows), METH_FASTCALL, "See text.dict_rows."},
    {"drain_rows", drain_rows, METH_O, "See text.drain_rows."},
    {"literals", METHOD(literals), METH_FASTCALL, "See literals.literals."},
    {"pack_parameters", pack_parameters, METH_O, "See parameters.pack_parameters."},
    {"quick_response", METHOD(quick_response), METH_FASTCALL, "See session.quick_response."},
    {"read_greeting", read_greeting, METH_O, "See handshake.read_greeting."},
    {"start_execution", METHOD(start_execution), METH_FASTCALL,
     "See prepared.start_execution."},
    {"start_query", METHOD(start_query), METH_FASTCALL, "See query.start_query."},
    {"whole_payload", METHOD(whole_payload), METH_FASTCALL, "See payloads.whole_payload."},
    {"is_simple_statement", METHOD(is_simple_statement), METH_FASTCALL,
     "See statements.is_simple_statement."},
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

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&module_def);
}
