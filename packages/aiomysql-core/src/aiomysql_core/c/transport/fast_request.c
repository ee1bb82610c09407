#include "transport/fast_request.h"

int
is_open(const FastPath *self, const State *state)
{
    PyObject *sock = SLOT(state, self->stream, stream__sock);

    return sock != NULL && sock != Py_None && SLOT(state, self->session, session_error) == Py_None;
}

/* 1: the stream is open, and nothing is under way on it; 0: it is not so; -1: an exception is
 * set. */
static int
is_free(const FastPath *self, const State *state)
{
    Py_ssize_t outstanding = PyObject_Size(self->exchanges);

    return outstanding < 0 ? -1
                           : outstanding == 0 && self->cursor == NULL &&
                                 PyByteArray_GET_SIZE(self->unsent) == 0 &&
                                 SLOT(state, self->runner, runner__busy) == Py_False &&
                                 is_open(self, state);
}

int
fast_claim(FastPath *self, const State *state)
{
    int fine = is_free(self, state);

    if (fine > 0) {
        set_busy(self, state, Py_True);
    }
    return fine;
}

int
fast_is_reusable(FastPath *self, const State *state, const CursorState *cursor)
{
    PyObject *result = SLOT(state, self->runner, runner_result);
    int fine = cursor->_echo || result == NULL ? 0 : is_free(self, state);

    if (fine <= 0) {
        return fine;
    }
    if ((fine = attribute_is(state->forks, state->names.count, self->forks)) <= 0 ||
        (fine = is_running_loop(&state->running_loop, self->loop, self->thread)) <= 0) {
        return fine;
    }
    /* The last result of the runner is complete; an older one of the cursor has nothing to come. */
    return result == Py_None || result == self->last_result ? 1 : is_finished(state, result);
}

/* The Statement that is kept for `query`; None: it goes as text. */
static PyObject *
cached_statement(FastPath *self, const State *state, PyObject *query)
{
    PyObject *cached = SLOT(state, self->statements, statements__cached);
    PyObject *statement = NULL;

    if (cached != NULL && PyDict_Check(cached)) {
        statement = PyDict_GetItemWithError(cached, query);
    }
    if (statement != NULL && statement == SLOT(state, self->statements, statements__newest)) {
        return Py_NewRef(statement);
    }
    return PyErr_Occurred()
               ? NULL
               : PyObject_CallMethodOneArg(self->statements, state->names.cached, query);
}

/* The server statement of `statement`, if it was prepared in this session, after its last reset,
 * for so many values; None: it was not. */
static PyObject *
ready_statement(FastPath *self, const State *state, PyObject *statement, PyObject *values)
{
    PyObject *generation, *current, *positional, *prepared;
    int same;

    if (!IS_OWNED(state, statement, statement)) {
        return Py_NewRef(Py_None);
    }
    generation = SLOT(state, statement, statement_generation);
    current = SLOT(state, self->statements, statements__generation);
    positional = SLOT(state, statement, statement_positional);
    prepared = SLOT(state, statement, statement_prepared);
    if (SLOT(state, statement, statement_session) != self->session || generation == NULL ||
        current == NULL || positional == NULL || prepared == NULL ||
        SLOT(state, statement, statement_is_simple) != Py_True ||
        PyLong_AsSsize_t(positional) != PyTuple_GET_SIZE(values)) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    same = PyObject_RichCompareBool(generation, current, Py_EQ);
    return same < 0 ? NULL : Py_NewRef(same ? prepared : Py_None);
}

/* The statement with the literals of `args` in the places of its marks, in UTF-8. */
static PyObject *
statement_text(FastPath *self, const State *state, PyObject *query, PyObject *args)
{
    PyObject *literals, *text = NULL, *bytes = NULL;
    const char *start;
    Py_ssize_t size;

    if (args == Py_None) {
        text = Py_NewRef(query);
    }
    else {
        PyObject *escapes = SLOT(state, self->runner, runner_no_backslash_escapes);
        if (escapes == NULL) {
            PyErr_SetString(PyExc_AttributeError, "no_backslash_escapes");
            return NULL;
        }
        Py_INCREF(escapes); /* what is called here may change it */
        if (PyObject_SetAttr(self->literals, state->names.no_backslash_escapes, escapes) < 0) {
            Py_DECREF(escapes);
            return NULL;
        }
        PyObject *arguments[3] = {args, escapes, self->literal};
        literals = PyObject_Vectorcall(state->literals, arguments, 3, NULL);
        text = literals == NULL ? NULL : PyUnicode_Format(query, literals);
        Py_XDECREF(literals);
        Py_DECREF(escapes);
    }
    if (text != NULL && PyUnicode_CheckExact(text)) {
        start = PyUnicode_AsUTF8AndSize(text, &size);
        bytes = start == NULL ? NULL : PyBytes_FromStringAndSize(start, size);
    }
    Py_XDECREF(text);
    return bytes;
}

