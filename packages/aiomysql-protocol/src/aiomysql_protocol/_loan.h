/* Loan: see lending.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_LOAN_H
#define AIOMYSQL_PROTOCOL_LOAN_H

#include "_shelf.h"

#include <time.h>

typedef struct {
    PyObject_HEAD
    Shelf *shelf;
    PyObject *owner;
    PyObject *timeout;
    PyObject *thing; /* what `__aexit__` gives back, or NULL */
    Turn *turn;      /* what is awaited, or NULL */
    PyObject *inner; /* awaited instead: an iterator, or NULL */
    double began;    /* when the wait for `turn` began */
    char entered;    /* is it used with `async with`? */
} Loan;

static PyObject *
Shelf_loan(Shelf *self, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    Loan *loan;

    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "loan takes an owner and a time-out");
        return NULL;
    }
    loan = (Loan *)spare_new(&state->lending.loans, state->lending.loan_type);
    if (loan != NULL) {
        loan->shelf = (Shelf *)Py_NewRef((PyObject *)self);
        loan->owner = Py_NewRef(args[0]);
        loan->timeout = Py_NewRef(args[1]);
    }
    return (PyObject *)loan;
}

static int
Loan_traverse(Loan *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->shelf);
    Py_VISIT(self->owner);
    Py_VISIT(self->timeout);
    Py_VISIT(self->thing);
    Py_VISIT(self->turn);
    Py_VISIT(self->inner);
    return 0;
}

/* What can be part of a cycle; see Shelf_clear. */
static int
Loan_clear(Loan *self)
{
    Py_XSETREF(self->owner, Py_NewRef(Py_None));
    Py_CLEAR(self->thing);
    Py_CLEAR(self->turn);
    Py_CLEAR(self->inner);
    return 0;
}

