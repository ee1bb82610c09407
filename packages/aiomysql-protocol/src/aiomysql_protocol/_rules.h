/* resting and following: see lending.py. */
#ifndef AIOMYSQL_PROTOCOL_RULES_H
#define AIOMYSQL_PROTOCOL_RULES_H

#include "dealloc.h"
#include "_fields.h"
#include "module.h"

/* What the functions that `resting` and `following` make are bound to. */
enum { RULE_FIELDS = 6 };
enum { REST_CLAIMED, REST_PENDING, REST_SESSION, REST_ERROR, REST_EXCHANGES, REST_STATUS };
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

    BEGIN_DEALLOC(self, Rule_dealloc)
    (void)Rule_clear(self);
    for (int i = 0; i < RULE_FIELDS; i++) {
        Py_CLEAR(self->fields[i].name);
    }
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
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

    if (busy == 0) {
        busy = field_is_true(&rule->fields[REST_PENDING], user);
    }
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
    const char *texts[] = {NULL, "session", "error", "exchanges", "server_status", NULL};
    PyObject *claimed, *flags;

    if (!PyArg_ParseTuple(args, "UsO!:resting", &claimed, &texts[0], &PyLong_Type, &flags)) {
        return NULL;
    }
    return bind_rule(module, &at_rest_def, claimed, texts, PyLong_AsUnsignedLongMask(flags));
}

/* Has `waiter` become the next_waiter of the stream of `user`?  Else it is to be fired.  -1: an
 * exception is set. */
static int
may_follow(Rule *rule, PyObject *user, PyObject *waiter)
{
    PyObject *stream = field_get(&rule->fields[FOLLOW_STREAM], user), *next_waiter;
    int follows;

    if (stream == NULL) {
        return -1;
    }
    follows = stream == Py_None ? 0 : field_is_true(&rule->fields[FOLLOW_WAKING], stream);
    if (follows > 0) {
        next_waiter = field_get(&rule->fields[FOLLOW_FOLLOWER], stream);
        follows = next_waiter == NULL ? -1 : next_waiter == Py_None;
        Py_XDECREF(next_waiter);
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
    static const char *const texts[] = {"waking", "next_waiter", NULL};

    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "following takes a name");
        return NULL;
    }
    return bind_rule(module, &follow_def, name, texts, 0);
}

#endif
