/* The readers of text cells.  (Binary rows have text in them, too.) */
#include "rows/cells.h"
#include "rows/digits.h"
#include "wire/ascii.h"

#include <float.h>

enum { LONGEST_SHORT_TEXT = 128 };

static inline int
is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Short UTF-8 text, not all ASCII, of characters up to U+FFFF. */
static PyObject *
short_utf8_string(const char *text, Py_ssize_t length)
{
    const unsigned char *pos = (const unsigned char *)text, *end = pos + length;
    uint16_t characters[LONGEST_SHORT_TEXT];
    Py_ssize_t count = 0;
    unsigned seen = 0;
    PyObject *result;

    while (pos < end) {
        unsigned character = *pos;
        if (character < 0x80) {
            pos++;
        }
        else if (character >= 0xC2 && character < 0xE0 && end - pos >= 2 &&
                 is_continuation(pos[1])) {
            character = (character & 0x1F) << 6 | (pos[1] & 0x3F);
            pos += 2;
        }
        else if ((character & 0xF0) == 0xE0 && end - pos >= 3 && is_continuation(pos[1]) &&
                 is_continuation(pos[2])) {
            character = (character & 0x0F) << 12 | (pos[1] & 0x3F) << 6 | (pos[2] & 0x3F);
            if (character < 0x800 || (character >= 0xD800 && character < 0xE000)) {
                return NULL;
            }
            pos += 3;
        }
        else {
            return NULL;
        }
        seen |= character;
        characters[count++] = (uint16_t)character;
    }
    if (count < 2) {
        return NULL;
    }
    result = PyUnicode_New(count, seen < 0x100 ? 0xFF : 0xFFFF);
    if (result == NULL) {
        return NULL;
    }
    if (seen < 0x100) {
        Py_UCS1 *narrow = PyUnicode_1BYTE_DATA(result);
        for (Py_ssize_t i = 0; i < count; i++) {
            narrow[i] = (Py_UCS1)characters[i];
        }
    }
    else {
        memcpy(PyUnicode_2BYTE_DATA(result), characters, (size_t)count * sizeof(Py_UCS2));
    }
    return result;
}

static PyObject *
decode_text(const Column *column, const char *text, Py_ssize_t length)
{
    PyObject *result = NULL;

    if (column->encoding_class == UTF8) {
        if (length <= LONGEST_SHORT_TEXT) {
            result = short_utf8_string(text, length);
        }
        if (result == NULL && !PyErr_Occurred()) {
            result = PyUnicode_DecodeUTF8(text, length, NULL);
        }
    }
    else {
        result = PyUnicode_Decode(text, length, column->encoding, NULL);
    }
    if (result == NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear(); /* the general reader will raise it again, with the column's name */
    }
    return result;
}

static PyObject *
read_text(const State *Py_UNUSED(state), const Column *column, const char *text,
          Py_ssize_t length)
{
    if (column->encoding_class != OTHER_ENCODING && is_ascii(text, length)) {
        return ascii_string(text, length);
    }
    return decode_text(column, text, length);
}

PyObject *
read_bytes(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *text,
           Py_ssize_t length)
{
    return PyBytes_FromStringAndSize(text, length);
}

/* ---- Numbers ---- */

static PyObject *
read_int(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *text,
         Py_ssize_t length)
{
    return read_int_within(text, length, length);
}

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0 && defined(__SIZEOF_INT128__)
#define HAVE_EXACT_QUOTIENT

__extension__ typedef unsigned __int128 Wide;

static inline int
bit_length(uint64_t number)
{
    return 64 - __builtin_clzll(number);
}

/* `mantissa` / 10**`fraction`, correctly rounded; `mantissa` is not 0, `fraction` 0 to 19.
 *
 * The quotient is taken with 63 or 64 bits, the last one of which says also whether there was a
 * remainder: so the conversion to 53 bits rounds as the exact quotient would be rounded. */
