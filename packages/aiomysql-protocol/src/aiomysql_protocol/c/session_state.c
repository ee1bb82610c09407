#include "session_state.h"

#include "commands/response.h"
#include "dealloc.h"
#include "session_functions.h"
#include "wire/frame.h"

#include <stddef.h>
#include <structmember.h>

/* An unfinished frame that is longer is gathered outside of the caller's buffer: see framing.py. */
enum { LARGE_FRAME = 1 << 16 };

/* The oldest of the exchanges; a new reference.  NULL with or without an exception. */
static PyObject *
first_exchange(const SessionState *session)
{
    PyObject *exchanges = session->exchanges, *first;
    Py_ssize_t count;

    if (exchanges == NULL) {
        PyErr_SetString(PyExc_AttributeError, "exchanges");
        return NULL;
    }
    Py_INCREF(exchanges);
    count = PyObject_Size(exchanges);
    first = count > 0 ? PySequence_GetItem(exchanges, 0) : NULL;
    Py_DECREF(exchanges);
    return first;
}

ExchangeState *
oldest_exchange(const State *state, const SessionState *session)
{
    PyObject *exchange = session->error == Py_None ? first_exchange(session) : NULL;

    if (exchange != NULL && (!PyObject_TypeCheck(exchange, state->exchange_state_type) ||
                             ((ExchangeState *)exchange)->done != Py_False)) {
        Py_CLEAR(exchange);
    }
    return (ExchangeState *)exchange;
}

