#include "values/row_literals.h"

#include "module.h"
#include "sequences.h"
#include "values/literals.h"
#include "values/parameters.h"
#include "values/text.h"

/* Characters of the longest Decimal that is not left to Python. */
enum { LONGEST_DECIMAL = 72 };

/* What write_rows() was called with. */
typedef struct {
    PyObject *pieces; /* a tuple of bytes */
    PyObject *rows;
    Py_ssize_t at; /* the row to come */
    Py_ssize_t room;
    int no_backslash_escapes;
    PyObject *other;
    PyObject *separator; /* bytes */
    PyObject *as_is;     /* see parameters.h */
} Batch;

static int
append_string(Text *text, PyObject *value, int no_backslash_escapes)
{
    Py_ssize_t length;
    const char *from = PyUnicode_AsUTF8AndSize(value, &length);
    char *to, *start;

    if (from == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeError)) {
            return FAILED;
        }
        PyErr_Clear(); /* a lone surrogate */
        return LEFT;
    }
    if (length > (PY_SSIZE_T_MAX - 2) / 2) {
        PyErr_NoMemory();
        return FAILED;
    }
    start = to = reserve(text, 2 * length + 2);
    if (to == NULL) {
        return FAILED;
    }
    *to++ = '\'';
    /* No byte of a longer character is one of those that are escaped. */
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 escape = escape_of((unsigned char)from[i], no_backslash_escapes);
        if (escape != 0) {
            *to++ = no_backslash_escapes ? '\'' : '\\';
            *to++ = (char)escape;
        }
        else {
            *to++ = from[i];
        }
    }
    *to++ = '\'';
    text->length += to - start;
    return WRITTEN;
}

int
append_long(Text *text, PyObject *value)
{
    char digits[24], *at = digits + sizeof(digits);
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    unsigned long long rest =
        number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number;

    if (overflow > 0) {
        rest = PyLong_AsUnsignedLongLong(value);
        number = 0; /* it is not negative */
    }
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return FAILED;
        }
        PyErr_Clear();
        overflow = -1;
    }
    if (overflow < 0) {
        return LEFT;
    }
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (number < 0) {
        *--at = '-';
    }
    return append(text, at, digits + sizeof(digits) - at);
}

int
append_float(Text *text, double number, int exponent)
{
    char *repr;
    int done;

    if (number - number != 0) { /* not finite */
        return LEFT;
    }
    repr = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (repr == NULL) {
        return FAILED;
    }
    done = append(text, repr, (Py_ssize_t)strlen(repr));
    if (done == WRITTEN && exponent && strchr(repr, 'e') == NULL) {
        done = append(text, "e0", 2);
    }
    PyMem_Free(repr);
    return done;
}

int
append_decimal(Text *text, PyObject *value)
{
    PyObject *digits = PyObject_Str(value);
    const char *bytes;
    Py_ssize_t length;
    int done = LEFT;

    if (digits == NULL) {
        return FAILED;
    }
    bytes = PyUnicode_AsUTF8AndSize(digits, &length);
    if (bytes == NULL) {
        done = FAILED;
    }
    /* Without an exponent, and not long enough to need one, it is what the literal is. */
    else if (length <= LONGEST_DECIMAL && strspn(bytes, "0123456789.-") == (size_t)length) {
        done = append(text, bytes, length);
    }
    Py_DECREF(digits);
    return done;
}

static int
append_bytes(Text *text, PyObject *value)
{
    static const char hexadecimal[] = "0123456789abcdef";
    const unsigned char *from = (const unsigned char *)PyBytes_AS_STRING(value);
    Py_ssize_t length = PyBytes_GET_SIZE(value);
    char *to;

    if (append(text, "_binary X'", 10) == FAILED || length > (PY_SSIZE_T_MAX - 1) / 2 ||
        (to = reserve(text, 2 * length + 1)) == NULL) {
        return PyErr_Occurred() ? FAILED : LEFT;
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        *to++ = hexadecimal[from[i] >> 4];
        *to++ = hexadecimal[from[i] & 15];
    }
    *to = '\'';
    text->length += 2 * length + 1;
    return WRITTEN;
}

static int
append_temporal(const State *state, Text *text, PyObject *value)
{
    /* The text, with its length before it. */
    char buffer[TEMPORAL_SIZE + 1];
    char *end = put_temporal(state, buffer, value);

    buffer[0] = '\'';
    *end++ = '\'';
    return append(text, buffer, end - buffer);
}

/* What literals.py makes of `value`. */
static int
append_other(Text *text, PyObject *value, PyObject *other)
{
    PyObject *literal = PyObject_CallOneArg(other, value);
    const char *bytes;
    Py_ssize_t length;
    int done = LEFT;

    if (literal == NULL) {
        return FAILED;
    }
    if (PyUnicode_Check(literal)) {
        bytes = PyUnicode_AsUTF8AndSize(literal, &length);
        if (bytes != NULL) {
            done = append(text, bytes, length);
        }
        else if (PyErr_ExceptionMatches(PyExc_UnicodeError)) {
            PyErr_Clear();
        }
        else {
            done = FAILED;
        }
    }
    Py_DECREF(literal);
    return done;
}

