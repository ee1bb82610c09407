/* is_simple_statement, is_row_change: see statements.py. */
#ifndef AIOMYSQL_PROTOCOL_SQL_STATEMENTS_H
#define AIOMYSQL_PROTOCOL_SQL_STATEMENTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* What is_simple_statement says of the `size` bytes at `text`. */
int is_simple_text(const char *text, Py_ssize_t size);

/* What is_row_change says of them. */
int is_row_change_text(const char *text, Py_ssize_t size);

/* is_row_change(statement, start, /) -> bool */
PyObject *is_row_change(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* is_simple_statement(statement, start, /) -> bool */
PyObject *is_simple_statement(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
