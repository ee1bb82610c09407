#include "waiting/waiter.h"

#include "coroutine.h"
#include "dealloc.h"
#include "module.h"

#include <stddef.h>

enum { WAITER_FIRED, WAITER_ARMED, WAITER_FAILED };

struct Waiter {
    PyObject_HEAD
    PyObject *loop;
    PyObject *cancelled_error; /* asyncio.CancelledError */
    PyObject *done_future;     /* what `fire` gives the callback; NULL: this object */
    PyObject *interrupted;     /* the owner's function, the owner itself, or NULL */
    PyObject *callback;        /* of the task that waits, or NULL */
    PyObject *context;
    PyObject *error; /* to be raised in the task, or NULL */
    int state;
    int blocking;     /* _asyncio_future_blocking */
    int waiting;      /* the task was suspended */
    int is_owner;     /* `interrupted` is the owner, which has a method `_interrupted` */
    int has_progress; /* `mark_progress` was called since `arm` */
};

PyObject *
Waiter_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    Waiter *self;

    if (nargs < 2 || nargs > 3 || (names != NULL && PyTuple_GET_SIZE(names) != 0)) {
        PyErr_SetString(PyExc_TypeError, "Waiter takes two or three positional arguments");
        return NULL;
    }
    if (!PyExceptionClass_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "cancelled_error must be an exception class");
        return NULL;
    }
    self = (Waiter *)((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);
    if (self != NULL) {
        self->loop = Py_NewRef(args[0]);
        self->cancelled_error = Py_NewRef(args[1]);
        self->done_future = nargs < 3 || args[2] == Py_None ? NULL : Py_NewRef(args[2]);
    }
    return (PyObject *)self;
}

static PyObject *
Waiter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0) {
        PyErr_SetString(PyExc_TypeError, "Waiter takes no keyword arguments");
        return NULL;
    }
    return Waiter_vectorcall((PyObject *)type, PySequence_Fast_ITEMS(args),
                             (size_t)PyTuple_GET_SIZE(args), NULL);
}

#define WAITER_OBJECTS(X)                                                                          \
    X(loop) X(cancelled_error) X(done_future) X(interrupted) X(callback) X(context) X(error)

DEFINE_TRAVERSE_CLEAR_DEALLOC(Waiter, WAITER_OBJECTS)

void
Waiter_arm_for(Waiter *self, PyObject *interrupted, int is_owner)
{
    self->state = WAITER_ARMED;
    self->waiting = self->has_progress = 0;
    self->is_owner = is_owner;
    Py_XSETREF(self->interrupted, interrupted == Py_None ? NULL : Py_NewRef(interrupted));
}

static PyObject *
Waiter_arm(Waiter *self, PyObject *interrupted)
{
    Waiter_arm_for(self, interrupted, 0);
    Py_RETURN_NONE;
}

/* What a callback is given when the waiter has fired. */
static PyObject *
done_future(Waiter *self)
{
    return self->done_future == NULL ? (PyObject *)self : self->done_future;
}

/* Have the event loop call `callback(future)` later. Takes over the references to the other two. */
static int
call_soon(Waiter *self, PyObject *future, PyObject *callback, PyObject *context)
{
    const State *state = state_of((PyObject *)self);
    PyObject *args[4] = {self->loop, callback, future, context == NULL ? Py_None : context};
    PyObject *handle = NULL;

    if (state != NULL) {
        handle = PyObject_VectorcallMethod(state->names.call_soon, args, 3, state->context_names);
    }
    Py_XDECREF(handle);
    Py_DECREF(callback);
    Py_XDECREF(context);
    return handle == NULL ? -1 : 0;
}

