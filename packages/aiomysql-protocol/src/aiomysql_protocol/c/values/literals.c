#include "values/literals.h"

#include "interpreter.h"
#include "module.h"
#include "sequences.h"

/* The str `value` escaped and in single quotes. */
static PyObject *
string_literal(PyObject *value, int no_backslash_escapes)
{
    Py_ssize_t length, escapes = 0, at = 0;
    PyObject *result;
    const void *data;
    int kind;

#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(value) < 0) {
        return NULL;
    }
#endif
    length = PyUnicode_GET_LENGTH(value);
    kind = PyUnicode_KIND(value);
    data = PyUnicode_DATA(value);
    for (Py_ssize_t i = 0; i < length; i++) {
        escapes += escape_of(PyUnicode_READ(kind, data, i), no_backslash_escapes) != 0;
    }
    if (length > PY_SSIZE_T_MAX - 2 - escapes) {
        return PyErr_NoMemory();
    }
    result = PyUnicode_New(length + escapes + 2, PyUnicode_MAX_CHAR_VALUE(value));
    if (result == NULL) {
        return NULL;
    }
    PyUnicode_WRITE(PyUnicode_KIND(result), PyUnicode_DATA(result), at++, '\'');
    if (escapes == 0) {
        if (length > 0 && PyUnicode_CopyCharacters(result, 1, value, 0, length) < 0) {
            Py_DECREF(result);
            return NULL;
        }
        at += length;
    }
    else {
        int target = PyUnicode_KIND(result);
        void *out = PyUnicode_DATA(result);
        for (Py_ssize_t i = 0; i < length; i++) {
            Py_UCS4 character = PyUnicode_READ(kind, data, i);
            Py_UCS4 escape = escape_of(character, no_backslash_escapes);
            if (escape != 0) {
                PyUnicode_WRITE(target, out, at++, no_backslash_escapes ? '\'' : '\\');
                character = escape;
            }
            PyUnicode_WRITE(target, out, at++, character);
        }
    }
    PyUnicode_WRITE(PyUnicode_KIND(result), PyUnicode_DATA(result), at, '\'');
    return result;
}

/* The literal for one value; NULL without an exception for what is left to Python. */
static PyObject *
common_literal(const State *state, PyObject *value, int no_backslash_escapes)
{
    if (value == Py_None) {
        return Py_NewRef(state->null);
    }
    if (PyUnicode_CheckExact(value)) {
        return string_literal(value, no_backslash_escapes);
    }
    if (PyLong_CheckExact(value)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (number == -1 && PyErr_Occurred()) {
            return NULL;
        }
        return overflow ? NULL : PyObject_Str(value);
    }
    return NULL;
}

PyObject *
literals(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyModule_GetState(module);
    PyObject *values, *result;
    int no_backslash_escapes;

    if (nargs != 3 || !(PyTuple_Check(args[0]) || PyList_Check(args[0]))) {
        PyErr_SetString(PyExc_TypeError, "literals takes a tuple or list, a bool and a function");
        return NULL;
    }
    no_backslash_escapes = PyObject_IsTrue(args[1]);
    if (no_backslash_escapes < 0) {
        return NULL;
    }
    /* A list could change while a function of the user's runs. */
    values = tuple_of(args[0]);
    if (values == NULL) {
        return NULL;
    }
    result = new_hidden_tuple(PyTuple_GET_SIZE(values));
    for (Py_ssize_t i = 0; result != NULL && i < PyTuple_GET_SIZE(values); i++) {
        PyObject *value = PyTuple_GET_ITEM(values, i);
        PyObject *literal = common_literal(state, value, no_backslash_escapes);
        if (literal == NULL && !PyErr_Occurred()) {
            literal = PyObject_CallOneArg(args[2], value);
        }
        if (literal == NULL) {
            Py_CLEAR(result);
        }
        else {
            PyTuple_SET_ITEM(result, i, literal);
        }
    }
    if (result != NULL) {
        show_tuple(result);
    }
    Py_DECREF(values);
    return result;
}
