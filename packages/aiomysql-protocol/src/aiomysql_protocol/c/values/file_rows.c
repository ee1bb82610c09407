#include "values/file_rows.h"

#include "module.h"
#include "sequences.h"
#include "values/parameters.h"
#include "values/row_literals.h"

#define FIELD_END "\t"
#define ROW_END "\n"

/* What a column may be given, see file_rows.py; without the bit it can't be NULL. */
enum { INTEGER = 'I', DECIMAL = 'D', FLOAT = 'F', TEXT = 'S', BYTES = 'B', DATETIME = 'T' };
enum { TIME = 'C', NULLABLE = 0x20 };

/* A DOUBLE holds integers up to this one as they are. */
#define LARGEST_EXACT (1LL << 53)

/* Days that a timedelta may have, far more than a TIME holds; and the characters of the longest. */
enum { MOST_DAYS = 1000000, TIME_SIZE = 1 + 8 + 3 + 3 + FRACTION_LENGTH };

/* What write_file_rows() was called with. */
typedef struct {
    PyObject *rows;
    Py_ssize_t at;     /* the row to come */
    const char *kinds; /* of the columns */
    Py_ssize_t count;  /* of the columns */
    PyObject *zone;    /* a SessionZone, or NULL */
    PyObject *as_is;   /* of the zone */
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

static int
append_str(Text *text, PyObject *value)
{
    Py_ssize_t length;
    const char *bytes = PyUnicode_AsUTF8AndSize(value, &length);

    if (bytes == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return FAILED;
        }
        PyErr_Clear(); /* a lone surrogate */
        return LEFT;
    }
    return append_escaped(text, bytes, length);
}

/* An int or a bool. */
static int
append_integer(Text *text, char kind, PyObject *value)
{
    if (kind == FLOAT) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

        if (overflow || number > LARGEST_EXACT || number < -LARGEST_EXACT) {
            return LEFT;
        }
    }
    return append_long(text, value);
}

/* `number` in `count` digits or more, and `mark` behind them unless it is zero. */
static char *
put_number(char *to, int number, int count, char mark)
{
    char digits[12], *at = digits + sizeof(digits);

    for (; count > 0 || number > 0; count--, number /= 10) {
        *--at = (char)('0' + number % 10);
    }
    memcpy(to, at, (size_t)(digits + sizeof(digits) - at));
    to += digits + sizeof(digits) - at;
    if (mark) {
        *to++ = mark;
    }
    return to;
}

static int
append_time(Text *text, int is_negative, int hours, const int rest[3])
{
    char buffer[TIME_SIZE], *to = buffer;

    if (is_negative) {
        *to++ = '-';
    }
    to = put_number(to, hours, 2, ':');
    to = put_number(to, rest[0], 2, ':');
    to = put_number(to, rest[1], 2, rest[2] ? '.' : 0);
    if (rest[2]) {
        to = put_number(to, rest[2], 6, 0);
    }
    return append(text, buffer, to - buffer);
}

static int
append_delta(Text *text, PyObject *value)
{
    int days = PyDateTime_DELTA_GET_DAYS(value);
    int seconds = PyDateTime_DELTA_GET_SECONDS(value);
    int microseconds = PyDateTime_DELTA_GET_MICROSECONDS(value);
    int is_negative = days < 0;

    if (days > MOST_DAYS || days < -MOST_DAYS) {
        return LEFT;
    }
    /* Only the days may be negative: the others are counted from there. */
    if (is_negative) {
        days = -days;
        if (microseconds) {
            microseconds = 1000000 - microseconds;
            seconds++;
        }
        if (seconds) {
            seconds = 86400 - seconds;
            days--;
        }
    }
    return append_time(text, is_negative, days * 24 + seconds / 3600,
                       (int[]){seconds / 60 % 60, seconds % 60, microseconds});
}

/* An aware datetime, as the session's clock shows it. */
static int
append_zoned(const State *state, Text *text, const Rows *rows, PyObject *value)
{
    PyObject *wall = PyObject_CallMethod(rows->zone, "wall_time", "O", value);
    int done = LEFT;

    if (wall == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return FAILED;
        }
        PyErr_Clear(); /* who writes it in another way will see it */
        return LEFT;
    }
    if (Py_IS_TYPE(wall, state->datetime->DateTimeType)) {
        char buffer[TEMPORAL_SIZE];
        char *end = put_temporal(state, buffer, wall);

        done = append(text, buffer + 1, end - buffer - 1);
    }
    Py_DECREF(wall);
    return done;
}