static double
exact_quotient(uint64_t mantissa, int fraction)
{
    static const uint64_t powers[] = {
        UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000), UINT64_C(10000),
        UINT64_C(100000), UINT64_C(1000000), UINT64_C(10000000), UINT64_C(100000000),
        UINT64_C(1000000000), UINT64_C(10000000000), UINT64_C(100000000000),
        UINT64_C(1000000000000), UINT64_C(10000000000000), UINT64_C(100000000000000),
        UINT64_C(1000000000000000), UINT64_C(10000000000000000), UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)};
    uint64_t power = powers[fraction];
    int shift = 63 + bit_length(power) - bit_length(mantissa);
    Wide dividend = (Wide)mantissa << shift;
    uint64_t quotient = (uint64_t)(dividend / power);
    uint64_t half = (uint64_t)1 << shift / 2, rest = (uint64_t)1 << (shift - shift / 2);

    quotient |= (uint64_t)(dividend - (Wide)quotient * power) != 0;
    return (double)quotient / (double)half / (double)rest;
}

/* The number in `count` digits that end at `end`, at least eight bytes of the cell before them or
 * among them, behind the digits in `*value`. 0 where they are no digits. */
static inline int
append_digits(const char *end, Py_ssize_t count, uint64_t *value)
{
    static const uint32_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t chunk;

    for (; count >= 8; count -= 8) {
        chunk = load_8(end - count);
        if (!are_eight_digits(chunk)) {
            return 0;
        }
        *value = *value * 100000000 + eight_digits(chunk);
    }
    if (count > 0) {
        unsigned others = 8 * (8 - (unsigned)count);
        chunk = load_8(end - 8) >> others << others | zeros >> 8 * count;
        if (!are_eight_digits(chunk)) {
            return 0;
        }
        *value = *value * powers[count] + eight_digits(chunk);
    }
    return 1;
}

/* The first point's place in the eight bytes at `text`; 8 if there is none. */
static inline Py_ssize_t
find_point(const char *text)
{
    uint64_t others = load_8(text) ^ UINT64_C(0x2E2E2E2E2E2E2E2E);
    uint64_t points = (others - UINT64_C(0x0101010101010101)) & ~others &
                      UINT64_C(0x8080808080808080);

    return points == 0 ? 8 : __builtin_ctzll(points) / 8;
}

/* Up to 19 digits, with at most one point among them. */
static PyObject *
read_plain_float(const char *text, Py_ssize_t length)
{
    int negative = text[0] == '-';
    Py_ssize_t count = length - negative, point = count;
    uint64_t mantissa = 0;
    double value;

    text += negative;
    if (count >= 9 && count <= 20 && (point = find_point(text)) > 0 && point < 8) {
        uint64_t whole = load_digits(text, point, 8);
        if (!are_eight_digits(whole)) {
            return NULL;
        }
        mantissa = eight_digits(whole);
        if (!append_digits(text + count, count - point - 1, &mantissa)) {
            return NULL;
        }
    }
    else {
        Py_ssize_t digits = 0;
        point = count;
        for (Py_ssize_t i = 0; i < count && count <= 20; i++) {
            unsigned digit = (unsigned char)text[i] - (unsigned)'0';
            if (digit <= 9) {
                mantissa = mantissa * 10 + digit;
                digits++;
            }
            else if (text[i] == '.' && point == count) {
                point = i;
            }
            else {
                return NULL;
            }
        }
        if (digits < 1 || digits > 19) {
            return NULL;
        }
    }
    value = mantissa == 0 ? 0.0
                          : exact_quotient(mantissa, point < count ? (int)(count - point - 1) : 0);
    return PyFloat_FromDouble(negative ? -value : value);
}
#endif