/* Call `callback` in its context: the waiter has fired. Takes over both references. */
static int
call_at_once(Waiter *self, PyObject *callback, PyObject *context)
{
    PyObject *result;

    if (PyContext_Enter(context) < 0) {
        result = NULL;
    }
    else {
        result = PyObject_CallOneArg(callback, done_future(self));
        if (PyContext_Exit(context) < 0) {
            Py_CLEAR(result);
        }
    }
    if (result == NULL && PyErr_ExceptionMatches(PyExc_RuntimeError)) {
        /* Another task runs: the event loop was entered from within it. */
        PyErr_Clear();
        return call_soon(self, done_future(self), callback, context);
    }
    Py_DECREF(callback);
    Py_DECREF(context);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

PyObject *
Waiter_fire(Waiter *self, PyObject *at_once)
{
    PyObject *callback, *context;
    int immediate = PyObject_IsTrue(at_once);

    if (immediate < 0) {
        return NULL;
    }
    if (self->state != WAITER_ARMED) {
        Py_RETURN_NONE;
    }
    self->state = WAITER_FIRED;
    callback = self->callback;
    context = self->context;
    self->callback = self->context = NULL;
    if (callback == NULL) {
        Py_XDECREF(context);
        Py_RETURN_NONE;
    }
    if (immediate && context != NULL && PyContext_CheckExact(context)) {
        if (call_at_once(self, callback, context) < 0) {
            return NULL;
        }
    }
    else if (call_soon(self, done_future(self), callback, context) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Waiter_mark_progress(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    self->has_progress = 1;
    Py_RETURN_NONE;
}

PyObject *
Waiter_wake_if_progressed(Waiter *self, PyObject *at_once)
{
    if (!self->has_progress) {
        Py_RETURN_NONE;
    }
    self->has_progress = 0;
    return Waiter_fire(self, at_once);
}

static PyObject *
Waiter_add_done_callback(Waiter *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *context = NULL;

    if (nargs != 1 || (names != NULL && PyTuple_GET_SIZE(names) > 1)) {
        PyErr_SetString(PyExc_TypeError, "add_done_callback takes a function and a context");
        return NULL;
    }
    if (names != NULL && PyTuple_GET_SIZE(names) == 1 && args[1] != Py_None) {
        context = Py_NewRef(args[1]);
    }
    if (self->state != WAITER_ARMED) {
        PyObject *future =
            self->state == WAITER_FAILED ? (PyObject *)self : done_future(self);
        if (call_soon(self, future, Py_NewRef(args[0]), context) < 0) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    Py_XSETREF(self->callback, Py_NewRef(args[0]));
    Py_XSETREF(self->context, context);
    Py_RETURN_NONE;
}

/* Have the loop resume the task with `error`, for which it takes over the reference.  -1: an
 * exception is set. */
static int
resume_with_error(Waiter *self, PyObject *error)
{
    PyObject *callback = self->callback, *context = self->context;

    self->state = WAITER_FAILED;
    self->callback = self->context = NULL;
    Py_XSETREF(self->error, error); /* may run code that comes back here */
    if (callback == NULL) {
        Py_XDECREF(context);
        return 0;
    }
    return call_soon(self, (PyObject *)self, callback, context);
}

static PyObject *
Waiter_fail(Waiter *self, PyObject *error)
{
    if (!PyExceptionInstance_Check(error)) {
        PyErr_SetString(PyExc_TypeError, "fail takes an exception");
        return NULL;
    }
    if (self->state == WAITER_ARMED && resume_with_error(self, Py_NewRef(error)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Waiter_cancel(Waiter *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"msg", NULL};
    PyObject *message = Py_None, *error;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:cancel", names, &message)) {
        return NULL;
    }
    if (self->state != WAITER_ARMED) {
        Py_RETURN_FALSE;
    }
    error = message == Py_None ? PyObject_CallNoArgs(self->cancelled_error)
                               : PyObject_CallOneArg(self->cancelled_error, message);
    if (error == NULL) {
        return NULL;
    }
    if (self->state != WAITER_ARMED) { /* code that ran meanwhile was quicker */
        Py_DECREF(error);
        Py_RETURN_FALSE;
    }
    if (resume_with_error(self, error) < 0) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

static PyObject *
Waiter_result(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    if (self->state == WAITER_FAILED && self->error != NULL) {
        PyObject *error = self->error;
        self->state = WAITER_FIRED;
        self->error = NULL;
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The task was resumed by an exception instead of `fire`: tell the owner.  One is set afterwards. */
static void
tell_owner(Waiter *self)
{
    PyObject *exception, *interrupted = self->interrupted, *done;
    int is_owner = self->is_owner;

    self->waiting = 0;
    if (self->state == WAITER_ARMED) {
        self->state = WAITER_FIRED;
    }
    Py_CLEAR(self->callback);
    Py_CLEAR(self->context);
    if (interrupted == NULL) {
        return;
    }
    self->interrupted = NULL;
    exception = take_exception();
    if (is_owner) {
        const State *state = state_of((PyObject *)self);
        done = state == NULL ? NULL
                             : PyObject_CallMethodOneArg(interrupted, state->names._interrupted,
                                                         exception == NULL ? Py_None : exception);
    }
    else {
        done = PyObject_CallOneArg(interrupted, exception == NULL ? Py_None : exception);
    }
    Py_XDECREF(done);
    Py_DECREF(interrupted);
    set_exception_again(exception);
}

PySendResult
Waiter_am_send(Waiter *self, PyObject *Py_UNUSED(argument), PyObject **result)
{
    if (self->state == WAITER_ARMED && !self->waiting) {
        self->waiting = self->blocking = 1;
        *result = Py_NewRef((PyObject *)self);
        return PYGEN_NEXT;
    }
    *result = Waiter_result(self, NULL);
    if (*result == NULL) {
        tell_owner(self);
        return PYGEN_ERROR;
    }
    if (self->state == WAITER_ARMED) {
        Py_CLEAR(*result);
        PyErr_SetString(PyExc_RuntimeError, "the waiting task was woken by someone else");
        tell_owner(self);
        return PYGEN_ERROR;
    }
    self->waiting = 0;
    Py_CLEAR(self->interrupted);
    return PYGEN_RETURN;
}

static PyObject *
Waiter_next(Waiter *self)
{
    PyObject *result;

    switch (Waiter_am_send(self, NULL, &result)) {
    case PYGEN_RETURN:
        raise_stop(result);
        Py_DECREF(result);
        return NULL;
    case PYGEN_NEXT:
        return result;
    default:
        return NULL;
    }
}

static PyObject *
Waiter_send(Waiter *self, PyObject *Py_UNUSED(argument))
{
    return Waiter_next(self);
}

PyObject *
Waiter_throw(Waiter *self, PyObject *const *args, Py_ssize_t nargs)
{
    raise_thrown(args, nargs);
    tell_owner(self);
    return NULL;
}

PyObject *
Waiter_close(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    if (self->waiting) {
        PyErr_SetNone(PyExc_GeneratorExit);
        tell_owner(self);
        if (!PyErr_ExceptionMatches(PyExc_GeneratorExit)) {
            return NULL; /* the owner's */
        }
        PyErr_Clear();
    }
    Py_RETURN_NONE;
}

static PyObject *
Waiter_get_blocking(Waiter *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->blocking);
}

static int
Waiter_set_blocking(Waiter *self, PyObject *value, void *Py_UNUSED(closure))
{
    int blocking = value == NULL ? 0 : PyObject_IsTrue(value);

    if (blocking < 0) {
        return -1;
    }
    self->blocking = blocking;
    return 0;
}

static PyMethodDef Waiter_methods[] = {
    {"arm", METHOD(Waiter_arm), METH_O, NULL},
    {"fire", METHOD(Waiter_fire), METH_O, NULL},
    {"fail", METHOD(Waiter_fail), METH_O, NULL},
    {"mark_progress", METHOD(Waiter_mark_progress), METH_NOARGS, NULL},
    {"wake_if_progressed", METHOD(Waiter_wake_if_progressed), METH_O, NULL},
    {"add_done_callback", METHOD(Waiter_add_done_callback), METH_FASTCALL | METH_KEYWORDS, NULL},
    {"cancel", METHOD(Waiter_cancel), METH_VARARGS | METH_KEYWORDS, NULL},
    {"result", METHOD(Waiter_result), METH_NOARGS, NULL},
    {"send", METHOD(Waiter_send), METH_O, NULL},
    {"throw", METHOD(Waiter_throw), METH_FASTCALL, NULL},
    {"close", METHOD(Waiter_close), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyObject *
Waiter_get_armed(Waiter *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->state == WAITER_ARMED);
}

static PyGetSetDef Waiter_getset[] = {
    {"armed", (getter)Waiter_get_armed, NULL, NULL, NULL},
    {"_asyncio_future_blocking", (getter)Waiter_get_blocking, (setter)Waiter_set_blocking, NULL,
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* (Not a method `get_loop`, which asyncio would have bound each time.) */
static PyMemberDef Waiter_members[] = {
    {"_loop", T_OBJECT_EX, offsetof(Waiter, loop), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Waiter_slots[] = {
    {Py_tp_doc, "Waiter(loop, cancelled_error, done_future=None, /)\n--\n\nSee waiter.Waiter."},
    {Py_tp_new, Waiter_new},
    {Py_tp_dealloc, Waiter_dealloc},
    {Py_tp_traverse, Waiter_traverse},
    {Py_tp_clear, Waiter_clear},
    {Py_tp_methods, Waiter_methods},
    {Py_tp_getset, Waiter_getset},
    {Py_tp_members, Waiter_members},
    {Py_tp_iter, return_self},
    {Py_tp_iternext, Waiter_next},
    {Py_am_await, return_self},
    {Py_am_send, Waiter_am_send},
    {0, NULL},
};

PyType_Spec Waiter_spec = {
    .name = "aiomysql_core._speedups.Waiter",
    .basicsize = sizeof(Waiter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Waiter_slots,
};
