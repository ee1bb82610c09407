/* Attributes of Python objects that are slots of their classes: read and written where they stand in
 * the object.
 *
 * Every C module includes this file, each with tables of its own, which stand before it is included:
 * SLOT_OWNERS(X) with X(owner, module, class), and SLOTS(X) with X(owner, attribute).
 */
#ifndef AIOMYSQL_SLOTS_H
#define AIOMYSQL_SLOTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <structmember.h>

/* The classes; NULL until they were found, and with them the offsets of their slots. */
typedef struct {
#define X(owner, module, name) PyTypeObject *owner;
    SLOT_OWNERS(X)
#undef X
} Owners;

typedef struct {
#define X(owner, name) Py_ssize_t owner##_##name;
    SLOTS(X)
#undef X
    int found;
} Offsets;

/* A slot of an object that is an instance of its owner.  NULL there: it is not set. */
#define SLOT(state, object, slot) (*(PyObject **)((char *)(object) + (state)->offsets.slot))

#define IS_OWNED(state, object, owner) PyObject_TypeCheck(object, (state)->owners.owner)

/* What `name` is in a module; NULL with an exception. */
static PyObject *
import_name(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *value = module == NULL ? NULL : PyObject_GetAttrString(module, name);

    Py_XDECREF(module);
    return value;
}

/* Where the slot `name` of `type` stands in its objects.  -1: exception. */
static Py_ssize_t
slot_offset(PyTypeObject *type, const char *name)
{
    PyObject *found = PyObject_GetAttrString((PyObject *)type, name);
    Py_ssize_t offset = -1;

    if (found != NULL && Py_IS_TYPE(found, &PyMemberDescr_Type) &&
        PyType_IsSubtype(type, PyDescr_TYPE(found))) {
        const PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == T_OBJECT_EX && !(member->flags & READONLY)) {
            offset = member->offset;
        }
    }
    if (found != NULL && offset < 0) {
        PyErr_Format(PyExc_TypeError, "%s.%s is no slot", type->tp_name, name);
    }
    Py_XDECREF(found);
    return offset;
}

/* Fill in both tables.  Not while the module is imported: the classes' modules need it.  -1:
 * exception. */
static int
find_slots(Owners *owners, Offsets *offsets)
{
    if (offsets->found) {
        return 0;
    }
#define X(owner, module, name)                                                                     \
    if (owners->owner == NULL) {                                                                   \
        PyObject *type = import_name(module, name);                                                \
        if (type == NULL || !PyType_Check(type)) {                                                 \
            Py_XDECREF(type);                                                                      \
            return -1;                                                                             \
        }                                                                                          \
        owners->owner = (PyTypeObject *)type;                                                      \
    }
    SLOT_OWNERS(X)
#undef X
#define X(owner, name)                                                                             \
    if ((offsets->owner##_##name = slot_offset(owners->owner, #name)) < 0) {                       \
        return -1;                                                                                 \
    }
    SLOTS(X)
#undef X
    offsets->found = 1;
    return 0;
}

static int
owners_traverse(const Owners *owners, visitproc visit, void *arg)
{
#define X(owner, module, name) Py_VISIT(owners->owner);
    SLOT_OWNERS(X)
#undef X
    return 0;
}

static void
owners_clear(Owners *owners)
{
#define X(owner, module, name) Py_CLEAR(owners->owner);
    SLOT_OWNERS(X)
#undef X
}

#endif
