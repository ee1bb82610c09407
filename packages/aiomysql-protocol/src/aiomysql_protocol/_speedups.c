/* The decoder of text rows in C. It behaves exactly as TextRowDecoder in rows.py, where the rules
 * are written down.
 *
 * A decoder does not change after it was made. What a call to decode needs beside it lives in that
 * call, so a converter may call the same decoder again, and no lock is needed. (The one who calls
 * must not change the buffer from another thread meanwhile.)
 */
#include "_answers.h"
#include "_literals.h"
#include "_values.h"
#include "_waiting.h"

enum { HEADER = 4, FULL_FRAME = 0xFFFFFF, NULL_CELL = 0xFB, FIRST_STOP = 0xFE };

/* A value up to this length is compared with the one above it in its column. */
enum { LONGEST_REPEATED = 64 };

typedef struct {
    PyObject_HEAD
    PyObject *plans;
    Py_ssize_t count;
    Column *columns;
} Decoder;

/* One column's part of the row at hand, and the last value made in it. All of it points into the
 * buffer of the running call. */
typedef struct {
    const char *start; /* NULL: an SQL NULL */
    Py_ssize_t length;
    const char *last_start;
    Py_ssize_t last_length;
    PyObject *last_value;
} Slot;

/* ---- Rows ---- */

/* The value in `slot`. Where the column's last value had the same bytes it is the same object:
 * only for immutable values, and never for what a user's converter returns. */
static PyObject *
read_slot(const State *state, const Column *column, Slot *slot)
{
    PyObject *value;

    if (slot->start == NULL) {
        return Py_NewRef(Py_None);
    }
    if (column->kind == KIND_CONVERT || column->kind == KIND_INT || slot->length > LONGEST_REPEATED) {
        return read_value(state, column, slot->start, slot->length);
    }
    if (slot->last_value != NULL && slot->last_length == slot->length &&
        memcmp(slot->last_start, slot->start, (size_t)slot->length) == 0) {
        return Py_NewRef(slot->last_value);
    }
    value = read_value(state, column, slot->start, slot->length);
    if (value != NULL) {
        Py_XSETREF(slot->last_value, Py_NewRef(value));
        slot->last_start = slot->start;
        slot->last_length = slot->length;
    }
    return value;
}

/* The length that begins at `*pos` and is too great for one byte. On success returns NULL and moves
 * `*pos` past it, else returns what is wrong. */
static const char *
read_long_length(const unsigned char **pos, const unsigned char *end, uint64_t *length)
{
    unsigned char first = *(*pos)++;
    int width = first == 0xFC ? 2 : first == 0xFD ? 3 : 8;

    if (first == 0xFF) {
        return "a value's length begins with 0xff";
    }
    if (end - *pos < width) {
        return "a row ends within a value's length";
    }
    *length = 0;
    for (int i = 0; i < width; i++) {
        *length |= (uint64_t)(*pos)[i] << (8 * i);
    }
    *pos += width;
    return NULL;
}

/* Finds the values of a row. Returns NULL, or what is wrong with the row. */
static const char *
split_row(const unsigned char *pos, const unsigned char *end, Slot *slots, Py_ssize_t count)
{
    for (Slot *slot = slots; slot < slots + count; slot++) {
        uint64_t length;

        if (pos >= end) {
            return "a row ends before its last column";
        }
        if (*pos == NULL_CELL) {
            slot->start = NULL;
            pos++;
            continue;
        }
        if (*pos < NULL_CELL) {
            length = *pos++;
        }
        else {
            const char *wrong = read_long_length(&pos, end, &length);
            if (wrong != NULL) {
                return wrong;
            }
        }
        if (length > (uint64_t)(end - pos)) {
            return "a value runs past the end of its row";
        }
        slot->start = (const char *)pos;
        slot->length = (Py_ssize_t)length;
        pos += length;
    }
    return pos == end ? NULL : "bytes are left over after the last column of a row";
}

