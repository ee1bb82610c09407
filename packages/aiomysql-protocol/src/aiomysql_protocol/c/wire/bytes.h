/* Integers of fixed size in a packet: the lowest byte comes first. */
#ifndef AIOMYSQL_PROTOCOL_WIRE_BYTES_H
#define AIOMYSQL_PROTOCOL_WIRE_BYTES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

static inline unsigned
load_2(const void *bytes)
{
    const unsigned char *at = bytes;

    return at[0] | (unsigned)at[1] << 8;
}

static inline uint32_t
load_3(const void *bytes)
{
    const unsigned char *at = bytes;

    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
}

static inline uint32_t
load_4(const void *bytes)
{
    uint32_t chunk;

    memcpy(&chunk, bytes, 4);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    chunk = __builtin_bswap32(chunk);
#endif
    return chunk;
}

static inline uint64_t
load_8(const void *bytes)
{
    uint64_t chunk;

    memcpy(&chunk, bytes, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    chunk = __builtin_bswap64(chunk);
#endif
    return chunk;
}

/* Writes the lowest `size` bytes of `number`; returns where they end. */
static inline char *
store_integer(char *to, uint64_t number, int size)
{
    for (int i = 0; i < size; i++) {
        *to++ = (char)(number >> (8 * i));
    }
    return to;
}

#endif
