/* Item and Turn: see lending.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_TURNS_H
#define AIOMYSQL_PROTOCOL_TURNS_H

#include "module.h"
#include "_waiting.h"

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

    BEGIN_DEALLOC(self, Item_dealloc)
    Py_CLEAR(self->held);
    Py_CLEAR(self->subject);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
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

/* Free an object that the garbage collector tracks no more, and that refers to nothing. `spares` may
 * be NULL. */
static void
spare_free(Spares *spares, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    /* (What was finalized would not be so again.) */
    if (spares != NULL && spares->count < spares->room && !PyObject_GC_IsFinalized(object)) {
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
    PyObject *done_future;
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
        self->waiter.done_future = Py_XNewRef(shelf->done_future);
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
    State *state;

    BEGIN_DEALLOC(self, Turn_dealloc)
    (void)Turn_clear(self);
    state = PyType_GetModuleState(Py_TYPE(self)); /* NULL: the collector was at the type */
    spare_free(state == NULL ? NULL : &state->lending.turns, (PyObject *)self);
    END_DEALLOC
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

#endif
