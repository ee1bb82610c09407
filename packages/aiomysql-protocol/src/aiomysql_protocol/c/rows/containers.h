/* What becomes of a whole result's rows: a tuple, or dicts.  See text.py. */
#ifndef AIOMYSQL_PROTOCOL_ROWS_CONTAINERS_H
#define AIOMYSQL_PROTOCOL_ROWS_CONTAINERS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* dict_rows(names, rows) -> None */
PyObject *dict_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* drain_rows(rows) -> tuple */
PyObject *drain_rows(PyObject *module, PyObject *rows);

#endif