static void
raise_malformed(const State *state, const char *what)
{
    PyObject *error = PyObject_CallFunction(state->malformed, "s", what);

    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

static PyObject *
read_row(const State *state, const Decoder *self, Slot *slots, const unsigned char *pos,
         const unsigned char *end)
{
    const char *wrong = split_row(pos, end, slots, self->count);
    PyObject *row;
    int atomic = 1;

    if (wrong != NULL) {
        raise_malformed(state, wrong);
        return NULL;
    }
    row = PyTuple_New(self->count);
    if (row == NULL || self->count == 0) {
        return row;
    }
    /* No converter may find the half-made tuple through the garbage collector. When it is done the
     * collector need not know it either, unless one of its values could be part of a cycle. */
    PyObject_GC_UnTrack(row);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyObject *value = read_slot(state, &self->columns[i], &slots[i]);
        if (value == NULL) {
            Py_DECREF(row);
            return NULL;
        }
        atomic &= !PyObject_IS_GC(value);
        PyTuple_SET_ITEM(row, i, value);
    }
    if (!atomic) {
        PyObject_GC_Track(row);
    }
    return row;
}

static Slot *
new_slots(const Decoder *self)
{
    Slot *slots = PyMem_Calloc((size_t)self->count + 1, sizeof(Slot));

    if (slots == NULL) {
        PyErr_NoMemory();
    }
    return slots;
}

static void
free_slots(const Decoder *self, Slot *slots)
{
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_XDECREF(slots[i].last_value);
    }
    PyMem_Free(slots);
}

/* Appends the rows of `[pos, end)` to `rows`. Returns the first byte not consumed, or NULL. */
static const unsigned char *
read_rows(const State *state, const Decoder *self, Slot *slots, const unsigned char *pos,
          const unsigned char *end, uint8_t sequence_id, PyObject *rows)
{
    while (end - pos > HEADER) {
        Py_ssize_t length = pos[0] | pos[1] << 8 | pos[2] << 16;
        const unsigned char *payload = pos + HEADER;
        PyObject *row;
        int failed;

        if (length == 0 || length == FULL_FRAME || length > end - payload ||
            pos[3] != sequence_id || payload[0] >= FIRST_STOP) {
            break;
        }
        row = read_row(state, self, slots, payload, payload + length);
        if (row == NULL) {
            return NULL;
        }
        failed = PyList_Append(rows, row);
        Py_DECREF(row);
        if (failed) {
            return NULL;
        }
        pos = payload + length;
        sequence_id++;
    }
    return pos;
}

/* ---- The type ---- */