static PyObject *
read_float(const State *Py_UNUSED(state), const Column *Py_UNUSED(column), const char *text,
           Py_ssize_t length)
{
    char copy[64]; /* ends with a zero, which the buffer does not */
    char *stop;
    double value;

    if (length < 1 || length >= (Py_ssize_t)sizeof(copy)) {
        return NULL;
    }
#ifdef HAVE_EXACT_QUOTIENT
    PyObject *result = read_plain_float(text, length);
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

/* Whether these are eight bytes of '-', '.', '/' and digits. */
static inline int
are_plain(uint64_t chunk)
{
    const uint64_t high = UINT64_C(0x8080808080808080);

    return (((chunk + UINT64_C(0x4646464646464646)) | ~(chunk + UINT64_C(0x5353535353535353)) |
             chunk) & high) == 0;
}

static PyObject *
read_decimal(const State *state, const Column *Py_UNUSED(column), const char *text,
             Py_ssize_t length)
{
    PyObject *string, *result;

    if (length < 1) {
        return NULL;
    }
    /* Decimal knows more forms than the server, but none with these characters. */
    for (Py_ssize_t i = 0; i < length - 8; i += 8) {
        if (!are_plain(load_8(text + i))) {
            return NULL;
        }
    }
    if (!are_plain(length < 8 ? load_digits(text, length, length) : load_8(text + length - 8))) {
        return NULL;
    }
    string = ascii_string(text, length);
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

/* ---- Dates and times ---- */

/* Shapes of eight bytes, as load_8 loads them: what is not a zero stands for itself. */
#define SHAPE_YYYY_MM UINT64_C(0x2D30302D30303030)  /* "0000-00-" */
#define SHAPE_MM_DD UINT64_C(0x30302D30302D3030)    /* "00-00-00" */
#define SHAPE_DD UINT64_C(0x2030302D30302D30)       /* "0-00-00 " */
#define SHAPE_HH_MM_SS UINT64_C(0x30303A30303A3030) /* "00:00:00" */

/* Whether `text` has that shape. Each byte of `*pairs` is then the number that the digits at
 * this place and the next one say. (Of a separator it says nothing.) */
static inline int
has_shape(const char *text, uint64_t shape, uint64_t *pairs)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    uint64_t digits = load_8(text) ^ shape;
    /* What must be 0 overflows into the highest bit with 1, what may be 9 with 10. */
    uint64_t separators = ((shape ^ zeros) + ~high) >> 7 & UINT64_C(0x0101010101010101);
    uint64_t excess = ((digits & ~high) + UINT64_C(0x7676767676767676) + separators * 9) | digits;

    *pairs = digits * 10 + (digits >> 8);
    return (excess & high) == 0;
}

static inline int
pair_at(uint64_t pairs, int place)
{
    return (int)(pairs >> 8 * place & 0xFF);
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

typedef struct {
    int hour; /* the last two digits of it */
    int minute;
    int second;
    int microsecond;
} Clock;

/* "HH:MM:SS" and up to six digits of fraction; 0 for another shape. The hour may be any. */
static inline int
read_clock(const char *text, Py_ssize_t length, Clock *clock)
{
    uint64_t pairs;

    if (length < 8 || !has_shape(text, SHAPE_HH_MM_SS, &pairs)) {
        return 0;
    }
    clock->hour = pair_at(pairs, 0);
    clock->minute = pair_at(pairs, 3);
    clock->second = pair_at(pairs, 6);
    clock->microsecond = 0;
    if (length > 8) {
        if (text[8] != '.' || length < 10 || length > 15) {
            return 0;
        }
        clock->microsecond = read_digits(text + 9, (int)length - 9);
        for (Py_ssize_t i = length; i < 15; i++) {
            clock->microsecond *= 10;
        }
    }
    return clock->minute < 60 && clock->second < 60 && clock->microsecond >= 0;
}

/* Year and month of a date that begins so and is not zero in one of them. */
static inline int
read_months(const char *text, int *year, int *month)
{
    uint64_t pairs;

    if (!has_shape(text, SHAPE_YYYY_MM, &pairs)) {
        return 0;
    }
    *year = 100 * pair_at(pairs, 0) + pair_at(pairs, 2);
    *month = pair_at(pairs, 5);
    return *year > 0 && *month > 0;
}

static inline PyObject *
datetime_of_text(const State *state, const char *text, Py_ssize_t length, PyObject *tzinfo)
{
    PyDateTime_CAPI *api = state->datetime;
    uint64_t pairs;
    int year, month;
    Clock clock;

    if (api == NULL || length < 19 || !read_months(text, &year, &month) ||
        !has_shape(text + 3, SHAPE_DD, &pairs) || !read_clock(text + 11, length - 11, &clock)) {
        return NULL;
    }
    return unless_out_of_range(api->DateTime_FromDateAndTime(
        year, month, pair_at(pairs, 5), clock.hour, clock.minute, clock.second, clock.microsecond,
        tzinfo, api->DateTimeType));
}

static PyObject *
read_datetime(const State *state, const Column *Py_UNUSED(column), const char *text,
              Py_ssize_t length)
{
    return datetime_of_text(state, text, length, Py_None);
}

static PyObject *
read_timestamp(const State *state, const Column *column, const char *text, Py_ssize_t length)
{
    return localized(column, datetime_of_text(state, text, length, column->tzinfo));
}

static PyObject *
read_date(const State *state, const Column *Py_UNUSED(column), const char *text,
          Py_ssize_t length)
{
    PyDateTime_CAPI *api = state->datetime;
    uint64_t pairs;
    int year, month;

    if (api == NULL || length != 10 || !read_months(text, &year, &month) ||
        !has_shape(text + 2, SHAPE_MM_DD, &pairs)) {
        return NULL;
    }
    return unless_out_of_range(
        api->Date_FromDate(year, month, pair_at(pairs, 6), api->DateType));
}

static PyObject *
read_timedelta(const State *state, const Column *Py_UNUSED(column), const char *text,
               Py_ssize_t length)
{
    PyDateTime_CAPI *api = state->datetime;
    int negative = length > 0 && text[0] == '-';
    int sign = negative ? -1 : 1;
    int hundreds = 0, seconds;
    Clock clock;

    text += negative;
    length -= negative;
    if (api == NULL || length < 8) {
        return NULL;
    }
    if (text[2] != ':') {
        hundreds = read_digits(text++, 1);
        length--;
    }
    if (hundreds < 0 || !read_clock(text, length, &clock)) {
        return NULL;
    }
    clock.hour += 100 * hundreds;
    seconds = clock.second + 60 * (clock.minute + 60 * (clock.hour % 24));
    /* What is negative needs to be normalized. */
    return api->Delta_FromDelta(sign * (clock.hour / 24), sign * seconds,
                                sign * clock.microsecond, negative, api->DeltaType);
}

static PyObject *
read_converted(const State *state, const Column *column, const char *text, Py_ssize_t length)
{
    PyObject *argument, *result;

    if (column->encoding != NULL) {
        argument = read_text(state, column, text, length);
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

CellReader
text_reader(const Column *column)
{
    static const CellReader readers[KINDS] = {
        [KIND_TEXT] = read_text,
        [KIND_BYTES] = read_bytes,
        [KIND_INT] = read_int,
        [KIND_FLOAT] = read_float,
        [KIND_DECIMAL] = read_decimal,
        [KIND_DATETIME] = read_datetime,
        [KIND_DATE] = read_date,
        [KIND_TIMEDELTA] = read_timedelta,
        [KIND_CONVERT] = read_converted,
        [KIND_TIMESTAMP] = read_timestamp,
    };

    return readers[column->kind];
}

PyObject *
read_with_general(const Column *column, const char *text, Py_ssize_t length)
{
    PyObject *raw, *value;

    if (PyErr_Occurred()) {
        return NULL;
    }
    raw = PyBytes_FromStringAndSize(text, length);
    if (raw == NULL) {
        return NULL;
    }
    value = PyObject_CallOneArg(column->general, raw);
    Py_DECREF(raw);
    return value;
}

