/* What the coroutine types have in common: each is its own iterator, so that awaiting costs no
 * other object. */
#ifndef AIOMYSQL_COROUTINE_H
#define AIOMYSQL_COROUTINE_H

#include "exceptions.h"

/* Raise RuntimeError instead of the StopIteration that is set: raised by a coroutine, that would be
 * its result. */
static inline void
replace_stop(void)
{
    PyObject *stop = take_exception(), *error;

    PyErr_SetString(PyExc_RuntimeError, "coroutine raised StopIteration");
    error = take_exception();
    PyException_SetContext(error, Py_NewRef(stop));
    PyException_SetCause(error, stop);
    set_exception(error);
}

/* Raise what a coroutine's `throw(type[, value[, traceback]])` is called with. */
static inline void
raise_thrown(PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *type, *value;

    if (nargs < 1 || nargs > 3) {
        PyErr_SetString(PyExc_TypeError, "throw takes an exception");
        return;
    }
    type = args[0];
    value = nargs > 1 && args[1] != Py_None ? args[1] : NULL;
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    }
    else if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value);
    }
    else {
        PyErr_SetString(PyExc_TypeError, "exceptions must derive from BaseException");
    }
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        replace_stop();
    }
}

/* Raise StopIteration with `value`, whatever that is: the result of a coroutine. */
static inline void
raise_stop(PyObject *value)
{
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);

    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
}

static inline PyObject *
return_self(PyObject *self)
{
    return Py_NewRef(self);
}

#endif
