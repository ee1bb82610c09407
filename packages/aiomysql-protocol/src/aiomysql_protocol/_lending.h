/* Item, Turn, Shelf, Loan, resting and following: see lending.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_LENDING_H
#define AIOMYSQL_PROTOCOL_LENDING_H

#include "_fields.h"
#include "_values.h"
#include "_waiting.h"

#include <time.h>

/* ---- Item ---- */

typedef struct {
    PyObject_HEAD
    PyObject *held; /* the thing, or NULL */
    PyObject *subject;
    char fresh;
} Item;

static PyObject *
Item_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Item *self = (Item *)type->tp_alloc(type, 0);

    if (self != NULL) {
        self->subject = Py_NewRef(Py_None);
        self->fresh = 1;
    }
    return (PyObject *)self;
}

static int
Item_init(Item *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"thing", "subject", NULL};
    PyObject *thing, *subject;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:Item", names, &thing, &subject)) {
        return -1;
    }
    Py_XSETREF(self->held, thing == Py_None ? NULL : Py_NewRef(thing));
    Py_XSETREF(self->subject, Py_NewRef(subject));
    return 0;
}

static int
Item_traverse(Item *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->held);
    Py_VISIT(self->subject);
    return 0;
}

static int
Item_clear(Item *self)
{
    Py_CLEAR(self->held);
    Py_XSETREF(self->subject, Py_NewRef(Py_None)); /* the fields of subclasses may look at it */
    return 0;
}

static void
Item_dealloc(Item *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->held);
    Py_CLEAR(self->subject);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Item_get_held(Item *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->held == NULL ? Py_None : self->held);
}

static int
Item_set_held(Item *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XSETREF(self->held, value == NULL || value == Py_None ? NULL : Py_NewRef(value));
    return 0;
}

