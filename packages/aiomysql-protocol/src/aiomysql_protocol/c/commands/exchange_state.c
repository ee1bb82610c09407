#include "commands/exchange_state.h"

#include "dealloc.h"

#include <stddef.h>
#include <structmember.h>

#define SET_FALSE(name) self->name = Py_NewRef(Py_False);
#define SET_NONE(name) self->name = Py_NewRef(Py_None);
#define SET_EMPTY(name) self->name = PyBytes_FromStringAndSize(NULL, 0); /* it is always there */
#define SET_NOTHING(name)
#define MEMBER(name) {#name, T_OBJECT_EX, offsetof(STRUCT, name), 0, NULL},

#define STATE_TYPE(type, FIELDS)                                                                   \
    static PyObject *                                                                              \
    type##_new(PyTypeObject *cls, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))          \
    {                                                                                              \
        type *self = (type *)cls->tp_alloc(cls, 0);                                                \
        if (self != NULL) {                                                                        \
            FIELDS(SET_FALSE, SET_NONE, SET_EMPTY, SET_NOTHING)                                     \
        }                                                                                          \
        return (PyObject *)self;                                                                   \
    }

#define EXCHANGE_OBJECTS(X) EXCHANGE_FIELDS(X, X, X, X)
#define RESULT_OBJECTS(X) RESULT_FIELDS(X, X, X, X)

STATE_TYPE(ExchangeState, EXCHANGE_FIELDS)
STATE_TYPE(ResultState, RESULT_FIELDS)

DEFINE_TRAVERSE_CLEAR_DEALLOC(ExchangeState, EXCHANGE_OBJECTS)
DEFINE_TRAVERSE_CLEAR_DEALLOC(ResultState, RESULT_OBJECTS)

#define STRUCT ExchangeState
static PyMemberDef ExchangeState_members[] = {
    EXCHANGE_FIELDS(MEMBER, MEMBER, MEMBER, MEMBER)
    {"reading", T_INT, offsetof(ExchangeState, reading), 0, NULL},
    {"sequence_id", T_INT, offsetof(ExchangeState, sequence_id), 0, NULL},
    {"stored", T_PYSSIZET, offsetof(ExchangeState, stored), 0, NULL},
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
