/* Requests made at one go: what `Session.request` does for a Query or an Execute of the usual kind,
 * and what makes that object.  See implementation.py. */
#ifndef AIOMYSQL_PROTOCOL_REQUESTS_H
#define AIOMYSQL_PROTOCOL_REQUESTS_H

#include "_exchange_state.h"
#include "_parameters.h"

enum { REQUEST_HEADER = 4, REQUEST_FULL_FRAME = 0xFFFFFF, REQUEST_COM_QUERY = 0x03 };

/* Is nothing in the way of a request: an error, or bytes that were queued before?  -1: exception. */
static int
can_request(const State *state, PyObject *session)
{
    PyObject *error = PyObject_GetAttr(session, state->names.error);
    PyObject *queued = error == NULL ? NULL : PyObject_GetAttr(session, state->names.to_send);
    int can = queued == NULL ? -1 : error == Py_None && PyList_Check(queued) &&
                                        PyList_GET_SIZE(queued) == 0;

    Py_XDECREF(error);
    Py_XDECREF(queued);
    return can;
}

/* An object of `type`, a Query or Execute, as it is once its request was started in `session`. */
static PyObject *
new_exchange(const State *state, PyObject *type, PyObject *session)
{
    PyObject *results = PyObject_CallNoArgs(state->deque_type);
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

/* A frame with room for `length` bytes, at `*payload`. */
static PyObject *
new_frame(Py_ssize_t length, char **payload)
{
    PyObject *frame = PyBytes_FromStringAndSize(NULL, REQUEST_HEADER + length);

    if (frame != NULL) {
        char *bytes = PyBytes_AS_STRING(frame);
        bytes[0] = (char)(length & 0xFF);
        bytes[1] = (char)(length >> 8 & 0xFF);
        bytes[2] = (char)(length >> 16 & 0xFF);
        bytes[3] = 0;
        *payload = bytes + REQUEST_HEADER;
    }
    return frame;
}

/* Queue `exchange` in `session`; returns both results of the two functions below.  Takes over the
 * references to `exchange` and `frame`, either of which may be NULL, with an exception. */
static PyObject *
started(const State *state, PyObject *session, PyObject *exchange, PyObject *frame)
{
    PyObject *exchanges = NULL, *done = NULL, *both = NULL;

    if (exchange != NULL && frame != NULL && (both = PyTuple_Pack(2, exchange, frame)) != NULL) {
        exchanges = PyObject_GetAttr(session, state->names.exchanges);
        if (exchanges != NULL) {
            done = PyObject_CallMethodOneArg(exchanges, state->names.append, exchange);
        }
        if (done == NULL) {
            Py_CLEAR(both);
        }
    }
    Py_XDECREF(exchanges);
    Py_XDECREF(done);
    Py_XDECREF(exchange);
    Py_XDECREF(frame);
    return both;
}

/* start_query(session, query_class, statement) -> (query, bytes to send) | None */
static PyObject *
start_query(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyModule_GetState(module);
    Py_ssize_t length;
    char *payload;
    PyObject *frame, *query;
    int can;

    if (nargs != 3 || !PyType_Check(args[1]) || !PyBytes_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "start_query takes a session, a class and bytes");
        return NULL;
    }
    length = 1 + PyBytes_GET_SIZE(args[2]);
    if (length >= REQUEST_FULL_FRAME) {
        Py_RETURN_NONE;
    }
    can = can_request(state, args[0]);
    if (can <= 0) {
        return can < 0 ? NULL : Py_NewRef(Py_None);
    }
    query = new_exchange(state, args[1], args[0]);
    frame = query == NULL ? NULL : new_frame(length, &payload);
    if (frame != NULL) {
        payload[0] = REQUEST_COM_QUERY;
        memcpy(payload + 1, PyBytes_AS_STRING(args[2]), (size_t)length - 1);
    }
    return started(state, args[0], query, frame);
}

