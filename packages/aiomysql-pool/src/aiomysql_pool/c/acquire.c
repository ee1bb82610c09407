#include "acquire.h"

#include "coroutine.h"
#include "dealloc.h"
#include "lease_queue.h"
#include "unawaited.h"

/* The members of PoolFunctions. */
enum { ACQUIRE, ACCEPT, RELEASE, FUNCTION_COUNT };

typedef struct {
    PyObject_HEAD
    LeaseQueue *leases;
    PyObject *functions; /* PoolFunctions */
    PyObject *pool;
    PyObject *timeout;
    PyObject *connection; /* what `__aexit__` releases, or NULL */
    PyObject *steps;      /* the iterator that is awaited, or NULL */
    PoolWaiter *waiter;   /* the place in the queue that it belongs to; NULL: it is the pool's */
    double began;         /* when the wait in the queue began */
    char entered;         /* is `connection` to be set? */
} AcquireContext;

static PyObject *
new_context(PyTypeObject *type, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(type);
    AcquireContext *self;

    if (nargs != 4 || !Py_IS_TYPE(args[0], state->lease_queue_type) || !PyTuple_Check(args[1]) ||
        PyTuple_GET_SIZE(args[1]) != FUNCTION_COUNT) {
        PyErr_SetString(PyExc_TypeError, "AcquireContext takes a LeaseQueue, PoolFunctions, a pool "
                                         "and a time-out");
        return NULL;
    }
    self = (AcquireContext *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->leases = (LeaseQueue *)Py_NewRef(args[0]);
        self->functions = Py_NewRef(args[1]);
        self->pool = Py_NewRef(args[2]);
        self->timeout = Py_NewRef(args[3]);
    }
    return (PyObject *)self;
}

PyObject *
AcquireContext_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names)
{
    if (names != NULL && PyTuple_GET_SIZE(names) != 0) {
        PyErr_SetString(PyExc_TypeError, "AcquireContext takes no keyword arguments");
        return NULL;
    }
    return new_context((PyTypeObject *)type, args, PyVectorcall_NARGS(nargsf));
}

static PyObject *
AcquireContext_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0) {
        PyErr_SetString(PyExc_TypeError, "AcquireContext takes no keyword arguments");
        return NULL;
    }
    return new_context(type, PySequence_Fast_ITEMS(args), PyTuple_GET_SIZE(args));
}

static int
AcquireContext_traverse(AcquireContext *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->leases);
    Py_VISIT(self->functions);
    Py_VISIT(self->pool);
    Py_VISIT(self->timeout);
    Py_VISIT(self->connection);
    Py_VISIT(self->steps);
    Py_VISIT(self->waiter);
    return 0;
}

/* What can be part of a cycle; methods rely on the rest, and that it is there. */
static int
AcquireContext_clear(AcquireContext *self)
{
    Py_XSETREF(self->pool, Py_NewRef(Py_None));
    Py_CLEAR(self->connection);
    Py_CLEAR(self->steps);
    Py_CLEAR(self->waiter);
    return 0;
}

/* What one of the pool's functions returns for the arguments after the pool. */
static PyObject *
call_pool(AcquireContext *self, int function, PyObject *const *arguments, size_t count)
{
    PyObject *args[5] = {self->pool};

    for (size_t i = 0; i < count; i++) {
        args[i + 1] = arguments[i];
    }
    return PyObject_Vectorcall(PyTuple_GET_ITEM(self->functions, function), args, count + 1, NULL);
}

static PyObject *
call_release(const State *state, AcquireContext *self, PyObject *connection, Verdict verdict)
{
    PyObject *arguments[2] = {connection, state->verdicts[verdict]};

    return call_pool(self, RELEASE, arguments, 2);
}

/* The wait is over, well or badly. */
static void
record_wait(AcquireContext *self, double now)
{
    self->leases->waited++;
    self->leases->wait_time += now - self->began;
}

