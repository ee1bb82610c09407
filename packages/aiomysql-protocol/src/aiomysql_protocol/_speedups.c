/* The decoders of rows in C. They behave exactly as TextRowDecoder in rows.py and BinaryRowDecoder in
 * binary_rows.py, where the rules are written down.
 *
 * A decoder does not change after it was made, but for advice (see _rows.h). What a call to decode
 * needs beside it lives in that call, so a converter may call the same decoder again, and no lock is
 * needed. (The one who calls must not change the buffer from another thread meanwhile.)
 */
#include "_answers.h"
#include "_batches.h"
#include "_dicts.h"
#include "_lending.h"
#include "_literals.h"
#include "_login.h"
#include "_parameters.h"
#include "_requests.h"
#include "_rows.h"
#include "_statements.h"
#include "_waiting.h"

/* ---- The type ---- */

static PyObject *
Decoder_decode(Decoder *self, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    Py_ssize_t start, end, sequence_id;
    PyObject *result = NULL;
    Py_buffer view;

    if (nargs != 5) {
        PyErr_Format(PyExc_TypeError, "decode takes 5 positional arguments, not %zd", nargs);
        return NULL;
    }
    if (((start = PyNumber_AsSsize_t(args[1], PyExc_ValueError)) == -1 && PyErr_Occurred()) ||
        ((end = PyNumber_AsSsize_t(args[2], PyExc_ValueError)) == -1 && PyErr_Occurred()) ||
        ((sequence_id = PyNumber_AsSsize_t(args[3], PyExc_ValueError)) == -1 &&
         PyErr_Occurred())) {
        return NULL;
    }
    if (!PyList_Check(args[4])) {
        PyErr_SetString(PyExc_TypeError, "rows must be a list");
        return NULL;
    }
    /* As long as the view is held a bytearray cannot be resized, whatever a converter does. */
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (start < 0 || start > end || end > view.len) {
        PyErr_SetString(PyExc_ValueError, "start and end must lie within the buffer");
    }
    else if (sequence_id < 0 || sequence_id > 255) {
        PyErr_SetString(PyExc_ValueError, "sequence_id must be 0 to 255");
    }
    else {
        const unsigned char *base = view.buf;
        const unsigned char *stop = read_rows(state, self, base + start, base + end,
                                              (uint8_t)sequence_id, args[4]);
        if (stop != NULL) {
            result = PyLong_FromSsize_t(stop - base);
        }
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *
Decoder_decode_row(Decoder *self, PyObject *payload)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *row = NULL;
    Py_buffer view;
    Slot *slots;

    if (Py_TYPE(payload) == state->payload_type && PyObject_Size(payload) > 0 && self->count > 0) {
        return read_long_row(state, self, (LongPayload *)payload);
    }
    if (PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    slots = new_slots(self, 0);
    if (slots != NULL) {
        const unsigned char *base = view.buf;
        row = read_row(state, self, slots, base, base + view.len, base + view.len);
        free_slots(self, slots);
    }
    PyBuffer_Release(&view);
    return row;
}

static int
Decoder_traverse(Decoder *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->plans);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_VISIT(self->columns[i].careful);
    }
    return 0;
}

static int
Decoder_clear(Decoder *self)
{
    /* No columns from now on: their encodings and converters go with the plans. */
    Py_ssize_t count = self->count;

    self->count = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_CLEAR(self->columns[i].careful);
    }
    Py_CLEAR(self->plans);
    return 0;
}

static void
Decoder_dealloc(Decoder *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, Decoder_dealloc)
    (void)Decoder_clear(self);
    PyMem_Free(self->columns);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static int
classify_encoding(const char *encoding)
{
    static const char *const supersets[] = {
        "ascii", "latin1", "latin-1", "iso-8859-1", "cp1252", "aiomysql_latin1",
    };

    if (strcmp(encoding, "utf8") == 0 || strcmp(encoding, "utf-8") == 0) {
        return UTF8;
    }
    for (size_t i = 0; i < sizeof(supersets) / sizeof(supersets[0]); i++) {
        if (strcmp(encoding, supersets[i]) == 0) {
            return ASCII_SUPERSET;
        }
    }
    return OTHER_ENCODING;
}

