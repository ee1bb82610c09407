/* Rows of literals, written straight in UTF-8, for statements of many rows. */
#ifndef AIOMYSQL_PROTOCOL_VALUES_ROW_LITERALS_H
#define AIOMYSQL_PROTOCOL_VALUES_ROW_LITERALS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* write_rows(pieces, rows, start, room, no_backslash_escapes, other, separator)
 * -> (bytes, end)  */
PyObject *write_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
