#include "lease_queue.h"

#include "dealloc.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <time.h>

/* A finalizer may release a connection wherever memory is allocated or code of others is called.
 * So what a function here begins to use is taken out of the queue or the deque first, and whoever
 * has come into the queue looks once more at what is available. */

/* ---- PoolWaiter ---- */

int
is_waiting(const State *state, PoolWaiter *waiter)
{
    PyObject *armed = PyObject_GetAttr(waiter->waiter, state->names.armed);
    int waiting = armed == NULL ? -1 : PyObject_IsTrue(armed);

    Py_XDECREF(armed);
    return waiting;
}

/* What was given.  NULL: an exception is set, perhaps the one that was given. */
static PyObject *
outcome(PoolWaiter *self)
{
    PyObject *error = self->error;

    if (self->connection != NULL) {
        return Py_NewRef(self->connection);
    }
    if (error == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "nothing was given yet");
        return NULL;
    }
    self->error = NULL; /* it will hold the frame that holds this */
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return NULL;
}

/* An armed waiter, in no queue yet. */
static PoolWaiter *
new_pool_waiter(const State *state, LeaseQueue *queue)
{
    PyObject *args[3] = {queue->loop, state->cancelled_error, queue->done_future};
    PyObject *waiter = PyObject_Vectorcall(state->waiter_type, args, 3, NULL), *done;
    PoolWaiter *self;

    if (waiter == NULL) {
        return NULL;
    }
    done = PyObject_CallMethodOneArg(waiter, state->names.arm, Py_None);
    self = done == NULL
               ? NULL
               : (PoolWaiter *)state->pool_waiter_type->tp_alloc(state->pool_waiter_type, 0);
    Py_XDECREF(done);
    if (self == NULL) {
        Py_DECREF(waiter);
        return NULL;
    }
    self->waiter = waiter;
    return self;
}

static int
PoolWaiter_traverse(PoolWaiter *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->waiter);
    Py_VISIT(self->connection);
    Py_VISIT(self->holder);
    Py_VISIT(self->error);
    return 0;
}

/* What can be part of a cycle that is not another object's affair: methods rely on the rest. */
static int
PoolWaiter_clear(PoolWaiter *self)
{
    Py_CLEAR(self->connection);
    Py_CLEAR(self->holder);
    Py_CLEAR(self->error);
    return 0;
}

static void
PoolWaiter_dealloc(PoolWaiter *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, PoolWaiter_dealloc)
    (void)PoolWaiter_clear(self);
    Py_CLEAR(self->waiter);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PyObject *
PoolWaiter_fail(PoolWaiter *self, PyObject *error)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    int waiting;

    if (!PyExceptionInstance_Check(error)) {
        PyErr_SetString(PyExc_TypeError, "fail takes an exception");
        return NULL;
    }
    waiting = is_waiting(state, self);
    if (waiting <= 0) {
        return waiting < 0 ? NULL : Py_NewRef(Py_None);
    }
    Py_XSETREF(self->error, Py_NewRef(error));
    return PyObject_CallMethodOneArg(self->waiter, state->names.fire, Py_False);
}

static PyObject *
PoolWaiter_outcome(PoolWaiter *self, PyObject *Py_UNUSED(ignored))
{
    return outcome(self);
}

static PyObject *
PoolWaiter_is_waiting(PoolWaiter *self, void *Py_UNUSED(closure))
{
    int waiting = is_waiting(PyType_GetModuleState(Py_TYPE(self)), self);

    return waiting < 0 ? NULL : PyBool_FromLong(waiting);
}