int
queue_exchange(const State *state, SessionState *session, ExchangeState *exchange)
{
    PyObject *done;

    if (session->error != Py_None || session->_to_send == NULL || session->exchanges == NULL ||
        !PyList_CheckExact(session->_to_send) || PyList_GET_SIZE(session->_to_send) != 0) {
        return 0;
    }
    Py_XSETREF(exchange->session, Py_NewRef((PyObject *)session));
    exchange->sequence_id = 1;
    PyObject *args[2] = {session->exchanges, (PyObject *)exchange};
    done = PyObject_Vectorcall(state->deque_append, args, 2, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 1;
}

/* What `request` does. */
static PyObject *
session_request(PyObject *session, PyObject *exchange)
{
    SessionState *self = (SessionState *)session;
    const State *state = state_of(session);
    PyObject *request, *frame, *done;
    Py_ssize_t size;
    char *payload;
    int queued = 0;

    if (state == NULL) {
        return NULL;
    }
    if (!PyObject_TypeCheck(exchange, state->exchange_state_type)) {
        PyErr_SetString(PyExc_TypeError, "not an Exchange");
        return NULL;
    }
    request = ((ExchangeState *)exchange)->request;
    size = request != NULL && PyBytes_Check(request) ? PyBytes_GET_SIZE(request) : 0;
    if (size > 0 && size < FULL_FRAME && !self->compressed) {
        frame = new_frame(size, 0, &payload);
        if (frame == NULL) {
            return NULL;
        }
        memcpy(payload, PyBytes_AS_STRING(request), (size_t)size);
        queued = queue_exchange(state, self, (ExchangeState *)exchange);
        if (queued > 0) {
            return frame;
        }
        Py_DECREF(frame);
        if (queued < 0) {
            return NULL;
        }
    }
    done = PyObject_CallMethodOneArg((PyObject *)self, state->names.start, exchange);
    if (done == NULL) {
        return NULL;
    }
    Py_DECREF(done);
    return PyObject_CallMethodNoArgs((PyObject *)self, state->names.data_to_send);
}

static PyObject *
SessionState_request(SessionState *self, PyObject *exchange)
{
    return session_request((PyObject *)self, exchange);
}

/* Whether there is but a part of a frame at `position`, which is left in the buffer.  -1: an
 * exception is set. */
static int
is_missing_bytes(unsigned sequence_id, PyObject *buffer, Py_ssize_t position, Py_ssize_t end)
{
    Py_buffer view;
    int missing = 1;

    if (get_range(buffer, position, end, &view) < 0) {
        return -1;
    }
    if (end - position >= FRAME_HEADER) {
        const unsigned char *header = (const unsigned char *)view.buf + position;
        Py_ssize_t length = (Py_ssize_t)load_3(header);

        missing = header[3] == sequence_id && length <= LARGE_FRAME &&
                  length > end - position - FRAME_HEADER;
    }
    PyBuffer_Release(&view);
    return missing;
}

/* The functions that follow read what comes next, in `[*position, end)`, which is not empty, and move
 * the position behind it.  1: go on; 0: more bytes must come first; -1: an exception is set. */

/* Have a method of the session read. */
static int
read_in_python(SessionState *self, PyObject *method, PyObject *buffer, Py_ssize_t *position,
               Py_ssize_t end)
{
    PyObject *args[4] = {(PyObject *)self, buffer, PyLong_FromSsize_t(*position),
                         PyLong_FromSsize_t(end)};
    PyObject *stop = NULL;
    Py_ssize_t stopped = -1;
    int moved = 0;

    if (args[2] != NULL && args[3] != NULL) {
        stop = PyObject_VectorcallMethod(method, args, 4, NULL);
    }
    if (stop != NULL) {
        stopped = PyLong_AsSsize_t(stop);
        Py_DECREF(stop);
    }
    Py_XDECREF(args[2]);
    Py_XDECREF(args[3]);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (stopped < *position || stopped > end) {
        PyErr_SetString(PyExc_ValueError, "a position out of the buffer");
        return -1;
    }
    moved = stopped != *position;
    *position = stopped;
    return moved;
}

/* Read what belongs to `exchange`, the oldest one, in C as far as that goes. */
static int
read_oldest(State *state, SessionState *self, ExchangeState *exchange, PyObject *buffer,
            Py_ssize_t *position, Py_ssize_t end)
{
    Py_ssize_t stopped = read_from(state, self, exchange, buffer, *position, end);
    PyObject *first;
    int missing;

    if (stopped < 0) {
        return -1;
    }
    if (stopped != *position) {
        *position = stopped;
        return 1;
    }
    /* What has run meanwhile may have ended it. */
    first = first_exchange(self);
    if (first == NULL && PyErr_Occurred()) {
        return -1;
    }
    Py_XDECREF(first);
    if (self->error != Py_None || first != (PyObject *)exchange) {
        return 1;
    }
    missing = is_missing_bytes((unsigned)exchange->sequence_id, buffer, *position, end);
    if (missing != 0) {
        return missing < 0 ? -1 : 0;
    }
    return read_in_python(self, state->names._receive_payload, buffer, position, end);
}

static int
read_next(State *state, SessionState *self, PyObject *buffer, Py_ssize_t *position, Py_ssize_t end)
{
    PyObject *exchange = first_exchange(self);
    int status;

    if (exchange == NULL) {
        if (PyErr_Occurred() || read_in_python(self, state->names._receive_unasked, buffer,
                                               position, end) < 0) {
            return -1;
        }
        return 0;
    }
    if (!self->gathering && PyObject_TypeCheck(exchange, state->exchange_state_type)) {
        status = read_oldest(state, self, (ExchangeState *)exchange, buffer, position, end);
    }
    else {
        status = read_in_python(self, state->names._receive_payload, buffer, position, end);
    }
    Py_DECREF(exchange);
    return status;
}

/* End the session for the exception that is set.  -1: an exception is set. */
static int
end_session(const State *state, SessionState *self)
{
    PyObject *error = take_exception();
    PyObject *done = PyObject_CallMethodOneArg((PyObject *)self, state->names._fail_reading, error);

    Py_DECREF(error);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* What `receive_plain` does.  -1: an exception is set. */
static Py_ssize_t
receive_plain(SessionState *self, PyObject *buffer, Py_ssize_t position, Py_ssize_t end)
{
    State *state = state_of((PyObject *)self);

    if (state == NULL) {
        return -1;
    }
    while (position < end && self->error == Py_None) {
        int status = read_next(state, self, buffer, &position, end);

        if (status == 0) {
            return position;
        }
        if (status < 0) {
            return end_session(state, self) < 0 ? -1 : end;
        }
    }
    return end;
}

/* What `receive` does.  -1: an exception is set. */
static Py_ssize_t
session_receive(PyObject *session, PyObject *buffer, Py_ssize_t position, Py_ssize_t end)
{
    SessionState *self = (SessionState *)session;
    State *state;

    if (!self->compressed) {
        return receive_plain(self, buffer, position, end);
    }
    state = state_of(session);
    if (state == NULL || read_in_python(self, state->names._receive_compressed, buffer, &position,
                                        end) < 0) {
        return -1;
    }
    return position;
}

/* `receive` or `receive_plain`. */
static PyObject *
call_receive(SessionState *self, PyObject *const *args, Py_ssize_t nargs, int plain)
{
    Py_ssize_t position, end;

    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "receive takes a buffer, start and end");
        return NULL;
    }
    if (range_arguments(args + 1, &position, &end) < 0) {
        return NULL;
    }
    position = plain ? receive_plain(self, args[0], position, end)
                     : session_receive((PyObject *)self, args[0], position, end);
    return position == -1 && PyErr_Occurred() ? NULL : PyLong_FromSsize_t(position);
}

