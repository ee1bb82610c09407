/* Tuples under construction. Whatever the garbage collector tracks can be found by everybody
 * (gc.get_objects), and a tuple with empty places crashes who looks into it: so none is shown to the
 * collector while anybody's code can run before it is complete. */
#ifndef AIOMYSQL_PROTOCOL_TUPLES_H
#define AIOMYSQL_PROTOCOL_TUPLES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* A tuple of `count` empty places that nobody finds. */
static inline PyObject *
new_hidden_tuple(Py_ssize_t count)
{
    PyObject *tuple = PyTuple_New(count);

    if (tuple != NULL && count > 0) { /* the empty one is everybody's */
        PyObject_GC_UnTrack(tuple);
    }
    return tuple;
}

/* `tuple` is complete. */
static inline void
show_tuple(PyObject *tuple)
{
    if (PyTuple_GET_SIZE(tuple) > 0) {
        PyObject_GC_Track(tuple);
    }
}

/* The items of `sequence` as a tuple, which nobody changes. (PySequence_Tuple would ask an iterator
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
