#include "rows/decoder.h"

#include "dealloc.h"
#include "rows/containers.h"

static PyObject *
Decoder_decode(Decoder *self, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    Py_ssize_t start, end, sequence_id;
    PyObject *result = NULL, *keys = nargs == 6 && args[5] != Py_None ? args[5] : NULL;
    Py_buffer view;

    if (nargs != 5 && nargs != 6) {
        PyErr_Format(PyExc_TypeError, "decode takes 5 or 6 positional arguments, not %zd", nargs);
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
    if (keys != NULL && !check_keys(self, keys)) {
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
                                              (uint8_t)sequence_id, args[4], keys);
        if (stop != NULL) {
            result = PyLong_FromSsize_t(stop - base);
        }
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *
Decoder_decode_row(Decoder *self, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *row = NULL, *keys = nargs == 2 && args[1] != Py_None ? args[1] : NULL;
    Py_buffer view;

    if (nargs != 1 && nargs != 2) {
        PyErr_Format(PyExc_TypeError, "decode_row takes 1 or 2 positional arguments, not %zd",
                     nargs);
        return NULL;
    }
    if (keys != NULL && !check_keys(self, keys)) {
        return NULL;
    }
    if (Py_TYPE(args[0]) == state->payload_type && PyObject_Size(args[0]) > 0 && self->count > 0) {
        row = read_long_row(state, self, (LongPayload *)args[0]);
    }
    else {
        if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) {
            return NULL;
        }
        row = read_one_row(state, self, view.buf, (const unsigned char *)view.buf + view.len);
        PyBuffer_Release(&view);
    }
    if (row != NULL && keys != NULL) {
        Py_SETREF(row, dict_of_row(keys, row));
    }
    return row;
}

static int
Decoder_traverse(Decoder *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->plans);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_VISIT(self->columns[i].general);
        Py_VISIT(self->columns[i].tzinfo);
        Py_VISIT(self->columns[i].localize);
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
        Py_CLEAR(self->columns[i].general);
        Py_CLEAR(self->columns[i].tzinfo);
        Py_CLEAR(self->columns[i].localize);
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

/* What the datetimes of a column get from `zone`, a SessionZone.  -1: an exception is set. */
static int
set_zone(Column *column, PyObject *zone)
{
    PyObject *is_fixed = PyObject_GetAttrString(zone, "is_fixed");

    if (is_fixed == NULL) {
        return -1;
    }
    Py_DECREF(is_fixed);
    if (is_fixed == Py_True) {
        column->tzinfo = PyObject_GetAttrString(zone, "tzinfo");
    }
    else {
        column->tzinfo = Py_NewRef(Py_None);
        column->localize = PyObject_GetAttrString(zone, "localize");
        if (column->localize == NULL) {
            return -1;
        }
    }
    return column->tzinfo == NULL ? -1 : 0;
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
    if (column->kind == KIND_TIMESTAMP) {
        return set_zone(column, PyTuple_GET_ITEM(plan, 4));
    }
    return 0;
}

static int
set_text_column(const State *state, Column *column, PyObject *plan)
{
    if (set_cell(column, plan) < 0) {
        return -1;
    }
    column->read = text_reader(column);
    column->general = PyObject_CallOneArg(state->general_reader, plan);
    return column->general == NULL ? -1 : 0;
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
    column->general = PyObject_CallOneArg(state->general_binary_reader, plan);
    return column->general == NULL ? -1 : 0;
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
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *plan = PyTuple_GET_ITEM(self->plans, i);
        Column *column = &self->columns[i];
        self->count = i + 1; /* what it has by then is given back */
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

static PyMethodDef Decoder_methods[] = {
    {"decode", METHOD(Decoder_decode), METH_FASTCALL, "See text.RowDecoder.decode."},
    {"decode_row", METHOD(Decoder_decode_row), METH_FASTCALL, "See text.RowDecoder.decode_row."},
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
    PyType_Spec type##_spec = {                                                                    \
        .name = "aiomysql_protocol._speedups." #type,                                              \
        .basicsize = sizeof(Decoder),                                                              \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,               \
        .slots = type##_slots,                                                                     \
    }

DECODER_TYPE(TextRowDecoder, TextDecoder_new,
             "TextRowDecoder(plans)\n--\n\nThe RowDecoder in C; see text.TextRowDecoder.");
DECODER_TYPE(BinaryRowDecoder, BinaryDecoder_new,
             "BinaryRowDecoder(plans)\n--\n\nThe RowDecoder in C; see "
             "binary.BinaryRowDecoder.");
