/* An AwaitableContextManager whose object is there already: see awaitable.py. */
#ifndef AIOMYSQL_CORE_WAITING_READY_CONTEXT_H
#define AIOMYSQL_CORE_WAITING_READY_CONTEXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec ReadyContext_spec;

/* new_cursor(class, connection, echo) -> a ReadyContext of class(connection, echo) */
PyObject *new_cursor(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
