/* Values: from the bytes of one cell to a Python object. (_binary.h knows those that are not text.)
 *
 * This file only knows the common shapes. Every other value, and every error message, is left to
 * the column's careful reader, a function of rows.py.
 */
#ifndef AIOMYSQL_PROTOCOL_VALUES_H
#define AIOMYSQL_PROTOCOL_VALUES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <datetime.h>
#include <float.h>
#include <stdint.h>
#include <string.h>

/* CellKind; the prefix because Windows has types called INT, FLOAT and DATE. */
enum {
    KIND_TEXT,
    KIND_BYTES,
    KIND_INT,
    KIND_FLOAT,
    KIND_DECIMAL,
    KIND_DATETIME,
    KIND_DATE,
    KIND_TIMEDELTA,
    KIND_CONVERT,
    KINDS
};

enum { UTF8, ASCII_SUPERSET, OTHER_ENCODING };

/* Names of attributes and methods; name_texts has them in the same order. */
typedef struct {
    PyObject *exchanges;
    PyObject *quick;
    PyObject *sequence_id;
    PyObject *blocks;
    PyObject *new_result;
    PyObject *rows;
    PyObject *column_set;
    PyObject *ok;
    PyObject *complete;
    PyObject *server_status;
    PyObject *done;
    PyObject *results;
    PyObject *append;
    PyObject *popleft;
    PyObject *wake;
    PyObject *news;
    PyObject *own_blocks;
    PyObject *binary;
    PyObject *columns;
    PyObject *error;
    PyObject *streamed;
    PyObject *unbuffered_active;
    PyObject *for_binary;
    PyObject *compiled_by;
} Names;

typedef struct {
    PyTypeObject *decoder_type;
    PyTypeObject *ready_type;
    PyTypeObject *waiter_type;
    PyTypeObject *binary_decoder_type;
    PyObject *checked_plans;
    PyObject *careful_reader;
    PyObject *checked_binary_plans;
    PyObject *careful_binary_reader;
    PyObject *malformed;
    PyObject *decimal;
    PyObject *error;       /* pymysql.err.Error */
    PyObject *ok_type;     /* packets.Ok */
    PyObject *answer_type; /* answers.Answer */
    PyObject *decode_name;
    Names names;
    PyObject *null; /* the literal */
    PyDateTime_CAPI *datetime; /* NULL where datetime is not written in C */
} State;

typedef struct {
    int kind;
    int encoding_class;
    const char *encoding; /* owned by the plan */
    PyObject *converter;  /* owned by the plan */
    PyObject *careful;    /* reads what the fast paths don't know */
    int never_repeated;   /* not worth, or not fit, for comparing with the value above it */
    /* Of binary rows; in text rows all zero. */
    int wire;        /* how the bytes become a value */
    int size;        /* bytes of each value; 0: it carries its length */
    int is_unsigned;
    long decimals;
} Column;

/* Each of the readers returns NULL without an exception for a shape that it does not know. */