static PyGetSetDef Item_getset[] = {
    {"held", (getter)Item_get_held, (setter)Item_set_held, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef Item_members[] = {
    {"subject", T_OBJECT_EX, offsetof(Item, subject), READONLY, NULL},
    {"fresh", T_BOOL, offsetof(Item, fresh), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef generic_methods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Item_slots[] = {
    {Py_tp_doc, "Item(thing, subject)\n--\n\nSee lending.Item."},
    {Py_tp_new, Item_new},
    {Py_tp_init, Item_init},
    {Py_tp_dealloc, Item_dealloc},
    {Py_tp_traverse, Item_traverse},
    {Py_tp_clear, Item_clear},
    {Py_tp_members, Item_members},
    {Py_tp_getset, Item_getset},
    {Py_tp_methods, generic_methods},
    {0, NULL},
};

static PyType_Spec Item_spec = {
    .name = "aiomysql_protocol._speedups.Item",
    .basicsize = sizeof(Item),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Item_slots,
};

/* ---- Memory of turns and loans, for the next ones ---- */

static PyObject *
spare_new(Spares *spares, PyTypeObject *type)
{
    PyObject *object;

    if (spares->count == 0) {
        return type->tp_alloc(type, 0);
    }
    object = spares->objects[--spares->count];
    memset((char *)object + sizeof(PyObject), 0, (size_t)type->tp_basicsize - sizeof(PyObject));
    object = PyObject_Init(object, type);
    PyObject_GC_Track(object);
    return object;
}

/* Free an object that the garbage collector tracks no more, and that refers to nothing. */
static void
spare_free(Spares *spares, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    /* (What was finalized would not be so again.) */
    if (spares->count < spares->room && !PyObject_GC_IsFinalized(object)) {
        spares->objects[spares->count++] = object;
    }
    else {
        type->tp_free(object);
    }
    Py_DECREF(type);
}

static void
spare_open(Spares *spares)
{
#ifndef Py_GIL_DISABLED /* or else threads would need a lock */
    spares->room = SPARES;
#endif
}

static void
spare_clear(Spares *spares)
{
    spares->room = 0;
    while (spares->count > 0) {
        PyObject_GC_Del(spares->objects[--spares->count]);
    }
}

/* ---- Turn ---- */

typedef struct Turn {
    Waiter waiter;
    void *queue; /* the shelf in whose queue it stands, only to be compared; NULL: in none */
    struct Turn *older;
    struct Turn *newer;
    Item *item;      /* what was given, or NULL */
    PyObject *thing; /* the same, or NULL */
    PyObject *error; /* given instead, or NULL */
    long long ticket;
} Turn;

typedef struct {
    PyObject_HEAD
    PyObject *loop;
    PyObject *cancelled_error;
    PyObject *fit;
    PyObject *wake;
    PyObject *borrow;
    PyObject *accept;
    PyObject *give_back;
    PyObject *runs;  /* loop.is_running */
    PyObject *clock; /* time.monotonic */
    PyObject *done;  /* Ready(None) */
    PyObject *items; /* a dict */
    PyObject *idle;  /* a collections.deque, and methods of it */
    PyObject *append;
    PyObject *appendleft;
    PyObject *popleft;
    Turn *first; /* the queue; it owns its turns */
    Turn *last;
    Py_ssize_t waiting;
    long long newest;
    unsigned long thread;
    Py_ssize_t capacity;
    Py_ssize_t lent;
    Py_ssize_t waited;
    double wait_time;
    char open;
} Shelf;

static Turn *
new_turn(State *state, Shelf *shelf)
{
    Turn *self = (Turn *)spare_new(&state->lending.turns, state->lending.turn_type);

    if (self != NULL) {
        self->waiter.loop = Py_NewRef(shelf->loop);
        self->waiter.cancelled_error = Py_NewRef(shelf->cancelled_error);
        self->waiter.state = WAITER_ARMED;
    }
    return self;
}

static int
Turn_traverse(Turn *self, visitproc visit, void *arg)
{
    Py_VISIT(self->item);
    Py_VISIT(self->thing);
    Py_VISIT(self->error);
    return Waiter_traverse(&self->waiter, visit, arg);
}

static int
Turn_clear(Turn *self)
{
    Py_CLEAR(self->item);
    Py_CLEAR(self->thing);
    Py_CLEAR(self->error);
    return Waiter_clear(&self->waiter);
}

static void
Turn_dealloc(Turn *self)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));

    PyObject_GC_UnTrack(self);
    (void)Turn_clear(self);
    spare_free(&state->lending.turns, (PyObject *)self);
}

static PyObject *
Turn_fail(Turn *self, PyObject *error)
{
    if (!PyExceptionInstance_Check(error)) {
        PyErr_SetString(PyExc_TypeError, "fail takes an exception");
        return NULL;
    }
    if (self->waiter.state != WAITER_ARMED) {
        Py_RETURN_NONE;
    }
    Py_XSETREF(self->error, Py_NewRef(error));
    return Waiter_fire(&self->waiter, Py_False);
}

static PyObject *
Turn_outcome(Turn *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *error = self->error;

    if (self->thing != NULL) {
        return Py_NewRef(self->thing);
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

static PyMethodDef Turn_methods[] = {
    {"fail", (PyCFunction)(void (*)(void))Turn_fail, METH_O, NULL},
    {"outcome", (PyCFunction)(void (*)(void))Turn_outcome, METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Turn_members[] = {
    {"item", T_OBJECT, offsetof(Turn, item), READONLY, NULL},
    {"thing", T_OBJECT, offsetof(Turn, thing), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Turn_slots[] = {
    {Py_tp_doc, "See lending.Turn."},
    {Py_tp_dealloc, Turn_dealloc},
    {Py_tp_traverse, Turn_traverse},
    {Py_tp_clear, Turn_clear},
    {Py_tp_members, Turn_members},
    {Py_tp_methods, Turn_methods},
    {0, NULL},
};

static PyType_Spec Turn_spec = {
    .name = "aiomysql_protocol._speedups.Turn",
    .basicsize = sizeof(Turn),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Turn_slots,
};

/* ---- resting and following ---- */

/* What the functions that `resting` and `following` make are bound to. */
enum { RULE_FIELDS = 5 };
enum { REST_CLAIMED, REST_SESSION, REST_ERROR, REST_EXCHANGES, REST_STATUS };
enum { FOLLOW_STREAM, FOLLOW_WAKING, FOLLOW_FOLLOWER };

typedef struct {
    PyObject_HEAD
    Field fields[RULE_FIELDS];
    unsigned long flags;
} Rule;

static int
Rule_traverse(Rule *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < RULE_FIELDS; i++) {
        Py_VISIT(self->fields[i].type);
    }
    return 0;
}

static int
Rule_clear(Rule *self)
{
    for (int i = 0; i < RULE_FIELDS; i++) {
        Py_CLEAR(self->fields[i].type);
    }
    return 0;
}

static void
Rule_dealloc(Rule *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    (void)Rule_clear(self);
    for (int i = 0; i < RULE_FIELDS; i++) {
        Py_CLEAR(self->fields[i].name);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot Rule_slots[] = {
    {Py_tp_dealloc, Rule_dealloc},
    {Py_tp_traverse, Rule_traverse},
    {Py_tp_clear, Rule_clear},
    {0, NULL},
};

static PyType_Spec Rule_spec = {
    .name = "aiomysql_protocol._speedups.Rule",
    .basicsize = sizeof(Rule),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Rule_slots,
};

/* `method` bound to a new rule with fields of these names, `first` and then `texts`. */
static PyObject *
bind_rule(PyObject *module, PyMethodDef *method, PyObject *first, const char *const *texts,
          unsigned long flags)
{
    const State *state = PyModule_GetState(module);
    Rule *rule = (Rule *)state->lending.rule_type->tp_alloc(state->lending.rule_type, 0);
    PyObject *name = rule == NULL ? NULL : PyModule_GetNameObject(module), *made = NULL;

    if (name != NULL) {
        rule->flags = flags;
        rule->fields[0].name = Py_NewRef(first);
        PyUnicode_InternInPlace(&rule->fields[0].name);
        int i = 1;
        while (i < RULE_FIELDS && texts[i - 1] != NULL &&
               (rule->fields[i].name = PyUnicode_InternFromString(texts[i - 1])) != NULL) {
            i++;
        }
        if (i == RULE_FIELDS || texts[i - 1] == NULL) {
            made = PyCFunction_NewEx(method, (PyObject *)rule, name);
        }
    }
    Py_XDECREF(name);
    Py_XDECREF(rule);
    return made;
}

/* Are the user of a session and the session at rest?  -1: an exception is set. */
static int
rests(Rule *rule, PyObject *user)
{
    PyObject *session, *error, *status;
    unsigned long flags = 0;
    int busy = field_is_true(&rule->fields[REST_CLAIMED], user);

    if (busy != 0) {
        return busy < 0 ? -1 : 0;
    }
    session = field_get(&rule->fields[REST_SESSION], user);
    if (session == NULL || session == Py_None) {
        Py_XDECREF(session);
        return session == NULL ? -1 : 0;
    }
    error = field_get(&rule->fields[REST_ERROR], session);
    busy = error == NULL ? -1 : error != Py_None;
    Py_XDECREF(error);
    if (busy == 0) {
        busy = field_is_true(&rule->fields[REST_EXCHANGES], session);
    }
    if (busy == 0) {
        status = field_get(&rule->fields[REST_STATUS], session);
        if (status != NULL) {
            flags = PyLong_AsUnsignedLongMask(status);
            Py_DECREF(status);
        }
        busy = status == NULL || (flags == (unsigned long)-1 && PyErr_Occurred())
                   ? -1
                   : (flags & rule->flags) != 0;
    }
    Py_DECREF(session);
    return busy < 0 ? -1 : !busy;
}

static PyObject *
at_rest(PyObject *rule, PyObject *user)
{
    int rest = rests((Rule *)rule, user);

    return rest < 0 ? NULL : PyBool_FromLong(rest);
}

static PyMethodDef at_rest_def = {"at_rest", at_rest, METH_O, "See lending.resting."};

static PyObject *
resting(PyObject *module, PyObject *args)
{
    static const char *const texts[] = {"session", "error", "exchanges", "server_status", NULL};
    PyObject *claimed, *flags;

    if (!PyArg_ParseTuple(args, "UO!:resting", &claimed, &PyLong_Type, &flags)) {
        return NULL;
    }
    return bind_rule(module, &at_rest_def, claimed, texts, PyLong_AsUnsignedLongMask(flags));
}

/* Has `waiter` become the follower of the stream of `user`?  Else it is to be fired.  -1: an
 * exception is set. */
static int
may_follow(Rule *rule, PyObject *user, PyObject *waiter)
{
    PyObject *stream = field_get(&rule->fields[FOLLOW_STREAM], user), *follower;
    int follows;

    if (stream == NULL) {
        return -1;
    }
    follows = stream == Py_None ? 0 : field_is_true(&rule->fields[FOLLOW_WAKING], stream);
    if (follows > 0) {
        follower = field_get(&rule->fields[FOLLOW_FOLLOWER], stream);
        follows = follower == NULL ? -1 : follower == Py_None;
        Py_XDECREF(follower);
    }
    if (follows > 0 && field_set(&rule->fields[FOLLOW_FOLLOWER], stream, waiter) < 0) {
        follows = -1;
    }
    Py_DECREF(stream);
    return follows;
}

static PyObject *
follow(PyObject *rule, PyObject *const *args, Py_ssize_t nargs)
{
    int follows;

    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "follow takes a user of a stream and a waiter");
        return NULL;
    }
    follows = may_follow((Rule *)rule, args[0], args[1]);
    if (follows == 0) {
        return PyObject_CallMethod(args[1], "fire", "O", Py_False);
    }
    return follows < 0 ? NULL : Py_NewRef(Py_None);
}

#define CALLS(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef follow_def = {"follow", CALLS(follow), METH_FASTCALL,
                                 "See lending.following."};

static PyObject *
following(PyObject *module, PyObject *name)
{
    static const char *const texts[] = {"waking", "follower", NULL};

    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "following takes a name");
        return NULL;
    }
    return bind_rule(module, &follow_def, name, texts, 0);
}

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
    Turn *turn;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:queue_up", names, &first)) {
        return NULL;
    }
    turn = new_turn(PyType_GetModuleState(Py_TYPE(self)), self);
    if (turn != NULL) {
        queue_add(self, turn, first);
    }
    return (PyObject *)turn;
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

    PyObject_GC_UnTrack(self);
    (void)Shelf_clear(self);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->cancelled_error);
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
}

