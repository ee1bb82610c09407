/* Shelf: see lending.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_SHELF_H
#define AIOMYSQL_PROTOCOL_SHELF_H

#include "_rules.h"
#include "_turns.h"

/* ---- Shelf: the queue ---- */

/* Put `turn` at the end of the queue, or in front of it; the queue takes a reference. */
static void
queue_add(Shelf *self, Turn *turn, int in_front)
{
    turn->queue = self;
    turn->ticket = ++self->newest;
    turn->older = in_front ? NULL : self->last;
    turn->newer = in_front ? self->first : NULL;
    *(turn->older == NULL ? &self->first : &turn->older->newer) = turn;
    *(turn->newer == NULL ? &self->last : &turn->newer->older) = turn;
    self->waiting++;
    Py_INCREF(turn);
}

/* Take `turn` out of the queue; the caller gets the queue's reference. */
static void
queue_take(Shelf *self, Turn *turn)
{
    *(turn->older == NULL ? &self->first : &turn->older->newer) = turn->newer;
    *(turn->newer == NULL ? &self->last : &turn->newer->older) = turn->older;
    turn->queue = turn->older = turn->newer = NULL;
    self->waiting--;
}

/* Take out the oldest turn, if it is armed and its ticket at most `ticket`; NULL: there is none. */
static Turn *
queue_next(Shelf *self, long long ticket)
{
    while (self->first != NULL) {
        Turn *turn = self->first;

        if (turn->waiter.state == WAITER_ARMED && turn->ticket > ticket) {
            return NULL;
        }
        queue_take(self, turn);
        if (turn->waiter.state == WAITER_ARMED) {
            return turn;
        }
        Py_DECREF(turn);
    }
    return NULL;
}

static void
queue_discard(Shelf *self, Turn *turn)
{
    if (turn->queue == self) {
        queue_take(self, turn);
        Py_DECREF(turn);
    }
}

/* ---- Shelf: the things ---- */

/* Does `found` stand for a thing that may change hands now? -1: an exception is set. */
static int
item_fits(Shelf *self, Item *item)
{
    PyObject *answer;
    int fits;

    if (PyCFunction_CheckExact(self->fit) && PyCFunction_GET_FUNCTION(self->fit) == at_rest) {
        return rests((Rule *)PyCFunction_GET_SELF(self->fit), item->subject);
    }
    answer = PyObject_CallOneArg(self->fit, item->subject);
    fits = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return fits;
}

/* Is this the thread of the event loop, and does that run? -1: an exception is set. */
static int
at_home(Shelf *self)
{
    PyObject *answer;
    int runs;

    if (PyThread_get_thread_ident() != self->thread) {
        return 0;
    }
    answer = PyObject_CallNoArgs(self->runs);
    runs = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return runs;
}

/* The idle thing that is first in the row; NULL without an exception: it is not fit. */
static PyObject *
take_idle(const State *state, Shelf *self)
{
    PyObject *found = PyObject_CallNoArgs(self->popleft), *thing = NULL, *done;
    Item *item = (Item *)found;
    int fits;

    if (found == NULL) {
        return NULL;
    }
    if (!PyObject_TypeCheck(found, state->lending.item_type)) {
        PyErr_SetString(PyExc_TypeError, "an idle item must be an Item");
        Py_DECREF(found);
        return NULL;
    }
    fits = item->held == NULL ? 0 : item_fits(self, item);
    if (fits > 0 && item->held != NULL) {
        thing = item->held;
        item->held = NULL;
        item->fresh = 0;
        self->lent++;
    }
    else if (fits >= 0) {
        done = PyObject_CallOneArg(self->appendleft, found);
        Py_XDECREF(done);
    }
    Py_DECREF(found);
    return thing;
}