static PyMethodDef PoolWaiter_methods[] = {
    {"fail", METHOD(PoolWaiter_fail), METH_O, NULL},
    {"outcome", METHOD(PoolWaiter_outcome), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef PoolWaiter_getset[] = {
    {"is_waiting", (getter)PoolWaiter_is_waiting, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef PoolWaiter_members[] = {
    {"waiter", T_OBJECT_EX, offsetof(PoolWaiter, waiter), READONLY, NULL},
    {"ticket", T_LONGLONG, offsetof(PoolWaiter, ticket), READONLY, NULL},
    {"connection", T_OBJECT, offsetof(PoolWaiter, connection), READONLY, NULL},
    {"holder", T_OBJECT, offsetof(PoolWaiter, holder), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot PoolWaiter_slots[] = {
    {Py_tp_doc, "See lease_queue.PoolWaiter."},
    {Py_tp_dealloc, PoolWaiter_dealloc},
    {Py_tp_traverse, PoolWaiter_traverse},
    {Py_tp_clear, PoolWaiter_clear},
    {Py_tp_methods, PoolWaiter_methods},
    {Py_tp_getset, PoolWaiter_getset},
    {Py_tp_members, PoolWaiter_members},
    {0, NULL},
};

PyType_Spec PoolWaiter_spec = {
    .name = "aiomysql_pool._speedups.PoolWaiter",
    .basicsize = sizeof(PoolWaiter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = PoolWaiter_slots,
};

/* ---- The queue ---- */

/* Put a waiter at the end of the queue, or in front of it; the queue takes over the reference. */
static void
put_waiter(LeaseQueue *self, PoolWaiter *waiter, int first)
{
    waiter->queue = self;
    waiter->older = first ? NULL : self->last;
    waiter->newer = first ? self->first : NULL;
    *(waiter->older == NULL ? &self->first : &waiter->older->newer) = waiter;
    *(waiter->newer == NULL ? &self->last : &waiter->newer->older) = waiter;
    self->waiting++;
}

/* Take a waiter out of the queue; the caller gets the queue's reference. */
static void
take_waiter(LeaseQueue *self, PoolWaiter *waiter)
{
    *(waiter->older == NULL ? &self->first : &waiter->older->newer) = waiter->newer;
    *(waiter->newer == NULL ? &self->last : &waiter->newer->older) = waiter->older;
    waiter->queue = NULL;
    waiter->older = waiter->newer = NULL;
    self->waiting--;
}

void
discard(LeaseQueue *self, PoolWaiter *waiter)
{
    if (waiter->queue == self) {
        take_waiter(self, waiter);
        Py_DECREF(waiter);
    }
}

static int serve_waiters(const State *state, LeaseQueue *self);

/* Take out the oldest waiter, if its ticket is not above `ticket`.  NULL without an exception:
 * there is none. */
static PoolWaiter *
pop_waiter(const State *state, LeaseQueue *self, long long ticket)
{
    while (self->first != NULL) {
        PoolWaiter *waiter = self->first;
        int waiting;

        take_waiter(self, waiter);
        waiting = is_waiting(state, waiter);
        if (waiting > 0 && waiter->ticket <= ticket) {
            return waiter;
        }
        if (waiting > 0) {
            put_waiter(self, waiter, 1);
            (void)serve_waiters(state, self); /* the caller asks for exceptions */
            return NULL;
        }
        Py_DECREF(waiter);
        if (waiting < 0) {
            return NULL;
        }
    }
    return NULL;
}

/* ---- Connections ---- */

/* The connection that a ConnectionHolder has, no new reference; NULL: none, it is acquired. */
static inline PyObject *
held_connection(const State *state, PyObject *holder)
{
    PyObject *connection = SLOT(state, holder, holder_connection);

    return connection == Py_None ? NULL : connection;
}

static inline void
set_slot(PyObject **slot, PyObject *value)
{
    PyObject *before = *slot;

    *slot = Py_NewRef(value);
    Py_XDECREF(before);
}

void
drop_taken(Taken *taken)
{
    Py_CLEAR(taken->holder);
    Py_CLEAR(taken->connection);
}

int
read_clock(const State *state, double *now)
{
    PyObject *answer;

#ifdef __linux__ /* there time.monotonic does nothing else, and makes an object of it */
    struct timespec read;

    if (clock_gettime(CLOCK_MONOTONIC, &read) == 0) {
        *now = (double)(read.tv_sec * 1000000000LL + read.tv_nsec) / 1e9;
        return 0;
    }
#endif
    answer = PyObject_CallNoArgs(state->monotonic);
    *now = answer == NULL ? -1.0 : PyFloat_AsDouble(answer);
    Py_XDECREF(answer);
    return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* ---- A connection is examined ---- */

/* What stands in a slot of a holder, a new reference; NULL: an exception is set. */
static inline PyObject *
get_slot(PyObject **slot, const char *name)
{
    if (*slot == NULL) {
        PyErr_SetString(PyExc_AttributeError, name);
    }
    return Py_XNewRef(*slot);
}

/* As a number of seconds; takes over the reference, NULL: an exception is set.  -1: one is set. */
static int
to_seconds(PyObject *value, double *seconds)
{
    *seconds = value == NULL ? -1.0 : PyFloat_AsDouble(value);
    Py_XDECREF(value);
    return *seconds == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* As a truth; the same. */
static inline int
to_truth(PyObject *value)
{
    int truth = value == Py_True    ? 1
                : value == Py_False ? 0
                : value == NULL     ? -1
                                    : PyObject_IsTrue(value);

    Py_XDECREF(value);
    return truth;
}

/* What stands in a slot of a holder as seconds or as a truth.  -1: an exception is set. */
static inline int
slot_seconds(PyObject **slot, const char *name, double *seconds)
{
    if (*slot != NULL && PyFloat_CheckExact(*slot)) {
        *seconds = PyFloat_AS_DOUBLE(*slot);
        return 0;
    }
    return to_seconds(get_slot(slot, name), seconds);
}

static inline int
slot_truth(PyObject **slot, const char *name)
{
    return *slot == Py_False ? 0 : to_truth(get_slot(slot, name));
}

/* The time; 0 where no rule asks for it. */
static int
read_needed_clock(const State *state, LeaseQueue *self, PyObject *holder, double *now)
{
    double expires_at;

    *now = 0.0;
    if (slot_seconds(&SLOT(state, holder, holder_expires_at), "expires_at", &expires_at) < 0) {
        return -1;
    }
    if (isinf(expires_at) && isinf(self->max_age) && isinf(self->ping_after) &&
        !self->records_times) {
        return 0;
    }
    return read_clock(state, now);
}

/* The functions below return FAILED when an exception is set. */

/* It changes hands.  LENDABLE or UNCLEAN: a transaction may be open, or more than that. */
static Verdict
hand_over(const State *state, PyObject *runner)
{
    int rests = to_truth(PyObject_CallOneArg(state->hand_over, runner));

    return rests < 0 ? FAILED : rests ? LENDABLE : UNCLEAN;
}

/* Before a caller gets it.  `ages`: it may have become too old. */
static Verdict
examine_lent(const State *state, LeaseQueue *self, PyObject *holder, double now, int ages)
{
    PyObject *runner = get_slot(&SLOT(state, holder, holder_runner), "runner");
    Verdict verdict = runner == NULL ? FAILED : hand_over(state, runner);
    double expires_at, opened_at, last_usage;
    int truth;

    if (verdict == UNCLEAN) {
        truth = to_truth(PyObject_GetAttr(runner, state->names.is_reusable));
        verdict = truth < 0 ? FAILED : truth ? LENDABLE : LOST;
    }
    if (verdict == LENDABLE && ages) {
        if (slot_seconds(&SLOT(state, holder, holder_expires_at), "expires_at", &expires_at) < 0 ||
            slot_seconds(&SLOT(state, holder, holder_opened_at), "opened_at", &opened_at) < 0) {
            verdict = FAILED;
        }
        else if (now >= expires_at || now - opened_at > self->max_age) {
            verdict = EXPIRED;
        }
    }
    if (verdict == LENDABLE) {
        truth = slot_truth(&SLOT(state, holder, holder_never_acquired), "never_acquired");
        if (truth != 0) {
            verdict = truth < 0 ? FAILED : LENDABLE; /* it was checked when it was opened */
        }
        else if (isinf(self->ping_after)) {
            verdict = self->has_check ? CHECK : LENDABLE;
        }
        else if (to_seconds(PyObject_GetAttr(runner, state->names.last_usage), &last_usage) < 0) {
            verdict = FAILED;
        }
        else if (now - last_usage >= self->ping_after) {
            verdict = PING;
        }
        else {
            verdict = self->has_check ? CHECK : LENDABLE;
        }
    }
    Py_XDECREF(runner);
    return verdict;
}

static Verdict
examine_available(const State *state, LeaseQueue *self, PyObject *holder, double now)
{
    return examine_lent(state, self, holder, now, 1);
}

static Verdict
examine_handed_over(const State *state, LeaseQueue *self, PyObject *holder, double now)
{
    PyObject *key, *found;

    if (!self->is_open) {
        key = get_slot(&SLOT(state, holder, holder_key), "key");
        found = key == NULL ? NULL : PyDict_GetItemWithError(self->holders, key);
        Py_XDECREF(key);
        if (found != holder) { /* (only compared) */
            return PyErr_Occurred() ? FAILED : LOST;
        }
    }
    return examine_lent(state, self, holder, now, 0);
}

static Verdict
examine_kept(const State *state, LeaseQueue *self, PyObject *holder, double now)
{
    double expires_at;
    int must_close;

    if (!self->is_open) {
        return CLOSING;
    }
    must_close = slot_truth(&SLOT(state, holder, holder_must_close), "must_close");
    if (must_close != 0) {
        return must_close < 0 ? FAILED : DRAINED;
    }
    if (0 < self->maxsize && self->maxsize < PyDict_GET_SIZE(self->holders)) {
        return SURPLUS;
    }
    if (slot_seconds(&SLOT(state, holder, holder_expires_at), "expires_at", &expires_at) < 0) {
        return FAILED;
    }
    return now >= expires_at ? EXPIRED : LENDABLE;
}

static Verdict
examine_released(const State *state, LeaseQueue *self, PyObject *holder, double now)
{
    PyObject *runner = get_slot(&SLOT(state, holder, holder_runner), "runner");
    Verdict verdict;

    if (runner == NULL) {
        return FAILED;
    }
    verdict = hand_over(state, runner);
    Py_DECREF(runner);
    if (verdict == LENDABLE && self->resets_sessions) {
        return UNCLEAN;
    }
    return verdict == LENDABLE ? examine_kept(state, self, holder, now) : verdict;
}

/* ---- Connections change hands ---- */

/* Take the holder that is first in the row; NULL: an exception is set. */
static PyObject *
take_holder(const State *state, LeaseQueue *self)
{
    PyObject *holder = PyObject_CallNoArgs(self->popleft);

    if (holder != NULL && !IS_OWNED(state, holder, holder)) {
        PyErr_SetString(PyExc_TypeError, "what is available must be a ConnectionHolder");
        Py_CLEAR(holder);
    }
    return holder;
}

/* How many connections are available; -1: an exception is set. */
static inline Py_ssize_t
count_available(const LeaseQueue *self)
{
    return PyObject_Size(self->available);
}

/* Whether the queue's event loop runs, in this thread.  -1: an exception is set. */
static inline int
is_at_home(const State *state, LeaseQueue *self)
{
    return is_running_loop(&state->running_loop, self->loop, self->thread);
}

/* Whether all connections are open that will be, and change hands without the pool. */
static inline int
is_complete(const LeaseQueue *self)
{
    return self->is_open && !self->is_watched &&
           PyDict_GET_SIZE(self->holders) == self->capacity;
}

int
is_direct(const State *state, LeaseQueue *self)
{
    return self->is_open && !self->is_watched ? is_at_home(state, self) : 0;
}

/* It is acquired from now on.  -1: an exception is set. */
static int
record_acquired(const State *state, LeaseQueue *self, PyObject *holder, double now)
{
    self->requests++;
    set_slot(&SLOT(state, holder, holder_connection), Py_None);
    if (self->records_times) {
        PyObject *acquired_at = PyFloat_FromDouble(now);

        if (acquired_at == NULL) {
            return -1;
        }
        set_slot(&SLOT(state, holder, holder_acquired_at), acquired_at);
        Py_DECREF(acquired_at);
        set_slot(&SLOT(state, holder, holder_is_reported), Py_False);
    }
    return 0;
}

/* The task that runs; NULL without an exception: there is none. */
static PyObject *
running_task(const State *state, LeaseQueue *self)
{
    PyObject *task;

    if (state->running_loop.current_tasks != NULL) {
        task = PyDict_GetItemWithError(state->running_loop.current_tasks, self->loop);
        Py_XINCREF(task);
    }
    else {
        task = PyObject_CallOneArg(state->current_task, self->loop);
        if (task == Py_None) {
            Py_CLEAR(task);
        }
    }
    if (task == NULL) {
        PyErr_Clear(); /* it is of less importance */
    }
    return task;
}

/* The task that runs has it now. */
static void
record_task(const State *state, LeaseQueue *self, PyObject *holder)
{
    PyObject *task, *reference;

    if (!self->records_tasks) {
        return;
    }
    task = running_task(state, self);
    reference = task == NULL ? Py_NewRef(Py_None) : PyWeakref_NewRef(task, NULL);
    Py_XDECREF(task);
    if (reference == NULL) {
        PyErr_Clear(); /* a task of another's that can't be referred to so */
        reference = Py_NewRef(Py_None);
    }
    set_slot(&SLOT(state, holder, holder_acquired_by), reference);
    Py_DECREF(reference);
}

/* Put a holder back to where it was taken from; an exception that is set stays set. */
static void
put_holder_back(LeaseQueue *self, PyObject *holder)
{
    Raised raised = set_aside();
    PyObject *done = PyObject_CallOneArg(self->appendleft, holder);

    if (done == NULL) {
        PyErr_WriteUnraisable(self->available);
    }
    Py_XDECREF(done);
    put_back(raised);
}

Verdict
try_acquire(const State *state, LeaseQueue *self, Taken *taken)
{
    Py_ssize_t available;

    while ((available = count_available(self)) > 0) {
        PyObject *holder = take_holder(state, self), *connection;
        Verdict verdict = FAILED;
        double now;

        if (holder == NULL) {
            return FAILED;
        }
        connection = Py_XNewRef(held_connection(state, holder));
        if (connection == NULL) {
            Py_DECREF(holder);
            continue;
        }
        set_slot(&SLOT(state, holder, holder_never_acquired), Py_False);
        if (read_needed_clock(state, self, holder, &now) == 0) {
            verdict = examine_available(state, self, holder, now);
        }
        if (verdict != FAILED && record_acquired(state, self, holder, now) < 0) {
            self->requests--;
            set_slot(&SLOT(state, holder, holder_connection), connection);
            verdict = FAILED;
        }
        *taken = (Taken){holder, connection};
        if (verdict == FAILED) {
            put_holder_back(self, holder);
            drop_taken(taken);
        }
        else {
            record_task(state, self, holder);
            if ((available = count_available(self)) < self->least_available) {
                self->least_available = available;
            }
        }
        return verdict;
    }
    return available < 0 ? FAILED : UNKNOWN;
}

Verdict
collect(const State *state, LeaseQueue *self, PoolWaiter *waiter, double now, Taken *taken)
{
    Verdict verdict = FAILED;

    *taken = (Taken){.connection = outcome(waiter)};
    if (taken->connection != NULL) {
        taken->holder = Py_XNewRef(waiter->holder);
        if (taken->holder != NULL) {
            verdict = examine_handed_over(state, self, taken->holder, now);
        }
        else {
            PyErr_SetString(PyExc_RuntimeError, "nothing was given yet");
        }
    }
    if (verdict == FAILED) {
        drop_taken(taken);
    }
    else if (verdict != LOST) { /* that a new one is lost is an error */
        set_slot(&SLOT(state, taken->holder, holder_never_acquired), Py_False);
        record_task(state, self, taken->holder);
    }
    return verdict;
}

/* Give a connection to the oldest waiter, 1, or keep it, 0; -1: an exception is set. */
static int
make_available(const State *state, LeaseQueue *self, PyObject *holder, PyObject *connection)
{
    PoolWaiter *waiter = pop_waiter(state, self, LLONG_MAX);
    PyObject *runner, *done = NULL;
    double now = 0.0;

    if (waiter == NULL) {
        if (PyErr_Occurred()) {
            return -1;
        }
        set_slot(&SLOT(state, holder, holder_connection), connection);
        done = PyObject_CallOneArg(self->append, holder);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    if ((self->records_times && read_clock(state, &now) < 0) ||
        record_acquired(state, self, holder, now) < 0) {
        PyErr_WriteUnraisable(holder); /* when it was acquired is of less importance */
    }
    set_slot(&waiter->holder, holder);
    set_slot(&waiter->connection, connection);
    runner = get_slot(&SLOT(state, holder, holder_runner), "runner");
    if (runner != NULL) {
        PyObject *args[2] = {runner, waiter->waiter};

        done = PyObject_Vectorcall(state->wake_next, args, 2, NULL);
        Py_DECREF(runner);
    }
    Py_DECREF(waiter);
    Py_XDECREF(done);
    return done == NULL ? -1 : 1;
}

Verdict
try_release(const State *state, LeaseQueue *self, PyObject *connection)
{
    PyObject *key, *holder;
    Verdict verdict = FAILED;
    double now;

    if (!self->is_open || self->is_watched) {
        return UNKNOWN;
    }
    key = PyLong_FromVoidPtr(connection); /* its id() */
    if (key == NULL) {
        return FAILED;
    }
    holder = PyDict_GetItemWithError(self->holders, key);
    Py_DECREF(key);
    if (holder == NULL || !IS_OWNED(state, holder, holder)) {
        return PyErr_Occurred() ? FAILED : UNKNOWN;
    }
    if (held_connection(state, holder) != NULL) {
        return UNKNOWN; /* nobody has it */
    }
    Py_INCREF(holder);
    if (read_needed_clock(state, self, holder, &now) == 0) {
        verdict = examine_released(state, self, holder, now);
    }
    if (verdict == LENDABLE) {
        set_slot(&SLOT(state, holder, holder_never_acquired), Py_False);
        if (make_available(state, self, holder, connection) < 0) {
            verdict = FAILED;
        }
    }
    Py_DECREF(holder);
    return verdict;
}

/* Somebody has come into the queue: what a finalizer released just before found nobody.  -1: an
 * exception is set. */
static int
serve_waiters(const State *state, LeaseQueue *self)
{
    Py_ssize_t available;

    while ((available = count_available(self)) > 0 && self->first != NULL) {
        PyObject *holder = take_holder(state, self), *connection;
        int given = 0;

        if (holder == NULL) {
            return -1;
        }
        connection = Py_XNewRef(held_connection(state, holder));
        if (connection != NULL) {
            given = make_available(state, self, holder, connection);
            Py_DECREF(connection);
        }
        Py_DECREF(holder);
        if (given < 0) {
            return -1;
        }
    }
    return available < 0 ? -1 : 0;
}

/* A new waiter, the last in the queue or the first. */
static PoolWaiter *
enqueue(const State *state, LeaseQueue *self, int first)
{
    PoolWaiter *waiter = new_pool_waiter(state, self);

    if (waiter == NULL) {
        return NULL;
    }
    waiter->ticket = ++self->newest_ticket;
    put_waiter(self, (PoolWaiter *)Py_NewRef((PyObject *)waiter), first);
    if (serve_waiters(state, self) < 0) {
        discard(self, waiter);
        Py_CLEAR(waiter);
    }
    return waiter;
}

PoolWaiter *
try_enqueue(const State *state, LeaseQueue *self)
{
    Py_ssize_t available = count_available(self);
    PoolWaiter *waiter;
    int waits;

    if (available != 0 || !is_complete(self) || (waiter = enqueue(state, self, 0)) == NULL) {
        return NULL;
    }
    /* While the waiter was made a finalizer may have closed a connection, or the pool. */
    if (is_complete(self)) {
        return waiter;
    }
    waits = is_waiting(state, waiter);
    if (waits != 0) {
        discard(self, waiter);
        Py_CLEAR(waiter);
    }
    return waiter;
}

/* ---- LeaseQueue ---- */

/* A verdict for Python. */
static PyObject *
from_verdict(const State *state, Verdict verdict)
{
    return verdict == FAILED ? NULL : Py_NewRef(state->verdicts[verdict]);
}

/* The same with what was taken, the references to which it takes over, in a tuple; None for
 * UNKNOWN. */
static PyObject *
from_taken(const State *state, Verdict verdict, Taken *taken)
{
    PyObject *tuple;

    if (verdict == FAILED || verdict == UNKNOWN) {
        return verdict == FAILED ? NULL : Py_NewRef(Py_None);
    }
    tuple = PyTuple_Pack(3, taken->holder, taken->connection, state->verdicts[verdict]);
    drop_taken(taken);
    return tuple;
}

static PyObject *
LeaseQueue_is_direct(LeaseQueue *self, PyObject *Py_UNUSED(ignored))
{
    int direct = is_direct(PyType_GetModuleState(Py_TYPE(self)), self);

    return direct < 0 ? NULL : PyBool_FromLong(direct);
}

/* Call one of the functions that examine a holder, of which Python gives the time. */
static PyObject *
examine(LeaseQueue *self, PyObject *const *args, Py_ssize_t nargs,
        Verdict (*function)(const State *, LeaseQueue *, PyObject *, double))
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    double now;

    if (nargs != 2 || !IS_OWNED(state, args[0], holder)) {
        PyErr_SetString(PyExc_TypeError, "takes a ConnectionHolder and a time");
        return NULL;
    }
    if (to_seconds(Py_NewRef(args[1]), &now) < 0) {
        return NULL;
    }
    return from_verdict(state, function(state, self, args[0], now));
}

static PyObject *
LeaseQueue_examine_available(LeaseQueue *self, PyObject *const *args, Py_ssize_t nargs)
{
    return examine(self, args, nargs, examine_available);
}

static PyObject *
LeaseQueue_examine_handed_over(LeaseQueue *self, PyObject *const *args, Py_ssize_t nargs)
{
    return examine(self, args, nargs, examine_handed_over);
}

static PyObject *
LeaseQueue_examine_released(LeaseQueue *self, PyObject *const *args, Py_ssize_t nargs)
{
    return examine(self, args, nargs, examine_released);
}

static PyObject *
LeaseQueue_examine_kept(LeaseQueue *self, PyObject *const *args, Py_ssize_t nargs)
{
    return examine(self, args, nargs, examine_kept);
}

static PyObject *
LeaseQueue_try_acquire(LeaseQueue *self, PyObject *Py_UNUSED(ignored))
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    Taken taken = {NULL, NULL};

    return from_taken(state, try_acquire(state, self, &taken), &taken);
}

static PyObject *
LeaseQueue_collect(LeaseQueue *self, PyObject *waiter)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    Taken taken = {NULL, NULL};
    double now;

    if (!Py_IS_TYPE(waiter, state->pool_waiter_type)) {
        PyErr_SetString(PyExc_TypeError, "collect takes a PoolWaiter");
        return NULL;
    }
    if (read_clock(state, &now) < 0) {
        return NULL;
    }
    return from_taken(state, collect(state, self, (PoolWaiter *)waiter, now, &taken), &taken);
}

static PyObject *
LeaseQueue_try_release(LeaseQueue *self, PyObject *connection)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));

    return from_verdict(state, try_release(state, self, connection));
}

static PyObject *
LeaseQueue_make_available(LeaseQueue *self, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    int given;

    if (nargs != 2 || !IS_OWNED(state, args[0], holder)) {
        PyErr_SetString(PyExc_TypeError,
                        "make_available takes a ConnectionHolder and a connection");
        return NULL;
    }
    given = make_available(state, self, args[0], args[1]);
    return given < 0 ? NULL : PyBool_FromLong(given);
}

static PyObject *
LeaseQueue_enqueue(LeaseQueue *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"first", NULL};
    int first = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:enqueue", names, &first)) {
        return NULL;
    }
    return (PyObject *)enqueue(PyType_GetModuleState(Py_TYPE(self)), self, first);
}

static PyObject *
LeaseQueue_try_enqueue(LeaseQueue *self, PyObject *Py_UNUSED(ignored))
{
    PoolWaiter *waiter = try_enqueue(PyType_GetModuleState(Py_TYPE(self)), self);

    return waiter == NULL && !PyErr_Occurred() ? Py_NewRef(Py_None) : (PyObject *)waiter;
}

static PyObject *
LeaseQueue_pop_waiter(LeaseQueue *self, PyObject *const *args, Py_ssize_t nargs)
{
    long long ticket = LLONG_MAX;
    PoolWaiter *waiter;

    if (nargs > 1) {
        PyErr_SetString(PyExc_TypeError, "pop_waiter takes a ticket");
        return NULL;
    }
    if (nargs == 1 && args[0] != Py_None) {
        ticket = PyLong_AsLongLong(args[0]);
        if (ticket == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    waiter = pop_waiter(PyType_GetModuleState(Py_TYPE(self)), self, ticket);
    return waiter == NULL && !PyErr_Occurred() ? Py_NewRef(Py_None) : (PyObject *)waiter;
}

static PyObject *
LeaseQueue_tickets(LeaseQueue *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *tickets = PyList_New(0); /* (numbers run no code when they are made) */

    for (PoolWaiter *waiter = self->first; tickets != NULL && waiter != NULL;
         waiter = waiter->newer) {
        PyObject *ticket = PyLong_FromLongLong(waiter->ticket);

        if (ticket == NULL || PyList_Append(tickets, ticket) < 0) {
            Py_CLEAR(tickets);
        }
        Py_XDECREF(ticket);
    }
    return tickets;
}

static PyObject *
LeaseQueue_discard(LeaseQueue *self, PyObject *waiter)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));

    if (!Py_IS_TYPE(waiter, state->pool_waiter_type)) {
        PyErr_SetString(PyExc_TypeError, "discard takes a PoolWaiter");
        return NULL;
    }
    discard(self, (PoolWaiter *)waiter);
    Py_RETURN_NONE;
}

static PyObject *
LeaseQueue_record_wait(LeaseQueue *self, PyObject *seconds)
{
    double time = PyFloat_AsDouble(seconds);

    if (time == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    self->waited++;
    self->wait_time += time;
    Py_RETURN_NONE;
}

static int
LeaseQueue_traverse(LeaseQueue *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->done_future);
    Py_VISIT(self->holders);
    Py_VISIT(self->available);
    Py_VISIT(self->append);
    Py_VISIT(self->appendleft);
    Py_VISIT(self->popleft);
    for (PoolWaiter *waiter = self->first; waiter != NULL; waiter = waiter->newer) {
        Py_VISIT(waiter);
    }
    return 0;
}

/* The containers are emptied and stay in their places: methods rely on them. */
static int
LeaseQueue_clear(LeaseQueue *self)
{
    PyObject *done;

    Py_XSETREF(self->loop, Py_NewRef(Py_None));
    Py_XSETREF(self->done_future, Py_NewRef(Py_None));
    while (self->first != NULL) {
        discard(self, self->first);
    }
    PyDict_Clear(self->holders);
    done = PyObject_CallMethod(self->available, "clear", NULL);
    if (done == NULL) {
        PyErr_WriteUnraisable(self->available);
    }
    Py_XDECREF(done);
    return 0;
}

static void
LeaseQueue_dealloc(LeaseQueue *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, LeaseQueue_dealloc)
    while (self->first != NULL) {
        discard(self, self->first);
    }
    Py_CLEAR(self->loop);
    Py_CLEAR(self->done_future);
    Py_CLEAR(self->holders);
    Py_CLEAR(self->available);
    Py_CLEAR(self->append);
    Py_CLEAR(self->appendleft);
    Py_CLEAR(self->popleft);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PyObject *
LeaseQueue_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", NULL};
    const State *state = PyType_GetModuleState(type);
    PyObject *loop, *done_future, *holders, *available, *append, *appendleft, *popleft;
    LeaseQueue *self = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:LeaseQueue", names, &loop)) {
        return NULL;
    }
    /* All of this before the object, which others may find (gc.get_objects) as soon as it is
     * there. */
    done_future = PyObject_CallOneArg(state->done_future, loop);
    holders = done_future == NULL ? NULL : PyDict_New();
    available = holders == NULL ? NULL : PyObject_CallNoArgs(state->deque_type);
    append = available == NULL ? NULL : PyObject_GetAttrString(available, "append");
    appendleft = append == NULL ? NULL : PyObject_GetAttrString(available, "appendleft");
    popleft = appendleft == NULL ? NULL : PyObject_GetAttrString(available, "popleft");
    if (popleft != NULL) {
        self = (LeaseQueue *)type->tp_alloc(type, 0);
    }
    if (self == NULL) {
        Py_XDECREF(done_future);
        Py_XDECREF(holders);
        Py_XDECREF(available);
        Py_XDECREF(append);
        Py_XDECREF(appendleft);
        Py_XDECREF(popleft);
        return NULL;
    }
    self->loop = Py_NewRef(loop);
    self->done_future = done_future;
    self->holders = holders;
    self->available = available;
    self->append = append;
    self->appendleft = appendleft;
    self->popleft = popleft;
    self->thread = PyThread_get_thread_ident();
    self->capacity = -1;
    self->max_age = self->ping_after = Py_HUGE_VAL;
    return (PyObject *)self;
}

