/* Attributes that are read of many objects of one class: where they are slots of it C finds them at
 * once. */
#ifndef AIOMYSQL_PROTOCOL_FIELDS_H
#define AIOMYSQL_PROTOCOL_FIELDS_H

#include "module.h"

typedef struct {
    PyObject *name;
    PyTypeObject *type; /* the first class seen that has a slot of this name; NULL: none yet */
    Py_ssize_t offset;  /* of the slot */
} Field;

/* Is the attribute a slot of `type`?  Then it is looked for there from now on. */
static int
field_settle(Field *field, PyTypeObject *type)
{
    Py_ssize_t offset = slot_offset(type, PyUnicode_AsUTF8(field->name));

    if (offset < 0) {
        PyErr_Clear();
        return 0;
    }
    field->type = (PyTypeObject *)Py_NewRef((PyObject *)type);
    field->offset = offset;
    return 1;
}

/* Where the attribute is kept in `object`; NULL: only the interpreter knows. */
static inline PyObject **
field_place(Field *field, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    if (type == field->type || (field->type == NULL && field_settle(field, type))) {
        return (PyObject **)((char *)object + field->offset);
    }
    return NULL;
}

/* The attribute's value; NULL: an exception is set. */
static inline PyObject *
field_get(Field *field, PyObject *object)
{
    PyObject **place = field_place(field, object);

    return place != NULL && *place != NULL ? Py_NewRef(*place)
                                           : PyObject_GetAttr(object, field->name);
}

/* -1: an exception is set. */
static inline int
field_set(Field *field, PyObject *object, PyObject *value)
{
    PyObject **place = field_place(field, object);

    if (place == NULL) {
        return PyObject_SetAttr(object, field->name, value);
    }
    Py_XSETREF(*place, Py_NewRef(value));
    return 0;
}

/* The truth of the attribute; -1: an exception is set. */
static inline int
field_is_true(Field *field, PyObject *object)
{
    PyObject *value = field_get(field, object);
    int is_true = value == NULL ? -1 : PyObject_IsTrue(value);

    Py_XDECREF(value);
    return is_true;
}

#endif