/* Seconds, of which only the difference means something.  -1: an exception is set. */
static int
clock_now(Shelf *shelf, double *now)
{
#ifdef CLOCK_MONOTONIC
    struct timespec time;

    if (clock_gettime(CLOCK_MONOTONIC, &time) == 0) {
        *now = (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
        return 0;
    }
#endif
    PyObject *answer = PyObject_CallNoArgs(shelf->clock);

    *now = answer == NULL ? -1.0 : PyFloat_AsDouble(answer);
    Py_XDECREF(answer);
    return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* The wait is over, well or badly. */
static int
note_wait(Loan *self)
{
    double now;

    self->shelf->waited++;
    if (clock_now(self->shelf, &now) < 0) {
        return -1;
    }
    self->shelf->wait_time += now - self->began;
    return 0;
}

/* Nobody awaits any more: leave the queue, and give back what was given. An exception stays set. */
static void
abandon(Loan *self)
{
    PyObject *type, *value, *traceback, *done;
    Turn *turn = self->turn;

    if (turn == NULL) {
        return;
    }
    self->turn = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    queue_discard(self->shelf, turn);
    if (note_wait(self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (turn->thing != NULL) {
        PyObject *args[2] = {self->owner, turn->thing};

        done = PyObject_Vectorcall(self->shelf->give_back, args, 2, NULL);
        if (done == NULL) {
            PyErr_WriteUnraisable(self->shelf->give_back);
        }
        Py_XDECREF(done);
    }
    Py_DECREF(turn);
    PyErr_Restore(type, value, traceback);
}

static void
Loan_finalize(Loan *self)
{
    abandon(self);
}

static void
Loan_dealloc(Loan *self)
{
    State *state;

    if (self->turn != NULL && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return;
    }
    BEGIN_DEALLOC(self, Loan_dealloc)
    Py_CLEAR(self->shelf);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->timeout);
    Py_CLEAR(self->thing);
    Py_CLEAR(self->turn);
    Py_CLEAR(self->inner);
    state = PyType_GetModuleState(Py_TYPE(self)); /* NULL: the collector was at the type */
    spare_free(state == NULL ? NULL : &state->lending.loans, (PyObject *)self);
    END_DEALLOC
}

/* It has what it was made for; takes over the reference. */
static PySendResult
loan_gives(Loan *self, PyObject *thing, PyObject **result)
{
    if (self->entered) {
        Py_XSETREF(self->thing, Py_NewRef(thing));
    }
    *result = thing;
    return PYGEN_RETURN;
}

static PySendResult
send_to_inner(Loan *self, PyObject *argument, PyObject **result)
{
    PyObject *inner = Py_NewRef(self->inner);
    PySendResult how = PyIter_Send(inner, argument, result);

    Py_DECREF(inner);
    if (how != PYGEN_NEXT) {
        Py_CLEAR(self->inner);
    }
    return how == PYGEN_RETURN ? loan_gives(self, *result, result) : how;
}

/* Go on with what `function(owner, argument)` gives. */
static PySendResult
ask_owner(Loan *self, PyObject *function, PyObject *argument, PyObject **result)
{
    PyObject *args[2] = {self->owner, argument};
    PyObject *awaitable = PyObject_Vectorcall(function, args, 2, NULL);

    *result = NULL;
    if (awaitable == NULL) {
        return PYGEN_ERROR;
    }
    if (PyCoro_CheckExact(awaitable)) {
        self->inner = awaitable;
    }
    else {
        self->inner = PyObject_CallMethod(awaitable, "__await__", NULL);
        Py_DECREF(awaitable);
        if (self->inner == NULL) {
            return PYGEN_ERROR;
        }
    }
    return send_to_inner(self, Py_None, result);
}

static PyObject *
being_awaited(void)
{
    PyErr_SetString(PyExc_RuntimeError, "this loan is being awaited already");
    return NULL;
}

/* What the turn has brought: 1: `*thing`, which fits; 0: it doesn't; -1: exception. */
static int
turn_gives(Loan *self, Turn *turn, PyObject **thing)
{
    int fits = 0;

    *thing = Turn_outcome(turn, NULL);
    if (*thing != NULL && self->shelf->open) {
        fits = item_fits(self->shelf, turn->item);
    }
    if (*thing != NULL && fits >= 0 && self->turn != turn) {
        (void)being_awaited(); /* what ran just now has closed the loan, and given all back */
        fits = -1;
    }
    if (*thing == NULL || fits < 0) {
        Py_CLEAR(*thing);
        return -1;
    }
    turn->item->fresh &= !fits;
    return fits;
}

/* Wait for its turn, or take what that has brought, perhaps an error. */
static PySendResult
resume(Loan *self, PyObject **result)
{
    Turn *turn = (Turn *)Py_NewRef((PyObject *)self->turn);
    PyObject *thing = NULL;
    PySendResult how = PYGEN_ERROR;
    int fits = -1;

    *result = NULL;
    if (turn->waiter.state == WAITER_ARMED && turn->waiter.waiting) {
        (void)being_awaited(); /* it is not the task that waits that goes on */
        goto end;
    }
    how = Waiter_am_send(&turn->waiter, Py_None, result);
    if (how == PYGEN_NEXT) {
        goto end;
    }
    Py_CLEAR(*result);
    if (how != PYGEN_ERROR) {
        fits = turn_gives(self, turn, &thing);
    }
    if (fits < 0) {
        abandon(self);
        how = PYGEN_ERROR;
        goto end;
    }
    Py_CLEAR(self->turn);
    if (note_wait(self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (fits) {
        how = loan_gives(self, thing, result);
    }
    else {
        how = ask_owner(self, self->shelf->accept, thing, result);
        Py_DECREF(thing);
    }
end:
    Py_DECREF(turn);
    return how;
}

/* Are there all things that there will be, and does the shelf give them by itself? */
static int
is_full(const Shelf *shelf)
{
    return shelf->open && PyDict_GET_SIZE(shelf->items) == shelf->capacity;
}

/* Take what is there, queue up, or ask the owner. */
static PySendResult
begin(Loan *self, PyObject **result)
{
    Shelf *shelf = self->shelf;
    State *state = PyType_GetModuleState(Py_TYPE(self));
    int home = shelf->open ? at_home(shelf) : 0;

    *result = NULL;
    if (home < 0) {
        return PYGEN_ERROR;
    }
    if (home && PyObject_Size(shelf->idle) > 0) {
        PyObject *thing = take_idle(state, shelf);

        if (thing != NULL) {
            return loan_gives(self, thing, result);
        }
        if (PyErr_Occurred()) {
            return PYGEN_ERROR;
        }
    }
    else if (home && self->timeout == Py_None && is_full(shelf)) {
        Turn *turn;

        if (clock_now(shelf, &self->began) < 0 || (turn = queue_up(state, shelf, 0)) == NULL) {
            return PYGEN_ERROR;
        }
        if (is_full(shelf) || turn->waiter.state != WAITER_ARMED) {
            self->turn = turn;
            return resume(self, result);
        }
        /* Meanwhile there is something to do for the owner. */
        queue_discard(shelf, turn);
        Py_DECREF(turn);
    }
    return ask_owner(self, shelf->borrow, self->timeout, result);
}

static PySendResult
Loan_am_send(Loan *self, PyObject *argument, PyObject **result)
{
    if (self->inner != NULL) {
        return send_to_inner(self, argument, result);
    }
    return self->turn != NULL ? resume(self, result) : begin(self, result);
}

static PyObject *
Loan_send(Loan *self, PyObject *argument)
{
    PyObject *result;

    switch (Loan_am_send(self, argument, &result)) {
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
Loan_next(Loan *self)
{
    return Loan_send(self, Py_None);
}

/* `inner` has ended with the exception that is set: if that is StopIteration it gave something. */
static void
inner_ended(Loan *self)
{
    PyObject *type, *value, *traceback, *thing;

    Py_CLEAR(self->inner);
    if (!self->entered || !PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    thing = PyObject_GetAttrString(value, "value");
    if (thing == NULL) {
        PyErr_Clear();
    }
    Py_XSETREF(self->thing, thing);
    PyErr_Restore(type, value, traceback);
}

static PyObject *
Loan_throw(Loan *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (self->inner != NULL) {
        PyObject *inner = Py_NewRef(self->inner);
        PyObject *method = PyObject_GetAttrString(inner, "throw"), *result = NULL;

        if (method == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Clear(); /* an iterator that can't take an exception ends with it */
            raise_thrown(args, nargs);
        }
        else if (method != NULL) {
            result = PyObject_Vectorcall(method, args, nargs, NULL);
            Py_DECREF(method);
        }
        if (result == NULL) {
            inner_ended(self);
        }
        Py_DECREF(inner);
        return result;
    }
    raise_thrown(args, nargs);
    abandon(self);
    return NULL;
}

static PyObject *
Loan_close(Loan *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *inner = self->inner, *method, *done;

    abandon(self);
    if (inner != NULL) {
        self->inner = NULL;
        method = PyObject_GetAttrString(inner, "close");
        if (method == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Clear();
        }
        done = method == NULL ? NULL : PyObject_CallNoArgs(method);
        Py_XDECREF(method);
        Py_XDECREF(done);
        Py_DECREF(inner);
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
Loan_await(Loan *self)
{
    if (self->turn != NULL || self->inner != NULL) {
        return being_awaited();
    }
    return Py_NewRef((PyObject *)self);
}

static PyObject *
Loan_aenter(Loan *self, PyObject *Py_UNUSED(ignored))
{
    if (self->turn != NULL || self->inner != NULL) {
        return being_awaited();
    }
    self->entered = 1;
    return Py_NewRef((PyObject *)self);
}

static PyObject *
Loan_aexit(Loan *self, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(nargs))
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *thing = self->thing, *done;
    int taken;

    if (thing == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "nothing was borrowed");
        return NULL;
    }
    self->thing = NULL;
    self->entered = 0;
    taken = take_back(state, self->shelf, thing);
    if (taken > 0) {
        done = Py_NewRef(self->shelf->done);
    }
    else if (taken == 0) {
        PyObject *args[2] = {self->owner, thing};

        done = PyObject_Vectorcall(self->shelf->give_back, args, 2, NULL);
    }
    else {
        done = NULL;
    }
    Py_DECREF(thing);
    return done;
}

static PyMethodDef Loan_methods[] = {
    {"__aenter__", (PyCFunction)(void (*)(void))Loan_aenter, METH_NOARGS, NULL},
    {"__aexit__", (PyCFunction)(void (*)(void))Loan_aexit, METH_FASTCALL, NULL},
    {"send", (PyCFunction)(void (*)(void))Loan_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))Loan_throw, METH_FASTCALL, NULL},
    {"close", (PyCFunction)(void (*)(void))Loan_close, METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Loan_slots[] = {
    {Py_tp_doc, "See lending.Loan."},
    {Py_tp_dealloc, Loan_dealloc},
    {Py_tp_finalize, Loan_finalize},
    {Py_tp_traverse, Loan_traverse},
    {Py_tp_clear, Loan_clear},
    {Py_tp_methods, Loan_methods},
    {Py_tp_iter, return_self},
    {Py_tp_iternext, Loan_next},
    {Py_am_await, Loan_await},
    {Py_am_send, Loan_am_send},
    {0, NULL},
};

static PyType_Spec Loan_spec = {
    .name = "aiomysql_protocol._speedups.Loan",
    .basicsize = sizeof(Loan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Loan_slots,
};

#endif