/* Do the types of `packed` stand in `prepared` as those accepted last?  -1: exception. */
static int
accepted_before(const State *state, PyObject *prepared, PyObject *packed)
{
    PyObject *last = PyObject_GetAttr(prepared, state->names.accepted_last);
    PyObject *number = last == NULL ? NULL : PyObject_GetAttr(prepared, state->names.parameter_count);
    int same = number == NULL ? -1 : PyObject_RichCompareBool(last, PyTuple_GET_ITEM(packed, 2), Py_EQ);

    if (same > 0) {
        same = PyObject_RichCompareBool(number, PyTuple_GET_ITEM(packed, 0), Py_EQ);
    }
    Py_XDECREF(last);
    Py_XDECREF(number);
    return same;
}

/* The frame that executes `prepared`. */
static PyObject *
execution_frame(const State *state, PyObject *prepared, PyObject *packed)
{
    PyObject *head = PyObject_GetAttr(prepared, state->names.head);
    PyObject *parts[3] = {PyTuple_GET_ITEM(packed, 1), PyTuple_GET_ITEM(packed, 2),
                          PyTuple_GET_ITEM(packed, 3)};
    Py_ssize_t length, parameters = PyBytes_GET_SIZE(parts[1]);
    PyObject *frame = NULL;
    char *to;

    if (head == NULL || !PyBytes_Check(head)) {
        Py_XDECREF(head);
        return NULL;
    }
    length = PyBytes_GET_SIZE(head);
    if (parameters > 0) {
        length += 1 + PyBytes_GET_SIZE(parts[0]) + parameters + PyBytes_GET_SIZE(parts[2]);
    }
    if (length < REQUEST_FULL_FRAME) {
        frame = new_frame(length, &to);
    }
    if (frame != NULL) {
        memcpy(to, PyBytes_AS_STRING(head), (size_t)PyBytes_GET_SIZE(head));
        to += PyBytes_GET_SIZE(head);
        for (int i = 0; parameters > 0 && i < 3; i++) {
            memcpy(to, PyBytes_AS_STRING(parts[i]), (size_t)PyBytes_GET_SIZE(parts[i]));
            to += PyBytes_GET_SIZE(parts[i]);
            if (i == 0) {
                *to++ = 1; /* types follow */
            }
        }
    }
    Py_DECREF(head);
    return frame;
}

/* Set in `execution` what it has from `prepared`.  -1: exception. */
static int
note_prepared(const State *state, PyObject *execution, PyObject *prepared)
{
    ExchangeState *own = (ExchangeState *)execution;

    Py_XSETREF(own->own_blocks, PyObject_GetAttr(prepared, state->names.blocks));
    Py_XSETREF(own->compiled_by, PyObject_GetAttr(prepared, state->names.compiled_by));
    if (own->own_blocks == NULL || own->compiled_by == NULL) {
        return -1;
    }
    return PyObject_SetAttr(execution, state->names.own_prepared, prepared);
}

/* start_execution(session, execute_class, prepared, values) -> (execution, bytes to send) | None */
static PyObject *
start_execution(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyModule_GetState(module);
    PyObject *packed, *frame = NULL, *execution = NULL;
    int can;

    if (nargs != 4 || !PyType_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError,
                        "start_execution takes a session, a class, a statement and values");
        return NULL;
    }
    can = can_request(state, args[0]);
    if (can <= 0) {
        return can < 0 ? NULL : Py_NewRef(Py_None);
    }
    packed = pack_parameters(module, args[3]);
    if (packed == NULL || packed == Py_None) {
        return packed;
    }
    can = accepted_before(state, args[2], packed);
    if (can > 0) {
        frame = execution_frame(state, args[2], packed);
    }
    Py_DECREF(packed);
    if (frame == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    execution = new_exchange(state, args[1], args[0]);
    if (execution != NULL && note_prepared(state, execution, args[2]) < 0) {
        Py_CLEAR(execution);
    }
    return started(state, args[0], execution, frame);
}

#endif
