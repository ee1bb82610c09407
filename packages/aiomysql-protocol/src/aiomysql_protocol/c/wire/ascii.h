/* Text of ASCII characters. */
#ifndef AIOMYSQL_PROTOCOL_WIRE_ASCII_H
#define AIOMYSQL_PROTOCOL_WIRE_ASCII_H

#include "wire/bytes.h"

/* Chunks overlap at the end rather than leave single bytes over. */
static inline int
is_ascii(const char *text, Py_ssize_t length)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    uint64_t seen = 0;

    if (length >= 8) {
        for (Py_ssize_t i = 0; i < length - 8; i += 8) {
            seen |= load_8(text + i);
        }
        return !((seen | load_8(text + length - 8)) & high);
    }
    if (length >= 4) {
        return !((load_4(text) | load_4(text + length - 4)) & (uint32_t)high);
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        seen |= (unsigned char)text[i];
    }
    return !(seen & high);
}

static inline PyObject *
ascii_string(const char *text, Py_ssize_t length)
{
    PyObject *result;

    if (length < 2) {
        return PyUnicode_DecodeASCII(text, length, NULL); /* has these strings already */
    }
    result = PyUnicode_New(length, 0x7F);
    if (result != NULL) {
        memcpy(PyUnicode_1BYTE_DATA(result), text, (size_t)length);
    }
    return result;
}

#endif