static int
is_ascii(const char *text, Py_ssize_t length)
{
    while (length >= 8) {
        uint64_t chunk;
        memcpy(&chunk, text, 8);
        if (chunk & UINT64_C(0x8080808080808080)) {
            return 0;
        }
        text += 8;
        length -= 8;
    }
    for (; length > 0; length--, text++) {
        if ((unsigned char)*text & 0x80) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
read_text(const Column *column, const char *text, Py_ssize_t length)
{
    PyObject *result;

    if (column->encoding_class == UTF8) {
        result = PyUnicode_DecodeUTF8(text, length, NULL);
    }
    else if (column->encoding_class == ASCII_SUPERSET && is_ascii(text, length)) {
        result = PyUnicode_DecodeASCII(text, length, NULL);
    }
    else {
        result = PyUnicode_Decode(text, length, column->encoding, NULL);
    }
    if (result == NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear(); /* the careful reader will raise it again, with the column's name */
    }
    return result;
}

static PyObject *
read_int(const char *text, Py_ssize_t length)
{
    int negative = length > 0 && text[0] == '-';
    Py_ssize_t i = negative;
    long long value = 0;

    if (length - i < 1 || length - i > 18) {
        return NULL;
    }
    for (; i < length; i++) {
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';
        if (digit > 9) {
            return NULL;
        }
        value = value * 10 + digit;
    }
    return PyLong_FromLongLong(negative ? -value : value);
}

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
/* Digits with at most one point. An integer below 2**53 and a power of ten up to 10**22 are both
 * exact, so that their quotient is the correctly rounded value. */
static PyObject *
read_short_float(const char *text, Py_ssize_t length)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    int negative = text[0] == '-';
    int digits = 0, fraction = 0, point = 0;
    int64_t mantissa = 0;

    for (Py_ssize_t i = negative; i < length; i++) {
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';
        if (text[i] == '.' && !point) {
            point = 1;
            continue;
        }
        if (digit > 9 || ++digits > 15) {
            return NULL;
        }
        mantissa = mantissa * 10 + digit;
        fraction += point;
    }
    if (digits == 0) {
        return NULL;
    }
    double value = (double)mantissa / powers[fraction];
    return PyFloat_FromDouble(negative ? -value : value);
}
#endif

static PyObject *
read_float(const char *text, Py_ssize_t length)
{
    char copy[64]; /* ends with a zero, which the buffer does not */
    char *stop;
    double value;

    if (length < 1 || length >= (Py_ssize_t)sizeof(copy)) {
        return NULL;
    }
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
    PyObject *result = read_short_float(text, length);
    if (result != NULL || PyErr_Occurred()) {
        return result;
    }
#endif
    for (Py_ssize_t i = 0; i < length; i++) {
        if (strchr("0123456789+-.eE", text[i]) == NULL) {
            return NULL;
        }
    }
    memcpy(copy, text, (size_t)length);
    copy[length] = '\0';
    value = PyOS_string_to_double(copy, &stop, NULL);
    if (value == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
        }
        return NULL;
    }
    return stop == copy + length ? PyFloat_FromDouble(value) : NULL;
}

static PyObject *
read_decimal(const State *state, const char *text, Py_ssize_t length)
{
    PyObject *string, *result;

    for (Py_ssize_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] - (unsigned)'0' > 9 && text[i] != '.' && text[i] != '-') {
            return NULL;
        }
    }
    string = PyUnicode_DecodeASCII(text, length, NULL);
    if (string == NULL) {
        return NULL;
    }
    result = PyObject_CallOneArg(state->decimal, string);
    Py_DECREF(string);
    if (result == NULL && PyErr_ExceptionMatches(PyExc_ArithmeticError)) {
        PyErr_Clear();
    }
    return result;
}

/* The number in exactly `count` digits, or a negative number. */
static int
read_digits(const char *text, int count)
{
    int value = 0;

    for (int i = 0; i < count; i++) {
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';
        if (digit > 9) {
            return -1;
        }
        value = value * 10 + (int)digit;
    }
    return value;
}

/* ":MM:SS" and up to six digits of fraction; 0 for another shape. */
static int
read_clock(const char *text, Py_ssize_t length, int *minute, int *second, int *microsecond)
{
    if (length < 6 || text[0] != ':' || text[3] != ':') {
        return 0;
    }
    *minute = read_digits(text + 1, 2);
    *second = read_digits(text + 4, 2);
    *microsecond = 0;
    if (length > 6) {
        if (text[6] != '.' || length < 8 || length > 13) {
            return 0;
        }
        *microsecond = read_digits(text + 7, (int)length - 7);
        for (Py_ssize_t i = length; i < 13; i++) {
            *microsecond *= 10;
        }
    }
    return *minute >= 0 && *minute < 60 && *second >= 0 && *second < 60 && *microsecond >= 0;
}

