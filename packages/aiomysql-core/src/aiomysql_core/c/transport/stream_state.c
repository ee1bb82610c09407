#include "transport/stream_state.h"

#include "coroutine.h"
#include "dealloc.h"
#include "monotonic.h"
#include "waiting/waiter.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/socket.h>

/* As in stream_state.py. */
enum { FIRST_BUFFER_SIZE = 1 << 14 };

/* Longer requests are sent with the interpreter's lock released. */
enum { SHORT_REQUEST = 1 << 14 };

/* As in tls_stream.py. */
enum { MORE_IS_LIKELY = 1 << 12, MOST_WRITTEN = 1 << 18 };

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* ---- Forks ---- */

/* How often this process came out of a fork: of the process, not of an interpreter. */
static unsigned int forks;

static void
record_fork(void)
{
    forks++;
}

int
count_forks(void)
{
    static int counted;
    int failed = 0;

    if (!counted) {
        failed = pthread_atfork(NULL, NULL, record_fork);
        counted = !failed;
    }
    if (failed) {
        errno = failed;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

int
check_stream(const StreamState *self)
{
    if (self->mark_progress == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the stream's __init__ was not called");
        return -1;
    }
    return 0;
}

/* The module's state; NULL: an exception is set, `__init__` was not called. */
static State *
state_of_stream(StreamState *self)
{
    return check_stream(self) < 0 ? NULL : self->state;
}

/* ---- Sending ---- */

/* Whether the socket is open, so that the descriptor is its own. */
static int
is_open(const StreamState *self, const State *state)
{
    return !is_none(self->_sock) && !self->_closing && self->forks == forks &&
           SLOT(state, self->session, session_error) == Py_None;
}

/* Have the socket encrypt and send `data`; how many bytes it took, 0 after an error that the stream
 * will meet again.  -1: an exception is set. */
static Py_ssize_t
write_to_socket(const StreamState *self, const State *state, PyObject *data)
{
    PyObject *sock = Py_NewRef(self->_sock);
    PyObject *number = PyObject_CallMethodOneArg(sock, state->names.write, data);
    Py_ssize_t written = number == NULL ? -1 : PyNumber_AsSsize_t(number, PyExc_ValueError);

    Py_DECREF(sock);
    Py_XDECREF(number);
    if (written < 0) {
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OSError) &&
            !PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear();
        return 0;
    }
    return Py_MIN(written, PyBytes_GET_SIZE(data));
}

/* Send `data` by the descriptor; as `write_to_socket`. */
static Py_ssize_t
send_by_descriptor(const StreamState *self, PyObject *data)
{
    const char *bytes = PyBytes_AS_STRING(data);
    size_t size = (size_t)PyBytes_GET_SIZE(data);
    int descriptor = self->_descriptor;
    Py_ssize_t sent;

    if (size <= SHORT_REQUEST) {
        sent = send(descriptor, bytes, size, MSG_NOSIGNAL);
    }
    else {
        Py_BEGIN_ALLOW_THREADS
        sent = send(descriptor, bytes, size, MSG_NOSIGNAL);
        Py_END_ALLOW_THREADS
    }
    return sent < 0 ? 0 : sent;
}

/* Send `data`; what the system doesn't take is left to the stream.  -1: an exception is set. */
static int
send_request(StreamState *self, const State *state, PyObject *data)
{
    Py_ssize_t size, sent;
    PyObject *rest;
    int failed;

    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "a request must be bytes");
        return -1;
    }
    size = PyBytes_GET_SIZE(data);
    if (!is_open(self, state) || self->_unsent == NULL || !PyByteArray_Check(self->_unsent) ||
        PyByteArray_GET_SIZE(self->_unsent) != 0 || (self->_encrypted && size > MOST_WRITTEN)) {
        return call_method_with((PyObject *)self, state->names._write, data);
    }
    sent = self->_encrypted ? write_to_socket(self, state, data) : send_by_descriptor(self, data);
    if (sent == size) {
        return 0;
    }
    if (sent < 0) {
        return -1;
    }
    rest = PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + sent, size - sent);
    failed = rest == NULL || call_method_with((PyObject *)self, state->names._write, rest) < 0;
    Py_XDECREF(rest);
    return failed ? -1 : 0;
}

