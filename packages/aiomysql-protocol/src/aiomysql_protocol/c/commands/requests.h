/* Queries and executions: see query.encode_query and prepared.encode_execution. */
#ifndef AIOMYSQL_PROTOCOL_COMMANDS_REQUESTS_H
#define AIOMYSQL_PROTOCOL_COMMANDS_REQUESTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* encode_query(statement, source, streamed, as_dicts) -> Query */
PyObject *encode_query(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* encode_execution(writer, prepared, values, streamed, as_dicts, own_marks) -> Execute | None */
PyObject *encode_execution(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
