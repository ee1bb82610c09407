/* What is to be awaited says so where that was forgotten: see unawaited.py.
 *
 * Such a type is its own iterator when it is awaited, but can't be iterated over: so it has no
 * `tp_iter`, which would make it an Iterable, and `__await__`, where it is called by name, returns
 * another object.  Loops ask it for its items. */
#ifndef AIOMYSQL_UNAWAITED_H
#define AIOMYSQL_UNAWAITED_H

#include "attribute_slots.h"
#include "exceptions.h"
#include "types.h"

/* What the function `name` of unawaited.py returns for `self`, and for `argument` unless that is
 * NULL. */
static inline PyObject *
ask_unawaited(const char *name, PyObject *self, PyObject *argument)
{
    PyObject *function = import_name("aiomysql_core.waiting.unawaited", name);
    PyObject *result = NULL;

    if (function != NULL) {
        result = PyObject_CallFunctionObjArgs(function, self, argument, NULL);
        Py_DECREF(function);
    }
    return result;
}

static PyObject *
Unawaited_repr(PyObject *self)
{
    return ask_unawaited("describe", self, NULL);
}

static PyObject *
Unawaited_getattro(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(self, name), *missing;

    if (found != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError) ||
        !PyUnicode_Check(name) || PyUnicode_GetLength(name) < 1 ||
        PyUnicode_ReadChar(name, 0) == '_') {
        return found;
    }
    missing = take_exception();
    found = ask_unawaited("refuse_attribute", self, name);
    if (found == NULL && !PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear(); /* the interpreter ends, say */
        set_exception(missing);
        return NULL;
    }
    Py_XDECREF(missing);
    return found;
}

static PyObject *
Unawaited_item(PyObject *self, PyObject *Py_UNUSED(key))
{
    return ask_unawaited("refuse_items", self, NULL);
}

/* For loops. */
static PyObject *
Unawaited_sequence_item(PyObject *self, Py_ssize_t Py_UNUSED(index))
{
    return ask_unawaited("refuse_items", self, NULL);
}

static PyObject *
Unawaited_aiter(PyObject *self)
{
    return ask_unawaited("refuse_async_items", self, NULL);
}

static Py_ssize_t
Unawaited_length(PyObject *self)
{
    Py_XDECREF(ask_unawaited("refuse_length", self, NULL));
    return -1;
}

static int
Unawaited_bool(PyObject *Py_UNUSED(self))
{
    return 1;
}

static PyObject *
Unawaited_enter(PyObject *self, void *Py_UNUSED(closure))
{
    return ask_unawaited("refuse_block", self, NULL);
}

static PyGetSetDef Unawaited_getset[] = {
    {"__enter__", Unawaited_enter, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyObject *
Unawaited_await(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return ask_unawaited("awaiting", self, NULL);
}

#define UNAWAITED_METHOD {"__await__", Unawaited_await, METH_NOARGS | METH_COEXIST, NULL}

#define UNAWAITED_SLOTS                                                                            \
    {Py_tp_repr, Unawaited_repr}, {Py_tp_getattro, Unawaited_getattro},                            \
        {Py_tp_getset, Unawaited_getset}, {Py_mp_subscript, Unawaited_item},                       \
        {Py_sq_item, Unawaited_sequence_item}, {Py_sq_length, Unawaited_length},                   \
        {Py_nb_bool, Unawaited_bool}, {Py_am_aiter, Unawaited_aiter}

#endif
