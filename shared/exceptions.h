/* The exception that is set, while other code runs. */
#ifndef AIOMYSQL_EXCEPTIONS_H
#define AIOMYSQL_EXCEPTIONS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The exception that is set, or none, as it is: nothing is made of it, so no code runs. */
#if PY_VERSION_HEX >= 0x030C0000
typedef PyObject *Raised;

static inline Raised
set_aside(void)
{
    return PyErr_GetRaisedException();
}

static inline void
put_back(Raised raised)
{
    PyErr_SetRaisedException(raised);
}
#else
typedef struct {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
} Raised;

static inline Raised
set_aside(void)
{
    Raised raised;

    PyErr_Fetch(&raised.type, &raised.value, &raised.traceback);
    return raised;
}

static inline void
put_back(Raised raised)
{
    PyErr_Restore(raised.type, raised.value, raised.traceback);
}
#endif

/* The exception that is set, as an object; it is set no more.  NULL: none is set. */
static inline PyObject *
take_exception(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        (void)PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

/* Sets what take_exception() returned, and takes over the reference. */
static inline void
set_exception(PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exception);
#else
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception,
                  PyException_GetTraceback(exception));
#endif
}

#endif