static PyObject *
Decoder_decode(Decoder *self, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    Py_ssize_t start, end, sequence_id;
    PyObject *result = NULL;
    Py_buffer view;
    Slot *slots;

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
    else if ((slots = new_slots(self)) != NULL) {
        const unsigned char *base = view.buf;
        const unsigned char *stop = read_rows(state, self, slots, base + start, base + end,
                                              (uint8_t)sequence_id, args[4]);
        free_slots(self, slots);
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

    if (PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    slots = new_slots(self);
    if (slots != NULL) {
        const unsigned char *base = view.buf;
        row = read_row(state, self, slots, base, base + view.len);
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

    PyObject_GC_UnTrack(self);
    (void)Decoder_clear(self);
    PyMem_Free(self->columns);
    type->tp_free(self);
    Py_DECREF(type);
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
set_column(const State *state, Column *column, PyObject *plan)
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
    column->careful = PyObject_CallOneArg(state->careful_reader, plan);
    return column->careful == NULL ? -1 : 0;
}

static PyObject *
Decoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"plans", NULL};
    const State *state = PyType_GetModuleState(type);
    PyObject *plans;
    Decoder *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:TextRowDecoder", names, &plans)) {
        return NULL;
    }
    self = (Decoder *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->plans = PyObject_CallOneArg(state->checked_plans, plans);
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
        if (set_column(state, &self->columns[self->count], plan) < 0) {
            Py_DECREF(self);
            return NULL;
        }
    }
    return (PyObject *)self;
}

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef Decoder_methods[] = {
    {"decode", METHOD(Decoder_decode), METH_FASTCALL, "See rows.RowDecoder.decode."},
    {"decode_row", METHOD(Decoder_decode_row), METH_O, "See rows.RowDecoder.decode_row."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Decoder_slots[] = {
    {Py_tp_doc, "TextRowDecoder(plans)\n--\n\nThe RowDecoder in C; see rows.TextRowDecoder."},
    {Py_tp_new, Decoder_new},
    {Py_tp_dealloc, Decoder_dealloc},
    {Py_tp_traverse, Decoder_traverse},
    {Py_tp_clear, Decoder_clear},
    {Py_tp_methods, Decoder_methods},
    {0, NULL},
};

static PyType_Spec Decoder_spec = {
    .name = "aiomysql_protocol._speedups.TextRowDecoder",
    .basicsize = sizeof(Decoder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Decoder_slots,
};

/* ---- The module ---- */

static PyObject *
import_name(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *value = module == NULL ? NULL : PyObject_GetAttrString(module, name);

    Py_XDECREF(module);
    return value;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);

    state->checked_plans = import_name("aiomysql_protocol.rows", "checked_plans");
    state->careful_reader = import_name("aiomysql_protocol.rows", "careful_reader");
    state->malformed = import_name("aiomysql_protocol.errors", "malformed");
    state->decimal = import_name("decimal", "Decimal");
    state->error = import_name("pymysql.err", "Error");
    state->ok_type = import_name("aiomysql_protocol.packets", "Ok");
    state->answer_type = import_name("aiomysql_protocol.answers", "Answer");
    state->decode_name = PyUnicode_InternFromString("decode");
    state->null = PyUnicode_InternFromString("NULL");
    if (state->checked_plans == NULL || state->careful_reader == NULL ||
        state->malformed == NULL || state->decimal == NULL || state->error == NULL ||
        state->ok_type == NULL || state->answer_type == NULL || state->decode_name == NULL ||
        state->null == NULL) {
        return -1;
    }
    /* Python 3.12's datetime has no C part in an interpreter with a lock of its own. */
    (void)PyDateTimeAPI; /* the header's variable for the whole process: not used */
    state->datetime = PyCapsule_Import(PyDateTime_CAPSULE_NAME, 0);
    if (state->datetime == NULL) {
        PyErr_Clear();
    }
    state->decoder_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Decoder_spec, NULL);
    if (state->decoder_type == NULL) {
        return -1;
    }
    state->ready_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Ready_spec, NULL);
    state->waiter_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Waiter_spec, NULL);
    if (state->ready_type == NULL || state->waiter_type == NULL) {
        return -1;
    }
    state->ready_type->tp_vectorcall = Ready_vectorcall;
    if (PyModule_AddType(module, state->ready_type) < 0 ||
        PyModule_AddType(module, state->waiter_type) < 0) {
        return -1;
    }
    return PyModule_AddType(module, state->decoder_type);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

    Py_VISIT(state->decoder_type);
    Py_VISIT(state->ready_type);
    Py_VISIT(state->waiter_type);
    Py_VISIT(state->checked_plans);
    Py_VISIT(state->careful_reader);
    Py_VISIT(state->malformed);
    Py_VISIT(state->decimal);
    Py_VISIT(state->error);
    Py_VISIT(state->ok_type);
    Py_VISIT(state->answer_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);

    Py_CLEAR(state->decoder_type);
    Py_CLEAR(state->ready_type);
    Py_CLEAR(state->waiter_type);
    Py_CLEAR(state->checked_plans);
    Py_CLEAR(state->careful_reader);
    Py_CLEAR(state->malformed);
    Py_CLEAR(state->decimal);
    Py_CLEAR(state->error);
    Py_CLEAR(state->ok_type);
    Py_CLEAR(state->answer_type);
    Py_CLEAR(state->decode_name);
    Py_CLEAR(state->null);
    return 0;
}

static void
module_free(void *module)
{
    (void)module_clear((PyObject *)module);
}

static PyMethodDef module_methods[] = {
    {"literals", METHOD(common_literals), METH_FASTCALL, "See implementation.literals."},
    {"read_answer", METHOD(read_answer), METH_FASTCALL, "See answers.read_answer."},
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
