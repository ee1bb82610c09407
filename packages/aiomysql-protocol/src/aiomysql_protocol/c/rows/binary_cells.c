/* The readers of binary cells that are not text: integers, real numbers, dates and times. */
#include "field_types.h"
#include "rows/cells.h"
#include "wire/bytes.h"

#include <float.h>

enum { NOT_FIXED = 31, FRACTION_DIGITS = 6 };

static int
fixed_size(long type_code)
{
    switch (type_code) {
    case TYPE_TINY:
        return 1;
    case TYPE_SHORT:
    case TYPE_YEAR:
        return 2;
    case TYPE_LONG:
    case TYPE_INT24:
    case TYPE_FLOAT:
        return 4;
    case TYPE_LONGLONG:
    case TYPE_DOUBLE:
        return 8;
    default:
        return 0;
    }
}

/* Renders nothing: the general reader makes text of the value. */
static PyObject *
read_rendered(const State *Py_UNUSED(state), const Column *Py_UNUSED(column),
              const char *Py_UNUSED(bytes), Py_ssize_t Py_UNUSED(length))
{
    return NULL;
}

static PyObject *
read_int8(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *bytes,
          Py_ssize_t Py_UNUSED(length))
{
    return PyLong_FromLong((signed char)*bytes);
}

static PyObject *
read_uint8(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *bytes,
           Py_ssize_t Py_UNUSED(length))
{
    return PyLong_FromLong((unsigned char)*bytes);
}

static PyObject *
read_int16(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *bytes,
           Py_ssize_t Py_UNUSED(length))
{
    return PyLong_FromLong((int16_t)load_2(bytes));
}

static PyObject *
read_uint16(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *bytes,
            Py_ssize_t Py_UNUSED(length))
{
    return PyLong_FromLong((long)load_2(bytes));
}

static PyObject *
read_int32(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *bytes,
           Py_ssize_t Py_UNUSED(length))
{
    return PyLong_FromLong((int32_t)load_4(bytes));
}

static PyObject *
read_uint32(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *bytes,
            Py_ssize_t Py_UNUSED(length))
{
    return PyLong_FromLongLong((long long)load_4(bytes));
}

static PyObject *
read_int64(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *bytes,
           Py_ssize_t Py_UNUSED(length))
{
    return PyLong_FromLongLong((int64_t)load_8(bytes));
}

static PyObject *
read_uint64(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *bytes,
            Py_ssize_t Py_UNUSED(length))
{
    uint64_t value = load_8(bytes);

    return value > INT64_MAX ? PyLong_FromUnsignedLongLong(value)
                             : PyLong_FromLongLong((int64_t)value);
}

static CellReader
integer_reader(int size, int is_unsigned)
{
    switch (size) {
    case 1:
        return is_unsigned ? read_uint8 : read_int8;
    case 2:
        return is_unsigned ? read_uint16 : read_int16;
    case 4:
        return is_unsigned ? read_uint32 : read_int32;
    default:
        return is_unsigned ? read_uint64 : read_int64;
    }
}

