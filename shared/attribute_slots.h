/* Attributes of Python objects that are slots of their classes: read and written where they stand
 * in the object.
 *
 * A module lists them in two macros, SLOT_OWNERS(X) with X(owner, module, class), and SLOTS(X)
 * with X(owner, attribute). */
#ifndef AIOMYSQL_ATTRIBUTE_SLOTS_H
#define AIOMYSQL_ATTRIBUTE_SLOTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <structmember.h>

/* The classes; NULL until they were found, and with them the offsets of their slots. */
#define SLOT_OWNER_FIELD(owner, module, name) PyTypeObject *owner;
#define SLOT_OFFSET_FIELD(owner, name) Py_ssize_t owner##_##name;

/* Declares the types Owners and Offsets, of which a module's state has one each, `owners` and
 * `offsets`. */
#define DECLARE_SLOTS(SLOT_OWNERS, SLOTS)                                                          \
    typedef struct {                                                                               \
        SLOT_OWNERS(SLOT_OWNER_FIELD)                                                              \
    } Owners;                                                                                      \
    typedef struct {                                                                               \
        SLOTS(SLOT_OFFSET_FIELD)                                                                   \
        int found;                                                                                 \
    } Offsets

/* A slot of an object that is an instance of its owner.  NULL there: it is not set. */
#define SLOT(state, object, slot) (*(PyObject **)((char *)(object) + (state)->offsets.slot))

#define IS_OWNED(state, object, owner) PyObject_TypeCheck(object, (state)->owners.owner)

/* What `name` is in a module.  NULL: an exception is set. */
static inline PyObject *
import_name(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *value = module == NULL ? NULL : PyObject_GetAttrString(module, name);

    Py_XDECREF(module);
    return value;
}

/* Where the slot `name` of `type` stands in its objects.  -1: an exception is set. */
static inline Py_ssize_t
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

#define SLOT_FIND_OWNER(owner, module, name)                                                       \
    if (owners->owner == NULL) {                                                                   \
        PyObject *type = import_name(module, name);                                                \
        if (type == NULL || !PyType_Check(type)) {                                                 \
            Py_XDECREF(type);                                                                      \
            return -1;                                                                             \
        }                                                                                          \
        owners->owner = (PyTypeObject *)type;                                                      \
    }
#define SLOT_FIND_OFFSET(owner, name)                                                              \
    if ((offsets->owner##_##name = slot_offset(owners->owner, #name)) < 0) {                       \
        return -1;                                                                                 \
    }
#define SLOT_VISIT_OWNER(owner, module, name) Py_VISIT(owners->owner);
#define SLOT_CLEAR_OWNER(owner, module, name) Py_CLEAR(owners->owner);

/* Defines find_owned_slots, which fills in both tables (not while the module is imported: the
 * classes' modules need it; -1: an exception is set), owners_traverse and owners_clear. */
#define DEFINE_SLOTS(SLOT_OWNERS, SLOTS)                                                           \
    static int                                                                                     \
    find_owned_slots(Owners *owners, Offsets *offsets)                                             \
    {                                                                                              \
        SLOT_OWNERS(SLOT_FIND_OWNER)                                                               \
        SLOTS(SLOT_FIND_OFFSET)                                                                    \
        offsets->found = 1;                                                                        \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    static int                                                                                     \
    owners_traverse(const Owners *owners, visitproc visit, void *arg)                              \
    {                                                                                              \
        SLOT_OWNERS(SLOT_VISIT_OWNER)                                                              \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    static void                                                                                    \
    owners_clear(Owners *owners)                                                                   \
    {                                                                                              \
        SLOT_OWNERS(SLOT_CLEAR_OWNER)                                                              \
    }

#endif
