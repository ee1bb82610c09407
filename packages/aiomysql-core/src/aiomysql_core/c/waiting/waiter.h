/* Waiter: see waiter.py. */
#ifndef AIOMYSQL_CORE_WAITING_WAITER_H
#define AIOMYSQL_CORE_WAITING_WAITER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct Waiter Waiter;

extern PyType_Spec Waiter_spec;

/* Its methods, which the C code here calls without looking them up.  NULL and PYGEN_ERROR: an
 * exception is set. */
PyObject *Waiter_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names);

/* is_owner: `interrupted` is not a function, but what has a method `_interrupted`. */
void Waiter_arm_for(Waiter *self, PyObject *interrupted, int is_owner);

PyObject *Waiter_fire(Waiter *self, PyObject *at_once);

PyObject *Waiter_wake_if_progressed(Waiter *self, PyObject *at_once);

PySendResult Waiter_am_send(Waiter *self, PyObject *argument, PyObject **result);

PyObject *Waiter_throw(Waiter *self, PyObject *const *args, Py_ssize_t nargs);

PyObject *Waiter_close(Waiter *self, PyObject *ignored);

#endif