static int
append_literal(const State *state, Text *text, const Batch *batch, PyObject *value)
{
    int done = LEFT;

    if (PyUnicode_CheckExact(value)) {
        return append_string(text, value, batch->no_backslash_escapes);
    }
    if (value == Py_None) {
        return append(text, "NULL", 4);
    }
    if (PyLong_CheckExact(value)) {
        done = append_long(text, value);
    }
    else if (PyBool_Check(value)) {
        return append(text, value == Py_True ? "1" : "0", 1);
    }
    else if (PyFloat_CheckExact(value)) {
        done = append_float(text, PyFloat_AS_DOUBLE(value), 1);
    }
    else if (PyBytes_CheckExact(value)) {
        done = append_bytes(text, value);
    }
    else if ((PyObject *)Py_TYPE(value) == state->decimal_type) {
        done = append_decimal(text, value);
    }
    else if (state->datetime != NULL &&
             (Py_TYPE(value) == state->datetime->DateType ||
              (Py_TYPE(value) == state->datetime->DateTimeType &&
               is_written_as_it_is(value, batch->as_is)))) {
        return append_temporal(state, text, value);
    }
    return done == LEFT ? append_other(text, value, batch->other) : done;
}

/* `values`, a tuple, between the pieces, which are one more. LEFT, too, where there is no room. */
static int
append_row(const State *state, Text *text, const Batch *batch, PyObject *values)
{
    Py_ssize_t count = PyTuple_GET_SIZE(values);

    for (Py_ssize_t i = 0;; i++) {
        PyObject *piece = PyTuple_GET_ITEM(batch->pieces, i);
        int done = append(text, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece));
        if (done == WRITTEN && i < count) {
            done = append_literal(state, text, batch, PyTuple_GET_ITEM(values, i));
        }
        if (done == WRITTEN && text->length > batch->room) {
            return LEFT;
        }
        if (done != WRITTEN || i == count) {
            return done;
        }
    }
}

/* Appends the row at batch->at. Returns LEFT, with `text` as it was, at the end as well. */
static int
append_next_row(const State *state, Text *text, const Batch *batch)
{
    Py_ssize_t length = text->length, count = PySequence_Size(batch->rows);
    PyObject *row, *values;
    int done = LEFT;

    if (count < 0 || batch->at >= count) {
        return count < 0 ? FAILED : LEFT;
    }
    row = PySequence_GetItem(batch->rows, batch->at);
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
    if (PyTuple_GET_SIZE(values) == PyTuple_GET_SIZE(batch->pieces) - 1) {
        done = length > 0 ? append(text, PyBytes_AS_STRING(batch->separator),
                                   PyBytes_GET_SIZE(batch->separator)) : WRITTEN;
        if (done == WRITTEN) {
            done = append_row(state, text, batch, values);
        }
    }
    Py_DECREF(values);
    if (done != WRITTEN) {
        text->length = length;
    }
    return done;
}

/* -1: an exception is set. */
static int
check_pieces(PyObject *pieces)
{
    int right = PyTuple_Check(pieces) && PyTuple_GET_SIZE(pieces) > 0;

    for (Py_ssize_t i = 0; right && i < PyTuple_GET_SIZE(pieces); i++) {
        right = PyBytes_Check(PyTuple_GET_ITEM(pieces, i));
    }
    if (!right) {
        PyErr_SetString(PyExc_TypeError, "pieces must be a tuple of bytes");
        return -1;
    }
    return 0;
}

PyObject *
write_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyModule_GetState(module);
    Text text = {NULL, 0, 0};
    PyObject *result = NULL;
    Batch batch;
    int done;

    if ((nargs != 7 && nargs != 8) || !PyBytes_Check(args[6])) {
        PyErr_SetString(PyExc_TypeError, "write_rows takes 7 arguments, the last one bytes, and "
                                         "perhaps as_is");
        return NULL;
    }
    batch.pieces = args[0];
    batch.rows = args[1];
    batch.other = args[5];
    batch.separator = args[6];
    batch.as_is = nargs == 8 ? args[7] : NULL;
    if (check_pieces(batch.pieces) < 0 ||
        ((batch.at = PyNumber_AsSsize_t(args[2], PyExc_ValueError)) == -1 && PyErr_Occurred()) ||
        ((batch.room = PyNumber_AsSsize_t(args[3], PyExc_ValueError)) == -1 &&
         PyErr_Occurred()) ||
        (batch.no_backslash_escapes = PyObject_IsTrue(args[4])) < 0) {
        return NULL;
    }
    if (batch.at < 0) {
        PyErr_SetString(PyExc_ValueError, "start must not be negative");
        return NULL;
    }
    while ((done = append_next_row(state, &text, &batch)) == WRITTEN) {
        batch.at++;
    }
    /* Behind rows that were written, the caller will meet the error when it writes that row. */
    if (done == FAILED && text.length > 0 && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
        done = LEFT;
    }
    if (done != FAILED) {
        result = Py_BuildValue("y#n", text.data == NULL ? "" : text.data, text.length, batch.at);
    }
    PyMem_Free(text.data);
    return result;
}
