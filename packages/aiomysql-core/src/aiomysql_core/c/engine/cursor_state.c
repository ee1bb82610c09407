#include "engine/cursor_state.h"

#include "compat/hooks.h"
#include "dealloc.h"
#include "engine/connection_state.h"
#include "engine/runner_state.h"
#include "waiting/ready.h"

#include <stddef.h>

void
record_handovers(CursorState *self, PyObject *connection)
{
    PyObject *runner;

    if (PyObject_TypeCheck(connection, self->state->connection_state_type)) {
        runner = ((ConnectionState *)connection)->runner;
        if (runner != NULL && PyObject_TypeCheck(runner, self->state->runner_state_type)) {
            self->_handovers = ((RunnerState *)runner)->handovers;
        }
    }
}

PyObject *
CursorState_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    State *state = state_of_type(type);
    CursorState *self = state == NULL ? NULL : (CursorState *)type->tp_alloc(type, 0);
    PyObject *connection;

    if (self != NULL) {
        self->state = state;
#define X(name) self->name = Py_NewRef(Py_None);
        CURSOR_OBJECTS(X)
#undef X
        Py_SETREF(self->_rowcount, PyLong_FromLong(-1));
        Py_SETREF(self->_echo, Py_NewRef(Py_False));
        self->_arraysize = 1;
        connection = args != NULL && PyTuple_GET_SIZE(args) > 0
                         ? PyTuple_GET_ITEM(args, 0)
                         : kwargs == NULL ? NULL : PyDict_GetItemString(kwargs, "connection");
        if (connection != NULL) {
            record_handovers(self, connection);
        }
    }
    return (PyObject *)self;
}

/* The next of the rows that have come, which counts as fetched: 1; 0: there is none; -1: an
 * exception is set. */
static int
next_row(CursorState *self, PyObject **row)
{
    PyObject *rows = self->_rows;
    Py_ssize_t number = self->_rownumber, count;

    if (is_none(rows) || number < 0) {
        return 0;
    }
    if (PyTuple_CheckExact(rows) || PyList_CheckExact(rows)) {
        if (number >= PySequence_Fast_GET_SIZE(rows)) {
            return 0;
        }
        *row = Py_NewRef(PySequence_Fast_GET_ITEM(rows, number));
    }
    else { /* what a `_conv_rows` has returned that is another's */
        Py_INCREF(rows);
        count = PyObject_Size(rows);
        *row = number < count ? PySequence_GetItem(rows, number) : NULL;
        Py_DECREF(rows);
        if (*row == NULL) {
            return PyErr_Occurred() ? -1 : 0;
        }
    }
    self->_rownumber = number + 1;
    return 1;
}

static PyObject *
CursorState_fetchone(CursorState *self, PyObject *Py_UNUSED(ignored))
{
    State *state = self->state;
    PyObject *checked, *coming, *row;
    int found;

    if (state == NULL) {
        return NULL;
    }
    found = next_row(self, &row);
    if (found < 0) {
        return NULL;
    }
    if (found) {
        /* After the row was counted: to make the object may run code that uses the cursor. */
        coming = new_ready(state->ready_type, row);
        Py_DECREF(row);
        return coming;
    }
    checked = PyObject_CallMethodNoArgs((PyObject *)self, state->names._check_executed);
    if (checked == NULL) {
        return NULL;
    }
    Py_DECREF(checked);
    if (!is_none(self->_result)) {
        if (find_late_objects(state) < 0) {
            return NULL;
        }
        if (IS_OWNED(state, self->_result, result) &&
            SLOT(state, self->_result, result_streamed) == Py_True) {
            return PyObject_CallMethodNoArgs((PyObject *)self, state->names._fetch_more);
        }
    }
    return Py_NewRef(state->done);
}

static PyObject *
CursorState_aenter(CursorState *self, PyObject *Py_UNUSED(ignored))
{
    const State *state = self->state;

    return state == NULL ? NULL : new_ready(state->ready_type, (PyObject *)self);
}

long
ok_number(PyObject *ok, int item)
{
    if (ok == NULL || !PyTuple_Check(ok) || PyTuple_GET_SIZE(ok) <= OK_WARNING_COUNT ||
        !PyLong_Check(PyTuple_GET_ITEM(ok, item))) {
        PyErr_SetString(PyExc_TypeError, "a result without an OK packet");
        return -1;
    }
    return PyLong_AsLong(PyTuple_GET_ITEM(ok, item));
}