/* Release what nobody has had; an exception that is set stays set. */
static void
release_unused(const State *state, AcquireContext *self, PyObject *connection)
{
    Raised raised = set_aside();
    PyObject *done = call_release(state, self, connection, UNKNOWN);

    if (done == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(done);
    put_back(raised);
}

/* Nobody awaits any more: leave the queue and release what was given.  An exception that is set
 * stays set. */
static void
leave_queue(AcquireContext *self)
{
    PoolWaiter *waiter = self->waiter;
    const State *state;
    Raised raised;
    double now;

    if (waiter == NULL) {
        return;
    }
    raised = set_aside();
    self->waiter = NULL;
    discard(self->leases, waiter);
    state = PyType_GetModuleState(Py_TYPE(self));
    if (read_clock(state, &now) < 0) {
        now = self->began;
        PyErr_WriteUnraisable((PyObject *)self);
    }
    record_wait(self, now);
    if (waiter->connection != NULL) {
        PyObject *connection = Py_NewRef(waiter->connection);

        release_unused(state, self, connection);
        Py_DECREF(connection);
    }
    Py_DECREF(waiter);
    put_back(raised);
}

static void
AcquireContext_finalize(AcquireContext *self)
{
    leave_queue(self);
}

static void
AcquireContext_dealloc(AcquireContext *self)
{
    PyTypeObject *type = Py_TYPE(self);

    if (self->waiter != NULL && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return;
    }
    BEGIN_DEALLOC(self, AcquireContext_dealloc)
    (void)AcquireContext_clear(self);
    Py_CLEAR(self->leases);
    Py_CLEAR(self->functions);
    Py_CLEAR(self->pool);
    Py_CLEAR(self->timeout);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

/* It has what it was made for; takes over the reference. */
static PySendResult
give(AcquireContext *self, PyObject *connection, PyObject **result)
{
    if (self->entered) {
        self->entered = 0;
        Py_XSETREF(self->connection, Py_NewRef(connection));
    }
    *result = connection;
    return PYGEN_RETURN;
}

static void
raise_awaited(void)
{
    PyErr_SetString(PyExc_RuntimeError, "this connection is being awaited already");
}

static PySendResult end_wait(AcquireContext *self, PySendResult how, PyObject **result);

static PySendResult
send_to_steps(AcquireContext *self, PyObject *argument, PyObject **result)
{
    const PoolWaiter *waiter = self->waiter;
    PyObject *steps = Py_NewRef(self->steps);
    PySendResult how = PyIter_Send(steps, argument, result);

    if (how != PYGEN_NEXT && self->steps == steps) {
        Py_CLEAR(self->steps);
    }
    Py_DECREF(steps);
    if (how == PYGEN_NEXT || waiter == NULL) {
        return how == PYGEN_RETURN ? give(self, *result, result) : how;
    }
    if (how == PYGEN_RETURN) {
        Py_CLEAR(*result);
    }
    if (self->waiter == waiter) {
        return end_wait(self, how, result);
    }
    if (how == PYGEN_RETURN) {
        raise_awaited(); /* what ran just now has closed this object */
    }
    return PYGEN_ERROR;
}

/* Await an awaitable, which may be NULL with an exception set; takes over the reference. */
static PySendResult
await_steps(AcquireContext *self, PyObject *awaitable, PyObject **result)
{
    PyAsyncMethods *methods = awaitable == NULL ? NULL : Py_TYPE(awaitable)->tp_as_async;
    PyObject *steps = NULL;

    *result = NULL;
    if (methods != NULL && methods->am_await != NULL) {
        steps = methods->am_await(awaitable);
    }
    else if (awaitable != NULL) {
        PyErr_SetString(PyExc_TypeError, "the pool's functions must return awaitables");
    }
    Py_XDECREF(awaitable);
    if (steps == NULL) {
        leave_queue(self);
        return PYGEN_ERROR;
    }
    Py_XSETREF(self->steps, steps);
    return send_to_steps(self, Py_None, result);
}

/* What was taken is given, or the pool makes it LENDABLE or gives another one; takes over the
 * references. */
static PySendResult
give_taken(const State *state, AcquireContext *self, Verdict verdict, Taken *taken,
           PyObject **result)
{
    PyObject *accepting;

    if (verdict == LENDABLE) {
        Py_CLEAR(taken->holder);
        return give(self, taken->connection, result);
    }
    accepting = call_pool(self, ACCEPT,
                          (PyObject *[]){self->timeout, taken->holder, taken->connection,
                                         state->verdicts[verdict]},
                          4);
    drop_taken(taken);
    return await_steps(self, accepting, result);
}

/* The wait in the queue has ended, `how` says in which way; an error is set. */
static PySendResult
end_wait(AcquireContext *self, PySendResult how, PyObject **result)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PoolWaiter *waiter = (PoolWaiter *)Py_NewRef((PyObject *)self->waiter);
    Verdict verdict = FAILED;
    Taken taken = {NULL, NULL};
    double now = 0.0;

    *result = NULL;
    if (how != PYGEN_ERROR && read_clock(state, &now) == 0) {
        verdict = collect(state, self->leases, waiter, now, &taken);
    }
    if (verdict != FAILED && self->waiter != waiter) {
        raise_awaited(); /* what ran just now has closed this object, and released all */
        drop_taken(&taken);
        verdict = FAILED;
    }
    Py_DECREF(waiter);
    if (verdict == FAILED) {
        leave_queue(self);
        return PYGEN_ERROR;
    }
    Py_CLEAR(self->waiter);
    record_wait(self, now);
    return give_taken(state, self, verdict, &taken, result);
}

/* Take what is available, come into the queue, or ask the pool. */
static PySendResult
begin(AcquireContext *self, PyObject **result)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    int direct = is_direct(state, self->leases);
    Verdict verdict = UNKNOWN;
    Taken taken = {NULL, NULL};
    PoolWaiter *waiter = NULL;

    *result = NULL;
    if (direct > 0) {
        verdict = try_acquire(state, self->leases, &taken);
    }
    if (verdict == LENDABLE) {
        return give_taken(state, self, verdict, &taken, result);
    }
    if (direct > 0 && verdict == UNKNOWN && self->timeout == Py_None) {
        waiter = try_enqueue(state, self->leases);
    }
    if (direct < 0 || verdict == FAILED || (waiter == NULL && PyErr_Occurred())) {
        return PYGEN_ERROR;
    }
    if (self->waiter != NULL || self->steps != NULL) {
        /* What ran just now has begun to await this. */
        raise_awaited();
        if (waiter != NULL) {
            discard(self->leases, waiter);
            taken.connection = Py_XNewRef(waiter->connection);
            Py_DECREF(waiter);
        }
        if (taken.connection != NULL) {
            release_unused(state, self, taken.connection);
            drop_taken(&taken);
        }
        return PYGEN_ERROR;
    }
    if (verdict != UNKNOWN) {
        return give_taken(state, self, verdict, &taken, result);
    }
    if (waiter == NULL) {
        return await_steps(self, call_pool(self, ACQUIRE, &self->timeout, 1), result);
    }
    self->waiter = waiter;
    if (read_clock(state, &self->began) < 0) {
        leave_queue(self);
        return PYGEN_ERROR;
    }
    return await_steps(self, Py_NewRef(waiter->waiter), result);
}