static PyObject *
SessionState_receive(SessionState *self, PyObject *const *args, Py_ssize_t nargs)
{
    return call_receive(self, args, nargs, 0);
}

static PyObject *
SessionState_receive_plain(SessionState *self, PyObject *const *args, Py_ssize_t nargs)
{
    return call_receive(self, args, nargs, 1);
}

PyObject *
session_functions(void)
{
    static SessionFunctions functions = {2, session_request, session_receive};

    return PyCapsule_New(&functions, SESSION_FUNCTIONS, NULL);
}

static PyObject *
SessionState_new(PyTypeObject *cls, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    SessionState *self = (SessionState *)new_object(cls);

    if (self != NULL) {
        self->error = Py_NewRef(Py_None);
        self->server_status = PyLong_FromLong(0); /* which is always there */
    }
    return (PyObject *)self;
}

#define SESSION_OBJECTS(X) X(_to_send) X(columns) X(error) X(exchanges) X(server_status)

DEFINE_TRAVERSE_CLEAR_DEALLOC(SessionState, SESSION_OBJECTS)

static PyMethodDef SessionState_methods[] = {
    {"request", (PyCFunction)SessionState_request, METH_O,
     "See session_state.SessionState.request."},
    {"receive", METHOD(SessionState_receive), METH_FASTCALL,
     "See session_state.SessionState.receive."},
    {"receive_plain", METHOD(SessionState_receive_plain), METH_FASTCALL,
     "See session_state.SessionState.receive_plain."},
    {NULL, NULL, 0, NULL},
};

#define MEMBER(name, type) {#name, type, offsetof(SessionState, name), 0, NULL}

static PyMemberDef SessionState_members[] = {
    MEMBER(_to_send, T_OBJECT_EX),
    MEMBER(columns, T_OBJECT_EX),
    MEMBER(error, T_OBJECT_EX),
    MEMBER(exchanges, T_OBJECT_EX),
    MEMBER(server_status, T_OBJECT_EX),
    MEMBER(capabilities, T_ULONGLONG),
    MEMBER(uncommitted, T_INT),
    {"compressed", T_BOOL, offsetof(SessionState, compressed), 0, NULL},
    {"_gathering", T_BOOL, offsetof(SessionState, gathering), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot SessionState_slots[] = {
    {Py_tp_doc, "See session_state.py."},
    {Py_tp_new, SessionState_new},
    {Py_tp_dealloc, SessionState_dealloc},
    {Py_tp_traverse, SessionState_traverse},
    {Py_tp_clear, SessionState_clear},
    {Py_tp_methods, SessionState_methods},
    {Py_tp_members, SessionState_members},
    {0, NULL},
};

PyType_Spec SessionState_spec = {
    .name = "aiomysql_protocol._speedups.SessionState",
    .basicsize = sizeof(SessionState),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = SessionState_slots,
};
