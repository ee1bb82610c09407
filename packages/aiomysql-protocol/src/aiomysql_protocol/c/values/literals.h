/* Literals of the commonest types: see literals.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_VALUES_LITERALS_H
#define AIOMYSQL_PROTOCOL_VALUES_LITERALS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* What stands behind the backslash for `character`; 0 if it needs none. */
static inline Py_UCS4
escape_of(Py_UCS4 character, int no_backslash_escapes)
{
    if (no_backslash_escapes) {
        return character == '\'' ? '\'' : 0;
    }
    switch (character) {
    case '\0':
        return '0';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case 0x1A:
        return 'Z';
    case '"':
    case '\'':
    case '\\':
        return character;
    default:
        return 0;
    }
}

/* literals(args, no_backslash_escapes, other) -> tuple */
PyObject *literals(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