static PyMethodDef LeaseQueue_methods[] = {
    {"record_wait", METHOD(LeaseQueue_record_wait), METH_O, NULL},
    {"is_direct", METHOD(LeaseQueue_is_direct), METH_NOARGS, NULL},
    {"examine_available", METHOD(LeaseQueue_examine_available), METH_FASTCALL, NULL},
    {"examine_handed_over", METHOD(LeaseQueue_examine_handed_over), METH_FASTCALL, NULL},
    {"examine_released", METHOD(LeaseQueue_examine_released), METH_FASTCALL, NULL},
    {"examine_kept", METHOD(LeaseQueue_examine_kept), METH_FASTCALL, NULL},
    {"try_acquire", METHOD(LeaseQueue_try_acquire), METH_NOARGS, NULL},
    {"collect", METHOD(LeaseQueue_collect), METH_O, NULL},
    {"try_release", METHOD(LeaseQueue_try_release), METH_O, NULL},
    {"make_available", METHOD(LeaseQueue_make_available), METH_FASTCALL, NULL},
    {"enqueue", METHOD(LeaseQueue_enqueue), METH_VARARGS | METH_KEYWORDS, NULL},
    {"try_enqueue", METHOD(LeaseQueue_try_enqueue), METH_NOARGS, NULL},
    {"pop_waiter", METHOD(LeaseQueue_pop_waiter), METH_FASTCALL, NULL},
    {"discard", METHOD(LeaseQueue_discard), METH_O, NULL},
    {"tickets", METHOD(LeaseQueue_tickets), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef LeaseQueue_members[] = {
    {"holders", T_OBJECT_EX, offsetof(LeaseQueue, holders), READONLY, NULL},
    {"available", T_OBJECT_EX, offsetof(LeaseQueue, available), READONLY, NULL},
    {"waiting", T_PYSSIZET, offsetof(LeaseQueue, waiting), READONLY, NULL},
    {"newest_ticket", T_LONGLONG, offsetof(LeaseQueue, newest_ticket), READONLY, NULL},
    {"is_open", T_BOOL, offsetof(LeaseQueue, is_open), 0, NULL},
    {"is_watched", T_BOOL, offsetof(LeaseQueue, is_watched), 0, NULL},
    {"maxsize", T_PYSSIZET, offsetof(LeaseQueue, maxsize), 0, NULL},
    {"capacity", T_PYSSIZET, offsetof(LeaseQueue, capacity), 0, NULL},
    {"max_age", T_DOUBLE, offsetof(LeaseQueue, max_age), 0, NULL},
    {"ping_after", T_DOUBLE, offsetof(LeaseQueue, ping_after), 0, NULL},
    {"has_check", T_BOOL, offsetof(LeaseQueue, has_check), 0, NULL},
    {"resets_sessions", T_BOOL, offsetof(LeaseQueue, resets_sessions), 0, NULL},
    {"records_times", T_BOOL, offsetof(LeaseQueue, records_times), 0, NULL},
    {"records_tasks", T_BOOL, offsetof(LeaseQueue, records_tasks), 0, NULL},
    {"least_available", T_PYSSIZET, offsetof(LeaseQueue, least_available), 0, NULL},
    {"requests", T_PYSSIZET, offsetof(LeaseQueue, requests), 0, NULL},
    {"waited", T_PYSSIZET, offsetof(LeaseQueue, waited), 0, NULL},
    {"wait_time", T_DOUBLE, offsetof(LeaseQueue, wait_time), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot LeaseQueue_slots[] = {
    {Py_tp_doc, "LeaseQueue(loop)\n--\n\nSee lease_queue.LeaseQueue."},
    {Py_tp_new, LeaseQueue_new},
    {Py_tp_dealloc, LeaseQueue_dealloc},
    {Py_tp_traverse, LeaseQueue_traverse},
    {Py_tp_clear, LeaseQueue_clear},
    {Py_tp_methods, LeaseQueue_methods},
    {Py_tp_members, LeaseQueue_members},
    {0, NULL},
};

PyType_Spec LeaseQueue_spec = {
    .name = "aiomysql_pool._speedups.LeaseQueue",
    .basicsize = sizeof(LeaseQueue),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = LeaseQueue_slots,
};