/* What is a date, a time or both. */
static int
append_moment(const State *state, Text *text, const Rows *rows, char kind, PyObject *value)
{
    const PyDateTime_CAPI *datetime = state->datetime;

    if (datetime == NULL) {
        return LEFT;
    }
    if (kind == DATETIME &&
        (Py_IS_TYPE(value, datetime->DateTimeType) || Py_IS_TYPE(value, datetime->DateType))) {
        /* The text, with its length before it. */
        char buffer[TEMPORAL_SIZE], *end;

        if (Py_IS_TYPE(value, datetime->DateTimeType) && !is_written_as_it_is(value, rows->as_is)) {
            return append_zoned(state, text, rows, value);
        }
        end = put_temporal(state, buffer, value);

        return append(text, buffer + 1, end - buffer - 1);
    }
    if (kind == TIME && Py_IS_TYPE(value, datetime->DeltaType)) {
        return append_delta(text, value);
    }
    if (kind == TIME && Py_IS_TYPE(value, datetime->TimeType)) {
        return append_time(text, 0, PyDateTime_TIME_GET_HOUR(value),
                           (int[]){PyDateTime_TIME_GET_MINUTE(value),
                                   PyDateTime_TIME_GET_SECOND(value),
                                   PyDateTime_TIME_GET_MICROSECOND(value)});
    }
    return LEFT;
}

/* Runs no code but that of the values' types, which are exact ones of Python's, and with a zone that
 * of the values' zones. */
static int
append_field(const State *state, Text *text, const Rows *rows, char column, PyObject *value)
{
    char kind = (char)(column & ~NULLABLE);

    if (value == Py_None) {
        return column != kind && kind >= 'A' ? append(text, "\\N", 2) : LEFT;
    }
    if (PyUnicode_CheckExact(value)) {
        return kind == TEXT ? append_str(text, value) : LEFT;
    }
    if (PyLong_CheckExact(value) || PyBool_Check(value)) {
        return kind == INTEGER || kind == DECIMAL || kind == FLOAT
                   ? append_integer(text, kind, value)
                   : LEFT;
    }
    if (PyFloat_CheckExact(value)) {
        return kind == FLOAT ? append_float(text, PyFloat_AS_DOUBLE(value), 0) : LEFT;
    }
    if (PyBytes_CheckExact(value)) {
        return kind == BYTES
                   ? append_escaped(text, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
                   : LEFT;
    }
    if ((PyObject *)Py_TYPE(value) == state->decimal_type) {
        return kind == DECIMAL ? append_decimal(text, value) : LEFT;
    }
    return append_moment(state, text, rows, kind, value);
}

/* Appends the row at rows->at.  Returns LEFT, with `text` as it was, at the end as well. */
static int
append_next_row(const State *state, Text *text, const Rows *rows)
{
    Py_ssize_t length = text->length, count = PySequence_Size(rows->rows);
    PyObject *row, *values;
    int done = WRITTEN;

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
    values = tuple_of(row); /* a list could change */
    Py_DECREF(row);
    if (values == NULL) {
        return FAILED;
    }
    if (PyTuple_GET_SIZE(values) != rows->count) {
        done = LEFT;
    }
    for (Py_ssize_t i = 0; i < rows->count && done == WRITTEN; i++) {
        done = i == 0 ? WRITTEN : append(text, FIELD_END, 1);
        if (done == WRITTEN) {
            done = append_field(state, text, rows, rows->kinds[i], PyTuple_GET_ITEM(values, i));
        }
    }
    Py_DECREF(values);
    if (done == WRITTEN) {
        done = append(text, ROW_END, 1);
    }
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

    if ((nargs != 4 && nargs != 5) || !PyBytes_Check(args[3])) {
        PyErr_SetString(PyExc_TypeError,
                        "write_file_rows takes rows, start, size, bytes and perhaps a zone");
        return NULL;
    }
    rows.rows = args[0];
    rows.kinds = PyBytes_AS_STRING(args[3]);
    rows.count = PyBytes_GET_SIZE(args[3]);
    if (((rows.at = PyNumber_AsSsize_t(args[1], PyExc_ValueError)) == -1 && PyErr_Occurred()) ||
        ((size = PyNumber_AsSsize_t(args[2], PyExc_ValueError)) == -1 && PyErr_Occurred())) {
        return NULL;
    }
    if (rows.at < 0) {
        PyErr_SetString(PyExc_ValueError, "start must not be negative");
        return NULL;
    }
    rows.zone = nargs == 5 && args[4] != Py_None ? args[4] : NULL;
    rows.as_is = NULL;
    if (rows.zone != NULL && (rows.as_is = PyObject_GetAttrString(rows.zone, "as_is")) == NULL) {
        return NULL;
    }
    while (text.length < size && (done = append_next_row(state, &text, &rows)) == WRITTEN) {
        rows.at++;
    }
    if (done != FAILED) {
        result = Py_BuildValue("y#n", text.data == NULL ? "" : text.data, text.length, rows.at);
    }
    PyMem_Free(text.data);
    Py_XDECREF(rows.as_is);
    return result;
}
