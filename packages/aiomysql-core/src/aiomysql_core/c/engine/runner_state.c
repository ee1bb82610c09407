#include "engine/runner_state.h"

#include "coroutine.h"
#include "dealloc.h"
#include "engine/cursor_state.h"
#include "monotonic.h"
#include "transport/stream_state.h"
#include "waiting/waiter.h"

#include <stddef.h>

int
has_outstanding(RunnerState *self, State *state)
{
    PyObject *result;
    int outstanding;

    if (is_none(self->result)) {
        return 0;
    }
    if (find_late_objects(state) < 0) {
        return -1;
    }
    result = self->result;
    if (is_none(result)) { /* code that ran meanwhile took it */
        return 0;
    }
    if (!IS_OWNED(state, result, result)) {
        PyErr_SetString(PyExc_TypeError, "the runner's result is no Result");
        return -1;
    }
    Py_INCREF(result);
    outstanding = SLOT(state, result, result_complete) != Py_True ? 1 : has_rest(state, result);
    Py_DECREF(result);
    return outstanding;
}

/* ---- begin ---- */

/* The statement of `exchange` is about to be sent: it may begin a transaction, or change the
 * mode.  -1: an exception is set. */
static int
record_exchange(RunnerState *self, const State *state, PyObject *exchange)
{
    int autocommit;

    if (SLOT(state, exchange, exchange_is_simple) != Py_True) {
        return call_method_with((PyObject *)self, state->names.record_statement, exchange);
    }
    autocommit = is_true(self->autocommit == NULL ? Py_None : self->autocommit, "autocommit");
    if (autocommit == 0) {
        self->transaction_possible = 1;
    }
    return autocommit < 0 ? -1 : 0;
}

/* Start `exchange` on the runner's stream.  Returns the stream; NULL: an exception is set. */
static StreamState *
start_exchange(RunnerState *self, State *state, PyObject *exchange)
{
    PyObject *stream = Py_XNewRef(self->_stream), *started;
    int fine = 0;

    if (!is_none(stream) && PyObject_TypeCheck(stream, state->stream_state_type)) {
        fine = check_stream((StreamState *)stream);
        if (fine == 0) {
            fine = is_running_loop(&state->running_loop, ((StreamState *)stream)->loop,
                                   ((StreamState *)stream)->thread);
        }
    }
    if (fine > 0) {
        if (!is_none(((StreamState *)stream)->_sock)) {
            fine = stream_start((StreamState *)stream, exchange);
        }
        else { /* a transport has the socket, or it is closed */
            started = PyObject_CallMethodOneArg(stream, state->names.start, exchange);
            fine = started == NULL ? -1 : PyObject_IsTrue(started);
            Py_XDECREF(started);
        }
        if (fine > 0) {
            return (StreamState *)stream;
        }
    }
    Py_XDECREF(stream);
    if (fine == 0 && call_method((PyObject *)self, state->names._refuse) == 0) {
        PyErr_SetString(PyExc_RuntimeError, "nothing was sent");
    }
    return NULL;
}

/* What is to be awaited for `exchange`, which was started.  NULL: an exception is set. */
static PyObject *
awaited(RunnerState *self, State *state, StreamState *stream, PyObject *exchange)
{
    PyObject *files = SLOT(state, exchange, exchange_local_files), *read_timeout, *waiter;
    int may_send_files = is_none(files) ? 0 : is_true(files, "local_files");

    if (may_send_files < 0) {
        return NULL;
    }
    if (may_send_files || stream->writing_paused) {
        PyObject *args[3] = {(PyObject *)self, (PyObject *)stream, exchange};
        return PyObject_VectorcallMethod(state->names._begin_slowly, args, 3, NULL);
    }
    read_timeout = Py_NewRef(self->_read_timeout == NULL ? Py_None : self->_read_timeout);
    waiter = stream_wait(stream, state, exchange, (PyObject *)self, 1, read_timeout);
    Py_DECREF(read_timeout);
    return waiter;
}

