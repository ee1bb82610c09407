#include "commands/exchange_state.h"

#include "dealloc.h"

#include <stddef.h>
#include <structmember.h>

#define SET_FALSE(name) self->name = Py_NewRef(Py_False);
#define SET_NONE(name) self->name = Py_NewRef(Py_None);
#define SET_ZERO(name) self->name = PyLong_FromLong(0); /* one of those that are always there */
#define SET_NOTHING(name)
#define VISIT(name) Py_VISIT(self->name);
#define CLEAR(name) Py_CLEAR(self->name);
#define MEMBER(name) {#name, T_OBJECT_EX, offsetof(STRUCT, name), 0, NULL},

#define STATE_TYPE(type, FIELDS)                                                                   \
    static PyObject *                                                                              \
    type##_new(PyTypeObject *cls, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))          \
    {                                                                                              \
        type *self = (type *)cls->tp_alloc(cls, 0);                                                \
        if (self != NULL) {                                                                        \
            FIELDS(SET_FALSE, SET_NONE, SET_ZERO, SET_NOTHING)                                     \
        }                                                                                          \
        return (PyObject *)self;                                                                   \
    }                                                                                              \
                                                                                                   \
    static int                                                                                     \
    type##_traverse(type *self, visitproc visit, void *arg)                                        \
    {                                                                                              \
        FIELDS(VISIT, VISIT, VISIT, VISIT)                                                         \
        Py_VISIT(Py_TYPE(self));                                                                   \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    static int                                                                                     \
    type##_clear(type *self)                                                                       \
    {                                                                                              \
        FIELDS(CLEAR, CLEAR, CLEAR, CLEAR)                                                         \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    static void                                                                                    \
    type##_dealloc(type *self)                                                                     \
    {                                                                                              \
        PyTypeObject *cls = Py_TYPE(self);                                                         \
        BEGIN_DEALLOC(self, type##_dealloc)                                                        \
        (void)type##_clear(self);                                                                  \
        cls->tp_free(self);                                                                        \
        Py_DECREF(cls);                                                                            \
        END_DEALLOC                                                                                \
    }

STATE_TYPE(ExchangeState, EXCHANGE_FIELDS)
STATE_TYPE(ResultState, RESULT_FIELDS)

#define STRUCT ExchangeState
static PyMemberDef ExchangeState_members[] = {
    EXCHANGE_FIELDS(MEMBER, MEMBER, MEMBER, MEMBER)
    {NULL, 0, 0, 0, NULL},
};
#undef STRUCT

#define STRUCT ResultState
static PyMemberDef ResultState_members[] = {
    RESULT_FIELDS(MEMBER, MEMBER, MEMBER, MEMBER)
    {NULL, 0, 0, 0, NULL},
};
#undef STRUCT

#define STATE_TYPE_SPEC(type)                                                                      \
    static PyType_Slot type##_slots[] = {                                                          \
        {Py_tp_doc, "See exchange_state.py."},                                                     \
        {Py_tp_new, type##_new},                                                                   \
        {Py_tp_dealloc, type##_dealloc},                                                           \
        {Py_tp_traverse, type##_traverse},                                                         \
        {Py_tp_clear, type##_clear},                                                               \
        {Py_tp_members, type##_members},                                                           \
        {0, NULL},                                                                                 \
    };                                                                                             \
    PyType_Spec type##_spec = {                                                                    \
        .name = "aiomysql_protocol._speedups." #type,                                              \
        .basicsize = sizeof(type),                                                                 \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |                   \
                 Py_TPFLAGS_IMMUTABLETYPE,                                                         \
        .slots = type##_slots,                                                                     \
    }

STATE_TYPE_SPEC(ExchangeState);
STATE_TYPE_SPEC(ResultState);

PyObject *
new_state(PyObject *type)
{
    return ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, NULL, NULL);
}