static PyObject *
Shelf_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", "cancelled_error", "fit",       "wake",
                            "borrow", "accept",        "give_back", "get_ident", NULL};
    const State *state = PyType_GetModuleState(type);
    PyObject *loop, *cancelled_error;
    PyObject *fit = NULL, *wake = NULL, *borrow = NULL, *accept = NULL, *give_back = NULL, *get_ident = NULL;
    Shelf *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|$OOOOOO:Shelf", names, &loop,
                                     &cancelled_error, &fit, &wake, &borrow, &accept,
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

/* ---- Loan ---- */

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
    State *state = PyType_GetModuleState(Py_TYPE(self));

    if (self->turn != NULL && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->shelf);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->timeout);
    Py_CLEAR(self->thing);
    Py_CLEAR(self->turn);
    Py_CLEAR(self->inner);
    spare_free(&state->lending.loans, (PyObject *)self);
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

/* Its turn came, or an error. */
static PySendResult
resume(Loan *self, PyObject **result)
{
    Turn *turn = self->turn;
    Shelf *shelf = self->shelf;
    PyObject *thing;
    PySendResult how;
    int fits = 0;

    *result = NULL;
    if (turn->waiter.state == WAITER_ARMED) { /* it is not the task that waits that goes on */
        (void)being_awaited();
        return PYGEN_ERROR;
    }
    how = Waiter_am_send(&turn->waiter, Py_None, result);
    Py_CLEAR(*result);
    if (how == PYGEN_ERROR) {
        abandon(self);
        return how;
    }
    thing = Turn_outcome(turn, NULL);
    if (thing != NULL && shelf->open) {
        fits = item_fits(shelf, turn->item);
    }
    if (thing == NULL || fits < 0) {
        Py_XDECREF(thing);
        abandon(self);
        return PYGEN_ERROR;
    }
    self->turn = NULL;
    if (note_wait(self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (fits) {
        turn->item->fresh = 0;
        Py_DECREF(turn);
        return loan_gives(self, thing, result);
    }
    Py_DECREF(turn);
    how = ask_owner(self, shelf->accept, thing, result);
    Py_DECREF(thing);
    return how;
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
    else if (home && self->timeout == Py_None && PyDict_GET_SIZE(shelf->items) == shelf->capacity) {
        if (clock_now(shelf, &self->began) < 0 || (self->turn = new_turn(state, shelf)) == NULL) {
            return PYGEN_ERROR;
        }
        queue_add(shelf, self->turn, 0);
        return Waiter_am_send(&self->turn->waiter, Py_None, result);
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

/* ---- for the module ---- */

static PyTypeObject *
lending_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, (PyObject *)base);

    if (type != NULL && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

static int
lending_exec(PyObject *module, State *state)
{
    Lending *lending = &state->lending;

    spare_open(&lending->turns);
    spare_open(&lending->loans);
    lending->rule_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Rule_spec, NULL);
    lending->item_type = lending_type(module, &Item_spec, NULL);
    lending->turn_type = lending_type(module, &Turn_spec, state->waiter_type);
    lending->shelf_type = lending_type(module, &Shelf_spec, NULL);
    lending->loan_type = lending_type(module, &Loan_spec, NULL);
    lending->deque_type = import_name("collections", "deque");
    lending->monotonic = import_name("time", "monotonic");
    return lending->rule_type == NULL || lending->item_type == NULL || lending->turn_type == NULL ||
                   lending->shelf_type == NULL || lending->loan_type == NULL ||
                   lending->deque_type == NULL || lending->monotonic == NULL
               ? -1
               : 0;
}

static int
lending_traverse(Lending *lending, visitproc visit, void *arg)
{
    Py_VISIT(lending->rule_type);
    Py_VISIT(lending->item_type);
    Py_VISIT(lending->turn_type);
    Py_VISIT(lending->shelf_type);
    Py_VISIT(lending->loan_type);
    Py_VISIT(lending->deque_type);
    Py_VISIT(lending->monotonic);
    return 0;
}

static void
lending_clear(Lending *lending)
{
    spare_clear(&lending->turns);
    spare_clear(&lending->loans);
    Py_CLEAR(lending->rule_type);
    Py_CLEAR(lending->item_type);
    Py_CLEAR(lending->turn_type);
    Py_CLEAR(lending->shelf_type);
    Py_CLEAR(lending->loan_type);
    Py_CLEAR(lending->deque_type);
    Py_CLEAR(lending->monotonic);
}

#endif
