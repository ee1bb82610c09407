#include "transport/receiver.h"

#include "dealloc.h"
#include "module.h"
#include "waiting/waiter.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

typedef struct {
    PyObject_HEAD
    PyObject *stream;
    PyObject *session;
    Waiter *waiter;  /* the stream's */
    PyObject *forks; /* how often the process had forked when the stream was made */
    int descriptor;
    vectorcallfunc vectorcall;
} Receiver;

/* The connection has ended: for the exception that is set, or without one.  -1: an exception is
 * set. */
static int
receiver_lost(Receiver *self, const State *state)
{
    PyObject *error = take_exception();
    PyObject *done = PyObject_CallMethodOneArg(self->stream, state->names.connection_lost,
                                               error == NULL ? Py_None : error);

    Py_XDECREF(error);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* `count` bytes have come, the first at the buffer's `end`: what `Stream._take` does. */
static int
receiver_take(Receiver *self, const State *state, PyObject *buffer, Py_ssize_t end,
              Py_ssize_t count)
{
    PyObject *number = PyLong_FromSsize_t(count), *done = NULL, *received, *sum;

    if (number == NULL) {
        return -1;
    }
    if (end == 0) {
        PyObject *args[4] = {self->session, buffer, SLOT(state, self->stream, stream__end), number};
        done = PyObject_Vectorcall(state->quick_response, args, 4, NULL);
        if (done == NULL) {
            Py_DECREF(number);
            return receiver_lost(self, state); /* how much of it was taken is unknown */
        }
    }
    received = SLOT(state, self->stream, stream_received);
    if (done == Py_True && received != NULL) {
        Py_DECREF(done);
        done = NULL;
        sum = PyNumber_Add(received, number);
        if (sum != NULL) {
            Py_XSETREF(SLOT(state, self->stream, stream_received), sum);
            done = Waiter_wake_if_progressed(self->waiter, Py_True);
        }
    }
    else {
        Py_XDECREF(done);
        done = PyObject_CallMethodOneArg(self->stream, state->names._take, number);
    }
    Py_DECREF(number);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The task that was woken ran; resume the one that may follow it: see `Stream.wake_next`.  An
 * exception that is set stays.  -1: an exception is set. */
static int
receiver_wake_next(Receiver *self, const State *state, int failed)
{
    PyObject *next_waiter, *exception, *done;

    Py_XSETREF(SLOT(state, self->stream, stream_waking), Py_NewRef(Py_False));
    next_waiter = SLOT(state, self->stream, stream_next_waiter);
    if (next_waiter == NULL || next_waiter == Py_None) {
        return failed;
    }
    exception = take_exception();
    SLOT(state, self->stream, stream_next_waiter) = Py_NewRef(Py_None);
    done = PyObject_CallMethodOneArg(next_waiter, state->names.fire, Py_True);
    Py_DECREF(next_waiter);
    if (done == NULL && exception != NULL) {
        PyErr_WriteUnraisable(self->stream); /* one exception can be told, the first */
    }
    failed = exception != NULL || done == NULL ? -1 : 0;
    Py_XDECREF(done);
    if (exception != NULL) {
        set_exception(exception);
    }
    return failed;
}

/* Receive into `buffer`, a bytearray of which the stream holds a view, so that it keeps its
 * size. */
static PyObject *
receive(Receiver *self, const State *state, PyObject *buffer)
{
    PyObject *position = SLOT(state, self->stream, stream__end);
    Py_ssize_t end, count, size = PyByteArray_GET_SIZE(buffer);
    char *bytes = PyByteArray_AS_STRING(buffer);
    int failed, reason;

    end = position == NULL ? -1 : PyLong_AsSsize_t(position);
    if (end < 0 || end >= size) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "the stream's buffer has no room");
        }
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    count = recv(self->descriptor, bytes + end, (size_t)(size - end), 0);
    reason = errno;
    Py_END_ALLOW_THREADS
    if (count <= 0) {
        if (count < 0 && (reason == EAGAIN || reason == EWOULDBLOCK || reason == EINTR)) {
            Py_RETURN_NONE;
        }
        if (count < 0) {
            errno = reason;
            PyErr_SetFromErrno(PyExc_OSError);
        }
        return receiver_lost(self, state) < 0 ? NULL : Py_NewRef(Py_None);
    }
    Py_XSETREF(SLOT(state, self->stream, stream_waking), Py_NewRef(Py_True));
    failed = receiver_take(self, state, buffer, end, count);
    failed = receiver_wake_next(self, state, failed);
    return failed < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
Receiver_call(PyObject *callable, PyObject *const *Py_UNUSED(args), size_t nargsf, PyObject *names)
{
    Receiver *self = (Receiver *)callable;
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *buffer, *sock, *done = NULL;
    int same;

    if (PyVectorcall_NARGS(nargsf) != 0 || (names != NULL && PyTuple_GET_SIZE(names) != 0)) {
        PyErr_SetString(PyExc_TypeError, "a Receiver takes no arguments");
        return NULL;
    }
    if (self->stream == NULL) {
        Py_RETURN_NONE; /* the garbage collector was here */
    }
    sock = SLOT(state, self->stream, stream__sock);
    buffer = SLOT(state, self->stream, stream__buffer);
    if (sock == NULL || sock == Py_None || buffer == NULL) {
        Py_RETURN_NONE; /* the descriptor may be another's by now */
    }
    same = attribute_is(state->forks, state->names.count, self->forks);
    if (same < 0) {
        return NULL;
    }
    Py_INCREF(buffer);
    Py_INCREF(self);
    if (same && PyByteArray_Check(buffer)) {
        done = receive(self, state, buffer);
    }
    else { /* in a forked process, or the session has memory of its own for a long payload */
        done = PyObject_CallMethodNoArgs(self->stream, state->names._readable);
    }
    Py_DECREF(self);
    Py_DECREF(buffer);
    return done;
}

static PyObject *
Receiver_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"stream", "session", "waiter", "descriptor", NULL};
    State *state = PyType_GetModuleState(type);
    PyObject *stream, *session, *waiter;
    Receiver *self;
    int descriptor;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO!i:Receiver", names, &stream, &session,
                                     state->waiter_type, &waiter, &descriptor) ||
        find_late_objects(state) < 0) {
        return NULL;
    }
    if (!IS_OWNED(state, stream, stream)) {
        PyErr_SetString(PyExc_TypeError, "a Receiver is for a SocketStream");
        return NULL;
    }
    self = (Receiver *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->stream = Py_NewRef(stream);
    self->session = Py_NewRef(session);
    self->waiter = (Waiter *)Py_NewRef(waiter);
    self->forks = PyObject_GetAttr(state->forks, state->names.count);
    if (self->forks == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    self->descriptor = descriptor;
    self->vectorcall = Receiver_call;
    return (PyObject *)self;
}

static int
Receiver_traverse(Receiver *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->stream);
    Py_VISIT(self->session);
    Py_VISIT(self->waiter);
    Py_VISIT(self->forks);
    return 0;
}

static int
Receiver_clear(Receiver *self)
{
    Py_CLEAR(self->stream);
    Py_CLEAR(self->session);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->forks);
    return 0;
}

static void
Receiver_dealloc(Receiver *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, Receiver_dealloc)
    (void)Receiver_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PyMemberDef Receiver_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Receiver, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Receiver_slots[] = {
    {Py_tp_doc, "Receiver(stream, session, waiter, descriptor)\n--\n\n"
                "What a SocketStream has the event loop call."},
    {Py_tp_new, Receiver_new},
    {Py_tp_dealloc, Receiver_dealloc},
    {Py_tp_traverse, Receiver_traverse},
    {Py_tp_clear, Receiver_clear},
    {Py_tp_members, Receiver_members},
    {Py_tp_call, PyVectorcall_Call},
    {0, NULL},
};

PyType_Spec Receiver_spec = {
    .name = "aiomysql_core._speedups.Receiver",
    .basicsize = sizeof(Receiver),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = Receiver_slots,
};