/* Calls a method of the stream although an exception is set; one is set afterwards. */
static void
call_after_error(StreamState *self, PyObject *name, PyObject *argument)
{
    PyObject *exception = take_exception();

    (void)(argument == NULL ? call_method((PyObject *)self, name)
                            : call_method_with((PyObject *)self, name, argument));
    set_exception_again(exception);
}

int
stream_start(StreamState *self, PyObject *exchange)
{
    const State *state = state_of_stream(self);
    PyObject *session, *data;
    int failed;

    if (state == NULL) {
        return -1;
    }
    if (!is_open(self, state)) {
        return 0;
    }
    session = Py_NewRef(self->session);
    data = state->session->request(session, exchange);
    Py_DECREF(session);
    failed = data == NULL || send_request(self, state, data) < 0;
    Py_XDECREF(data);
    if (failed) {
        call_after_error(self, state->names._not_sent, exchange);
    }
    return failed ? -1 : 1;
}

static PyObject *
StreamState_start(StreamState *self, PyObject *exchange)
{
    int started = stream_start(self, exchange);

    return started < 0 ? NULL : PyBool_FromLong(started);
}

/* ---- Waiting ---- */

/* What is asked of an exchange that has nothing new yet.  -1: an exception is set. */
static int
watch_silence(StreamState *self, const State *state, PyObject *read_timeout)
{
    Py_XSETREF(self->_read_timeout, Py_NewRef(read_timeout));
    if (read_timeout == Py_None) {
        return 0;
    }
    self->_waiting_since = monotonic();
    return is_none(self->_silence_timer)
               ? call_method_with((PyObject *)self, state->names._start_silence_timer, read_timeout)
               : 0;
}

/* Read on after a pause if the session has room.  -1: an exception is set. */
static int
resume_if_possible(StreamState *self, const State *state)
{
    PyObject *paused = PyObject_GetAttr(self->session, state->names.paused);
    int is_paused = paused == NULL ? -1 : PyObject_IsTrue(paused);

    Py_XDECREF(paused);
    if (is_paused != 0) {
        return is_paused < 0 ? -1 : 0;
    }
    return call_method((PyObject *)self, state->names.resume);
}

PyObject *
stream_wait(StreamState *self, State *state, PyObject *exchange, PyObject *interrupted,
            int is_owner, PyObject *read_timeout)
{
    PyObject *waiter;

    if (check_stream(self) < 0 || find_late_objects(state) < 0) {
        return NULL;
    }
    if (!is_exchange(state, exchange)) {
        PyErr_SetString(PyExc_TypeError, "wait takes an exchange");
        return NULL;
    }
    waiter = Py_NewRef(self->waiter);
    if (SLOT(state, exchange, exchange_has_progress) == Py_True ||
        SLOT(state, exchange, exchange_done) == Py_True) {
        Py_XSETREF(SLOT(state, exchange, exchange_has_progress), Py_NewRef(Py_False));
        return waiter;
    }
    if (self->_reading_paused && resume_if_possible(self, state) < 0) {
        Py_DECREF(waiter);
        return NULL;
    }
    Waiter_arm_for((Waiter *)waiter, interrupted, is_owner);
    Py_XSETREF(SLOT(state, exchange, exchange_on_progress), Py_NewRef(self->mark_progress));
    if (watch_silence(self, state, read_timeout) < 0) {
        Py_CLEAR(waiter);
    }
    return waiter;
}

static PyObject *
StreamState_wait(StreamState *self, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = state_of_stream(self);

    if (state == NULL || nargs < 1 || nargs > 3) {
        if (state != NULL) {
            PyErr_SetString(PyExc_TypeError, "wait takes one to three arguments");
        }
        return NULL;
    }
    return stream_wait(self, state, args[0], nargs < 2 ? Py_None : args[1], 0,
                       nargs < 3 ? Py_None : args[2]);
}

