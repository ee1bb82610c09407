/* Requests made in one step: what `Session.request` does for a usual Query or Execute,
 * and what makes that object. */
#ifndef AIOMYSQL_PROTOCOL_COMMANDS_REQUESTS_H
#define AIOMYSQL_PROTOCOL_COMMANDS_REQUESTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* start_query(session, query_class, statement) -> (query, bytes to send) | None */
PyObject *start_query(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* start_execution(session, execute_class, prepared, values) -> (execution, bytes to send) | None */
PyObject *start_execution(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