static PyObject *
read_double(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *bytes,
            Py_ssize_t Py_UNUSED(length))
{
    double value = PyFloat_Unpack8(bytes, 1);

    return value == -1.0 && PyErr_Occurred() ? NULL : PyFloat_FromDouble(value);
}

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
static const double powers_of_ten[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                       1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* `magnitude` rounded to `decimals`, where that can be done exactly; else a negative number.
 *
 * A float has 24 bits and 5**12 has 28: so their product, and that with 10**12, is exact. A double
 * that is the nearest one to some number of so many decimals is that number. */
static double
round_exactly(double magnitude, long decimals, int single)
{
    double power, scaled, rounded;
    int64_t whole;

    if (decimals > (single ? 12 : 15)) {
        return -1;
    }
    power = powers_of_ten[decimals];
    scaled = magnitude * power;
    if (!(scaled < 1e15)) {
        return -1;
    }
    whole = (int64_t)scaled;
    scaled -= (double)whole;
    if (scaled > 0.5 || (scaled == 0.5 && (whole & 1))) {
        whole++;
    }
    rounded = (double)whole / power;
    return single || rounded == magnitude ? rounded : -1;
}

/* The decimals that six significant digits of `magnitude` have; a negative number: not known. */
static int
decimals_of_six(double magnitude)
{
    static const double limits[] = {1e5,  1e4,  1e3,  1e2,  1e1,  1e0, 1e-1,
                                    1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7};

    if (magnitude < 1e6) {
        for (int i = 0; i < (int)(sizeof(limits) / sizeof(limits[0])); i++) {
            if (magnitude >= limits[i]) {
                return i;
            }
        }
    }
    return -1;
}
#endif

/* A FLOAT, or a DOUBLE with fixed decimals: rounded. */
static PyObject *
read_real(const State *Py_UNUSED(state), const Column *column, const char *bytes,
          Py_ssize_t length)
{
    int single = length == 4;
    int fixed = column->decimals < NOT_FIXED;
    double value = single ? PyFloat_Unpack4(bytes, 1) : PyFloat_Unpack8(bytes, 1);
    char *text;

    if (value == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
    double magnitude = value < 0 ? -value : value;
    long decimals = fixed ? column->decimals : decimals_of_six(magnitude);
    double rounded = decimals < 0 ? -1 : round_exactly(magnitude, decimals, single);
    if (rounded > 0) { /* of a zero the sign would have to be kept */
        return PyFloat_FromDouble(value < 0 ? -rounded : rounded);
    }
#endif
    text = PyOS_double_to_string(value, fixed ? 'f' : 'g', fixed ? (int)column->decimals : 6, 0,
                                 NULL);
    if (text == NULL) {
        return NULL;
    }
    value = PyOS_string_to_double(text, NULL, NULL);
    PyMem_Free(text);
    if (value == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    return PyFloat_FromDouble(value);
}

static inline PyObject *
datetime_of_bytes(const State *state, const Column *column, const char *bytes, Py_ssize_t length,
                  PyObject *tzinfo)
{
    PyDateTime_CAPI *api = state->datetime;
    const unsigned char *part = (const unsigned char *)bytes;
    int hour = 0, minute = 0, second = 0;
    uint32_t microsecond = 0;

    if (api == NULL || (length != 4 && length != 7 && length != 11) ||
        (length == 11 && column->decimals < FRACTION_DIGITS)) {
        return NULL;
    }
    if (length > 4) {
        hour = part[4];
        minute = part[5];
        second = part[6];
    }
    if (length > 7) {
        microsecond = load_4(bytes + 7);
    }
    if (microsecond > 999999) {
        return NULL;
    }
    return unless_out_of_range(api->DateTime_FromDateAndTime(
        (int)load_2(bytes), part[2], part[3], hour, minute, second, (int)microsecond, tzinfo,
        api->DateTimeType));
}

static PyObject *
read_binary_datetime(const State *state, const Column *column, const char *bytes,
                     Py_ssize_t length)
{
    return datetime_of_bytes(state, column, bytes, length, Py_None);
}

static PyObject *
read_binary_timestamp(const State *state, const Column *column, const char *bytes,
                      Py_ssize_t length)
{
    return localized(column, datetime_of_bytes(state, column, bytes, length, column->tzinfo));
}

static PyObject *
read_binary_date(const State *state, const Column *Py_UNUSED(column), const char *bytes,
                 Py_ssize_t length)
{
    PyDateTime_CAPI *api = state->datetime;

    if (api == NULL || length != 4) {
        return NULL;
    }
    return unless_out_of_range(api->Date_FromDate((int)load_2(bytes), (unsigned char)bytes[2],
                                                  (unsigned char)bytes[3], api->DateType));
}

static PyObject *
read_binary_time(const State *state, const Column *column, const char *bytes, Py_ssize_t length)
{
    PyDateTime_CAPI *api = state->datetime;
    const unsigned char *part = (const unsigned char *)bytes;
    uint64_t hours;
    uint32_t microsecond = 0;
    int second, sign;

    if (api == NULL || (length != 8 && length != 12) ||
        (length == 12 && column->decimals < FRACTION_DIGITS)) {
        return NULL;
    }
    hours = (uint64_t)load_4(bytes + 1) * 24 + part[5];
    if (length == 12) {
        microsecond = load_4(bytes + 8);
    }
    if (hours > 999 || part[6] > 59 || part[7] > 59 || microsecond > 999999) {
        return NULL;
    }
    sign = part[0] ? -1 : 1;
    second = part[7] + 60 * (part[6] + 60 * (int)(hours % 24));
    return api->Delta_FromDelta(sign * (int)(hours / 24), sign * second, sign * (int)microsecond,
                                sign < 0, api->DeltaType);
}

/* The reader of binary cells, after the column's kind, size and decimals are set. */
static CellReader
binary_reader(const Column *column, long type_code, int is_unsigned)
{
    switch (type_code) {
    case TYPE_FLOAT:
        return column->kind == KIND_FLOAT ? read_real : read_rendered;
    case TYPE_DOUBLE:
        if (column->kind != KIND_FLOAT) {
            return read_rendered;
        }
        return column->decimals >= NOT_FIXED ? read_double : read_real;
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP:
        if (column->kind == KIND_TIMESTAMP) {
            return read_binary_timestamp;
        }
        return column->kind == KIND_DATETIME ? read_binary_datetime : read_rendered;
    case TYPE_DATE:
    case TYPE_NEWDATE:
        return column->kind == KIND_DATE ? read_binary_date : read_rendered;
    case TYPE_TIME:
        return column->kind == KIND_TIMEDELTA ? read_binary_time : read_rendered;
    default:
        if (column->size == 0) {
            return text_reader(column);
        }
        return column->kind == KIND_INT ? integer_reader(column->size, is_unsigned)
                                        : read_rendered;
    }
}

void
set_binary_reader(Column *column, long type_code, long decimals, int is_unsigned)
{
    column->size = fixed_size(type_code);
    column->decimals = decimals;
    column->read = binary_reader(column, type_code, is_unsigned);
    if (column->read == read_double) {
        column->never_repeated = 1;
    }
}
