/* Numbers in decimal digits, eight at a time. */
#ifndef AIOMYSQL_PROTOCOL_ROWS_DIGITS_H
#define AIOMYSQL_PROTOCOL_ROWS_DIGITS_H

#include "wire/bytes.h"

/* "00000000" as load_8 loads it. */
static const uint64_t zeros = UINT64_C(0x3030303030303030);

static inline int
are_eight_digits(uint64_t chunk)
{
    return ((chunk & UINT64_C(0xF0F0F0F0F0F0F0F0)) |
            ((chunk + UINT64_C(0x0606060606060606)) & UINT64_C(0xF0F0F0F0F0F0F0F0)) >> 4) ==
           UINT64_C(0x3333333333333333);
}

/* The number that eight digits say. */
static inline uint32_t
eight_digits(uint64_t chunk)
{
    chunk = (chunk & UINT64_C(0x0F0F0F0F0F0F0F0F)) * 2561 >> 8;
    chunk = (chunk & UINT64_C(0x00FF00FF00FF00FF)) * 6553601 >> 16;
    return (uint32_t)((chunk & UINT64_C(0x0000FFFF0000FFFF)) * UINT64_C(42949672960001) >> 32);
}

/* The first `count` bytes, 1 to 8, behind zeros that make them eight. `room` bytes may be read. */
static inline uint64_t
load_digits(const char *text, Py_ssize_t count, Py_ssize_t room)
{
    uint64_t chunk = 0;

    if (room >= 8) {
        chunk = load_8(text);
    }
    else {
        for (Py_ssize_t i = 0; i < count; i++) {
            chunk |= (uint64_t)(unsigned char)text[i] << 8 * i;
        }
    }
    return chunk << 8 * (8 - count) | zeros >> 8 >> 8 * (count - 1);
}

/* An integer of up to 20 digits. `room` bytes, `length` or more, may be read. */
static inline PyObject *
read_int_within(const char *text, Py_ssize_t length, Py_ssize_t room)
{
    int negative = length > 0 && text[0] == '-';
    Py_ssize_t count = length - negative;
    Py_ssize_t first = count > 16 ? count - 16 : count > 8 ? count - 8 : count;
    uint64_t chunk, value;

    if (count < 1 || count > 20) {
        return NULL;
    }
    text += negative;
    chunk = load_digits(text, first, room - negative);
    if (!are_eight_digits(chunk)) {
        return NULL;
    }
    value = eight_digits(chunk);
    if (count <= 8) {
        return PyLong_FromLong(negative ? -(long)value : (long)value);
    }
    for (const char *pos = text + first; pos < text + count; pos += 8) {
        chunk = load_8(pos);
        if (!are_eight_digits(chunk) || value > (UINT64_MAX - eight_digits(chunk)) / 100000000) {
            return NULL;
        }
        value = value * 100000000 + eight_digits(chunk);
    }
    if (value > INT64_MAX) {
        /* -2**63 has no positive counterpart: it is left to Python, like all below it. */
        return negative ? NULL : PyLong_FromUnsignedLongLong(value);
    }
    return PyLong_FromLongLong(negative ? -(long long)value : (long long)value);
}

#endif
