/* What the coroutine types here have in common: each is its own iterator, so that awaiting costs no
 * other object. */
#ifndef AIOMYSQL_CORE_WAITING_COROUTINE_H
#define AIOMYSQL_CORE_WAITING_COROUTINE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Raise what a coroutine's `throw(type[, value[, traceback]])` is called with. */
void raise_thrown(PyObject *const *args, Py_ssize_t nargs);

/* Raise StopIteration with `value`, of any type: the result of a coroutine. */
void raise_stop(PyObject *value);

static inline PyObject *
return_self(PyObject *self)
{
    return Py_NewRef(self);
}

#endif
