#include "engine/cursor_state.h"

#include "dealloc.h"
#include "waiting/ready.h"

#include <stddef.h>

PyObject *
CursorState_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    CursorState *self = (CursorState *)type->tp_alloc(type, 0);

    if (self != NULL) {
#define X(name) self->name = Py_NewRef(Py_None);
        CURSOR_OBJECTS(X)
#undef X
        Py_SETREF(self->_rowcount, PyLong_FromLong(-1));
        self->_arraysize = 1;
    }
    return (PyObject *)self;
}

static PyObject *
CursorState_fetchone(CursorState *self, PyObject *Py_UNUSED(ignored))
{
    const State *state = state_of((PyObject *)self);
    PyObject *checked, *coming, *row = NULL;

    if (state == NULL) {
        return NULL;
    }
    if (self->_rows != NULL && self->_rownumber >= 0) {
        if (PyTuple_Check(self->_rows) && self->_rownumber < PyTuple_GET_SIZE(self->_rows)) {
            row = PyTuple_GET_ITEM(self->_rows, self->_rownumber);
        }
        else if (PyList_Check(self->_rows) && self->_rownumber < PyList_GET_SIZE(self->_rows)) {
            row = PyList_GET_ITEM(self->_rows, self->_rownumber);
        }
    }
    if (row != NULL) {
        /* First, and with a reference: to make the object may run code that uses the cursor. */
        self->_rownumber++;
        Py_INCREF(row);
        coming = new_ready(state->ready_type, row);
        Py_DECREF(row);
        return coming;
    }
    checked = PyObject_CallMethodNoArgs((PyObject *)self, state->names._check_executed);
    if (checked == NULL) {
        return NULL;
    }
    Py_DECREF(checked);
    return Py_NewRef(state->done);
}

static PyObject *
CursorState_aenter(CursorState *self, PyObject *Py_UNUSED(ignored))
{
    const State *state = state_of((PyObject *)self);

    return state == NULL ? NULL : new_ready(state->ready_type, (PyObject *)self);
}

int
is_finished(const State *state, PyObject *result)
{
    PyObject *exchange = IS_OWNED(state, result, result)
                             ? SLOT(state, result, result_exchange)
                             : NULL;
    PyObject *ok;
    long status;

    if (exchange == NULL || !IS_OWNED(state, exchange, exchange) ||
        SLOT(state, exchange, exchange_done) != Py_True ||
        SLOT(state, exchange, exchange_error) != Py_None) {
        return 0;
    }
    ok = SLOT(state, result, result_ok);
    if (ok == NULL || !PyTuple_Check(ok) || PyTuple_GET_SIZE(ok) <= OK_SERVER_STATUS) {
        return 0;
    }
    status = PyLong_AsLong(PyTuple_GET_ITEM(ok, OK_SERVER_STATUS));
    if (status == -1 && PyErr_Occurred()) {
        return -1;
    }
    return !(status & MORE_RESULTS);
}

static PyObject *
CursorState_aexit(CursorState *self, PyObject *const *Py_UNUSED(args), Py_ssize_t nargs)
{
    State *state = state_of((PyObject *)self);
    int finished = 1;

    if (state == NULL || nargs != 3) {
        if (state != NULL) {
            PyErr_SetString(PyExc_TypeError, "__aexit__ takes three arguments");
        }
        return NULL;
    }
    if (self->_result != NULL && self->_result != Py_None) {
        if (find_late_objects(state) < 0 || (finished = is_finished(state, self->_result)) < 0) {
            return NULL;
        }
    }
    if (!finished) {
        return PyObject_CallMethodNoArgs((PyObject *)self, state->names.close);
    }
    Py_XSETREF(self->_connection, Py_NewRef(Py_None));
    return Py_NewRef(state->done);
}

static int
CursorState_traverse(CursorState *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
#define X(name) Py_VISIT(self->name);
    CURSOR_OBJECTS(X)
#undef X
    return 0;
}

static int
CursorState_clear(CursorState *self)
{
#define X(name) Py_CLEAR(self->name);
    CURSOR_OBJECTS(X)
#undef X
    return 0;
}

static void
CursorState_dealloc(CursorState *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, CursorState_dealloc)
    (void)CursorState_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PyMethodDef CursorState_methods[] = {
    {"fetchone", METHOD(CursorState_fetchone), METH_NOARGS,
     "fetchone(self)\n--\n\nThe next row, or None at the end."},
    {"__aenter__", METHOD(CursorState_aenter), METH_NOARGS, "__aenter__(self)\n--\n\n"},
    {"__aexit__", METHOD(CursorState_aexit), METH_FASTCALL,
     "__aexit__(self, exc_type, exc_val, exc_tb)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef CursorState_members[] = {
#define X(name) {#name, T_OBJECT, offsetof(CursorState, name), 0, NULL},
    CURSOR_OBJECTS(X)
#undef X
    {"_arraysize", T_PYSSIZET, offsetof(CursorState, _arraysize), 0, NULL},
    {"_rownumber", T_PYSSIZET, offsetof(CursorState, _rownumber), 0, NULL},
    {"_echo", T_BOOL, offsetof(CursorState, _echo), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot CursorState_slots[] = {
    {Py_tp_doc, "See cursor_state.py."},
    {Py_tp_new, CursorState_new},
    {Py_tp_dealloc, CursorState_dealloc},
    {Py_tp_traverse, CursorState_traverse},
    {Py_tp_clear, CursorState_clear},
    {Py_tp_methods, CursorState_methods},
    {Py_tp_members, CursorState_members},
    {0, NULL},
};

PyType_Spec CursorState_spec = {
    .name = "aiomysql_core._speedups.CursorState",
    .basicsize = sizeof(CursorState),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = CursorState_slots,
};