/* Sending `exchange` failed by the exception that is set; one is set afterwards. */
static void
not_begun(RunnerState *self, const State *state, PyObject *exchange)
{
    PyObject *exception = take_exception(), *done;
    PyObject *args[3] = {(PyObject *)self, exchange, exception == NULL ? Py_None : exception};

    done = PyObject_VectorcallMethod(state->names._not_begun, args, 3, NULL);
    Py_XDECREF(done);
    set_exception_again(exception);
}

static PyObject *
RunnerState_begin(RunnerState *self, PyObject *exchange)
{
    State *state = self->state;
    StreamState *stream = NULL;
    PyObject *coming = NULL;
    int outstanding;

    if (state == NULL || find_late_objects(state) < 0) {
        return NULL;
    }
    if (!is_exchange(state, exchange)) {
        PyErr_SetString(PyExc_TypeError, "begin takes an exchange");
        return NULL;
    }
    if (self->_busy) {
        if (!is_none(self->_cancellation)) {
            return PyObject_CallMethodOneArg((PyObject *)self, state->names._begin_later, exchange);
        }
        if (call_method((PyObject *)self, state->names.check_free) < 0) {
            return NULL;
        }
    }
    if (!is_none(self->_beginning)) {
        return PyObject_CallMethodOneArg((PyObject *)self, state->names._begin_later, exchange);
    }
    /* First of all: what is done from here on may run code that wants to use the runner. */
    self->_busy = 1;
    outstanding = has_outstanding(self, state);
    if (outstanding > 0 && call_method((PyObject *)self, state->names.release) == 0) {
        coming = PyObject_CallMethodOneArg((PyObject *)self, state->names._begin_later, exchange);
    }
    if (outstanding == 0) {
        Py_XSETREF(self->result, Py_NewRef(Py_None));
        if (record_exchange(self, state, exchange) == 0) {
            stream = start_exchange(self, state, exchange);
        }
    }
    if (stream != NULL) {
        coming = awaited(self, state, stream, exchange);
        Py_DECREF(stream);
    }
    if (coming == NULL) {
        not_begun(self, state, exchange);
    }
    return coming;
}

/* ---- take ---- */