int
stream_wake_next(StreamState *self, State *state, PyObject *waiter)
{
    PyObject *done;

    if (self->waking && is_none(self->next_waiter)) {
        Py_XSETREF(self->next_waiter, Py_NewRef(waiter));
        return 0;
    }
    if (Py_IS_TYPE(waiter, state->waiter_type)) {
        done = Waiter_fire((Waiter *)waiter, Py_False);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    return call_method_with(waiter, state->names.fire, Py_False);
}

static PyObject *
StreamState_wake_next(StreamState *self, PyObject *waiter)
{
    State *state = state_of_stream(self);

    return state == NULL || stream_wake_next(self, state, waiter) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- Receiving ---- */

/* The memory of the buffer's view, to be released.  -1: an exception is set. */
static int
get_view(const StreamState *self, Py_buffer *view)
{
    PyObject *held = self->_view;
    int failed;

    if (is_none(held)) {
        PyErr_SetString(PyExc_ValueError, "the stream has no buffer");
        return -1;
    }
    Py_INCREF(held);
    failed = PyObject_GetBuffer(held, view, PyBUF_WRITABLE);
    Py_DECREF(held);
    return failed;
}

/* Keep what stands in the buffer from `consumed` to `end` at its front; the buffer's size.  -1: an
 * exception is set. */
static Py_ssize_t
keep_rest(StreamState *self, Py_ssize_t consumed, Py_ssize_t end)
{
    Py_buffer view;

    if (get_view(self, &view) < 0) {
        return -1;
    }
    if (end > view.len) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "more was received than the buffer holds");
        return -1;
    }
    if (consumed > 0 && consumed < end) {
        memmove(view.buf, (char *)view.buf + consumed, (size_t)(end - consumed));
    }
    self->_end = end - consumed;
    end = view.len;
    PyBuffer_Release(&view);
    return end;
}

/* What is done for `count` bytes before a task may be resumed.  -1: an exception is set. */
static int
receive_bytes(StreamState *self, State *state, Py_ssize_t count)
{
    PyObject *session, *buffer;
    Py_ssize_t end, consumed, size = -1;
    int outstanding;

    if (self->_end < 0 || count > PY_SSIZE_T_MAX - self->_end) {
        PyErr_SetString(PyExc_ValueError, "more was received than the buffer holds");
        return -1;
    }
    end = self->_end + count;
    session = Py_NewRef(self->session);
    buffer = Py_NewRef(self->_buffer == NULL ? Py_None : self->_buffer);
    self->bytes_received = (long long)((unsigned long long)self->bytes_received + (size_t)count);
    if (!is_none(self->_read_timeout)) {
        self->_received_at = monotonic();
    }
    consumed = state->session->receive(session, buffer, 0, end);
    if (consumed > end) {
        PyErr_SetString(PyExc_ValueError, "the session read beyond the buffer");
        consumed = -1;
    }
    if (consumed >= 0) {
        size = keep_rest(self, consumed, end);
    }
    if (size >= 0 && end == size && call_method((PyObject *)self, state->names._enlarge_buffer) < 0) {
        size = -1;
    }
    if (size >= 0) {
        outstanding = is_true(SLOT(state, session, session_exchanges), "exchanges");
        if (outstanding < 0) {
            size = -1;
        }
        else if (outstanding > 0 || SLOT(state, session, session_error) != Py_None) {
            size = call_method_with((PyObject *)self, state->names._look_after, session);
        }
    }
    Py_DECREF(session);
    Py_DECREF(buffer);
    return size < 0 ? -1 : 0;
}

