#include "engine/runner_state.h"

#include "module.h"

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