/* Have the task go on that waits for `turn` and is to use what `subject` tells of. */
static int
wake_turn(Shelf *self, PyObject *subject, Turn *turn)
{
    PyObject *args[2] = {Py_NewRef(subject), (PyObject *)turn}, *done = NULL;
    int follows = 0;

    if (PyCFunction_CheckExact(self->wake) && PyCFunction_GET_FUNCTION(self->wake) == CALLS(follow)) {
        follows = may_follow((Rule *)PyCFunction_GET_SELF(self->wake), subject, (PyObject *)turn);
        if (follows == 0) {
            done = Waiter_fire(&turn->waiter, Py_False);
        }
    }
    else {
        done = PyObject_Vectorcall(self->wake, args, 2, NULL);
    }
    Py_DECREF(args[0]);
    Py_XDECREF(done);
    return done != NULL || follows > 0 ? 0 : -1;
}

/* Give `thing` to the oldest turn, 1, or make it idle, 0; -1: an exception is set. */
static int
hand_on(Shelf *self, Item *item, PyObject *thing)
{
    Turn *turn = queue_next(self, self->newest);
    PyObject *done;
    int woken;

    if (turn == NULL) {
        Py_XSETREF(item->held, Py_NewRef(thing));
        done = PyObject_CallOneArg(self->append, (PyObject *)item);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    Py_CLEAR(item->held);
    self->lent++;
    Py_XSETREF(turn->item, (Item *)Py_NewRef((PyObject *)item));
    Py_XSETREF(turn->thing, Py_NewRef(thing));
    woken = wake_turn(self, item->subject, turn);
    Py_DECREF(turn);
    return woken < 0 ? -1 : 1;
}

/* Take back `thing` if there is nothing to do for that but to give it on; 0: nothing was done. */
static int
take_back(const State *state, Shelf *self, PyObject *thing)
{
    PyObject *key, *found;
    Item *item;
    int fits = 0;

    if (!self->open) {
        return 0;
    }
    key = PyLong_FromVoidPtr(thing);
    if (key == NULL) {
        return -1;
    }
    found = PyDict_GetItemWithError(self->items, key);
    Py_DECREF(key);
    if (found == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (!PyObject_TypeCheck(found, state->lending.item_type)) {
        return 0;
    }
    item = (Item *)Py_NewRef(found);
    if (item->held == NULL) {
        fits = item_fits(self, item);
    }
    if (fits > 0) {
        item->fresh = 0;
        fits = hand_on(self, item, thing) < 0 ? -1 : 1;
    }
    Py_DECREF(item);
    return fits;
}

/* A new turn, the last in the queue or in front of it. */
static Turn *
queue_up(State *state, Shelf *self, int in_front)
{
    Turn *turn = new_turn(state, self);

    if (turn == NULL) {
        return NULL;
    }
    queue_add(self, turn, in_front);
    /* To make it may have run code, a finalizer say, that gave things back: they found nobody in
     * the queue. */
    while (self->first != NULL && PyObject_Size(self->idle) > 0) {
        Item *item = (Item *)PyObject_CallNoArgs(self->popleft);
        PyObject *thing = NULL;
        int failed = item == NULL;

        if (item != NULL && !PyObject_TypeCheck(item, state->lending.item_type)) {
            PyErr_SetString(PyExc_TypeError, "an idle item must be an Item");
            failed = 1;
        }
        else if (item != NULL && (thing = Py_XNewRef(item->held)) != NULL) {
            failed = hand_on(self, item, thing) < 0;
        }
        Py_XDECREF(thing);
        Py_XDECREF(item);
        if (failed) {
            queue_discard(self, turn);
            Py_DECREF(turn);
            return NULL;
        }
    }
    return turn;
}

static PyObject *
Shelf_take_back(Shelf *self, PyObject *thing)
{
    int taken = take_back(PyType_GetModuleState(Py_TYPE(self)), self, thing);

    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

static PyObject *
Shelf_put(Shelf *self, PyObject *args)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *item, *thing;
    int given;

    if (!PyArg_ParseTuple(args, "O!O:put", state->lending.item_type, &item, &thing)) {
        return NULL;
    }
    given = hand_on(self, (Item *)item, thing);
    return given < 0 ? NULL : PyBool_FromLong(given);
}

static PyObject *
Shelf_queue_up(Shelf *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"first", NULL};
    int first = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:queue_up", names, &first)) {
        return NULL;
    }
    return (PyObject *)queue_up(PyType_GetModuleState(Py_TYPE(self)), self, first);
}

