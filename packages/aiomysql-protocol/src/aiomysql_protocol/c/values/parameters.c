#include "values/parameters.h"

#include "field_types.h"
#include "sequences.h"
#include "wire/lenenc.h"

enum { UNSIGNED_FLAG = 0x80 };

/* Values longer than this are left to Python. */
#define LONGEST_PARAMETER 0xFFFFFF

/* The bytes of a str or bytes object; NULL, with no exception, where Python has to see to it. */
static const char *
parameter_bytes(PyObject *value, Py_ssize_t *length)
{
    const char *bytes;

    if (PyBytes_CheckExact(value)) {
        bytes = PyBytes_AS_STRING(value);
        *length = PyBytes_GET_SIZE(value);
    }
    else {
        bytes = PyUnicode_AsUTF8AndSize(value, length);
        if (bytes == NULL) {
            PyErr_Clear(); /* a lone surrogate */
        }
    }
    return bytes != NULL && *length <= LONGEST_PARAMETER ? bytes : NULL;
}

/* The bytes that `value` takes; -1 for what is left to Python. */
static Py_ssize_t
parameter_size(const State *state, PyObject *value, PyObject *as_is)
{
    Py_ssize_t length;

    if (value == Py_None) {
        return 0;
    }
    if (PyLong_CheckExact(value) || PyFloat_CheckExact(value) || PyBool_Check(value)) {
        return 8;
    }
    if (PyUnicode_CheckExact(value) || PyBytes_CheckExact(value)) {
        if (parameter_bytes(value, &length) == NULL) {
            return -1;
        }
        return length + lenenc_size((uint64_t)length);
    }
    if (state->datetime != NULL && Py_TYPE(value) == state->datetime->DateTimeType) {
        int fraction = PyDateTime_DATE_GET_MICROSECOND(value) != 0;
        if (!is_written_as_it_is(value, as_is)) {
            return -1;
        }
        return 1 + DATETIME_LENGTH + (fraction ? FRACTION_LENGTH : 0);
    }
    if (state->datetime != NULL && Py_TYPE(value) == state->datetime->DateType) {
        return 1 + DATE_LENGTH;
    }
    return -1;
}

/* `number` in `count` digits, and `mark` before them unless it is zero. */
static char *
put_digits(char *to, char mark, int number, int count)
{
    if (mark) {
        *to++ = mark;
    }
    for (int i = count - 1; i >= 0; i--) {
        to[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return to + count;
}

char *
put_temporal(const State *state, char *to, PyObject *value)
{
    char *start = to++;

    to = put_digits(to, 0, PyDateTime_GET_YEAR(value), 4);
    to = put_digits(to, '-', PyDateTime_GET_MONTH(value), 2);
    to = put_digits(to, '-', PyDateTime_GET_DAY(value), 2);
    if (Py_TYPE(value) == state->datetime->DateTimeType) {
        to = put_digits(to, ' ', PyDateTime_DATE_GET_HOUR(value), 2);
        to = put_digits(to, ':', PyDateTime_DATE_GET_MINUTE(value), 2);
        to = put_digits(to, ':', PyDateTime_DATE_GET_SECOND(value), 2);
        if (PyDateTime_DATE_GET_MICROSECOND(value)) {
            to = put_digits(to, '.', PyDateTime_DATE_GET_MICROSECOND(value), 6);
        }
    }
    *start = (char)(to - start - 1);
    return to;
}

/* Sets `type` to type and flags. Returns where the value ends; NULL, with no exception, for what is
 * left to Python. */
static char *
put_long(char *to, PyObject *value, unsigned char *type)
{
    int overflow;
    uint64_t number = (uint64_t)PyLong_AsLongLongAndOverflow(value, &overflow);

    type[0] = TYPE_LONGLONG;
    if (overflow) {
        number = PyLong_AsUnsignedLongLong(value);
        type[1] = UNSIGNED_FLAG;
        if (PyErr_Occurred()) {
            PyErr_Clear();
            return NULL;
        }
    }
    return store_integer(to, number, 8);
}

/* See put_long. */
static char *
put_bytes(char *to, PyObject *value, unsigned char *type)
{
    Py_ssize_t length;
    const char *bytes = parameter_bytes(value, &length);

    type[0] = PyBytes_CheckExact(value) ? TYPE_BLOB : TYPE_VAR_STRING;
    if (bytes == NULL) {
        return NULL;
    }
    to = store_lenenc(to, (uint64_t)length);
    memcpy(to, bytes, (size_t)length);
    return to + length;
}

char *
put_parameter(const State *state, char *to, PyObject *value, unsigned char *type)
{
    if (PyLong_Check(value)) {
        return put_long(to, value, type);
    }
    if (PyFloat_CheckExact(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        uint64_t bits;

        if (number - number != 0) { /* not finite */
            return NULL;
        }
        type[0] = TYPE_DOUBLE;
        memcpy(&bits, &number, sizeof(bits));
        return store_integer(to, bits, 8);
    }
    if (PyUnicode_CheckExact(value) || PyBytes_CheckExact(value)) {
        return put_bytes(to, value, type);
    }
    type[0] = TYPE_STRING;
    return put_temporal(state, to, value);
}

Py_ssize_t
parameters_size(const State *state, PyObject *values, PyObject *as_is)
{
    Py_ssize_t size = 0;

    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(values); i++) {
        Py_ssize_t more = parameter_size(state, PyTuple_GET_ITEM(values, i), as_is);
        if (more < 0 || size > PY_SSIZE_T_MAX - more) {
            return -1;
        }
        size += more;
    }
    return size;
}

int
put_parameters(const State *state, PyObject *values, char *bitmap, char *types, char *to)
{
    unsigned char *type = (unsigned char *)types;

    memset(bitmap, 0, (size_t)(PyTuple_GET_SIZE(values) + 7) / 8);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(values); i++, type += 2) {
        PyObject *value = PyTuple_GET_ITEM(values, i);

        type[1] = 0;
        if (value == Py_None) {
            type[0] = TYPE_NULL;
            bitmap[i / 8] |= (char)(1 << i % 8);
            continue;
        }
        to = put_parameter(state, to, value, type);
        if (to == NULL) {
            return 0;
        }
    }
    return 1;
}

PyObject *
pack_parameters(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyModule_GetState(module);
    PyObject *nulls, *types, *raw, *result = NULL;
    Py_ssize_t count, size;
    PyObject *values;

    if (nargs != 1 && nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "pack_parameters takes values, and as_is perhaps");
        return NULL;
    }
    /* A tuple, which can't change meanwhile. */
    values = tuple_of(args[0]);
    if (values == NULL) {
        return NULL;
    }
    count = PyTuple_GET_SIZE(values);
    size = parameters_size(state, values, nargs == 2 ? args[1] : NULL);
    if (size < 0) {
        Py_DECREF(values);
        Py_RETURN_NONE;
    }
    nulls = PyBytes_FromStringAndSize(NULL, (count + 7) / 8);
    types = PyBytes_FromStringAndSize(NULL, 2 * count);
    raw = PyBytes_FromStringAndSize(NULL, size);
    if (nulls != NULL && types != NULL && raw != NULL) {
        if (put_parameters(state, values, PyBytes_AS_STRING(nulls), PyBytes_AS_STRING(types),
                           PyBytes_AS_STRING(raw))) {
            result = Py_BuildValue("nOOO", count, nulls, types, raw);
        }
        else {
            result = Py_NewRef(Py_None);
        }
    }
    Py_XDECREF(nulls);
    Py_XDECREF(types);
    Py_XDECREF(raw);
    Py_DECREF(values);
    return result;
}
