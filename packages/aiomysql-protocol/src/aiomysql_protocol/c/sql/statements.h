/* is_simple_statement: see statements.py. */
#ifndef AIOMYSQL_PROTOCOL_SQL_STATEMENTS_H
#define AIOMYSQL_PROTOCOL_SQL_STATEMENTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* is_simple_statement(statement, start, /) -> bool */
PyObject *is_simple_statement(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
