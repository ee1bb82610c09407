/* AcquireContext: see acquire.py. */
#ifndef AIOMYSQL_POOL_ACQUIRE_H
#define AIOMYSQL_POOL_ACQUIRE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec AcquireContext_spec;

PyObject *AcquireContext_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf,
                                    PyObject *names);

#endif