static PyObject *
Shelf_next(Shelf *self, PyObject *args)
{
    long long ticket = self->newest;
    Turn *turn;

    if (!PyArg_ParseTuple(args, "|L:next", &ticket)) {
        return NULL;
    }
    turn = queue_next(self, ticket);
    if (turn == NULL) {
        Py_RETURN_NONE;
    }
    return (PyObject *)turn;
}

static PyObject *
Shelf_discard(Shelf *self, PyObject *turn)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));

    if (!Py_IS_TYPE(turn, state->lending.turn_type)) {
        PyErr_SetString(PyExc_TypeError, "discard takes a Turn");
        return NULL;
    }
    queue_discard(self, (Turn *)turn);
    Py_RETURN_NONE;
}

static PyObject *Shelf_loan(Shelf *self, PyObject *const *args, Py_ssize_t nargs);

static int
Shelf_traverse(Shelf *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->cancelled_error);
    Py_VISIT(self->done_future);
    Py_VISIT(self->fit);
    Py_VISIT(self->wake);
    Py_VISIT(self->borrow);
    Py_VISIT(self->accept);
    Py_VISIT(self->give_back);
    Py_VISIT(self->runs);
    Py_VISIT(self->clock);
    Py_VISIT(self->done);
    Py_VISIT(self->items);
    Py_VISIT(self->idle);
    Py_VISIT(self->append);
    Py_VISIT(self->appendleft);
    Py_VISIT(self->popleft);
    for (Turn *turn = self->first; turn != NULL; turn = turn->newer) {
        Py_VISIT(turn);
    }
    return 0;
}

/* What can be part of a cycle.  The rest stays in its place: methods rely on it. */
static int
Shelf_clear(Shelf *self)
{
    Turn *turn;

    while ((turn = self->first) != NULL) {
        queue_take(self, turn);
        Py_DECREF(turn);
    }
    if (self->items != NULL) {
        PyDict_Clear(self->items);
    }
    if (self->idle != NULL) {
        PyObject *done = PyObject_CallMethod(self->idle, "clear", NULL);

        Py_XDECREF(done);
    }
    return 0;
}

static void
Shelf_dealloc(Shelf *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, Shelf_dealloc)
    (void)Shelf_clear(self);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->cancelled_error);
    Py_CLEAR(self->done_future);
    Py_CLEAR(self->fit);
    Py_CLEAR(self->wake);
    Py_CLEAR(self->borrow);
    Py_CLEAR(self->accept);
    Py_CLEAR(self->give_back);
    Py_CLEAR(self->runs);
    Py_CLEAR(self->clock);
    Py_CLEAR(self->done);
    Py_CLEAR(self->items);
    Py_CLEAR(self->idle);
    Py_CLEAR(self->append);
    Py_CLEAR(self->appendleft);
    Py_CLEAR(self->popleft);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PyObject *
