/* What depends on how CPython keeps its objects. */
#ifndef AIOMYSQL_PROTOCOL_INTERPRETER_H
#define AIOMYSQL_PROTOCOL_INTERPRETER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Tuples under construction.  What the garbage collector tracks can be found by any code
 * (gc.get_objects), and a tuple with empty places crashes who looks into it: so none is shown to
 * the collector while anybody's code can run before it is complete. */

/* A tuple of `count` empty places that other code can't find. */
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

/* A tuple of the named tuple class `type`; takes over the references in `items`, of which a NULL
 * means that an exception is set. */
static inline PyObject *
named_tuple(PyTypeObject *type, PyObject **items, Py_ssize_t count)
{
    PyObject *result = NULL;
    Py_ssize_t i;

    for (i = 0; i < count && items[i] != NULL; i++) {
    }
    if (i == count) {
        result = type->tp_alloc(type, count);
    }
    for (i = 0; i < count; i++) {
        if (result == NULL) {
            Py_XDECREF(items[i]);
        }
        else {
            PyTuple_SET_ITEM(result, i, items[i]);
        }
    }
    return result;
}

/* The items of the list `rows` as a tuple; nothing is left in the list.  The references move: to
 * count each up here and down again with the list would fetch every row into the processor's cache
 * twice.  NULL: an exception is set. */
static inline PyObject *
move_to_tuple(PyObject *rows)
{
    PyObject *moved;
    Py_ssize_t count;

    do {
        count = PyList_GET_SIZE(rows);
        moved = PyTuple_New(count);
        if (moved == NULL || count == 0) {
            return moved;
        }
        /* The collector, and so anybody's code, may have run. */
    } while (PyList_GET_SIZE(rows) != count && (Py_DECREF(moved), 1));
    for (Py_ssize_t i = 0; i < count; i++) {
        PyTuple_SET_ITEM(moved, i, PyList_GET_ITEM(rows, i));
    }
    Py_SET_SIZE(rows, 0);
    if (PyList_SetSlice(rows, 0, 0, NULL) < 0) { /* gives the list's memory back */
        Py_CLEAR(moved);
    }
    return moved;
}

#endif
