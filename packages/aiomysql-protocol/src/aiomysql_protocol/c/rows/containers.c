#include "rows/containers.h"

#include "interpreter.h"

PyObject *
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

/* Give `dict` the values of a row, by names of the same number.  -1: an exception is set. */
static int
fill_dict(PyObject *dict, PyObject *names, PyObject *row)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        if (PyDict_SetItem(dict, PyTuple_GET_ITEM(names, i), PyTuple_GET_ITEM(row, i)) < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
dict_of_row(PyObject *names, PyObject *row)
{
    PyObject *dict = PyDict_New();

    if (dict != NULL && fill_dict(dict, names, row) < 0) {
        Py_CLEAR(dict);
    }
    return dict;
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
