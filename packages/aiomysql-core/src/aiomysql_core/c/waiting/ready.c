#include "waiting/ready.h"

#include "coroutine.h"
#include "dealloc.h"
#include "module.h"
#include "unawaited.h"

#include <stddef.h>

typedef struct {
    PyObject_HEAD
    PyObject *value;
} Ready;

PyObject *
new_ready(PyTypeObject *type, PyObject *value)
{
    Ready *self = (Ready *)type->tp_alloc(type, 0);

    if (self != NULL) {
        self->value = Py_NewRef(value);
    }
    return (PyObject *)self;
}

static PyObject *
Ready_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"value", NULL};
    PyObject *value;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Ready", names, &value)) {
        return NULL;
    }
    return new_ready(type, value);
}

PyObject *
Ready_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *names)
{
    if (PyVectorcall_NARGS(nargsf) != 1 || (names != NULL && PyTuple_GET_SIZE(names) != 0)) {
        PyErr_SetString(PyExc_TypeError, "Ready takes one positional argument");
        return NULL;
    }
    return new_ready((PyTypeObject *)type, args[0]);
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
    Py_XSETREF(self->value, Py_NewRef(Py_None)); /* it may still be found, and awaited */
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
    UNAWAITED_METHOD,
    {"send", METHOD(Ready_send), METH_O, NULL},
    {"throw", METHOD(Ready_throw), METH_FASTCALL, NULL},
    {"close", METHOD(Ready_close), METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Ready_members[] = {
    {"value", T_OBJECT_EX, offsetof(Ready, value), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Ready_slots[] = {
    {Py_tp_doc, "Ready(value, /)\n--\n\nSee ready.PyReady."},
    {Py_tp_new, Ready_new},
    {Py_tp_dealloc, Ready_dealloc},
    {Py_tp_traverse, Ready_traverse},
    {Py_tp_clear, Ready_clear},
    {Py_tp_methods, Ready_methods},
    {Py_tp_members, Ready_members},
    UNAWAITED_SLOTS,
    {Py_tp_iternext, Ready_next},
    {Py_am_await, return_self},
    {Py_am_send, Ready_am_send},
    {0, NULL},
};

PyType_Spec Ready_spec = {
    .name = "aiomysql_core._speedups.Ready",
    .basicsize = sizeof(Ready),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Ready_slots,
};
