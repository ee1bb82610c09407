/* Rows as LOAD DATA reads them.  See file_rows.py. */
#ifndef AIOMYSQL_PROTOCOL_VALUES_FILE_ROWS_H
#define AIOMYSQL_PROTOCOL_VALUES_FILE_ROWS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* write_file_rows(rows, start, size, kinds, zone=None) -> (bytes, end) */
PyObject *write_file_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