/* Take the oldest result of `exchange` out of it.  NULL: an exception is set. */
static PyObject *
pop_result(const State *state, PyObject *exchange)
{
    PyObject *results = SLOT(state, exchange, exchange_results), *result;

    if (results == NULL) {
        PyErr_SetString(PyExc_AttributeError, "results");
        return NULL;
    }
    if (!PyList_Check(results) || PyList_GET_SIZE(results) == 0) {
        PyErr_SetString(PyList_Check(results) ? PyExc_IndexError : PyExc_TypeError,
                        "the exchange has no result to be taken");
        return NULL;
    }
    result = Py_NewRef(PyList_GET_ITEM(results, 0));
    if (!IS_OWNED(state, result, result)) {
        PyErr_SetString(PyExc_TypeError, "the exchange's result is no Result");
        Py_CLEAR(result);
    }
    else if (PyList_SetSlice(results, 0, 1, NULL) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

/* Record the number of rows of `result`.  -1: an exception is set. */
static int
count_rows(RunnerState *self, const State *state, PyObject *result)
{
    PyObject *count, *ok, *rows;

    if (is_none(SLOT(state, result, result_metadata))) {
        ok = SLOT(state, result, result_ok);
        if (ok_number(ok, OK_WARNING_COUNT) == -1 && PyErr_Occurred()) {
            return -1;
        }
        count = Py_NewRef(PyTuple_GET_ITEM(ok, OK_AFFECTED_ROWS));
    }
    else if (SLOT(state, result, result_streamed) == Py_True) {
        Py_XSETREF(SLOT(state, result, result_unbuffered_active), Py_NewRef(Py_True));
        count = Py_NewRef(state->unknown_row_count);
    }
    else {
        rows = SLOT(state, result, result_rows);
        if (rows == NULL || !PyList_Check(rows)) {
            PyErr_SetString(rows == NULL ? PyExc_AttributeError : PyExc_TypeError,
                            "a result without rows");
            return -1;
        }
        count = PyLong_FromSsize_t(PyList_GET_SIZE(rows));
        if (count == NULL) {
            return -1;
        }
    }
    Py_XSETREF(self->affected_rows, count);
    return 0;
}

/* Whether `result` has an error that is to be raised at once: the reader of streamed rows meets it
 * behind those that came before. */
static int
has_failed(const State *state, PyObject *result)
{
    return !is_none(SLOT(state, result, result_error)) &&
           !(SLOT(state, result, result_streamed) == Py_True &&
             !is_none(SLOT(state, result, result_metadata)));
}

static PyObject *
RunnerState_take(RunnerState *self, PyObject *exchange)
{
    State *state = self->state;
    PyObject *result, *now;

    if (state == NULL || find_late_objects(state) < 0) {
        return NULL;
    }
    if (!is_exchange(state, exchange)) {
        PyErr_SetString(PyExc_TypeError, "take takes an exchange");
        return NULL;
    }
    result = pop_result(state, exchange);
    if (result == NULL) {
        return NULL;
    }
    Py_XSETREF(SLOT(state, result, result_exchange), Py_NewRef(exchange));
    Py_XSETREF(self->result, Py_NewRef(result));
    now = PyFloat_FromDouble(monotonic());
    if (now != NULL) {
        Py_XSETREF(self->last_usage, now);
    }
    self->_busy = 0; /* the runner says what is unread by now */
    if (now == NULL) {
        Py_CLEAR(result);
    }
    else if (has_failed(state, result) &&
             call_method_with((PyObject *)self, state->names._raise_for, result) < 0) {
        Py_CLEAR(result);
    }
    else if (count_rows(self, state, result) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

/* ---- For pools ---- */

/* Whether the session is broken, waits for a response, or may have a transaction open.  -1:
 * an exception is set. */
static int
session_has_to_end(const State *state, PyObject *session)
{
    PyObject *error = SLOT(state, session, session_error), *status;
    int has_to_end;

    if (error == NULL) {
        PyErr_SetString(PyExc_AttributeError, "an attribute of the session is not set");
        return -1;
    }
    has_to_end =
        error != Py_None ? 1 : is_true(SLOT(state, session, session_exchanges), "exchanges");
    if (has_to_end != 0) {
        return has_to_end;
    }
    status = SLOT(state, session, session_server_status);
    if (status == NULL || !PyLong_Check(status)) {
        PyErr_SetString(status == NULL ? PyExc_AttributeError : PyExc_TypeError,
                        "server_status is no integer");
        return -1;
    }
    return (PyLong_AsUnsignedLongMask(status) & state->maybe_in_transaction) != 0;
}

/* What nothing_to_end returns, after `handovers` more. */
static PyObject *
nothing_to_end_after(PyObject *module, PyObject *runner, int handovers)
{
    State *state = PyModule_GetState(module);
    RunnerState *self = (RunnerState *)runner;
    PyObject *session;
    int has_to_end;

    if (find_late_objects(state) < 0) {
        return NULL;
    }
    if (!PyObject_TypeCheck(runner, state->runner_state_type)) {
        PyErr_SetString(PyExc_TypeError, "nothing_to_end takes a RunnerState");
        return NULL;
    }
    self->handovers += handovers;
    session = self->session;
    if (is_none(session) || self->_busy || self->transaction_possible) {
        Py_RETURN_FALSE;
    }
    if (!IS_OWNED(state, session, session)) {
        PyErr_SetString(PyExc_TypeError, "the runner's session is no Session");
        return NULL;
    }
    Py_INCREF(session);
    has_to_end = session_has_to_end(state, session);
    Py_DECREF(session);
    return has_to_end < 0 ? NULL : PyBool_FromLong(!has_to_end);
}

PyObject *
nothing_to_end(PyObject *module, PyObject *runner)
{
    return nothing_to_end_after(module, runner, 0);
}

PyObject *
hand_over(PyObject *module, PyObject *runner)
{
    return nothing_to_end_after(module, runner, 1);
}

int
check_handovers(const RunnerState *self, long long number, const char *what)
{
    PyObject *checked;

    if (number == self->handovers || number == 0) {
        return 0;
    }
    checked = PyObject_CallMethod((PyObject *)self, "check_handovers", "Ls", number, what);
    Py_XDECREF(checked);
    return checked == NULL ? -1 : 0;
}

PyObject *
wake_next(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    PyObject *stream;
    int failed;

    if (nargs != 2 || !PyObject_TypeCheck(args[0], state->runner_state_type)) {
        PyErr_SetString(PyExc_TypeError, "wake_next takes a RunnerState and a waiter");
        return NULL;
    }
    stream = ((RunnerState *)args[0])->_stream;
    if (is_none(stream)) {
        return PyObject_CallMethodOneArg(args[1], state->names.fire, Py_False);
    }
    Py_INCREF(stream);
    if (PyObject_TypeCheck(stream, state->stream_state_type)) {
        failed = stream_wake_next((StreamState *)stream, state, args[1]);
    }
    else {
        failed = call_method_with(stream, state->names.wake_next, args[1]);
    }
    Py_DECREF(stream);
    return failed < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- The type ---- */

static PyObject *
RunnerState_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    State *state = state_of_type(type);
    RunnerState *self = state == NULL ? NULL : (RunnerState *)new_object(type);

    if (self != NULL) {
        self->state = state;
#define X(name) self->name = Py_NewRef(Py_None);
        RUNNER_OBJECTS(X)
#undef X
        Py_SETREF(self->affected_rows, PyLong_FromLong(0));
        Py_SETREF(self->last_usage, PyFloat_FromDouble(0.0));
        if (self->last_usage == NULL) {
            Py_CLEAR(self);
        }
    }
    return (PyObject *)self;
}

static int
RunnerState_init(RunnerState *Py_UNUSED(self), PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) != 0 || (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0)) {
        PyErr_SetString(PyExc_TypeError, "RunnerState takes no arguments");
        return -1;
    }
    return 0;
}

DEFINE_TRAVERSE_CLEAR_DEALLOC(RunnerState, RUNNER_OBJECTS)

static PyObject *
RunnerState_outstanding(RunnerState *self, void *Py_UNUSED(closure))
{
    State *state = self->state;
    int outstanding = state == NULL ? -1 : has_outstanding(self, state);

    return outstanding < 0 ? NULL : PyBool_FromLong(outstanding);
}

static PyMethodDef RunnerState_methods[] = {
    {"begin", METHOD(RunnerState_begin), METH_O, "begin(self, exchange, /)\n--\n\n"},
    {"take", METHOD(RunnerState_take), METH_O, "take(self, exchange, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef RunnerState_getset[] = {
    {"outstanding", (getter)RunnerState_outstanding, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef RunnerState_members[] = {
#define X(name) {#name, T_OBJECT_EX, offsetof(RunnerState, name), 0, NULL},
    RUNNER_OBJECTS(X)
#undef X
    {"generation", T_LONGLONG, offsetof(RunnerState, generation), 0, NULL},
    {"handovers", T_LONGLONG, offsetof(RunnerState, handovers), 0, NULL},
    {"_busy", T_BOOL, offsetof(RunnerState, _busy), 0, NULL},
    {"transaction_possible", T_BOOL, offsetof(RunnerState, transaction_possible), 0, NULL},
    {"no_backslash_escapes", T_BOOL, offsetof(RunnerState, no_backslash_escapes), 0, NULL},
    {"charset_in_doubt", T_BOOL, offsetof(RunnerState, charset_in_doubt), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot RunnerState_slots[] = {
    {Py_tp_doc, "RunnerState()\n--\n\nSee runner_state.py."},
    {Py_tp_new, RunnerState_new},
    {Py_tp_init, RunnerState_init},
    {Py_tp_dealloc, RunnerState_dealloc},
    {Py_tp_traverse, RunnerState_traverse},
    {Py_tp_clear, RunnerState_clear},
    {Py_tp_methods, RunnerState_methods},
    {Py_tp_members, RunnerState_members},
    {Py_tp_getset, RunnerState_getset},
    {0, NULL},
};

PyType_Spec RunnerState_spec = {
    .name = "aiomysql_core._speedups.RunnerState",
    .basicsize = sizeof(RunnerState),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = RunnerState_slots,
};