static PySendResult
AcquireContext_am_send(AcquireContext *self, PyObject *argument, PyObject **result)
{
    int waiting = 0;

    *result = NULL;
    if (self->steps == NULL) {
        return begin(self, result);
    }
    if (self->waiter != NULL) {
        waiting = is_waiting(PyType_GetModuleState(Py_TYPE(self)), self->waiter);
    }
    if (waiting > 0) {
        raise_awaited(); /* it is not the task that waits that goes on */
    }
    return waiting != 0 ? PYGEN_ERROR : send_to_steps(self, argument, result);
}

static PyObject *
AcquireContext_send(AcquireContext *self, PyObject *argument)
{
    PyObject *result;

    switch (AcquireContext_am_send(self, argument, &result)) {
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
AcquireContext_next(AcquireContext *self)
{
    return AcquireContext_send(self, Py_None);
}

/* The pool's awaitable has ended with the exception that is set: if that is StopIteration, it has
 * brought a connection. */
static void
keep_result(const State *state, AcquireContext *self)
{
    PyObject *stop, *connection;

    if (!self->entered || !PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return;
    }
    stop = take_exception();
    connection = PyObject_GetAttr(stop, state->names.value);
    if (connection == NULL) {
        PyErr_Clear();
    }
    self->entered = 0;
    Py_XSETREF(self->connection, connection);
    set_exception(stop);
}

static PyObject *
AcquireContext_throw(AcquireContext *self, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *steps = Py_XNewRef(self->steps), *method, *result = NULL;

    if (steps == NULL) {
        raise_thrown(args, nargs);
        leave_queue(self);
        return NULL;
    }
    method = PyObject_GetAttr(steps, state->names.throw);
    if (method != NULL) {
        result = PyObject_Vectorcall(method, args, nargs, NULL);
        Py_DECREF(method);
    }
    else if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear(); /* an iterator that can't take an exception ends with it */
        raise_thrown(args, nargs);
    }
    if (result == NULL) {
        if (self->steps == steps) {
            Py_CLEAR(self->steps);
        }
        if (self->waiter == NULL) {
            keep_result(state, self);
        }
        leave_queue(self);
    }
    Py_DECREF(steps);
    return result;
}

static PyObject *
AcquireContext_close(AcquireContext *self, PyObject *Py_UNUSED(ignored))
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *steps = self->steps, *method, *done = NULL;

    self->steps = NULL;
    leave_queue(self);
    if (steps == NULL) {
        Py_RETURN_NONE;
    }
    method = PyObject_GetAttr(steps, state->names.close);
    if (method != NULL) {
        done = PyObject_CallNoArgs(method);
        Py_DECREF(method);
    }
    else if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        done = Py_NewRef(Py_None);
    }
    Py_DECREF(steps);
    return done;
}

