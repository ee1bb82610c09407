/* Rows of parameters, for COM_STMT_BULK_EXECUTE.  See parameter_rows.py. */
#ifndef AIOMYSQL_PROTOCOL_VALUES_PARAMETER_ROWS_H
#define AIOMYSQL_PROTOCOL_VALUES_PARAMETER_ROWS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* write_parameter_rows(rows, start, room, types, as_is=None) -> (bytes, types, end) */
PyObject *write_parameter_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
