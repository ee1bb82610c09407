#include "engine/runner_state.h"

#include "module.h"
#include "waiting/waiter.h"

/* The value of a slot; NULL with AttributeError where it is not set. */
static PyObject *
checked_slot(PyObject *value)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "an attribute of the runner or session is not set");
    }
    return value;
}

/* Whether the value of a slot is true.  -1: an exception is set. */
static int
slot_is_true(PyObject *value)
{
    return checked_slot(value) == NULL ? -1 : PyObject_IsTrue(value);
}

/* Whether the session is broken, waits for a response, or may have a transaction open.  -1:
 * an exception is set. */
static int
session_has_to_end(const State *state, PyObject *session)
{
    PyObject *error = checked_slot(SLOT(state, session, session_error)), *status;
    int has_to_end = error == NULL ? -1 : error != Py_None;

    if (has_to_end == 0) {
        has_to_end = slot_is_true(SLOT(state, session, session_exchanges));
    }
    if (has_to_end != 0) {
        return has_to_end;
    }
    status = checked_slot(SLOT(state, session, session_server_status));
    if (status == NULL || !PyLong_Check(status)) {
        if (status != NULL) {
            PyErr_SetString(PyExc_TypeError, "server_status is no integer");
        }
        return -1;
    }
    return (PyLong_AsUnsignedLongMask(status) & state->maybe_in_transaction) != 0;
}

PyObject *
nothing_to_end(PyObject *module, PyObject *runner)
{
    State *state = PyModule_GetState(module);
    PyObject *session;
    int has_to_end;

    if (find_late_objects(state) < 0) {
        return NULL;
    }
    if (!IS_OWNED(state, runner, runner)) {
        PyErr_SetString(PyExc_TypeError, "nothing_to_end takes a RunnerState");
        return NULL;
    }
    session = checked_slot(SLOT(state, runner, runner_session));
    if (session == NULL || session == Py_None) {
        return session == NULL ? NULL : Py_NewRef(Py_False);
    }
    if (!IS_OWNED(state, session, session)) {
        PyErr_SetString(PyExc_TypeError, "the runner's session is no Session");
        return NULL;
    }
    Py_INCREF(session);
    has_to_end = slot_is_true(SLOT(state, runner, runner__busy));
    if (has_to_end == 0) {
        has_to_end = slot_is_true(SLOT(state, runner, runner_transaction_possible));
    }
    if (has_to_end == 0) {
        has_to_end = session_has_to_end(state, session);
    }
    Py_DECREF(session);
    return has_to_end < 0 ? NULL : PyBool_FromLong(!has_to_end);
}

/* Whether a SocketStream will resume `waiter` when the task that runs has used it; 0: it is to be
 * fired.  -1: an exception is set. */
static int
is_next_waiter(const State *state, PyObject *stream, PyObject *waiter)
{
    PyObject **next_waiter = &SLOT(state, stream, stream_next_waiter);
    int waking = slot_is_true(SLOT(state, stream, stream_waking));

    if (waking <= 0 || *next_waiter != Py_None) {
        return waking < 0 ? -1 : 0;
    }
    Py_SETREF(*next_waiter, Py_NewRef(waiter));
    return 1;
}

PyObject *
wake_next(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    PyObject *stream, *done;
    int is_next;

    if (find_late_objects(state) < 0) {
        return NULL;
    }
    if (nargs != 2 || !IS_OWNED(state, args[0], runner)) {
        PyErr_SetString(PyExc_TypeError, "wake_next takes a RunnerState and a waiter");
        return NULL;
    }
    stream = checked_slot(SLOT(state, args[0], runner__stream));
    if (stream == NULL) {
        return NULL;
    }
    if (stream != Py_None && !IS_OWNED(state, stream, stream)) {
        Py_INCREF(stream);
        done = PyObject_CallMethodOneArg(stream, state->names.wake_next, args[1]);
        Py_DECREF(stream);
        return done;
    }
    is_next = stream == Py_None ? 0 : is_next_waiter(state, stream, args[1]);
    if (is_next != 0) {
        return is_next < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (Py_IS_TYPE(args[1], state->waiter_type)) {
        return Waiter_fire((Waiter *)args[1], Py_False);
    }
    return PyObject_CallMethodOneArg(args[1], state->names.fire, Py_False);
}