/* `plan` is a CellPlan that checked_plans() made. */
static int
set_cell(Column *column, PyObject *plan)
{
    PyObject *encoding = PyTuple_GET_ITEM(plan, 1);

    column->kind = (int)PyLong_AsLong(PyTuple_GET_ITEM(plan, 0));
    if (column->kind < 0 || column->kind >= KINDS) {
        PyErr_SetString(PyExc_ValueError, "unknown kind");
        return -1;
    }
    if (encoding != Py_None) {
        column->encoding = PyUnicode_AsUTF8(encoding);
        if (column->encoding == NULL) {
            return -1;
        }
        column->encoding_class = classify_encoding(column->encoding);
    }
    column->converter = PyTuple_GET_ITEM(plan, 2);
    column->never_repeated = column->kind == KIND_CONVERT || column->kind == KIND_INT;
    return 0;
}

static int
set_text_column(const State *state, Column *column, PyObject *plan)
{
    if (set_cell(column, plan) < 0) {
        return -1;
    }
    column->read = text_reader(column);
    column->careful = PyObject_CallOneArg(state->general_reader, plan);
    return column->careful == NULL ? -1 : 0;
}

/* `plan` is a BinaryPlan that checked_binary_plans() made. */
static int
set_binary_column(const State *state, Column *column, PyObject *plan)
{
    long numbers[3]; /* type_code, decimals and whether it is unsigned */

    for (int i = 0; i < 3; i++) {
        static const int items[] = {0, 3, 2};
        numbers[i] = PyLong_AsLong(PyTuple_GET_ITEM(plan, items[i]));
        if (numbers[i] == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    if (set_cell(column, PyTuple_GET_ITEM(plan, 1)) < 0) {
        return -1;
    }
    set_binary_reader(column, numbers[0], numbers[1], numbers[2] != 0);
    column->careful = PyObject_CallOneArg(state->general_binary_reader, plan);
    return column->careful == NULL ? -1 : 0;
}

static PyObject *
new_decoder(PyTypeObject *type, PyObject *args, PyObject *kwargs, int binary)
{
    static char *names[] = {"plans", NULL};
    const State *state = PyType_GetModuleState(type);
    PyObject *plans;
    Decoder *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", names, &plans)) {
        return NULL;
    }
    self = (Decoder *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(self); /* until it is complete */
    self->binary = binary;
    self->plans = PyObject_CallOneArg(
        binary ? state->checked_binary_plans : state->checked_plans, plans);
    if (self->plans == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(self->plans);
    self->columns = PyMem_Calloc((size_t)count + 1, sizeof(Column));
    if (self->columns == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (; self->count < count; self->count++) {
        PyObject *plan = PyTuple_GET_ITEM(self->plans, self->count);
        Column *column = &self->columns[self->count];
        if ((binary ? set_binary_column : set_text_column)(state, column, plan) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->converts |= column->kind == KIND_CONVERT;
    }
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static PyObject *
TextDecoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return new_decoder(type, args, kwargs, 0);
}

static PyObject *
BinaryDecoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return new_decoder(type, args, kwargs, 1);
}

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef Decoder_methods[] = {
    {"decode", METHOD(Decoder_decode), METH_FASTCALL, "See rows.RowDecoder.decode."},
    {"decode_row", METHOD(Decoder_decode_row), METH_O, "See rows.RowDecoder.decode_row."},
    {NULL, NULL, 0, NULL},
};

#define DECODER_TYPE(type, new, doc)                                                               \
    static PyType_Slot type##_slots[] = {                                                          \
        {Py_tp_doc, doc},                                                                          \
        {Py_tp_new, new},                                                                          \
        {Py_tp_dealloc, Decoder_dealloc},                                                          \
        {Py_tp_traverse, Decoder_traverse},                                                        \
        {Py_tp_clear, Decoder_clear},                                                              \
        {Py_tp_methods, Decoder_methods},                                                          \
        {0, NULL},                                                                                 \
    };                                                                                             \
    static PyType_Spec type##_spec = {                                                             \
        .name = "aiomysql_protocol._speedups." #type,                                              \
        .basicsize = sizeof(Decoder),                                                              \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,               \
        .slots = type##_slots,                                                                     \
    }

DECODER_TYPE(TextRowDecoder, TextDecoder_new,
             "TextRowDecoder(plans)\n--\n\nThe RowDecoder in C; see rows.TextRowDecoder.");
DECODER_TYPE(BinaryRowDecoder, BinaryDecoder_new,
             "BinaryRowDecoder(plans)\n--\n\nThe RowDecoder in C; see "
             "binary_rows.BinaryRowDecoder.");

/* ---- The module ---- */

enum { NAME_COUNT = sizeof(Names) / sizeof(PyObject *) };

static const char *const name_texts[NAME_COUNT] = {"prefixes", "new_result", "binary", "for_binary"};

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

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);

    state->checked_plans = import_name("aiomysql_protocol.rows.text", "checked_plans");
    state->general_reader = import_name("aiomysql_protocol.rows.text", "general_reader");
    state->checked_binary_plans =
        import_name("aiomysql_protocol.rows.binary", "checked_binary_plans");
    state->general_binary_reader =
        import_name("aiomysql_protocol.rows.binary", "general_binary_reader");
    state->malformed = import_name("aiomysql_protocol.wire.errors", "malformed");
    state->decimal = import_name("aiomysql_protocol.rows.text", "exact_decimal");
    state->decimal_type = import_name("decimal", "Decimal");
    state->error = import_name("pymysql.err", "Error");
    state->ok_type = import_name("aiomysql_protocol.wire.packets", "Ok");
    state->response_type = import_name("aiomysql_protocol.commands.response", "Response");
    PyObject *deque = import_name("collections", "deque");
    if (deque != NULL) {
        state->deque_append = PyObject_GetAttrString(deque, "append");
        state->deque_popleft = PyObject_GetAttrString(deque, "popleft");
        Py_DECREF(deque);
    }
    if (intern_names(state) < 0) {
        return -1;
    }
    state->null = PyUnicode_InternFromString("NULL");
    if (state->checked_plans == NULL || state->general_reader == NULL ||
        state->checked_binary_plans == NULL || state->general_binary_reader == NULL ||
        state->malformed == NULL || state->decimal == NULL ||
        state->decimal_type == NULL || state->error == NULL ||
        state->ok_type == NULL || state->response_type == NULL ||
        state->deque_append == NULL || state->deque_popleft == NULL ||
        state->null == NULL) {
        return -1;
    }
    /* Python 3.12's datetime has no C part in an interpreter with a lock of its own. */
    (void)PyDateTimeAPI; /* the header's variable for the whole process: not used */
    state->datetime = PyCapsule_Import(PyDateTime_CAPSULE_NAME, 0);
    if (state->datetime == NULL) {
        PyErr_Clear();
    }
    state->decoder_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &TextRowDecoder_spec, NULL);
    state->binary_decoder_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &BinaryRowDecoder_spec, NULL);
    if (state->decoder_type == NULL || state->binary_decoder_type == NULL ||
        PyModule_AddType(module, state->decoder_type) < 0) {
        return -1;
    }
    state->ready_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Ready_spec, NULL);
    state->waiter_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Waiter_spec, NULL);
    state->payload_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &LongPayload_spec, NULL);
    if (state->ready_type == NULL || state->waiter_type == NULL || state->payload_type == NULL) {
        return -1;
    }
    state->exchange_state_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &ExchangeState_spec, NULL);
    state->result_state_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &ResultState_spec, NULL);
    if (state->exchange_state_type == NULL || state->result_state_type == NULL ||
        PyModule_AddType(module, state->exchange_state_type) < 0 ||
        PyModule_AddType(module, state->result_state_type) < 0) {
        return -1;
    }
    state->ready_type->tp_vectorcall = Ready_vectorcall;
    if (PyModule_AddType(module, state->payload_type) < 0 || lending_exec(module, state) < 0) {
        return -1;
    }
    return PyModule_AddType(module, state->binary_decoder_type);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

    Py_VISIT(state->decoder_type);
    Py_VISIT(state->ready_type);
    Py_VISIT(state->waiter_type);
    Py_VISIT(state->exchange_state_type);
    Py_VISIT(state->result_state_type);
    Py_VISIT(state->payload_type);
    Py_VISIT(state->binary_decoder_type);
    Py_VISIT(state->checked_plans);
    Py_VISIT(state->general_reader);
    Py_VISIT(state->checked_binary_plans);
    Py_VISIT(state->general_binary_reader);
    Py_VISIT(state->malformed);
    Py_VISIT(state->decimal);
    Py_VISIT(state->decimal_type);
    Py_VISIT(state->error);
    Py_VISIT(state->ok_type);
    Py_VISIT(state->response_type);
    Py_VISIT(state->deque_append);
    Py_VISIT(state->deque_popleft);
    for (int i = 0; i < 2; i++) {
        Py_VISIT(state->kinds[i].type);
        Py_VISIT(state->kinds[i].new_result);
    }
    if (owners_traverse(&state->owners, visit, arg)) {
        return -1;
    }
    return lending_traverse(&state->lending, visit, arg);
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);

    lending_clear(&state->lending);
    Py_CLEAR(state->decoder_type);
    Py_CLEAR(state->ready_type);
    Py_CLEAR(state->waiter_type);
    Py_CLEAR(state->exchange_state_type);
    Py_CLEAR(state->result_state_type);
    Py_CLEAR(state->payload_type);
    Py_CLEAR(state->binary_decoder_type);
    Py_CLEAR(state->checked_plans);
    Py_CLEAR(state->general_reader);
    Py_CLEAR(state->checked_binary_plans);
    Py_CLEAR(state->general_binary_reader);
    Py_CLEAR(state->malformed);
    Py_CLEAR(state->decimal);
    Py_CLEAR(state->decimal_type);
    Py_CLEAR(state->error);
    Py_CLEAR(state->ok_type);
    Py_CLEAR(state->response_type);
    Py_CLEAR(state->deque_append);
    Py_CLEAR(state->deque_popleft);
    for (int i = 0; i < 2; i++) {
        Py_CLEAR(state->kinds[i].type);
        Py_CLEAR(state->kinds[i].new_result);
    }
    owners_clear(&state->owners);
    for (int i = 0; i < NAME_COUNT; i++) {
        Py_CLEAR(((PyObject **)&state->names)[i]);
    }
    Py_CLEAR(state->null);
    return 0;
}

