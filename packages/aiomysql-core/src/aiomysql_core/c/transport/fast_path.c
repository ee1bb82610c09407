/* Python objects keep all state (connection, runner, session, exchange, cursor): what is done here
 * is what cursors.py, engine/runner.py, statements.py and transport/socket_stream.py do, step by
 * step.  Wherever something else is to be done `begin` changes nothing and returns False, and
 * awaiting leaves the result to be taken. */
#include "transport/fast_path.h"

#include "coroutine.h"
#include "dealloc.h"
#include "transport/fast_request.h"

#include <errno.h>
#include <sys/socket.h>

/* Longer requests are sent with the interpreter's lock released. */
enum { SHORT_REQUEST = 1 << 14 };

enum { METADATA_DESCRIPTION = 1 }; /* of metadata.ResultMetadata */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* ---- Sending ---- */

/* Send `data`; what the system doesn't take is left to the stream.  -1: an exception is set. */
static int
fast_send(FastPath *self, const State *state, PyObject *data)
{
    const char *bytes = PyBytes_AS_STRING(data);
    Py_ssize_t size = PyBytes_GET_SIZE(data), sent;
    PyObject *rest, *done;

    if (!is_open(self, state)) {
        /* The descriptor may be another's by now; the exchange ends as the session does. */
        return 0;
    }
    if (size <= SHORT_REQUEST) {
        sent = send(self->descriptor, bytes, (size_t)size, MSG_NOSIGNAL);
    }
    else {
        Py_BEGIN_ALLOW_THREADS
        sent = send(self->descriptor, bytes, (size_t)size, MSG_NOSIGNAL);
        Py_END_ALLOW_THREADS
    }
    if (sent == size) {
        return 0;
    }
    if (sent < 0) {
        sent = 0; /* the stream will meet the error again */
    }
    rest = PyBytes_FromStringAndSize(bytes + sent, size - sent);
    done = rest == NULL ? NULL : PyObject_CallMethodOneArg(self->stream, state->names._write, rest);
    Py_XDECREF(rest);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The exchange is queued: record that wherever it is to be known, and arm the waiter.  -1: an
 * exception is set. */
static int
fast_record_start(FastPath *self, const State *state)
{
    CursorState *cursor = self->cursor;
    PyObject *done;

    if (cursor->_result == Py_None) {
        Py_XSETREF(cursor->_rowcount, PyLong_FromLong(0));
    }
    else {
        done = PyObject_CallMethodNoArgs((PyObject *)cursor, state->names._clear_result);
        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    Py_XSETREF(cursor->_last_executed, Py_NewRef(self->encoded));
    Py_XSETREF(SLOT(state, self->runner, runner_result), Py_NewRef(Py_None));
    if (SLOT(state, self->runner, runner_autocommit) != Py_True &&
        !ends_transaction(state, cursor)) {
        Py_XSETREF(SLOT(state, self->runner, runner_transaction_possible), Py_NewRef(Py_True));
    }
    Py_XSETREF(SLOT(state, self->exchange, exchange_on_progress), Py_NewRef(self->mark_progress));
    done = Waiter_arm(self->waiter, self->interrupted);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static void
fast_forget(FastPath *self)
{
    Py_CLEAR(self->cursor);
    Py_CLEAR(self->exchange);
    Py_CLEAR(self->encoded);
    Py_CLEAR(self->statement);
}

/* The exception that is set came after the exchange was started: nobody will read its response. */
static void
give_up(FastPath *self)
{
    PyObject *exception = take_exception(), *done;

    done = PyObject_CallOneArg(self->interrupted, exception == NULL ? Py_None : exception);
    if (done == NULL) {
        PyErr_WriteUnraisable(self->interrupted);
    }
    Py_XDECREF(done);
    if (exception != NULL) {
        set_exception(exception);
    }
}

/* begin(cursor, query, args) -> bool */
static PyObject *
FastPath_begin(FastPath *self, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    Request request = {NULL, NULL, NULL, 0};
    PyObject *both = NULL;
    CursorState *cursor;
    int fine, failed;

    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "begin takes a cursor, a statement and arguments");
        return NULL;
    }
    if (self->runner == NULL || !PyObject_TypeCheck(args[0], state->cursor_state_type)) {
        Py_RETURN_FALSE;
    }
    cursor = (CursorState *)args[0];
    fine = fast_is_reusable(self, state, cursor);
    if (fine > 0) {
        fine = fast_request(self, state, cursor, args[1], args[2], &request);
    }
    /* Nor has the conversion of a value begun or closed something meanwhile. */
    if (fine > 0 && (ends_transaction(state, cursor) || cursor->_connection != Py_None) &&
        fast_claim(self, state) > 0) {
        both = fast_start(self, state, args[1], &request);
        if (both == NULL || both == Py_None) {
            set_busy(self, state, Py_False);
        }
    }
    if (both == NULL || both == Py_None) {
        /* Nothing was done.  What is wrong is met again, and raised, by the general way. */
        Py_XDECREF(both);
        Py_XDECREF(request.encoded);
        Py_XDECREF(request.statement);
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear();
        Py_RETURN_FALSE;
    }
    self->cursor = (CursorState *)Py_NewRef(args[0]);
    self->encoded = request.encoded;
    self->statement = request.statement;
    self->exchange = Py_NewRef(PyTuple_GET_ITEM(both, 0));
    failed = fast_record_start(self, state) < 0 ||
             fast_send(self, state, PyTuple_GET_ITEM(both, 1)) < 0;
    Py_DECREF(both);
    if (failed) {
        fast_forget(self);
        give_up(self);
        return NULL;
    }
    Py_RETURN_TRUE;
}

/* ---- Afterwards ---- */

/* The result of the statement, if it is one to be taken here: nothing failed, and no warnings.
 * NULL, with or without an exception, if it is not. */
static PyObject *
usual_result(FastPath *self, const State *state)
{
    PyObject *results = SLOT(state, self->exchange, exchange_results), *result, *ok;

    if (SLOT(state, self->exchange, exchange_done) != Py_True || results == NULL ||
        !PyList_Check(results) || PyList_GET_SIZE(results) != 1) {
        return NULL;
    }
    result = PyList_GET_ITEM(results, 0);
    if (!IS_OWNED(state, result, result)) {
        return NULL;
    }
    ok = SLOT(state, result, result_ok);
    if (SLOT(state, result, result_error) != Py_None || ok == NULL || !PyTuple_Check(ok) ||
        PyTuple_GET_SIZE(ok) <= OK_WARNING_COUNT ||
        PyLong_AsLong(PyTuple_GET_ITEM(ok, OK_WARNING_COUNT)) != 0) {
        return NULL;
    }
    return Py_NewRef(result);
}

/* What `Cursor._take_result` does for a cursor whose rows are as they come.  -1: an exception is
 * set. */
static int
fill_cursor(FastPath *self, const State *state, PyObject *result, PyObject *metadata,
            PyObject *ok, PyObject *count)
{
    CursorState *cursor = self->cursor;
    PyObject *rows, *taken;

    Py_XSETREF(cursor->_executed, Py_NewRef(self->encoded));
    Py_XSETREF(cursor->_result, Py_NewRef(result));
    Py_XSETREF(cursor->_rowcount, Py_NewRef(count));
    cursor->_rownumber = 0;
    if (metadata == Py_None) {
        Py_XSETREF(cursor->_lastrowid, Py_NewRef(PyTuple_GET_ITEM(ok, OK_INSERT_ID)));
        return 0;
    }
    rows = Py_NewRef(SLOT(state, result, result_rows));
    taken = PyObject_CallOneArg(state->drain_rows, rows);
    Py_DECREF(rows);
    if (taken == NULL) {
        return -1;
    }
    Py_XSETREF(cursor->_rows, taken);
    Py_XSETREF(cursor->_lastrowid, Py_NewRef(Py_None));
    Py_XSETREF(cursor->_description,
               Py_NewRef(PyTuple_GET_ITEM(metadata, METADATA_DESCRIPTION)));
    return 0;
}

/* What `CommandRunner.take` does, except that the runner stays busy.  -1: an exception is set. */
static int
take_from_runner(FastPath *self, const State *state, PyObject *result, PyObject *count)
{
    PyObject *now;

    if (PyList_SetSlice(SLOT(state, self->exchange, exchange_results), 0, 1, NULL) < 0 ||
        (now = PyObject_CallNoArgs(state->monotonic)) == NULL) {
        return -1;
    }
    Py_XSETREF(SLOT(state, self->runner, runner_last_usage), now);
    Py_XSETREF(SLOT(state, self->runner, runner_result), Py_NewRef(result));
    Py_XSETREF(SLOT(state, self->runner, runner_affected_rows), Py_NewRef(count));
    Py_XSETREF(SLOT(state, result, result_exchange), Py_NewRef(self->exchange));
    return 0;
}

/* The response has come: hand it to runner and cursor.  Returns the number of rows; None:
 * something is unusual, nothing was done. */
static PyObject *
fast_finish(FastPath *self, const State *state)
{
    PyObject *result = usual_result(self, state);
    PyObject *metadata, *ok, *count = NULL, *rows;

    if (result == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    metadata = Py_XNewRef(SLOT(state, result, result_metadata));
    ok = Py_NewRef(SLOT(state, result, result_ok));
    rows = SLOT(state, result, result_rows);
    if (metadata == Py_None) {
        count = Py_NewRef(PyTuple_GET_ITEM(ok, OK_AFFECTED_ROWS));
    }
    else if (metadata != NULL && rows != NULL && PyList_Check(rows)) {
        count = PyLong_FromSsize_t(PyList_GET_SIZE(rows));
    }
    else {
        PyErr_SetString(PyExc_TypeError, "a result without rows");
    }
    if (count != NULL && (take_from_runner(self, state, result, count) < 0 ||
                          fill_cursor(self, state, result, metadata, ok, count) < 0)) {
        Py_CLEAR(count);
    }
    Py_XDECREF(metadata);
    Py_DECREF(ok);
    if (count != NULL) {
        Py_XSETREF(self->last_result, Py_NewRef(result));
    }
    fast_forget(self);
    set_busy(self, state, Py_False); /* last: what came before may run code of anybody */
    Py_DECREF(result);
    return count;
}

/* rest() -> (exchange, statement | None): what awaiting left to be taken. */
static PyObject *
FastPath_rest(FastPath *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *exchange = self->exchange, *statement = self->statement, *both;

    if (exchange == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no statement is under way");
        return NULL;
    }
    self->exchange = self->statement = NULL;
    fast_forget(self);
    both = PyTuple_Pack(2, exchange, statement == NULL ? Py_None : statement);
    Py_DECREF(exchange);
    Py_XDECREF(statement);
    return both;
}

/* ---- Awaiting ---- */

static PySendResult
FastPath_am_send(FastPath *self, PyObject *argument, PyObject **result)
{
    const State *state = PyType_GetModuleState(Py_TYPE(self));
    PySendResult sent;

    if (self->exchange == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no statement is under way");
        return PYGEN_ERROR;
    }
    sent = Waiter_am_send(self->waiter, argument, result);
    if (sent == PYGEN_RETURN) {
        Py_DECREF(*result);
        *result = fast_finish(self, state);
        if (*result == NULL) {
            sent = PYGEN_ERROR;
        }
    }
    if (sent == PYGEN_ERROR) {
        fast_forget(self);
    }
    return sent;
}

static PyObject *
FastPath_send(FastPath *self, PyObject *argument)
{
    PyObject *result = NULL;

    switch (FastPath_am_send(self, argument, &result)) {
    case PYGEN_NEXT:
        return result;
    case PYGEN_RETURN:
        PyErr_SetObject(PyExc_StopIteration, result); /* no tuple, and no exception */
        Py_DECREF(result);
        return NULL;
    default:
        return NULL;
    }
}

static PyObject *
FastPath_next(FastPath *self)
{
    return FastPath_send(self, Py_None);
}

static PyObject *
FastPath_throw(FastPath *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result;

    if (self->waiter == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no statement is under way");
        return NULL;
    }
    result = Waiter_throw(self->waiter, args, nargs);
    if (result == NULL) {
        fast_forget(self);
    }
    return result;
}

static PyObject *
FastPath_close(FastPath *self, PyObject *ignored)
{
    fast_forget(self);
    if (self->waiter == NULL) {
        Py_RETURN_NONE;
    }
    return Waiter_close(self->waiter, ignored);
}

/* ---- The type ---- */

static PyObject *
FastPath_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"runner",    "interrupted", "stream",     "unsent",   "waiter",
                               "session", "statements",  "literals", "descriptor", "text", NULL};
    State *state = PyType_GetModuleState(type);
    const Names *names = &state->names;
    PyObject *runner, *interrupted, *stream, *unsent, *waiter, *session, *statements, *literals;
    int descriptor, text;
    FastPath *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO!O!OOOip:FastPath", keywords,
                                     &runner, &interrupted, &stream, &PyByteArray_Type, &unsent,
                                     state->waiter_type, &waiter, &session, &statements, &literals,
                                     &descriptor, &text) ||
        find_late_objects(state) < 0) {
        return NULL;
    }
    if (!IS_OWNED(state, runner, runner) || !IS_OWNED(state, stream, stream) ||
        !IS_OWNED(state, session, session) || !IS_OWNED(state, statements, statements)) {
        PyErr_SetString(PyExc_TypeError, "FastPath works on a CommandRunner, SocketStream, "
                                         "Session and StatementCache");
        return NULL;
    }
    self = (FastPath *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->runner = Py_NewRef(runner);
    self->interrupted = Py_NewRef(interrupted);
    self->stream = Py_NewRef(stream);
    self->unsent = Py_NewRef(unsent);
    self->waiter = (Waiter *)Py_NewRef(waiter);
    self->session = Py_NewRef(session);
    self->statements = Py_NewRef(statements);
    self->literals = Py_NewRef(literals);
    self->descriptor = descriptor;
    self->text = text;
    self->thread = PyThread_get_thread_ident();
    self->forks = PyObject_GetAttr(state->forks, names->count);
    self->loop = PyObject_GetAttr(stream, names->loop);
    self->mark_progress = PyObject_GetAttr(waiter, names->mark_progress);
    self->exchanges = Py_XNewRef(SLOT(state, session, session_exchanges));
    self->literal = PyObject_GetAttr(literals, names->literal);
    if (self->forks == NULL || self->loop == NULL || self->mark_progress == NULL ||
        self->exchanges == NULL || self->literal == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

#define FAST_PATH_OBJECTS(X)                                                                       \
    X(runner) X(interrupted) X(stream) X(loop) X(unsent) X(forks) X(waiter) X(mark_progress)       \
    X(session) X(exchanges) X(statements) X(literals) X(literal) X(cursor) X(exchange)             \
    X(encoded) X(statement) X(last_result) X(version) X(known_query) X(known_statement)            \
    X(known_prepared) X(simple_query)

static int
FastPath_traverse(FastPath *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
#define X(name) Py_VISIT(self->name);
    FAST_PATH_OBJECTS(X)
#undef X
    return 0;
}

static int
FastPath_clear(FastPath *self)
{
#define X(name) Py_CLEAR(self->name);
    FAST_PATH_OBJECTS(X)
#undef X
    return 0;
}

static void
FastPath_dealloc(FastPath *self)
{
    PyTypeObject *type = Py_TYPE(self);

    BEGIN_DEALLOC(self, FastPath_dealloc)
    (void)FastPath_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
    END_DEALLOC
}

static PyMethodDef FastPath_methods[] = {
    {"begin", METHOD(FastPath_begin), METH_FASTCALL,
     "begin($self, cursor, query, args, /)\n--\n\n"
     "Start a statement; False: nothing was done, it is no case for this.\n\n"
     "After True this object is to be awaited at once.  That gives the number of rows; None: the\n"
     "result was not taken, `rest` says of what."},
    {"rest", METHOD(FastPath_rest), METH_NOARGS,
     "rest($self, /)\n--\n\nThe exchange whose result is to be taken, and its Statement or None."},
    {"send", METHOD(FastPath_send), METH_O, NULL},
    {"throw", METHOD(FastPath_throw), METH_FASTCALL, NULL},
    {"close", METHOD(FastPath_close), METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot FastPath_slots[] = {
    {Py_tp_doc, "See FastPath in transport/fast_path.py."},
    {Py_tp_new, FastPath_new},
    {Py_tp_dealloc, FastPath_dealloc},
    {Py_tp_traverse, FastPath_traverse},
    {Py_tp_clear, FastPath_clear},
    {Py_tp_methods, FastPath_methods},
    {Py_tp_iter, return_self},
    {Py_tp_iternext, FastPath_next},
    {Py_am_await, return_self},
    {Py_am_send, FastPath_am_send},
    {0, NULL},
};

PyType_Spec FastPath_spec = {
    .name = "aiomysql_core._speedups.FastPath",
    .basicsize = sizeof(FastPath),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = FastPath_slots,
};