/* StreamState.received.  -1: an exception is set. */
static int
stream_received(StreamState *self, State *state, Py_ssize_t count)
{
    PyObject *waiter, *done;

    if (receive_bytes(self, state, count) < 0) {
        call_after_error(self, state->names.abort, NULL); /* the state is unknown */
        return -1;
    }
    waiter = Py_NewRef(self->waiter);
    done = Waiter_wake_if_progressed((Waiter *)waiter, self->waking ? Py_True : Py_False);
    Py_DECREF(waiter);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *
StreamState_received(StreamState *self, PyObject *number)
{
    State *state = state_of_stream(self);
    Py_ssize_t count;

    if (state == NULL) {
        return NULL;
    }
    count = PyNumber_AsSsize_t(number, PyExc_ValueError);
    if (count == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (count < 0) {
        PyErr_SetString(PyExc_ValueError, "the number of bytes must not be negative");
        return NULL;
    }
    return stream_received(self, state, count) < 0 ? NULL : Py_NewRef(Py_None);
}

/* The task that was woken ran; resume the one that may follow it: see `wake_next`.  -1: an exception
 * is set; it was before if `failed` is. */
static int
wake_follower(StreamState *self, const State *state, int failed)
{
    PyObject *next_waiter = self->next_waiter, *exception;

    self->waking = 0;
    if (is_none(next_waiter)) {
        return failed;
    }
    self->next_waiter = Py_NewRef(Py_None);
    exception = take_exception();
    failed = call_method_with(next_waiter, state->names.fire, Py_True);
    Py_DECREF(next_waiter);
    if (exception != NULL) {
        set_exception_again(exception);
        failed = -1;
    }
    return failed;
}

/* The connection has ended: for the exception that is set, or without one.  -1: an exception is
 * set. */
static int
end_connection(StreamState *self, const State *state)
{
    PyObject *error = take_exception();
    int failed = call_method_with((PyObject *)self, state->names.connection_lost,
                                  error == NULL ? Py_None : error);

    Py_XDECREF(error);
    return failed;
}

/* Receive what there is room for; the number of bytes, 0 at the end of them.  -1: an exception is
 * set; -2: there is nothing. */
static Py_ssize_t
receive_from_socket(StreamState *self)
{
    int descriptor, reason;
    Py_ssize_t count, end = self->_end;
    Py_buffer view;

    if (get_view(self, &view) < 0) {
        return -1;
    }
    if (end < 0 || end >= view.len) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "the stream's buffer has no room");
        return -1;
    }
    descriptor = self->_descriptor;
    Py_BEGIN_ALLOW_THREADS
    count = recv(descriptor, (char *)view.buf + end, (size_t)(view.len - end), 0);
    reason = errno;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    if (count < 0) {
        if (reason == EAGAIN || reason == EWOULDBLOCK || reason == EINTR) {
            return -2;
        }
        errno = reason;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return count;
}

/* The number that a method gave; steals `number`.  -1: an exception is set, or was. */
static Py_ssize_t
take_count(PyObject *number)
{
    Py_ssize_t count = number == NULL ? -1 : PyNumber_AsSsize_t(number, PyExc_ValueError);

    Py_XDECREF(number);
    if (count < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "the number of bytes must not be negative");
    }
    return count;
}

/* The part of the view that is free, and its size.  NULL: an exception is set. */
static PyObject *
free_space(const StreamState *self, Py_ssize_t *size)
{
    PyObject *held, *space;
    Py_ssize_t end = self->_end;
    Py_buffer view;

    if (get_view(self, &view) < 0) {
        return NULL;
    }
    *size = view.len - end;
    PyBuffer_Release(&view);
    if (end < 0 || *size <= 0) {
        PyErr_SetString(PyExc_ValueError, "the stream's buffer has no room");
        return NULL;
    }
    held = Py_NewRef(self->_view);
    space = end == 0 ? Py_NewRef(held) : PySequence_GetSlice(held, end, end + *size);
    Py_DECREF(held);
    return space;
}