static void
module_free(void *module)
{
    (void)module_clear((PyObject *)module);
}

static PyMethodDef module_methods[] = {
    {"dict_rows", METHOD(dict_rows), METH_FASTCALL, "See rows.dict_rows."},
    {"drain_rows", drain_rows, METH_O, "See rows.drain_rows."},
    {"following", following, METH_O, "See lending.following."},
    {"literals", METHOD(common_literals), METH_FASTCALL, "See implementation.literals."},
    {"pack_parameters", pack_parameters, METH_O, "See parameters.ParameterWriter.write."},
    {"quick_response", METHOD(quick_response), METH_FASTCALL, "See implementation.quick_response."},
    {"read_greeting", read_greeting, METH_O, "See implementation.read_greeting."},
    {"resting", resting, METH_VARARGS, "See lending.resting."},
    {"start_execution", METHOD(start_execution), METH_FASTCALL,
     "See implementation.start_execution."},
    {"start_query", METHOD(start_query), METH_FASTCALL, "See implementation.start_query."},
    {"whole_payload", METHOD(whole_payload), METH_FASTCALL, "See payloads.whole_payload."},
    {"is_simple_statement", METHOD(is_simple_statement), METH_FASTCALL,
     "See statements.is_simple_statement."},
    {"write_rows", METHOD(write_rows), METH_FASTCALL, "See implementation.write_rows."},
    {"read_response", METHOD(read_response), METH_FASTCALL, "See answers.read_response."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "aiomysql_protocol._speedups",
    .m_doc = "What is worth writing in C; see implementation.py.",
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
