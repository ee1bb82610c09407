/* Ready and Waiter: see waiting.py, where the rules are written down.
 *
 * Both are their own iterators: to await one costs no other object.
 */
#ifndef AIOMYSQL_PROTOCOL_WAITING_H
#define AIOMYSQL_PROTOCOL_WAITING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "dealloc.h"

/* Put RuntimeError in the place of the StopIteration that is set: out of a coroutine that would be
 * its result. */
static void
replace_stop(void)
{
    PyObject *type, *stop, *traceback, *error;

    PyErr_Fetch(&type, &stop, &traceback);
    PyErr_NormalizeException(&type, &stop, &traceback);
    PyErr_SetString(PyExc_RuntimeError, "coroutine raised StopIteration");
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    if (stop != NULL) {
        PyErr_Fetch(&type, &error, &traceback);
        PyErr_NormalizeException(&type, &error, &traceback);
        PyException_SetContext(error, Py_NewRef(stop));
        PyException_SetCause(error, stop);
        PyErr_Restore(type, error, traceback);
    }
}

/* What `throw(type[, value[, traceback]])` of a coroutine raises. */
static void
raise_thrown(PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *type, *value;

    if (nargs < 1 || nargs > 3) {
        PyErr_SetString(PyExc_TypeError, "throw takes an exception");
        return;
    }
    type = args[0];
    value = nargs > 1 && args[1] != Py_None ? args[1] : NULL;
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    }
    else if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value);
    }
    else {
        PyErr_SetString(PyExc_TypeError, "exceptions must derive from BaseException");
    }
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        replace_stop();
    }
}

static PyObject *
return_self(PyObject *self)
{
    return Py_NewRef(self);
}

/* StopIteration with `value`, as an iterator that is not sent to ends. */
static void
raise_stop(PyObject *value)
{
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);

    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
}

/* ---- Ready ---- */

typedef struct {
    PyObject_HEAD
    PyObject *value;
} Ready;

static PyObject *
Ready_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"value", NULL};
    PyObject *value;
    Ready *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Ready", names, &value)) {
        return NULL;
    }
    self = (Ready *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->value = Py_NewRef(value);
    }
    return (PyObject *)self;
}

static PyObject *
Ready_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Ready *self;

    if (PyVectorcall_NARGS(nargsf) != 1 || (names != NULL && PyTuple_GET_SIZE(names) != 0)) {
        PyErr_SetString(PyExc_TypeError, "Ready takes one positional argument");
        return NULL;
    }
    self = (Ready *)((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);
    if (self != NULL) {
        self->value = Py_NewRef(args[0]);
    }
    return (PyObject *)self;
}

static int
Ready_traverse(Ready *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->value);
    return 0;
}

static int
Ready_clear(Ready *self)
{
    Py_XSETREF(self->value, Py_NewRef(Py_None)); /* whoever finds it still may await it */
    return 0;
}

static void
Ready_dealloc(Ready *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, Ready_dealloc)
    Py_CLEAR(self->value);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PySendResult
Ready_am_send(Ready *self, PyObject *Py_UNUSED(argument), PyObject **result)
{
    *result = Py_NewRef(self->value);
    return PYGEN_RETURN;
}

static PyObject *
Ready_next(Ready *self)
{
    raise_stop(self->value);
    return NULL;
}

static PyObject *
Ready_send(Ready *self, PyObject *Py_UNUSED(argument))
{
    return Ready_next(self);
}

static PyObject *
Ready_throw(Ready *Py_UNUSED(self), PyObject *const *args, Py_ssize_t nargs)
{
    raise_thrown(args, nargs);
    return NULL;
}

static PyObject *
Ready_close(Ready *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    Py_RETURN_NONE;
}

static PyMethodDef Ready_methods[] = {
    {"send", (PyCFunction)(void (*)(void))Ready_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))Ready_throw, METH_FASTCALL, NULL},
    {"close", (PyCFunction)(void (*)(void))Ready_close, METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Ready_members[] = {
    {"value", T_OBJECT_EX, offsetof(Ready, value), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Ready_slots[] = {
    {Py_tp_doc, "Ready(value)\n--\n\nSee waiting.Ready."},
    {Py_tp_new, Ready_new},
    {Py_tp_dealloc, Ready_dealloc},
    {Py_tp_traverse, Ready_traverse},
    {Py_tp_clear, Ready_clear},
    {Py_tp_methods, Ready_methods},
    {Py_tp_members, Ready_members},
    {Py_tp_iter, return_self},
    {Py_tp_iternext, Ready_next},
    {Py_am_await, return_self},
    {Py_am_send, Ready_am_send},
    {0, NULL},
};

static PyType_Spec Ready_spec = {
    .name = "aiomysql_protocol._speedups.Ready",
    .basicsize = sizeof(Ready),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Ready_slots,
};

/* ---- Waiter ---- */

enum { WAITER_FIRED, WAITER_ARMED, WAITER_CANCELLED };

typedef struct {
    PyObject_HEAD
    PyObject *loop;
    PyObject *cancelled_error; /* asyncio.CancelledError */
    PyObject *done_future;         /* what the callback gets from `fire`; NULL: this object */
    PyObject *interrupted;     /* the owner's function, or NULL */
    PyObject *callback;        /* of the task that waits, or NULL */
    PyObject *context;
    PyObject *message; /* given to `cancel`, or NULL */
    int state;
    int blocking; /* _asyncio_future_blocking */
    int waiting;  /* was the task suspended? */
    int has_progress;    /* is there something to wake it for? */
} Waiter;

static PyObject *
Waiter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", "cancelled_error", "done_future", NULL};
    PyObject *loop, *cancelled_error, *done_future = Py_None;
    Waiter *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:Waiter", names, &loop, &cancelled_error,
                                     &done_future)) {
        return NULL;
    }
    if (!PyExceptionClass_Check(cancelled_error)) {
        PyErr_SetString(PyExc_TypeError, "cancelled_error must be an exception class");
        return NULL;
    }
    self = (Waiter *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->loop = Py_NewRef(loop);
        self->cancelled_error = Py_NewRef(cancelled_error);
        self->done_future = done_future == Py_None ? NULL : Py_NewRef(done_future);
    }
    return (PyObject *)self;
}