/* Have the socket decrypt into the buffer; the number of bytes.  -1: an exception is set. */
static Py_ssize_t
read_from_socket(const StreamState *self, const State *state, Py_ssize_t *size)
{
    PyObject *arguments[3], *number = NULL;

    arguments[2] = free_space(self, size);
    if (arguments[2] == NULL) {
        return -1;
    }
    arguments[1] = PyLong_FromSsize_t(*size);
    arguments[0] = Py_NewRef(self->_sock);
    if (arguments[1] != NULL) {
        number = PyObject_VectorcallMethod(state->names.read, arguments,
                                           3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_DECREF(arguments[0]);
    Py_XDECREF(arguments[1]);
    Py_DECREF(arguments[2]);
    return take_count(number);
}

/* As TlsStream._receive; otherwise as `receive_from_socket`. */
static Py_ssize_t
receive_encrypted(StreamState *self, const State *state)
{
    PyObject *method = NULL, *argument = NULL;
    Py_ssize_t size = 0, count = 0;

    if (!self->_look_again) {
        count = read_from_socket(self, state, &size);
        if (count >= 0 && count < Py_MIN(MORE_IS_LIKELY, size)) {
            return count;
        }
    }
    if (count >= 0) {
        method = state->names._receive_more;
        argument = PyLong_FromSsize_t(count);
    }
    else if (PyErr_ExceptionMatches(PyExc_OSError) || PyErr_ExceptionMatches(PyExc_ValueError)) {
        method = state->names._not_received;
        argument = take_exception();
    }
    if (argument == NULL) {
        return -1;
    }
    count = take_count(PyObject_CallMethodOneArg((PyObject *)self, method, argument));
    Py_DECREF(argument);
    if (count < 0 && PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
        PyErr_Clear();
        return -2;
    }
    return count;
}

/* Receive once.  1: there was something, which may have changed everything; 0: there was nothing, or
 * the connection has ended; -1: an exception is set. */
static int
receive_once(StreamState *self, State *state)
{
    Py_ssize_t count = self->_encrypted ? receive_encrypted(self, state) : receive_from_socket(self);
    int failed;

    if (count == -2) {
        return 0;
    }
    if (count <= 0) {
        if (count < 0 && !PyErr_ExceptionMatches(PyExc_OSError)) {
            return -1;
        }
        return end_connection(self, state);
    }
    self->waking = 1;
    failed = stream_received(self, state, count);
    failed = wake_follower(self, state, failed);
    return failed < 0 ? -1 : 1;
}

static PyObject *
StreamState_readable(StreamState *self, PyObject *Py_UNUSED(ignored))
{
    State *state = state_of_stream(self);
    int received;

    if (state == NULL || find_late_objects(state) < 0) {
        return NULL;
    }
    if (is_none(self->_sock)) {
        Py_RETURN_NONE; /* the descriptor may be another's by now */
    }
    if (self->forks != forks) {
        /* What is there to be read is for the other process. */
        PyErr_SetString(PyExc_ConnectionError, "the process was forked");
        return end_connection(self, state) < 0 ? NULL : Py_NewRef(Py_None);
    }
    received = receive_once(self, state);
    if (received > 0 && self->_look_again && !self->_reading_paused && !is_none(self->_sock)) {
        received = call_method((PyObject *)self, state->names._read_soon);
    }
    return received < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- The type ---- */

static PyObject *
StreamState_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    State *state = state_of_type(type);
    StreamState *self = state == NULL ? NULL : (StreamState *)new_object(type);

    if (self != NULL) {
        self->state = state;
#define X(name) self->name = Py_NewRef(Py_None);
        STREAM_OBJECTS(X)
#undef X
        self->_descriptor = -1;
    }
    return (PyObject *)self;
}

static int
StreamState_init(StreamState *self, PyObject *args, PyObject *kwargs)
{
    State *state = self->state;
    PyObject *session, *loop, *done, *waiter = NULL;

    if (state == NULL || find_late_objects(state) < 0 ||
        !PyArg_ParseTuple(args, "O!O:StreamState", state->owners.session, &session, &loop)) {
        return -1;
    }
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0) {
        PyErr_SetString(PyExc_TypeError, "StreamState takes no keyword arguments");
        return -1;
    }
    if (self->session != NULL || state->session == NULL) {
        PyErr_SetString(PyExc_RuntimeError, state->session == NULL
                                                ? "streams in C need sessions in C"
                                                : "a stream is made once");
        return -1;
    }
    done = PyObject_CallOneArg(state->done_future, loop);
    if (done != NULL) {
        PyObject *arguments[3] = {loop, state->cancelled_error, done};
        waiter = Waiter_vectorcall((PyObject *)state->waiter_type, arguments, 3, NULL);
        Py_DECREF(done);
    }
    if (waiter == NULL) {
        return -1;
    }
    if (self->session != NULL) { /* code that ran meanwhile has made it */
        Py_DECREF(waiter);
        PyErr_SetString(PyExc_RuntimeError, "a stream is made once");
        return -1;
    }
    self->waiter = waiter;
    self->session = Py_NewRef(session);
    self->loop = Py_NewRef(loop);
    self->mark_progress = PyObject_GetAttr(waiter, state->names.mark_progress);
    Py_XSETREF(self->_unsent, PyByteArray_FromStringAndSize(NULL, 0));
    /* Not filled with zeros, which would take longer than what a connect does in C. */
    Py_XSETREF(self->_buffer, PyByteArray_FromStringAndSize(NULL, FIRST_BUFFER_SIZE));
    Py_XSETREF(self->_view, self->_buffer == NULL ? NULL : PyMemoryView_FromObject(self->_buffer));
    self->forks = forks;
    self->thread = PyThread_get_thread_ident();
    return self->mark_progress == NULL || self->_unsent == NULL || self->_view == NULL ? -1 : 0;
}

static int
StreamState_traverse(StreamState *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
#define X(name) Py_VISIT(self->name);
    STREAM_OBJECTS(X)
    STREAM_FIXED_OBJECTS(X)
#undef X
    return 0;
}

/* What methods here rely on stays: cycles are broken without it. */
static int
StreamState_clear(StreamState *self)
{
#define X(name) Py_XSETREF(self->name, Py_NewRef(Py_None));
    STREAM_OBJECTS(X)
#undef X
    return 0;
}

static void
StreamState_dealloc(StreamState *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, StreamState_dealloc)
#define X(name) Py_CLEAR(self->name);
    STREAM_OBJECTS(X)
    STREAM_FIXED_OBJECTS(X)
#undef X
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PyObject *
StreamState_from_parent_process(StreamState *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->forks != forks);
}