int
has_rest(const State *state, PyObject *result)
{
    PyObject *exchange = SLOT(state, result, result_exchange);
    long status = ok_number(SLOT(state, result, result_ok), OK_SERVER_STATUS);

    if (status == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (status & MORE_RESULTS) {
        return 1;
    }
    if (exchange == NULL || !is_exchange(state, exchange)) {
        PyErr_SetString(exchange == NULL ? PyExc_AttributeError : PyExc_TypeError,
                        "a result without an exchange");
        return -1;
    }
    return !is_none(SLOT(state, exchange, exchange_error));
}

/* 1: the response that `result` came in is there as a whole, has no result behind it, and no error
 * that nobody was told of; 0: not so; -1: an exception is set. */
static int
is_finished(const State *state, PyObject *result)
{
    PyObject *exchange = SLOT(state, result, result_exchange);
    int rest;

    if (exchange == Py_None) {
        return 1;
    }
    if (exchange != NULL && is_exchange(state, exchange) &&
        SLOT(state, exchange, exchange_done) != Py_True) {
        return 0;
    }
    rest = has_rest(state, result);
    return rest < 0 ? -1 : !rest;
}

/* ---- The result of a statement ---- */

/* Rows of `result` that have come, of a streamed one those that nobody has taken; all rows of one
 * as a tuple, or as a list, which classes that convert rows have.  NULL: an exception is set. */
static PyObject *
take_rows(const State *state, PyObject *result, int streamed, int stay_list)
{
    PyObject *taken, *rows;

    if (streamed) {
        PyObject *exchange = Py_XNewRef(SLOT(state, result, result_exchange));
        if (exchange == NULL) {
            PyErr_SetString(PyExc_AttributeError, "exchange");
            return NULL;
        }
        taken = PyObject_CallMethodOneArg(exchange, state->names.take_rows, result);
        Py_DECREF(exchange);
        return taken;
    }
    rows = Py_XNewRef(SLOT(state, result, result_rows));
    if (rows == NULL || !PyList_Check(rows)) {
        PyErr_SetString(PyExc_TypeError, "a result without rows");
        Py_XDECREF(rows);
        return NULL;
    }
    if (stay_list && PyList_GET_SIZE(rows) > 0) {
        /* The runner may keep the result for long: without its rows. */
        PyObject *none_left = PyList_New(0);
        if (none_left == NULL) {
            Py_DECREF(rows);
            return NULL;
        }
        Py_XSETREF(SLOT(state, result, result_rows), none_left);
        return rows;
    }
    taken = PyObject_CallOneArg(state->drain_rows, rows);
    Py_DECREF(rows);
    return taken;
}

/* `rows` as the cursor's class makes them, for which it takes over the reference. */
static PyObject *
convert_rows(CursorState *self, const State *state, PyObject *rows)
{
    PyObject *converted =
        PyObject_CallMethodOneArg((PyObject *)self, state->names._conv_rows, rows);

    Py_DECREF(rows);
    return converted;
}

/* Take over the rows of `result`, a result set.  -1: an exception is set. */
static int
accept_rows(CursorState *self, const State *state, int flags, PyObject *result,
            PyObject *metadata)
{
    int streamed = SLOT(state, result, result_streamed) == Py_True;
    int stay_list = flags & (CURSOR_CONVERTS_ROWS | CURSOR_DICT_ROWS);
    PyObject *exchange = SLOT(state, result, result_exchange), *rows, *count;
    /* What the decoder has made is asked for, not what it would make now. */
    int converts = stay_list && !(exchange != NULL && is_exchange(state, exchange) &&
                                  SLOT(state, exchange, exchange_as_dicts) == Py_True);
    Py_ssize_t size;

    enum { METADATA_DESCRIPTION = 1 }; /* of metadata.ResultMetadata */
    if (!PyTuple_Check(metadata) || PyTuple_GET_SIZE(metadata) <= METADATA_DESCRIPTION) {
        PyErr_SetString(PyExc_TypeError, "a result's metadata must be ResultMetadata");
        return -1;
    }
    Py_XSETREF(self->_description, Py_NewRef(PyTuple_GET_ITEM(metadata, METADATA_DESCRIPTION)));
    Py_XSETREF(self->_lastrowid, Py_NewRef(Py_None));
    if (converts &&
        call_method_with((PyObject *)self, state->names._learn_columns, result) < 0) {
        return -1;
    }
    /* What is to be converted of streamed rows stays where it is until it is fetched. */
    rows = streamed && converts ? PyTuple_New(0) : take_rows(state, result, streamed, stay_list);
    if (rows == NULL) {
        return -1;
    }
    size = PyObject_Size(rows);
    count = size < 0 ? NULL
                     : streamed ? Py_NewRef(state->unknown_row_count) : PyLong_FromSsize_t(size);
    if (count == NULL) {
        Py_DECREF(rows);
        return -1;
    }
    Py_XSETREF(self->_rowcount, count);
    if (converts && size > 0) {
        rows = convert_rows(self, state, rows);
        if (rows == NULL) {
            return -1;
        }
    }
    Py_XSETREF(self->_rows, rows);
    return 0;
}

/* What `_take_result` does: 1: there are warnings; 0: there are none, or they are asked for after
 * the last row; -1: an exception is set. */
static int
take_result(CursorState *self, const State *state, int flags, PyObject *result)
{
    PyObject *metadata, *ok;
    long warnings;
    int failed = 0;

    if (!IS_OWNED(state, result, result)) {
        PyErr_SetString(PyExc_TypeError, "a cursor takes a Result");
        return -1;
    }
    ok = Py_XNewRef(SLOT(state, result, result_ok));
    warnings = ok_number(ok, OK_WARNING_COUNT);
    if (warnings == -1 && PyErr_Occurred()) {
        Py_XDECREF(ok);
        return -1;
    }
    metadata = Py_XNewRef(SLOT(state, result, result_metadata));
    Py_XSETREF(self->_result, Py_NewRef(result));
    self->_rownumber = self->_rows_before = 0;
    if (is_none(metadata)) {
        Py_XSETREF(self->_rowcount, Py_NewRef(PyTuple_GET_ITEM(ok, OK_AFFECTED_ROWS)));
        Py_XSETREF(self->_lastrowid, Py_NewRef(PyTuple_GET_ITEM(ok, OK_INSERT_ID)));
    }
    else {
        failed = accept_rows(self, state, flags, result, metadata) < 0;
        if (SLOT(state, result, result_streamed) == Py_True) {
            warnings = 0;
        }
    }
    Py_DECREF(ok);
    Py_XDECREF(metadata);
    return failed ? -1 : warnings > 0;
}

/* accept(connection, result) -> bool */
static PyObject *
CursorState_accept(CursorState *self, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = self->state;
    int flags, more;

    if (state == NULL || nargs != 2) {
        if (state != NULL) {
            PyErr_SetString(PyExc_TypeError, "accept takes a connection and a result");
        }
        return NULL;
    }
    flags = cursor_flags(state, self);
    if (flags < 0) {
        return NULL;
    }
    Py_XSETREF(self->_executed, Py_XNewRef(self->_last_executed));
    if (flags & HOOK_TAKE_RESULT) {
        PyObject *arguments[3] = {(PyObject *)self, args[0], args[1]};
        return PyObject_VectorcallMethod(state->names._take_result, arguments, 3, NULL);
    }
    more = take_result(self, state, flags, args[1]);
    return more < 0 ? NULL : PyBool_FromLong(more);
}

/* _take_result(connection, result) -> bool */
static PyObject *
CursorState_take_result(CursorState *self, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = self->state;
    int flags, more;

    if (state == NULL || nargs != 2) {
        if (state != NULL) {
            PyErr_SetString(PyExc_TypeError, "_take_result takes a connection and a result");
        }
        return NULL;
    }
    flags = cursor_flags(state, self);
    more = flags < 0 ? -1 : take_result(self, state, flags, args[1]);
    return more < 0 ? NULL : PyBool_FromLong(more);
}

static void
clear_result(CursorState *self)
{
    self->_rownumber = self->_rows_before = 0;
    Py_XSETREF(self->_rowcount, PyLong_FromLong(0));
    Py_XSETREF(self->_description, Py_NewRef(Py_None));
    Py_XSETREF(self->_lastrowid, Py_NewRef(Py_None));
    Py_XSETREF(self->_result, Py_NewRef(Py_None));
    Py_XSETREF(self->_rows, Py_NewRef(Py_None));
}

static PyObject *
CursorState_clear_result(CursorState *self, PyObject *Py_UNUSED(ignored))
{
    clear_result(self);
    Py_RETURN_NONE;
}

static PyObject *
CursorState_forget_result(CursorState *self, PyObject *Py_UNUSED(ignored))
{
    const State *state = self->state;

    if (state == NULL) {
        return NULL;
    }
    if (is_none(self->_result)) {
        Py_XSETREF(self->_rowcount, PyLong_FromLong(0));
        Py_RETURN_NONE;
    }
    return PyObject_CallMethodNoArgs((PyObject *)self, state->names._clear_result);
}

int
forget_result(CursorState *self, const State *state, int flags)
{
    if (flags & HOOK_FORGET_RESULT) {
        return call_method((PyObject *)self, state->names._forget_result);
    }
    if (is_none(self->_result)) {
        Py_XSETREF(self->_rowcount, PyLong_FromLong(0));
    }
    else {
        clear_result(self);
    }
    return 0;
}

static PyObject *
CursorState_aexit(CursorState *self, PyObject *const *Py_UNUSED(args), Py_ssize_t nargs)
{
    State *state = self->state;
    int finished = 1;

    if (state == NULL || nargs != 3) {
        if (state != NULL) {
            PyErr_SetString(PyExc_TypeError, "__aexit__ takes three arguments");
        }
        return NULL;
    }
    if (find_late_objects(state) < 0) {
        return NULL;
    }
    if (!is_none(self->_result)) {
        PyObject *result = Py_NewRef(self->_result);
        finished = IS_OWNED(state, result, result) ? is_finished(state, result) : 0;
        if (finished > 0 && SLOT(state, result, result_streamed) == Py_True) {
            /* Who fetches more is told that the cursor is closed. */
            Py_XSETREF(self->_rows, Py_NewRef(Py_None));
        }
        Py_DECREF(result);
        if (finished < 0) {
            return NULL;
        }
    }
    if (!finished) {
        return PyObject_CallMethodNoArgs((PyObject *)self, state->names.close);
    }
    Py_XSETREF(self->_connection, Py_NewRef(Py_None));
    return Py_NewRef(state->done);
}

#define ALL_CURSOR_OBJECTS(X) CURSOR_OBJECTS(X) X(own)

DEFINE_TRAVERSE_CLEAR_DEALLOC(CursorState, ALL_CURSOR_OBJECTS)

static PyMethodDef CursorState_methods[] = {
    {"fetchone", METHOD(CursorState_fetchone), METH_NOARGS,
     "fetchone(self)\n--\n\nThe next row, or None at the end."},
    {"__aenter__", METHOD(CursorState_aenter), METH_NOARGS, "__aenter__(self)\n--\n\n"},
    {"__aexit__", METHOD(CursorState_aexit), METH_FASTCALL,
     "__aexit__(self, exc_type, exc_val, exc_tb)\n--\n\n"},
    {"accept", METHOD(CursorState_accept), METH_FASTCALL,
     "accept(self, connection, result, /)\n--\n\nFor cursors: take over the result of the last statement."},
    {"_take_result", METHOD(CursorState_take_result), METH_FASTCALL,
     "_take_result(self, connection, result, /)\n--\n\n"},
    {"_clear_result", METHOD(CursorState_clear_result), METH_NOARGS,
     "_clear_result(self)\n--\n\n"},
    {"_forget_result", METHOD(CursorState_forget_result), METH_NOARGS,
     "_forget_result(self)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef CursorState_members[] = {
#define X(name) {#name, T_OBJECT_EX, offsetof(CursorState, name), 0, NULL},
    CURSOR_OBJECTS(X)
#undef X
    {"_arraysize", T_PYSSIZET, offsetof(CursorState, _arraysize), 0, NULL},
    {"_rownumber", T_PYSSIZET, offsetof(CursorState, _rownumber), 0, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(CursorState, own), READONLY, NULL},
    {"_rows_before", T_PYSSIZET, offsetof(CursorState, _rows_before), 0, NULL},
    {"_handovers", T_LONGLONG, offsetof(CursorState, _handovers), 0, NULL},
    {"_row_flags", T_INT, offsetof(CursorState, _row_flags), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef CursorState_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot CursorState_slots[] = {
    {Py_tp_doc, "See cursor_state.py."},
    {Py_tp_new, CursorState_new},
    {Py_tp_dealloc, CursorState_dealloc},
    {Py_tp_traverse, CursorState_traverse},
    {Py_tp_clear, CursorState_clear},
    {Py_tp_methods, CursorState_methods},
    {Py_tp_members, CursorState_members},
    {Py_tp_getset, CursorState_getset},
    {0, NULL},
};

PyType_Spec CursorState_spec = {
    .name = "aiomysql_core._speedups.CursorState",
    .basicsize = sizeof(CursorState),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = CursorState_slots,
};