static int
Waiter_traverse(Waiter *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->cancelled_error);
    Py_VISIT(self->done_future);
    Py_VISIT(self->interrupted);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->message);
    return 0;
}

static int
Waiter_clear(Waiter *self)
{
    Py_CLEAR(self->loop);
    Py_CLEAR(self->cancelled_error);
    Py_CLEAR(self->done_future);
    Py_CLEAR(self->interrupted);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->context);
    Py_CLEAR(self->message);
    return 0;
}

static void
Waiter_dealloc(Waiter *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, Waiter_dealloc)
    (void)Waiter_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PyObject *
Waiter_arm(Waiter *self, PyObject *interrupted)
{
    self->state = WAITER_ARMED;
    self->waiting = self->has_progress = 0;
    Py_XSETREF(self->interrupted, interrupted == Py_None ? NULL : Py_NewRef(interrupted));
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
    PyObject *call = PyObject_GetAttrString(self->loop, "call_soon");
    PyObject *names = Py_BuildValue("(s)", "context");
    PyObject *args[3] = {callback, future, context == NULL ? Py_None : context};
    PyObject *handle = NULL;

    if (call != NULL && names != NULL) {
        handle = PyObject_Vectorcall(call, args, 2, names);
    }
    Py_XDECREF(call);
    Py_XDECREF(names);
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

static PyObject *
Waiter_fire(Waiter *self, PyObject *at_once)
{
    PyObject *callback = self->callback, *context = self->context;
    int immediate = PyObject_IsTrue(at_once);

    if (immediate < 0) {
        return NULL;
    }
    if (self->state != WAITER_ARMED) {
        Py_RETURN_NONE;
    }
    self->state = WAITER_FIRED;
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

static PyObject *
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
            self->state == WAITER_CANCELLED ? (PyObject *)self : done_future(self);
        if (call_soon(self, future, Py_NewRef(args[0]), context) < 0) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    Py_XSETREF(self->callback, Py_NewRef(args[0]));
    Py_XSETREF(self->context, context);
    Py_RETURN_NONE;
}

static PyObject *
Waiter_cancel(Waiter *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"msg", NULL};
    PyObject *message = NULL, *callback, *context;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:cancel", names, &message)) {
        return NULL;
    }
    if (self->state != WAITER_ARMED) {
        Py_RETURN_FALSE;
    }
    self->state = WAITER_CANCELLED;
    Py_XSETREF(self->message, message == Py_None ? NULL : Py_XNewRef(message));
    callback = self->callback;
    context = self->context;
    self->callback = self->context = NULL;
    if (callback == NULL) {
        Py_XDECREF(context);
    }
    else if (call_soon(self, (PyObject *)self, callback, context) < 0) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

static PyObject *
Waiter_result(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    if (self->state == WAITER_CANCELLED) {
        self->state = WAITER_FIRED;
        PyErr_SetObject(self->cancelled_error, self->message);
        Py_CLEAR(self->message);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The task was not woken by `fire`: tell the owner. The exception under way stays set. */
static void
tell_owner(Waiter *self)
{
    PyObject *type, *value, *traceback, *interrupted = self->interrupted, *done;

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
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    done = PyObject_CallOneArg(interrupted, value == NULL ? Py_None : value);
    if (done == NULL) {
        PyErr_WriteUnraisable(interrupted);
    }
    Py_XDECREF(done);
    Py_DECREF(interrupted);
    PyErr_Restore(type, value, traceback);
}

static PySendResult
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

static PyObject *
Waiter_throw(Waiter *self, PyObject *const *args, Py_ssize_t nargs)
{
    raise_thrown(args, nargs);
    tell_owner(self);
    return NULL;
}

static PyObject *
Waiter_close(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    if (self->waiting) {
        PyErr_SetNone(PyExc_GeneratorExit);
        tell_owner(self);
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
    {"arm", (PyCFunction)(void (*)(void))Waiter_arm, METH_O, NULL},
    {"fire", (PyCFunction)(void (*)(void))Waiter_fire, METH_O, NULL},
    {"mark_progress", (PyCFunction)(void (*)(void))Waiter_mark_progress, METH_NOARGS, NULL},
    {"wake_if_progressed", (PyCFunction)(void (*)(void))Waiter_wake_if_progressed, METH_O, NULL},
    {"add_done_callback", (PyCFunction)(void (*)(void))Waiter_add_done_callback,
     METH_FASTCALL | METH_KEYWORDS, NULL},
    {"cancel", (PyCFunction)(void (*)(void))Waiter_cancel, METH_VARARGS | METH_KEYWORDS, NULL},
    {"result", (PyCFunction)(void (*)(void))Waiter_result, METH_NOARGS, NULL},
    {"send", (PyCFunction)(void (*)(void))Waiter_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))Waiter_throw, METH_FASTCALL, NULL},
    {"close", (PyCFunction)(void (*)(void))Waiter_close, METH_NOARGS, NULL},
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
    {Py_tp_doc, "Waiter(loop, cancelled_error, done_future=None)\n--\n\nSee waiting.Waiter."},
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

static PyType_Spec Waiter_spec = {
    .name = "aiomysql_protocol._speedups.Waiter",
    .basicsize = sizeof(Waiter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Waiter_slots,
};

#endif