static PyObject *
AcquireContext_await(AcquireContext *self)
{
    if (self->steps != NULL) {
        raise_awaited();
        return NULL;
    }
    return Py_NewRef((PyObject *)self);
}

static PyObject *
AcquireContext_aenter(AcquireContext *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *steps = AcquireContext_await(self);

    self->entered |= steps != NULL;
    return steps;
}

/* An exception tells that work was given up: no warning needs to.  -1: an exception is set. */
static int
forget_changes(const State *state, PyObject *connection)
{
    PyObject *runner = PyObject_GetAttr(connection, state->names.runner), *done = NULL;

    if (runner != NULL) {
        done = PyObject_CallMethodNoArgs(runner, state->names.forget_changes);
        Py_DECREF(runner);
    }
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *
AcquireContext_aexit(AcquireContext *self, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *connection = self->connection, *done = NULL;
    Verdict verdict;

    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "__aexit__ takes three arguments");
        return NULL;
    }
    if (connection == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no connection was acquired");
        return NULL;
    }
    self->connection = NULL;
    verdict = try_release(state, self->leases, connection);
    if (verdict == LENDABLE) {
        done = Py_NewRef(state->done);
    }
    else if (verdict != FAILED && (args[0] == Py_None || forget_changes(state, connection) == 0)) {
        done = call_release(state, self, connection, verdict);
    }
    Py_DECREF(connection);
    return done;
}

static PyMethodDef AcquireContext_methods[] = {
    UNAWAITED_METHOD,
    {"__aenter__", METHOD(AcquireContext_aenter), METH_NOARGS, "__aenter__(self)\n--\n\n"},
    {"__aexit__", METHOD(AcquireContext_aexit), METH_FASTCALL,
     "__aexit__(self, exc_type, exc, traceback, /)\n--\n\n"},
    {"send", METHOD(AcquireContext_send), METH_O, NULL},
    {"throw", METHOD(AcquireContext_throw), METH_FASTCALL, NULL},
    {"close", METHOD(AcquireContext_close), METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot AcquireContext_slots[] = {
    {Py_tp_doc, "AcquireContext(leases, functions, pool, timeout, /)\n--\n\n"
                "See acquire.AcquireContext."},
    {Py_tp_new, AcquireContext_new},
    {Py_tp_dealloc, AcquireContext_dealloc},
    {Py_tp_finalize, AcquireContext_finalize},
    {Py_tp_traverse, AcquireContext_traverse},
    {Py_tp_clear, AcquireContext_clear},
    {Py_tp_methods, AcquireContext_methods},
    UNAWAITED_SLOTS,
    {Py_tp_iternext, AcquireContext_next},
    {Py_am_await, AcquireContext_await},
    {Py_am_send, AcquireContext_am_send},
    {0, NULL},
};

PyType_Spec AcquireContext_spec = {
    .name = "aiomysql_pool._speedups.AcquireContext",
    .basicsize = sizeof(AcquireContext),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = AcquireContext_slots,
};
