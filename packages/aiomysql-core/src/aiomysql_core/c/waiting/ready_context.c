#include "waiting/ready_context.h"

#include "compat/hooks.h"
#include "coroutine.h"
#include "dealloc.h"
#include "unawaited.h"

typedef struct {
    PyObject_HEAD
    PyObject *value;
} ReadyContext;

/* What the type makes when it is called, as tracers do with what they have found: a context manager
 * of the Python kind, of an awaitable. */
static PyObject *
ReadyContext_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    State *state = PyType_GetModuleState(type);

    if (state->context_manager == NULL) {
        state->context_manager =
            import_name("aiomysql_core.waiting.awaitable", "AwaitableContextManager");
    }
    return state->context_manager == NULL ? NULL
                                          : PyObject_Call(state->context_manager, args, kwargs);
}

static PyObject *
new_ready_context(const State *state, PyObject *value)
{
    PyTypeObject *type = state->ready_context_type;
    ReadyContext *self = value == NULL ? NULL : (ReadyContext *)type->tp_alloc(type, 0);

    if (self != NULL) {
        self->value = Py_NewRef(value);
    }
    return (PyObject *)self;
}

PyObject *
new_cursor(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    PyObject *cursor, *context;
    int flags, echoes;

    if (nargs != 3 || !PyType_Check(args[0]) ||
        !PyType_IsSubtype((PyTypeObject *)args[0], state->cursor_state_type)) {
        PyErr_SetString(PyExc_TypeError, "new_cursor takes a class, a connection and echo");
        return NULL;
    }
    flags = cursor_class_flags(state, (PyTypeObject *)args[0]);
    if (flags < 0) {
        return NULL;
    }
    echoes = PyObject_IsTrue(args[2]);
    if (echoes < 0) {
        return NULL;
    }
    if (!(flags & HOOK_CREATION) && Py_TYPE(args[0])->tp_call == PyType_Type.tp_call) {
        cursor = CursorState_new((PyTypeObject *)args[0], NULL, NULL);
        if (cursor != NULL) {
            Py_XSETREF(((CursorState *)cursor)->_connection, Py_NewRef(args[1]));
            Py_XSETREF(((CursorState *)cursor)->_echo, PyBool_FromLong(echoes));
            record_handovers((CursorState *)cursor, args[1]);
        }
    }
    else {
        cursor = PyObject_Vectorcall(args[0], args + 1, 2, NULL);
    }
    context = new_ready_context(state, cursor);
    Py_XDECREF(cursor);
    return context;
}

static PySendResult
ReadyContext_am_send(ReadyContext *self, PyObject *Py_UNUSED(argument), PyObject **result)
{
    *result = Py_NewRef(self->value == NULL ? Py_None : self->value);
    return PYGEN_RETURN;
}

static PyObject *
ReadyContext_next(ReadyContext *self)
{
    PyObject *value = Py_NewRef(self->value == NULL ? Py_None : self->value);

    raise_stop(value);
    Py_DECREF(value);
    return NULL;
}

static PyObject *
ReadyContext_send(ReadyContext *self, PyObject *Py_UNUSED(argument))
{
    return ReadyContext_next(self);
}

static PyObject *
ReadyContext_throw(ReadyContext *Py_UNUSED(self), PyObject *const *args, Py_ssize_t nargs)
{
    raise_thrown(args, nargs);
    return NULL;
}

static PyObject *
ReadyContext_close(ReadyContext *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    Py_RETURN_NONE;
}

static PyObject *
ReadyContext_aenter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

static PyObject *
ReadyContext_aexit(ReadyContext *self, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *value = self->value, *leaving;

    if (nargs != 3 || value == NULL) {
        PyErr_SetString(PyExc_TypeError, "__aexit__ takes three arguments, once");
        return NULL;
    }
    PyObject *arguments[4] = {value, args[0], args[1], args[2]};
    self->value = NULL;
    leaving = PyObject_VectorcallMethod(state->names.__aexit__, arguments, 4, NULL);
    Py_DECREF(value);
    return leaving;
}

static int
ReadyContext_traverse(ReadyContext *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->value);
    return 0;
}

static int
ReadyContext_clear(ReadyContext *self)
{
    Py_CLEAR(self->value);
    return 0;
}

static void
ReadyContext_dealloc(ReadyContext *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, ReadyContext_dealloc)
    Py_CLEAR(self->value);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PyMethodDef ReadyContext_methods[] = {
    UNAWAITED_METHOD,
    {"__aenter__", METHOD(ReadyContext_aenter), METH_NOARGS, NULL},
    {"__aexit__", METHOD(ReadyContext_aexit), METH_FASTCALL, NULL},
    {"send", METHOD(ReadyContext_send), METH_O, NULL},
    {"throw", METHOD(ReadyContext_throw), METH_FASTCALL, NULL},
    {"close", METHOD(ReadyContext_close), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot ReadyContext_slots[] = {
    {Py_tp_doc, "See awaitable.AwaitableContextManager."},
    {Py_tp_new, ReadyContext_new},
    {Py_tp_dealloc, ReadyContext_dealloc},
    {Py_tp_traverse, ReadyContext_traverse},
    {Py_tp_clear, ReadyContext_clear},
    {Py_tp_methods, ReadyContext_methods},
    UNAWAITED_SLOTS,
    {Py_tp_iternext, ReadyContext_next},
    {Py_am_await, return_self},
    {Py_am_send, ReadyContext_am_send},
    {0, NULL},
};

PyType_Spec ReadyContext_spec = {
    .name = "aiomysql_core._speedups.ReadyContext",
    .basicsize = sizeof(ReadyContext),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = ReadyContext_slots,
};
