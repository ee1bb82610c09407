/* Length-encoded integers. */
#ifndef AIOMYSQL_PROTOCOL_WIRE_LENENC_H
#define AIOMYSQL_PROTOCOL_WIRE_LENENC_H

#include "wire/bytes.h"

/* First bytes that are not the integer itself. */
enum { LENENC_NULL = 0xFB, LENENC_2 = 0xFC, LENENC_3 = 0xFD, LENENC_8 = 0xFE };

typedef enum {
    LENENC_READ,
    LENENC_IS_NULL,   /* 0xFB, which stands for NULL in a row */
    LENENC_TRUNCATED, /* it ends before its last byte */
    LENENC_INVALID    /* 0xFF */
} LenencStatus;

/* An integer that has not one byte; see read_lenenc. */
static LenencStatus
read_long_lenenc(const unsigned char **pos, const unsigned char *end, uint64_t *value)
{
    unsigned char first = *(*pos)++;
    int width = first == LENENC_2 ? 2 : first == LENENC_3 ? 3 : 8;

    if (first == LENENC_NULL) {
        return LENENC_IS_NULL;
    }
    if (first > LENENC_8) {
        return LENENC_INVALID;
    }
    if (end - *pos < width) {
        return LENENC_TRUNCATED;
    }
    *value = 0;
    for (int i = 0; i < width; i++) {
        *value |= (uint64_t)(*pos)[i] << (8 * i);
    }
    *pos += width;
    return LENENC_READ;
}

/* Read the integer at `*pos`, which is moved past it and past a NULL. */
static inline LenencStatus
read_lenenc(const unsigned char **pos, const unsigned char *end, uint64_t *value)
{
    const unsigned char *after = *pos; /* so that what `pos` points to need not be in memory */
    uint64_t long_value;
    LenencStatus status;

    if (after >= end) {
        return LENENC_TRUNCATED;
    }
    if (*after < LENENC_NULL) {
        *value = *after;
        *pos = after + 1;
        return LENENC_READ;
    }
    status = read_long_lenenc(&after, end, &long_value);
    *pos = after;
    if (status == LENENC_READ) {
        *value = long_value;
    }
    return status;
}

/* The bytes that `value` takes. */
static inline Py_ssize_t
lenenc_size(uint64_t value)
{
    return value < LENENC_NULL ? 1 : value <= 0xFFFF ? 3 : value <= 0xFFFFFF ? 4 : 9;
}

/* Returns where the integer ends. */
static inline char *
store_lenenc(char *to, uint64_t value)
{
    static const unsigned char first[] = {[3] = LENENC_2, [4] = LENENC_3, [9] = LENENC_8};
    int size = (int)lenenc_size(value);

    if (size > 1) {
        *to++ = (char)first[size--];
    }
    return store_integer(to, value, size);
}

#endif
