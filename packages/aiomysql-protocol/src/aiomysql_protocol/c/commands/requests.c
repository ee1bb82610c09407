#include "commands/requests.h"

#include "commands/exchange_state.h"
#include "module.h"
#include "values/parameters.h"
#include "wire/frame.h"

enum { COM_QUERY = 0x03 };

/* 1: a request may be made in `session`, which has no error and nothing queued; 0: it may not; -1:
 * an exception is set. */
static int
can_request(State *state, PyObject *session)
{
    PyObject *queued, *exchanges;

    if (find_slots(state) < 0) {
        return -1;
    }
    if (!IS_OWNED(state, session, session)) {
        PyErr_SetString(PyExc_TypeError, "not a Session");
        return -1;
    }
    queued = SLOT(state, session, session__to_send);
    exchanges = SLOT(state, session, session_exchanges);
    return SLOT(state, session, session_error) == Py_None && exchanges != NULL && queued != NULL &&
           PyList_Check(queued) && PyList_GET_SIZE(queued) == 0;
}

/* An object of `type`, a Query or Execute, as it is once its request was started in `session`. */
static PyObject *
new_exchange(const State *state, PyObject *type, PyObject *session)
{
    PyObject *results = PyList_New(0);
    ExchangeState *exchange;

    if (results == NULL || !PyType_IsSubtype((PyTypeObject *)type, state->exchange_state_type)) {
        if (results != NULL) {
            PyErr_SetString(PyExc_TypeError, "not a class of exchanges");
            Py_DECREF(results);
        }
        return NULL;
    }
    exchange = (ExchangeState *)new_state(type);
    if (exchange == NULL) {
        Py_DECREF(results);
        return NULL;
    }
    exchange->results = results;
    Py_XSETREF(exchange->quick, Py_NewRef(Py_True));
    Py_XSETREF(exchange->session, Py_NewRef(session));
    Py_XSETREF(exchange->sequence_id, PyLong_FromLong(1));
    return (PyObject *)exchange;
}

/* Queue `exchange` in `session`; returns both results of the two functions below.  Takes over the
 * references to `exchange` and `frame`, either of which may be NULL, with an exception. */
static PyObject *
started(State *state, PyObject *session, PyObject *exchange, PyObject *frame)
{
    PyObject *done, *both = NULL;

    if (exchange != NULL && frame != NULL) {
        both = PyTuple_Pack(2, exchange, frame);
    }
    /* Asked once more: code that runs while objects are made may queue others. */
    if (both != NULL && can_request(state, session) <= 0) {
        Py_SETREF(both, PyErr_Occurred() ? NULL : Py_NewRef(Py_None));
    }
    else if (both != NULL) {
        PyObject *args[2] = {SLOT(state, session, session_exchanges), exchange};
        done = PyObject_Vectorcall(state->deque_append, args, 2, NULL);
        if (done == NULL) {
            Py_CLEAR(both);
        }
        Py_XDECREF(done);
    }
    Py_XDECREF(exchange);
    Py_XDECREF(frame);
    return both;
}

PyObject *
start_query(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    Py_ssize_t length;
    char *payload;
    PyObject *frame, *query;
    int can;

    if (nargs != 3 || !PyType_Check(args[1]) || !PyBytes_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "start_query takes a session, a class and bytes");
        return NULL;
    }
    length = 1 + PyBytes_GET_SIZE(args[2]);
    if (length >= FULL_FRAME) {
        Py_RETURN_NONE;
    }
    can = can_request(state, args[0]);
    if (can <= 0) {
        return can < 0 ? NULL : Py_NewRef(Py_None);
    }
    query = new_exchange(state, args[1], args[0]);
    frame = query == NULL ? NULL : new_frame(length, 0, &payload);
    if (frame != NULL) {
        payload[0] = COM_QUERY;
        memcpy(payload + 1, PyBytes_AS_STRING(args[2]), (size_t)length - 1);
    }
    return started(state, args[0], query, frame);
}

/* The frame that executes `prepared` with `values`, a tuple.  NULL without an exception: some of
 * them are not of the usual types, or not of those accepted last. */
static PyObject *
execution_frame(const State *state, PyObject *prepared, PyObject *values)
{
    PyObject *head = SLOT(state, prepared, prepared_head);
    PyObject *accepted = SLOT(state, prepared, prepared_accepted_last);
    PyObject *wanted = SLOT(state, prepared, prepared_parameter_count);
    Py_ssize_t count = PyTuple_GET_SIZE(values), nulls = (count + 7) / 8, length, size;
    PyObject *frame;
    char *to;

    if (head == NULL || !PyBytes_Check(head) || accepted == NULL || !PyBytes_Check(accepted) ||
        PyBytes_GET_SIZE(accepted) != 2 * count || wanted == NULL ||
        PyLong_AsSsize_t(wanted) != count) {
        return NULL;
    }
    size = parameters_size(state, values);
    if (size < 0 || size >= FULL_FRAME || count >= FULL_FRAME / 4) {
        return NULL;
    }
    length = PyBytes_GET_SIZE(head) + (count > 0 ? nulls + 1 + 2 * count + size : 0);
    frame = length < FULL_FRAME ? new_frame(length, 0, &to) : NULL;
    if (frame == NULL) {
        return NULL;
    }
    memcpy(to, PyBytes_AS_STRING(head), (size_t)PyBytes_GET_SIZE(head));
    to += PyBytes_GET_SIZE(head);
    if (count > 0) {
        char *types = to + nulls + 1;
        to[nulls] = 1; /* types follow */
        if (!put_parameters(state, values, to, types, types + 2 * count) ||
            memcmp(types, PyBytes_AS_STRING(accepted), 2 * (size_t)count) != 0) {
            Py_CLEAR(frame);
        }
    }
    return frame;
}

PyObject *
start_execution(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    PyObject *frame;
    ExchangeState *execution;
    int can;

    if (nargs != 4 || !PyType_Check(args[1]) || !PyTuple_Check(args[3])) {
        PyErr_SetString(PyExc_TypeError,
                        "start_execution takes a session, a class, a statement and a tuple");
        return NULL;
    }
    can = can_request(state, args[0]);
    if (can <= 0) {
        return can < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (!IS_OWNED(state, args[2], prepared)) {
        PyErr_SetString(PyExc_TypeError, "not a ServerStatement");
        return NULL;
    }
    frame = execution_frame(state, args[2], args[3]);
    if (frame == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    execution = (ExchangeState *)new_exchange(state, args[1], args[0]);
    if (execution != NULL) {
        Py_XSETREF(execution->own_prefixes, Py_XNewRef(SLOT(state, args[2], prepared_prefixes)));
        Py_XSETREF(execution->compiled_by, Py_XNewRef(SLOT(state, args[2], prepared_compiled_by)));
        Py_XSETREF(execution->own_prepared, Py_NewRef(args[2]));
    }
    return started(state, args[0], (PyObject *)execution, frame);
}
