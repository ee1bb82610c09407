#include "rows/containers.h"

#include "interpreter.h"

/* A dict of `names`, each with None, of which copies are quicker made than new ones. */
static PyObject *
dict_template(PyObject *names)
{
    PyObject *template = PyDict_New();

    for (Py_ssize_t i = 0; template != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(names, i))) {
            PyErr_SetString(PyExc_TypeError, "names must be str");
            Py_CLEAR(template);
        }
        else if (PyDict_SetItem(template, PyTuple_GET_ITEM(names, i), Py_None) < 0) {
            Py_CLEAR(template);
        }
    }
    return template;
}

static PyObject *
dict_of_row(PyObject *template, PyObject *names, PyObject *row)
{
    PyObject *dict;

    if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != PyTuple_GET_SIZE(names)) {
        PyErr_SetString(PyExc_ValueError, "each row must be a tuple with a value for each name");
        return NULL;
    }
    dict = PyDict_Copy(template);
    for (Py_ssize_t i = 0; dict != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (PyDict_SetItem(dict, PyTuple_GET_ITEM(names, i), PyTuple_GET_ITEM(row, i)) < 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

PyObject *
dict_rows(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *template;

    if (nargs != 2 || !PyTuple_Check(args[0]) || !PyList_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "dict_rows takes a tuple of names and a list of rows");
        return NULL;
    }
    template = dict_template(args[0]);
    if (template == NULL) {
        return NULL;
    }
    /* The collector, and so anybody's code, may run whenever a dict is made. */
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args[1]); i++) {
        PyObject *row = Py_NewRef(PyList_GET_ITEM(args[1], i));
        PyObject *dict = dict_of_row(template, args[0], row);
        Py_DECREF(row);
        if (dict == NULL || PyList_SetItem(args[1], i, dict) < 0) {
            Py_DECREF(template);
            return NULL;
        }
    }
    Py_DECREF(template);
    Py_RETURN_NONE;
}

PyObject *
drain_rows(PyObject *Py_UNUSED(module), PyObject *rows)
{
    if (!PyList_CheckExact(rows)) {
        PyErr_SetString(PyExc_TypeError, "drain_rows takes a list");
        return NULL;
    }
    return move_to_tuple(rows);
}
