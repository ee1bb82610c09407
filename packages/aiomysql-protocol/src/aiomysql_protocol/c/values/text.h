/* Bytes that grow, for values of unknown length. */
#ifndef AIOMYSQL_PROTOCOL_VALUES_TEXT_H
#define AIOMYSQL_PROTOCOL_VALUES_TEXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    char *data; /* to be freed with PyMem_Free() */
    Py_ssize_t length;
    Py_ssize_t capacity;
} Text;

/* How writing went; LEFT: it is left to Python, with no exception. */
enum { FAILED = -1, LEFT, WRITTEN };

/* Where `more` bytes may be written; NULL with an exception. */
static inline char *
reserve(Text *text, Py_ssize_t more)
{
    if (more > PY_SSIZE_T_MAX / 2 - text->length) {
        return (char *)PyErr_NoMemory();
    }
    if (text->data == NULL || text->length + more > text->capacity) {
        Py_ssize_t capacity = text->length + more + text->capacity / 2;
        char *data = PyMem_Realloc(text->data, (size_t)capacity);
        if (data == NULL) {
            return (char *)PyErr_NoMemory();
        }
        text->data = data;
        text->capacity = capacity;
    }
    return text->data + text->length;
}

static inline int
append(Text *text, const char *bytes, Py_ssize_t length)
{
    char *to = reserve(text, length);

    if (to == NULL) {
        return FAILED;
    }
    memcpy(to, bytes, (size_t)length);
    text->length += length;
    return WRITTEN;
}

#endif