/* 1: the statement, a str without values, changes nothing that others depend on; 0: it is for the
 * general way, which looks into it; -1: an exception is set. */
static int
is_simple(const State *state, const CursorState *cursor, PyObject *statement)
{
    PyObject *start, *found, *args[2] = {statement, NULL};
    int simple;

    if (ends_transaction(state, cursor)) {
        return 1;
    }
    start = args[1] = PyLong_FromLong(0);
    if (start == NULL) {
        return -1;
    }
    found = PyObject_Vectorcall(state->is_simple_statement, args, 2, NULL);
    Py_DECREF(start);
    simple = found == NULL ? -1 : found == Py_True;
    Py_XDECREF(found);
    return simple;
}

/* Find out what a str and `args` ask for, as fast_request. */
static int
fast_text_request(FastPath *self, const State *state, const CursorState *cursor, PyObject *query,
                  PyObject *args, Request *request)
{
    PyObject *size = SLOT(state, self->statements, statements_size);
    int keeps = size == NULL ? 0 : PyObject_IsTrue(size);

    if (keeps < 0) {
        return -1;
    }
    if (!keeps) {
        if (!self->text ||
            !(args == Py_None || PyTuple_CheckExact(args) || PyList_CheckExact(args))) {
            return 0;
        }
        int simple = query == self->simple_query ? 1 : is_simple(state, cursor, query);
        if (simple > 0 && query != self->simple_query && !ends_transaction(state, cursor)) {
            Py_XSETREF(self->simple_query, Py_NewRef(query));
        }
        if (simple > 0) {
            request->encoded = statement_text(self, state, query, args);
        }
        return simple <= 0 ? simple : request->encoded == NULL ? -1 : 1;
    }
    if (!PyTuple_CheckExact(args)) {
        return 0; /* what is run as text may change what others mean */
    }
    request->known = query == self->known_query &&
                     SLOT(state, self->statements, statements_version) == self->version;
    request->statement = request->known ? Py_NewRef(self->known_statement)
                                        : cached_statement(self, state, query);
    request->values = args;
    return request->statement == NULL ? -1 : request->statement != Py_None;
}

int
fast_request(FastPath *self, const State *state, const CursorState *cursor, PyObject *query,
             PyObject *args, Request *request)
{
    int own;

    if (SLOT(state, self->statements, statements_usual) != Py_True) {
        return 0;
    }
    if (PyUnicode_CheckExact(query)) {
        return fast_text_request(self, state, cursor, query, args, request);
    }
    if (!Py_IS_TYPE(query, (PyTypeObject *)state->prepared_statement_type) ||
        !PyTuple_CheckExact(args) || cursor->_connection == NULL) {
        return 0;
    }
    own = attribute_is(query, state->names._connection, cursor->_connection);
    if (own <= 0) {
        return own;
    }
    request->statement = PyObject_GetAttr(query, state->names._statement);
    request->values = args;
    return request->statement == NULL ? -1 : request->statement != Py_None;
}

/* Forget which prepared statement was run last. */
static void
forget_known(FastPath *self)
{
    Py_CLEAR(self->version);
    Py_CLEAR(self->known_query);
    Py_CLEAR(self->known_statement);
    Py_CLEAR(self->known_prepared);
}

/* `query` is the statement `prepared` as long as `StatementCache.version` is what it is now. */
static void
keep_known(FastPath *self, const State *state, PyObject *query, PyObject *statement,
           PyObject *prepared)
{
    forget_known(self);
    self->version = Py_XNewRef(SLOT(state, self->statements, statements_version));
    self->known_query = Py_NewRef(query);
    self->known_statement = Py_NewRef(statement);
    self->known_prepared = Py_NewRef(prepared);
}

PyObject *
fast_start(FastPath *self, const State *state, PyObject *query, Request *request)
{
    PyObject *prepared, *both;

    if (request->statement == NULL) {
        PyObject *args[3] = {self->session, state->query_type, request->encoded};
        return PyObject_Vectorcall(state->start_query, args, 3, NULL);
    }
    if (request->known) {
        prepared = Py_NewRef(self->known_prepared);
    }
    else {
        prepared = ready_statement(self, state, request->statement, request->values);
        if (prepared == NULL || prepared == Py_None) {
            return prepared;
        }
        /* A PreparedStatement is not kept: it refers to the connection, and so to this object. */
        if (PyUnicode_CheckExact(query)) {
            keep_known(self, state, query, request->statement, prepared);
        }
    }
    request->encoded = Py_XNewRef(SLOT(state, request->statement, statement_encoded));
    if (request->encoded == NULL) {
        Py_DECREF(prepared);
        return Py_NewRef(Py_None);
    }
    PyObject *args[4] = {self->session, state->execute_type, prepared, request->values};
    both = PyObject_Vectorcall(state->start_execution, args, 4, NULL);
    Py_DECREF(prepared);
    return both;
}
