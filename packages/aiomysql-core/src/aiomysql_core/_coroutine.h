/* What the coroutine types here have in common: each is its own iterator, so that awaiting costs no
 * other object. */
#ifndef AIOMYSQL_CORE_COROUTINE_H
#define AIOMYSQL_CORE_COROUTINE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Raise RuntimeError instead of the StopIteration that is set: raised by a coroutine, that would be
 * its result. */
static void
replace_stop(void)
{
    PyObject *type, *stop, *traceback, *error;

    PyErr_Fetch(&type, &stop, &traceback);
    PyErr_NormalizeException(&type, &stop, &traceback);
    PyErr_SetString(PyExc_RuntimeError, "coroutine raised StopIteration");
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    if (stop != NULL) {
        PyErr_Fetch(&type, &error, &traceback);
        PyErr_NormalizeException(&type, &error, &traceback);
        PyException_SetContext(error, Py_NewRef(stop));
        PyException_SetCause(error, stop);
        PyErr_Restore(type, error, traceback);
    }
}

/* Raise what a coroutine's `throw(type[, value[, traceback]])` is called with. */
static void
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

static PyObject *
return_self(PyObject *self)
{
    return Py_NewRef(self);
}

/* Raise StopIteration with `value`, whatever that is: the result of a coroutine. */
static void
raise_stop(PyObject *value)
{
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);

    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
}

#endif