Shelf_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop",   "cancelled_error", "done_future",   "fit",       "wake",
                            "borrow", "accept",          "give_back", "get_ident", NULL};
    const State *state = PyType_GetModuleState(type);
    PyObject *loop, *cancelled_error, *done_future = Py_None;
    PyObject *fit = NULL, *wake = NULL, *borrow = NULL, *accept = NULL, *give_back = NULL, *get_ident = NULL;
    Shelf *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O$OOOOOO:Shelf", names, &loop,
                                     &cancelled_error, &done_future, &fit, &wake, &borrow, &accept,
                                     &give_back, &get_ident)) {
        return NULL;
    }
    if (fit == NULL || wake == NULL || borrow == NULL || accept == NULL || give_back == NULL ||
        get_ident == NULL) {
        PyErr_SetString(PyExc_TypeError, "Shelf takes six functions by name");
        return NULL;
    }
    if (!PyExceptionClass_Check(cancelled_error)) {
        PyErr_SetString(PyExc_TypeError, "cancelled_error must be an exception class");
        return NULL;
    }
    self = (Shelf *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->loop = Py_NewRef(loop);
    self->cancelled_error = Py_NewRef(cancelled_error);
    self->done_future = done_future == Py_None ? NULL : Py_NewRef(done_future);
    self->fit = Py_NewRef(fit);
    self->wake = Py_NewRef(wake);
    self->borrow = Py_NewRef(borrow);
    self->accept = Py_NewRef(accept);
    self->give_back = Py_NewRef(give_back);
    self->clock = Py_NewRef(state->lending.monotonic);
    self->thread = PyThread_get_thread_ident();
    self->capacity = -1;
    self->runs = PyObject_GetAttrString(loop, "is_running");
    self->done = PyObject_CallOneArg((PyObject *)state->ready_type, Py_None);
    self->items = PyDict_New();
    self->idle = PyObject_CallNoArgs(state->lending.deque_type);
    if (self->idle != NULL) {
        self->append = PyObject_GetAttrString(self->idle, "append");
        self->appendleft = PyObject_GetAttrString(self->idle, "appendleft");
        self->popleft = PyObject_GetAttrString(self->idle, "popleft");
    }
    if (self->runs == NULL || self->done == NULL || self->items == NULL || self->append == NULL ||
        self->appendleft == NULL || self->popleft == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyMethodDef Shelf_methods[] = {
    {"loan", (PyCFunction)(void (*)(void))Shelf_loan, METH_FASTCALL, NULL},
    {"put", (PyCFunction)(void (*)(void))Shelf_put, METH_VARARGS, NULL},
    {"take_back", (PyCFunction)(void (*)(void))Shelf_take_back, METH_O, NULL},
    {"queue_up", (PyCFunction)(void (*)(void))Shelf_queue_up, METH_VARARGS | METH_KEYWORDS, NULL},
    {"next", (PyCFunction)(void (*)(void))Shelf_next, METH_VARARGS, NULL},
    {"discard", (PyCFunction)(void (*)(void))Shelf_discard, METH_O, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Shelf_members[] = {
    {"items", T_OBJECT_EX, offsetof(Shelf, items), READONLY, NULL},
    {"idle", T_OBJECT_EX, offsetof(Shelf, idle), READONLY, NULL},
    {"waiting", T_PYSSIZET, offsetof(Shelf, waiting), READONLY, NULL},
    {"newest", T_LONGLONG, offsetof(Shelf, newest), READONLY, NULL},
    {"open", T_BOOL, offsetof(Shelf, open), 0, NULL},
    {"capacity", T_PYSSIZET, offsetof(Shelf, capacity), 0, NULL},
    {"lent", T_PYSSIZET, offsetof(Shelf, lent), 0, NULL},
    {"waited", T_PYSSIZET, offsetof(Shelf, waited), 0, NULL},
    {"wait_time", T_DOUBLE, offsetof(Shelf, wait_time), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Shelf_slots[] = {
    {Py_tp_doc, "See lending.Shelf."},
    {Py_tp_new, Shelf_new},
    {Py_tp_dealloc, Shelf_dealloc},
    {Py_tp_traverse, Shelf_traverse},
    {Py_tp_clear, Shelf_clear},
    {Py_tp_methods, Shelf_methods},
    {Py_tp_members, Shelf_members},
    {0, NULL},
};

static PyType_Spec Shelf_spec = {
    .name = "aiomysql_protocol._speedups.Shelf",
    .basicsize = sizeof(Shelf),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Shelf_slots,
};

#endif
