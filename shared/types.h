/* How a module makes its types. */
#ifndef AIOMYSQL_TYPES_H
#define AIOMYSQL_TYPES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

/* A new type, which the module has under its name.  NULL: an exception is set. */
static inline PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);

    if (type != NULL && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

/* A new object of a class written in Python, with room for its attributes.  NULL: an exception is
 * set. */
static inline PyObject *
new_object(PyTypeObject *type)
{
    PyObject *no_arguments = PyTuple_New(0), *object;

    if (no_arguments == NULL) {
        return NULL;
    }
    /* (Python 3.11's tp_alloc gives none of the room that the interpreter reads most quickly.) */
    object = PyBaseObject_Type.tp_new(type, no_arguments, NULL);
    Py_DECREF(no_arguments);
    return object;
}

/* Have `type`, when it is called, call `function`, without a tuple of arguments in between.  (A
 * type's slots have had that since Python 3.14.) */
static inline void
set_vectorcall(PyTypeObject *type, vectorcallfunc function)
{
    type->tp_vectorcall = function;
}

#endif