static PyMethodDef StreamState_methods[] = {
    {"wait", METHOD(StreamState_wait), METH_FASTCALL,
     "wait(self, exchange, interrupted=None, read_timeout=None, /)\n--\n\n"},
    {"wake_next", METHOD(StreamState_wake_next), METH_O, "wake_next(self, waiter, /)\n--\n\n"},
    {"start", METHOD(StreamState_start), METH_O, "start(self, exchange, /)\n--\n\n"},
    {"readable", METHOD(StreamState_readable), METH_NOARGS, "readable(self)\n--\n\n"},
    {"received", METHOD(StreamState_received), METH_O, "received(self, nbytes, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef StreamState_getset[] = {
    {"from_parent_process", (getter)StreamState_from_parent_process, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef StreamState_members[] = {
#define X(name) {#name, T_OBJECT_EX, offsetof(StreamState, name), 0, NULL},
    STREAM_OBJECTS(X)
#undef X
    {"session", T_OBJECT, offsetof(StreamState, session), READONLY, NULL},
    {"loop", T_OBJECT, offsetof(StreamState, loop), READONLY, NULL},
    {"_waiter", T_OBJECT, offsetof(StreamState, waiter), READONLY, NULL},
    {"_received_at", T_DOUBLE, offsetof(StreamState, _received_at), 0, NULL},
    {"_waiting_since", T_DOUBLE, offsetof(StreamState, _waiting_since), 0, NULL},
    {"bytes_received", T_LONGLONG, offsetof(StreamState, bytes_received), 0, NULL},
    {"_end", T_PYSSIZET, offsetof(StreamState, _end), 0, NULL},
    {"_descriptor", T_INT, offsetof(StreamState, _descriptor), 0, NULL},
    {"_closing", T_BOOL, offsetof(StreamState, _closing), 0, NULL},
    {"_encrypted", T_BOOL, offsetof(StreamState, _encrypted), 0, NULL},
    {"_look_again", T_BOOL, offsetof(StreamState, _look_again), 0, NULL},
    {"waking", T_BOOL, offsetof(StreamState, waking), 0, NULL},
    {"_reading_paused", T_BOOL, offsetof(StreamState, _reading_paused), 0, NULL},
    {"writing_paused", T_BOOL, offsetof(StreamState, writing_paused), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot StreamState_slots[] = {
    {Py_tp_doc, "StreamState(session, loop, /)\n--\n\nSee stream_state.py."},
    {Py_tp_new, StreamState_new},
    {Py_tp_init, StreamState_init},
    {Py_tp_dealloc, StreamState_dealloc},
    {Py_tp_traverse, StreamState_traverse},
    {Py_tp_clear, StreamState_clear},
    {Py_tp_methods, StreamState_methods},
    {Py_tp_members, StreamState_members},
    {Py_tp_getset, StreamState_getset},
    {0, NULL},
};

PyType_Spec StreamState_spec = {
    .name = "aiomysql_core._speedups.StreamState",
    .basicsize = sizeof(StreamState),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = StreamState_slots,
};
