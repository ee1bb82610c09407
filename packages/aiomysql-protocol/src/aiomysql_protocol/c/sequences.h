/* Sequences of the caller's. */
#ifndef AIOMYSQL_PROTOCOL_SEQUENCES_H
#define AIOMYSQL_PROTOCOL_SEQUENCES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The items of `sequence` as a tuple, which can't change. (PySequence_Tuple would ask an iterator
 * for them with a half-made tuple in sight.) */
static inline PyObject *
tuple_of(PyObject *sequence)
{
    PyObject *list, *tuple;

    if (PyTuple_CheckExact(sequence)) {
        return Py_NewRef(sequence);
    }
    if (PyList_CheckExact(sequence)) {
        return PyList_AsTuple(sequence);
    }
    list = PySequence_List(sequence);
    tuple = list == NULL ? NULL : PyList_AsTuple(list);
    Py_XDECREF(list);
    return tuple;
}

#endif
