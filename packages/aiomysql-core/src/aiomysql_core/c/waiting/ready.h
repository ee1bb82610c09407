/* Ready: see ready.py. */
#ifndef AIOMYSQL_CORE_WAITING_READY_H
#define AIOMYSQL_CORE_WAITING_READY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec Ready_spec;

PyObject *new_ready(PyTypeObject *type, PyObject *value);

PyObject *Ready_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names);

#endif
