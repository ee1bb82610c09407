#include "engine/connection_state.h"

#include "dealloc.h"

#include <stddef.h>

#define ALL_CONNECTION_OBJECTS(X) CONNECTION_OBJECTS(X) CONNECTION_PARTS(X) X(own)

DEFINE_TRAVERSE_CLEAR_DEALLOC(ConnectionState, ALL_CONNECTION_OBJECTS)

static PyMemberDef ConnectionState_members[] = {
#define X(name) {#name, T_OBJECT_EX, offsetof(ConnectionState, name), 0, NULL},
    CONNECTION_OBJECTS(X)
#undef X
#define X(name)                                                                                    \
    {#name, T_OBJECT_EX, offsetof(ConnectionState, name), 0, "For cursors: see connection.py."},
    CONNECTION_PARTS(X)
#undef X
    {"__dictoffset__", T_PYSSIZET, offsetof(ConnectionState, own), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef ConnectionState_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ConnectionState_slots[] = {
    {Py_tp_doc, "See connection_state.py."},
    {Py_tp_dealloc, ConnectionState_dealloc},
    {Py_tp_traverse, ConnectionState_traverse},
    {Py_tp_clear, ConnectionState_clear},
    {Py_tp_members, ConnectionState_members},
    {Py_tp_getset, ConnectionState_getset},
    {0, NULL},
};

PyType_Spec ConnectionState_spec = {
    .name = "aiomysql_core._speedups.ConnectionState",
    .basicsize = sizeof(ConnectionState),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = ConnectionState_slots,
};
