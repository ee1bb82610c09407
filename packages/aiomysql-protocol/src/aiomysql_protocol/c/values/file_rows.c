#include "values/file_rows.h"

#include "module.h"
#include "sequences.h"
#include "values/parameters.h"
#include "values/row_literals.h"

#define FIELD_END "\t"
#define ROW_END "\n"

/* What a column takes: text, or bytes in hexadecimal; the rest is left to file_rows.py. */
enum { TEXT = 't', BINARY = 'b' };

/* What write_file_rows() was called with. */
typedef struct {
    PyObject *rows;
    Py_ssize_t at;     /* the row to come */
    const char *kinds; /* of the columns */
    Py_ssize_t count;  /* of the columns */
    PyObject *other;
} Rows;

/* With what ends fields and rows escaped, and what escapes. */
static int
append_escaped(Text *text, const char *from, Py_ssize_t length)
{
    const char *end = from + length;
    char *to, *start;

    if (length > PY_SSIZE_T_MAX / 4) {
        PyErr_NoMemory();
        return FAILED;
    }
    start = to = reserve(text, 2 * length);
    if (to == NULL) {
        return FAILED;
    }
    for (; from < end; from++) {
        char escaped = 0;

        switch (*from) {
        case '\\':
            escaped = '\\';
            break;
        case '\t':
            escaped = 't';
            break;
        case '\n':
            escaped = 'n';
            break;
        case '\0':
            escaped = '0';
            break;
        default:
            *to++ = *from;
            continue;
        }
        *to++ = '\\';
        *to++ = escaped;
    }
    text->length += to - start;
    return WRITTEN;
}

/* Bytes as a column of that kind takes them. */
static int
append_bytes(Text *text, char kind, const char *bytes, Py_ssize_t length)
{
    return kind == BINARY ? append_hexadecimal(text, bytes, length)
                          : append_escaped(text, bytes, length);
}

/* What file_rows.py makes of the value. */
static int
append_other(Text *text, char kind, PyObject *value, PyObject *other)
{
    PyObject *bytes = PyObject_CallFunction(other, "Oi", value, (int)kind);
    int done = FAILED;

    if (bytes == NULL) {
        return FAILED;
    }
    if (PyBytes_Check(bytes)) {
        done = append(text, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    }
    else {
        PyErr_SetString(PyExc_TypeError, "a field must be bytes");
    }
    Py_DECREF(bytes);
    return done;
}

static int
append_number(const State *state, Text *text, PyObject *value)
{
    if (PyLong_CheckExact(value)) {
        return append_long(text, value);
    }
    if (PyFloat_CheckExact(value)) {
        return append_float(text, PyFloat_AS_DOUBLE(value), 0);
    }
    if ((PyObject *)Py_TYPE(value) == state->decimal_type) {
        return append_decimal(text, value);
    }
    if (state->datetime != NULL && (Py_TYPE(value) == state->datetime->DateTimeType ||
                                    Py_TYPE(value) == state->datetime->DateType)) {
        /* The text, with its length before it. */
        char buffer[TEMPORAL_SIZE];
        char *end = put_temporal(state, buffer, value);

        return append(text, buffer + 1, end - buffer - 1);
    }
    return LEFT;
}

static int
append_field(const State *state, Text *text, const Rows *rows, char kind, PyObject *value)
{
    int done = LEFT;

    if (value == Py_None) {
        return append(text, "\\N", 2);
    }
    if (kind != TEXT && kind != BINARY) {
        return append_other(text, kind, value, rows->other);
    }
    if (PyUnicode_CheckExact(value)) {
        Py_ssize_t length;
        const char *bytes = PyUnicode_AsUTF8AndSize(value, &length);

        if (bytes != NULL) {
            return append_bytes(text, kind, bytes, length);
        }
        PyErr_Clear(); /* a lone surrogate: Python says so */
    }
    else if (PyBytes_CheckExact(value) && kind == BINARY) {
        return append_hexadecimal(text, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    }
    else if (kind == TEXT) {
        done = append_number(state, text, value);
    }
    return done == LEFT ? append_other(text, kind, value, rows->other) : done;
}

static int
append_fields(const State *state, Text *text, const Rows *rows, PyObject *values)
{
    int done = WRITTEN;

    for (Py_ssize_t i = 0; i < rows->count && done == WRITTEN; i++) {
        if (i > 0) {
            done = append(text, FIELD_END, 1);
        }
        if (done == WRITTEN) {
            done = append_field(state, text, rows, rows->kinds[i], PyTuple_GET_ITEM(values, i));
        }
    }
    return done == WRITTEN ? append(text, ROW_END, 1) : done;
}

/* Appends the row at rows->at.  Returns LEFT, with `text` as it was, at the end as well. */
static int
append_next_row(const State *state, Text *text, const Rows *rows)
{
    Py_ssize_t length = text->length, count = PySequence_Size(rows->rows);
    PyObject *row, *values;
    int done = LEFT;

    if (count < 0 || rows->at >= count) {
        return count < 0 ? FAILED : LEFT;
    }
    row = PySequence_GetItem(rows->rows, rows->at);
    if (row == NULL) {
        return FAILED;
    }
    if (!PyTuple_Check(row) && !PyList_Check(row)) {
        Py_DECREF(row);
        return LEFT;
    }
    /* A list could change while a function of the user's runs. */
    values = tuple_of(row);
    Py_DECREF(row);
    if (values == NULL) {
        return FAILED;
    }
    if (PyTuple_GET_SIZE(values) == rows->count) {
        done = append_fields(state, text, rows, values);
    }
    Py_DECREF(values);
    if (done != WRITTEN) {
        text->length = length;
    }
    return done;
}

PyObject *
write_file_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyModule_GetState(module);
    Text text = {NULL, 0, 0};
    PyObject *result = NULL;
    Py_ssize_t size;
    Rows rows;
    int done = LEFT;

    if (nargs != 5 || !PyBytes_Check(args[3])) {
        PyErr_SetString(PyExc_TypeError,
                        "write_file_rows takes rows, start, size, bytes and a function");
        return NULL;
    }
    rows.rows = args[0];
    rows.kinds = PyBytes_AS_STRING(args[3]);
    rows.count = PyBytes_GET_SIZE(args[3]);
    rows.other = args[4];
    if (((rows.at = PyNumber_AsSsize_t(args[1], PyExc_ValueError)) == -1 && PyErr_Occurred()) ||
        ((size = PyNumber_AsSsize_t(args[2], PyExc_ValueError)) == -1 && PyErr_Occurred())) {
        return NULL;
    }
    if (rows.at < 0) {
        PyErr_SetString(PyExc_ValueError, "start must not be negative");
        return NULL;
    }
    while (text.length < size && (done = append_next_row(state, &text, &rows)) == WRITTEN) {
        rows.at++;
    }
    if (done != FAILED) {
        result = Py_BuildValue("y#n", text.data == NULL ? "" : text.data, text.length, rows.at);
    }
    PyMem_Free(text.data);
    return result;
}