/* "YYYY-MM-DD" with no part zero; 0 for another shape. The day may still be beyond its month. */
static int
read_calendar(const char *text, int *year, int *month, int *day)
{
    *year = read_digits(text, 4);
    *month = read_digits(text + 5, 2);
    *day = read_digits(text + 8, 2);
    return text[4] == '-' && text[7] == '-' && *year > 0 && *month > 0 && *day > 0;
}

static PyObject *
unless_out_of_range(PyObject *result)
{
    if (result == NULL && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
    }
    return result;
}

static PyObject *
read_datetime(const State *state, const char *text, Py_ssize_t length)
{
    PyDateTime_CAPI *api = state->datetime;
    int year, month, day, hour, minute, second, microsecond;

    if (api == NULL || length < 19 || text[10] != ' ' ||
        !read_calendar(text, &year, &month, &day) ||
        !read_clock(text + 13, length - 13, &minute, &second, &microsecond)) {
        return NULL;
    }
    hour = read_digits(text + 11, 2);
    if (hour < 0) {
        return NULL;
    }
    return unless_out_of_range(api->DateTime_FromDateAndTime(year, month, day, hour, minute,
                                                             second, microsecond, Py_None,
                                                             api->DateTimeType));
}

static PyObject *
read_date(const State *state, const char *text, Py_ssize_t length)
{
    PyDateTime_CAPI *api = state->datetime;
    int year, month, day;

    if (api == NULL || length != 10 || !read_calendar(text, &year, &month, &day)) {
        return NULL;
    }
    return unless_out_of_range(api->Date_FromDate(year, month, day, api->DateType));
}

static PyObject *
read_timedelta(const State *state, const char *text, Py_ssize_t length)
{
    PyDateTime_CAPI *api = state->datetime;
    int hours, minute, second, microsecond, width;
    int sign = 1;

    if (length > 0 && text[0] == '-') {
        sign = -1;
        text++;
        length--;
    }
    if (api == NULL || length < 8) {
        return NULL;
    }
    width = text[2] == ':' ? 2 : 3;
    hours = read_digits(text, width);
    if (hours < 0 || !read_clock(text + width, length - width, &minute, &second, &microsecond)) {
        return NULL;
    }
    second += 60 * (minute + 60 * (hours % 24));
    return api->Delta_FromDelta(sign * (hours / 24), sign * second, sign * microsecond, 1,
                                api->DeltaType);
}

static PyObject *
read_converted(const Column *column, const char *text, Py_ssize_t length)
{
    PyObject *argument, *result;

    if (column->encoding != NULL) {
        argument = read_text(column, text, length);
    }
    else {
        argument = PyBytes_FromStringAndSize(text, length);
    }
    if (argument == NULL) {
        return NULL;
    }
    result = PyObject_CallOneArg(column->converter, argument);
    Py_DECREF(argument);
    return result;
}

#include "_binary.h"

static PyObject *
read_known_shape(const State *state, const Column *column, const char *text, Py_ssize_t length)
{
    if (column->wire != WIRE_TEXT) {
        return read_binary(state, column, text, length);
    }
    switch (column->kind) {
    case KIND_TEXT:
        return read_text(column, text, length);
    case KIND_BYTES:
        return PyBytes_FromStringAndSize(text, length);
    case KIND_INT:
        return read_int(text, length);
    case KIND_FLOAT:
        return read_float(text, length);
    case KIND_DECIMAL:
        return read_decimal(state, text, length);
    case KIND_DATETIME:
        return read_datetime(state, text, length);
    case KIND_DATE:
        return read_date(state, text, length);
    case KIND_TIMEDELTA:
        return read_timedelta(state, text, length);
    default:
        return read_converted(column, text, length);
    }
}

static PyObject *
read_value(const State *state, const Column *column, const char *text, Py_ssize_t length)
{
    PyObject *raw, *value = read_known_shape(state, column, text, length);

    if (value != NULL || PyErr_Occurred()) {
        return value;
    }
    raw = PyBytes_FromStringAndSize(text, length);
    if (raw == NULL) {
        return NULL;
    }
    value = PyObject_CallOneArg(column->careful, raw);
    Py_DECREF(raw);
    return value;
}

#endif
