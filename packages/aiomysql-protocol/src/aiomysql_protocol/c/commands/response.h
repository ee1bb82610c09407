/* Whole responses read in one step: see response.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_COMMANDS_RESPONSE_H
#define AIOMYSQL_PROTOCOL_COMMANDS_RESPONSE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* quick_response(session, buffer, start, end) -> bool */
PyObject *quick_response(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* read_response(prefixes, buffer, start, end) -> Response | None */
PyObject *read_response(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
