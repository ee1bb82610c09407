#include "statement_encoder.h"

#include "compat/hooks.h"
#include "dealloc.h"
#include "engine/runner_state.h"

#include <stddef.h>

#define ENCODER_OBJECTS(X) X(statements) X(charset) X(literals) X(literal)
#define ALL_ENCODER_OBJECTS(X) X(runner) ENCODER_OBJECTS(X)

typedef struct {
    PyObject_HEAD
    RunnerState *runner;
#define X(name) PyObject *name;
    ENCODER_OBJECTS(X)
#undef X
} StatementEncoder;

/* A statement under way to its exchange. */
typedef struct {
    CursorState *cursor;
    PyObject *connection;
    PyObject *query;
    PyObject *args;
    int flags; /* the cursor's */
    int is_complete; /* the query is a text that `_query` sends */
} Asked;

static inline PyObject *
bool_object(int value)
{
    return value ? Py_True : Py_False;
}

/* ---- What stands in the way ---- */

/* 1: the statement can't be sent before something else was done; 0: it can; -1: an exception is
 * set. */
static int
has_obstacle(StatementEncoder *self, State *state, const Asked *asked)
{
    PyObject *matters, *args[3] = {self->charset, asked->query, asked->args};
    int found;

    if (!is_none(self->runner->_cancellation)) {
        return 1;
    }
    found = has_outstanding(self->runner, state);
    if (found != 0 || !self->runner->charset_in_doubt) {
        return found;
    }
    matters = PyObject_VectorcallMethod(state->names.matters_to, args, 3, NULL);
    found = matters == NULL ? -1 : PyObject_IsTrue(matters);
    Py_XDECREF(matters);
    return found;
}

/* ---- Prepared statements ---- */

/* The Statement of a PreparedStatement.  NULL: an exception is set. */
static PyObject *
own_statement(const State *state, const Asked *asked)
{
    PyObject *connection = PyObject_GetAttr(asked->query, state->names._connection), *statement;

    if (connection == NULL) {
        return NULL;
    }
    Py_DECREF(connection); /* only compared */
    if (connection == asked->connection) {
        statement = PyObject_GetAttr(asked->query, state->names._statement);
        if (statement != Py_None) {
            return statement;
        }
        Py_DECREF(statement);
    }
    return PyObject_CallMethodOneArg(asked->query, state->names.statement_for, asked->connection);
}

/* A number that stands in a slot; -2 if it is none, or too great. */
static long long
slot_number(PyObject *value)
{
    int overflow = 0;
    long long number = value == NULL || !PyLong_Check(value)
                           ? -2
                           : PyLong_AsLongLongAndOverflow(value, &overflow);

    return overflow ? -2 : number;
}

/* The Statement kept for a cursor's query; None: it goes as text.  NULL: an exception is set. */
static PyObject *
kept_statement(StatementEncoder *self, const State *state, PyObject *query)
{
    PyObject *cached = SLOT(state, self->statements, statements__cached), *statement = NULL;
    PyObject *used;

    if (cached != NULL && PyDict_Check(cached) && PyUnicode_CheckExact(query)) {
        Py_INCREF(cached); /* other keys may run code when they are compared */
        statement = Py_XNewRef(PyDict_GetItemWithError(cached, query));
        Py_DECREF(cached);
        if (statement == NULL && PyErr_Occurred()) {
            return NULL;
        }
    }
    if (statement == NULL || !IS_OWNED(state, statement, statement)) {
        Py_XDECREF(statement);
        return PyObject_CallMethodOneArg(self->statements, state->names.cached, query);
    }
    used = PyLong_FromLongLong(slot_number(SLOT(state, self->statements, statements__used)) + 1);
    if (used == NULL) {
        Py_DECREF(statement);
        return NULL;
    }
    Py_XSETREF(SLOT(state, self->statements, statements__used), Py_NewRef(used));
    Py_XSETREF(SLOT(state, statement, statement_used), used);
    if (is_none(SLOT(state, statement, statement_parsed))) {
        Py_SETREF(statement, Py_NewRef(Py_None));
    }
    return statement;
}

/* The Statement that is asked for; None: it goes as text.  NULL: an exception is set. */
static PyObject *
find_statement(StatementEncoder *self, State *state, const Asked *asked)
{
    if (PyObject_TypeCheck(asked->query, (PyTypeObject *)state->prepared_statement_type)) {
        return own_statement(state, asked);
    }
    if (asked->args != Py_None && PyUnicode_Check(asked->query) &&
        slot_number(SLOT(state, self->statements, statements_size)) > 0) {
        int flags = connection_flags(state, asked->connection);
        if (flags < 0) {
            return NULL;
        }
        if (!(flags & LITERALS_REPLACED)) { /* or else those methods write the values */
            return kept_statement(self, state, asked->query);
        }
    }
    return Py_NewRef(Py_None);
}

static int
is_current(const StatementEncoder *self, const State *state, PyObject *statement)
{
    return !is_none(SLOT(state, statement, statement_prepared)) &&
           slot_number(SLOT(state, statement, statement_generation)) == self->runner->generation;
}

/* The values of the parameters of `statement`; None: it must go as text.  NULL: an exception is
 * set. */
static PyObject *
parameter_values(const State *state, PyObject *statement, PyObject *args)
{
    if (PyTuple_CheckExact(args) &&
        slot_number(SLOT(state, statement, statement_positional)) == PyTuple_GET_SIZE(args)) {
        return Py_NewRef(args);
    }
    return PyObject_CallMethodOneArg(statement, state->names.values, args);
}

/* What writes parameters.  NULL: an exception is set. */
static PyObject *
parameter_writer(StatementEncoder *self, const State *state)
{
    PyObject *writer = SLOT(state, self->statements, statements__writer);

    return is_none(writer) ? PyObject_CallMethodNoArgs(self->statements, state->names.writer)
                           : Py_NewRef(writer);
}

/* Record that a statement is run after which others may mean something else.  -1: an exception is
 * set. */
static int
record_change(StatementEncoder *self, const State *state, PyObject *statement)
{
    PyObject *encoded = Py_XNewRef(SLOT(state, statement, statement_encoded));
    int failed = encoded == NULL ||
                 call_method_with(self->charset, state->names.record_statement, encoded) < 0 ||
                 call_method(self->statements, state->names.forget) < 0;

    Py_XDECREF(encoded);
    return failed ? -1 : 0;
}

/* The exchange that executes `statement`; None: it must go as text.  NULL: an exception is set. */
static PyObject *
execution(StatementEncoder *self, State *state, const Asked *asked, PyObject *statement)
{
    PyObject *writer = NULL, *exchange = NULL, *prepared;
    PyObject *values = parameter_values(state, statement, asked->args);

    if (values == NULL || values == Py_None) {
        return values;
    }
    prepared = Py_XNewRef(SLOT(state, statement, statement_prepared));
    if (prepared != NULL && (writer = parameter_writer(self, state)) != NULL) {
        PyObject *args[6] = {
            writer,
            prepared,
            values,
            bool_object(asked->flags & CURSOR_UNBUFFERED),
            bool_object(asked->flags & CURSOR_DICT_ROWS),
            bool_object(is_none(SLOT(state, statement, statement_parsed))),
        };
        exchange = PyObject_Vectorcall(state->encode_execution, args, 6, NULL);
    }
    Py_XDECREF(prepared);
    Py_XDECREF(writer);
    Py_DECREF(values);
    if (exchange == NULL || exchange == Py_None) {
        return exchange;
    }
    if (!is_exchange(state, exchange)) {
        PyErr_SetString(PyExc_TypeError, "no exchange was made");
        Py_DECREF(exchange);
        return NULL;
    }
    if (SLOT(state, statement, statement_changes_meaning) == Py_True &&
        record_change(self, state, statement) < 0) {
        Py_DECREF(exchange);
        return NULL;
    }
    Py_XSETREF(SLOT(state, exchange, exchange_statement), Py_NewRef(statement));
    Py_XSETREF(asked->cursor->_last_executed,
               Py_XNewRef(SLOT(state, statement, statement_encoded)));
    if (forget_result(asked->cursor, state, asked->flags) < 0) {
        Py_CLEAR(exchange);
    }
    return exchange;
}

/* ---- Text ---- */

/* What a statement as text is made of. */
typedef struct {
    PyObject *text;   /* with the values in it; str or bytes */
    PyObject *files;  /* that it may load; None: those its text names */
    PyObject *source; /* its text before values were written into it; None: no values were */
} Text;

static void
clear_text(Text *text)
{
    Py_CLEAR(text->text);
    Py_CLEAR(text->files);
    Py_CLEAR(text->source);
}

static int
refuse(PyObject *query)
{
    PyErr_Format(PyExc_TypeError, "a statement must be str or bytes, not %s",
                 Py_TYPE(query)->tp_name);
    return -1;
}

/* The caller's statement as str.  NULL: an exception is set. */
static PyObject *
text_with_marks(const State *state, const Asked *asked)
{
    PyObject *encoding, *text;

    if (PyUnicode_Check(asked->query)) {
        return Py_NewRef(asked->query);
    }
    if (!PyBytes_Check(asked->query) && !PyByteArray_Check(asked->query)) {
        (void)refuse(asked->query);
        return NULL;
    }
    encoding = PyObject_GetAttr(asked->connection, state->names.encoding);
    if (encoding == NULL) {
        return NULL;
    }
    text = PyObject_CallMethodOneArg(asked->query, state->names.decode, encoding);
    Py_DECREF(encoding);
    if (text != NULL && !PyUnicode_Check(text)) {
        (void)refuse(text);
        Py_CLEAR(text);
    }
    return text;
}

/* The right-hand side of `query % ...`.  NULL: an exception is set. */
static PyObject *
literals_of(StatementEncoder *self, const State *state, PyObject *args)
{
    PyObject *escapes = bool_object(self->runner->no_backslash_escapes);

    if (PyObject_SetAttr(self->literals, state->names.no_backslash_escapes, escapes) < 0) {
        return NULL;
    }
    if ((PyTuple_CheckExact(args) || PyList_CheckExact(args)) &&
        is_none(SLOT(state, self->statements, statements__conv))) {
        PyObject *arguments[3] = {args, escapes, self->literal};
        return PyObject_Vectorcall(state->literals, arguments, 3, NULL);
    }
    return PyObject_CallMethodOneArg(self->literals, state->names.arguments, args);
}

/* The values could not be written into `marks`: an exception is set, and another one after this if
 * the function `name` of marks.py knows what is wrong. */
static void
explain(const char *name, PyObject *marks, PyObject *args)
{
    PyObject *error, *function, *explained;

    if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError) &&
        !PyErr_ExceptionMatches(PyExc_KeyError)) {
        return;
    }
    error = take_exception();
    function = import_name("aiomysql_protocol.sql.marks", name);
    if (function != NULL) {
        explained = PyObject_CallFunctionObjArgs(function, error, marks, args, NULL);
        Py_DECREF(function);
        if (explained != NULL) {
            PyErr_SetObject((PyObject *)Py_TYPE(explained), explained);
            Py_DECREF(explained);
        }
    }
    Py_DECREF(error);
}

/* `marks` with values in it, as `Cursor.mogrify` makes it.  NULL: an exception is set. */
static PyObject *
mogrified(StatementEncoder *self, const State *state, const Asked *asked, int connection_flags,
          PyObject *marks)
{
    PyObject *literals, *text;

    if (asked->flags & HOOK_MOGRIFY || connection_flags & LITERALS_REPLACED) {
        PyObject *args[3] = {(PyObject *)asked->cursor, marks, asked->args};
        return PyObject_VectorcallMethod(state->names.mogrify, args, 3, NULL);
    }
    literals = literals_of(self, state, asked->args);
    if (literals == NULL) {
        explain("explained_values", marks, asked->args);
        return NULL;
    }
    text = PyUnicode_CheckExact(marks) ? PyUnicode_Format(marks, literals)
                                       : PyNumber_Remainder(marks, literals);
    Py_DECREF(literals);
    if (text == NULL) {
        explain("explained", marks, asked->args);
    }
    return text;
}

/* Find out what the text is.  Files are asked for only if it is not simple: `new_query` needs them.
 * -1: an exception is set. */
static int
find_text(StatementEncoder *self, const State *state, const Asked *asked, int connection_flags,
          Text *text)
{
    PyObject *origin = asked->cursor->_origin;

    *text = (Text){NULL, NULL, NULL};
    if (asked->args != Py_None) {
        text->source = text_with_marks(state, asked);
        text->text = text->source == NULL
                         ? NULL
                         : mogrified(self, state, asked, connection_flags, text->source);
        if (text->text != NULL && is_none(asked->cursor->_connection)) {
            /* Values may run any code. */
            PyErr_SetString(state->programming_error, "Cursor closed");
            return -1;
        }
        return text->text == NULL ? -1 : 0;
    }
    text->text = Py_NewRef(asked->query);
    if (!is_none(origin) && PyTuple_Check(origin) && PyTuple_GET_SIZE(origin) == 2) {
        text->files = Py_NewRef(PyTuple_GET_ITEM(origin, 0));
        text->source = Py_NewRef(PyTuple_GET_ITEM(origin, 1));
    }
    return 0;
}

static int
is_utf8(PyObject *encoding)
{
    return encoding != NULL && PyUnicode_Check(encoding) &&
           (PyUnicode_CompareWithASCIIString(encoding, "utf8") == 0 ||
            PyUnicode_CompareWithASCIIString(encoding, "utf-8") == 0);
}

/* The bytes of a statement.  NULL: an exception is set. */
static PyObject *
encoded_text(StatementEncoder *self, const State *state, const Asked *asked, int connection_flags,
             PyObject *text)
{
    PyObject *known = SLOT(state, self->charset, charset_encoding), *encoding, *encoded;

    if (PyBytes_CheckExact(text)) {
        return Py_NewRef(text);
    }
    if (PyBytes_Check(text) || PyByteArray_Check(text)) {
        return PyObject_CallOneArg((PyObject *)&PyBytes_Type, text);
    }
    if (!PyUnicode_Check(text)) {
        (void)refuse(text);
        return NULL;
    }
    if (!(connection_flags & TEXT_REPLACED) && PyUnicode_CheckExact(text) && is_utf8(known)) {
        encoded = PyUnicode_AsUTF8String(text);
        if (encoded != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return encoded;
        }
        PyErr_Clear(); /* encode_statement says it in its own words */
    }
    encoding = PyObject_GetAttr(asked->connection, state->names.encoding);
    if (encoding == NULL) {
        return NULL;
    }
    PyObject *args[2] = {text, encoding};
    encoded = PyObject_Vectorcall(state->encode_statement, args, 2, NULL);
    Py_DECREF(encoding);
    if (encoded != NULL && !PyBytes_Check(encoded)) {
        PyErr_SetString(PyExc_TypeError, "an encoded statement must be bytes");
        Py_CLEAR(encoded);
    }
    return encoded;
}

/* Find out which files a statement with values may load.  -1: an exception is set. */
static int
find_files(const State *state, const Asked *asked, Text *text)
{
    PyObject *args[3] = {asked->connection, text->source, asked->args};

    if (asked->args == Py_None) {
        return 0; /* its text names them, or its origin has told */
    }
    Py_XSETREF(text->files, PyObject_VectorcallMethod(state->names.local_files, args, 3, NULL));
    return text->files == NULL ? -1 : 0;
}

/* The exchange for a statement that may change what others mean, or load files.  NULL: an exception
 * is set. */
static PyObject *
watched_query(const State *state, const Asked *asked, PyObject *encoded, Text *text)
{
    PyObject *exchange;

    if (find_files(state, asked, text) < 0) {
        return NULL;
    }
    PyObject *args[5] = {
        asked->connection,
        encoded,
        bool_object(asked->flags & CURSOR_UNBUFFERED),
        text->files == NULL ? Py_None : text->files,
        text->source == NULL ? Py_None : text->source,
    };
    exchange = PyObject_VectorcallMethod(state->names.new_query, args, 2, state->query_names);
    if (exchange != NULL && !is_exchange(state, exchange)) {
        PyErr_SetString(PyExc_TypeError, "new_query must return an exchange");
        Py_CLEAR(exchange);
    }
    if (exchange != NULL) {
        Py_XSETREF(SLOT(state, exchange, exchange_as_dicts),
                   Py_NewRef(bool_object(asked->flags & CURSOR_DICT_ROWS)));
    }
    return exchange;
}

/* The exchange for a statement.  NULL: an exception is set. */
static PyObject *
query_exchange(const State *state, const Asked *asked, int connection_flags, PyObject *encoded,
               Text *text)
{
    PyObject *exchange;

    if (connection_flags & TEXT_REPLACED) {
        return watched_query(state, asked, encoded, text);
    }
    PyObject *args[4] = {
        encoded,
        text->source == NULL ? Py_None : text->source,
        bool_object(asked->flags & CURSOR_UNBUFFERED),
        bool_object(asked->flags & CURSOR_DICT_ROWS),
    };
    exchange = PyObject_Vectorcall(state->encode_query, args, 4, NULL);
    if (exchange != NULL && !is_exchange(state, exchange)) {
        PyErr_SetString(PyExc_TypeError, "no exchange was made");
        Py_CLEAR(exchange);
    }
    if (exchange != NULL && SLOT(state, exchange, exchange_is_simple) != Py_True) {
        Py_SETREF(exchange, watched_query(state, asked, encoded, text));
    }
    return exchange;
}

/* Text and origin, for a `_query` that is another's.  NULL: an exception is set. */
static PyObject *
text_for_hook(const State *state, const Asked *asked, Text *text)
{
    if (!PyUnicode_Check(text->text) && !PyBytes_Check(text->text) &&
        !PyByteArray_Check(text->text)) {
        (void)refuse(text->text);
        return NULL;
    }
    if (find_files(state, asked, text) < 0) {
        return NULL;
    }
    return PyTuple_Pack(3, text->text, text->files == NULL ? Py_None : text->files,
                        text->source == NULL ? Py_None : text->source);
}

/* The exchange for `text`, which the cursor runs now.  NULL: an exception is set. */
static PyObject *
exchange_for_text(StatementEncoder *self, State *state, const Asked *asked, int flags, Text *text)
{
    PyObject *encoded = encoded_text(self, state, asked, flags, text->text);
    PyObject *exchange = NULL;

    if (encoded != NULL) {
        exchange = query_exchange(state, asked, flags, encoded, text);
    }
    if (exchange != NULL) {
        Py_XSETREF(asked->cursor->_last_executed, Py_NewRef(encoded));
        if (forget_result(asked->cursor, state, asked->flags) < 0) {
            Py_CLEAR(exchange);
        }
    }
    Py_XDECREF(encoded);
    return exchange;
}

/* The exchange that runs a statement as text, or what `encode` returns in its place.  NULL: an
 * exception is set. */
static PyObject *
text_exchange(StatementEncoder *self, State *state, const Asked *asked)
{
    int flags = connection_flags(state, asked->connection);
    Text text = {NULL, NULL, NULL};
    PyObject *made = NULL;

    if (flags >= 0 && find_text(self, state, asked, flags, &text) == 0) {
        int is_for_hook = asked->flags & HOOK_QUERY || flags & QUERY_REPLACED;
        made = is_for_hook && !asked->is_complete
                   ? text_for_hook(state, asked, &text)
                   : exchange_for_text(self, state, asked, flags, &text);
    }
    clear_text(&text);
    return made;
}

/* ---- encode ---- */

/* The exchange for what can't be executed although it is prepared.  NULL: an exception is set. */
static PyObject *
exchange_of_prepared(StatementEncoder *self, State *state, Asked *asked)
{
    PyObject *pair, *exchange;

    if (!PyObject_TypeCheck(asked->query, (PyTypeObject *)state->prepared_statement_type)) {
        return text_exchange(self, state, asked);
    }
    pair = PyObject_CallMethodOneArg(asked->query, state->names.as_text, asked->args);
    if (pair == NULL) {
        return NULL;
    }
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
        PyErr_SetString(PyExc_TypeError, "as_text must return two values");
        Py_DECREF(pair);
        return NULL;
    }
    asked->query = PyTuple_GET_ITEM(pair, 0);
    asked->args = PyTuple_GET_ITEM(pair, 1);
    exchange = text_exchange(self, state, asked);
    Py_DECREF(pair);
    return exchange;
}

/* As `encode`, for a cursor whose connection is held. */
static PyObject *
encode_asked(StatementEncoder *self, State *state, Asked *asked)
{
    PyObject *statement, *exchange;
    int found = has_obstacle(self, state, asked);

    if (found != 0) {
        return found < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (asked->is_complete) {
        return text_exchange(self, state, asked);
    }
    statement = find_statement(self, state, asked);
    if (statement == NULL) {
        return NULL;
    }
    if (statement == Py_None) {
        Py_DECREF(statement);
        return text_exchange(self, state, asked);
    }
    if (!IS_OWNED(state, statement, statement)) {
        PyErr_SetString(PyExc_TypeError, "a statement must be a Statement");
        Py_DECREF(statement);
        return NULL;
    }
    if (check_handovers(self->runner, slot_number(SLOT(state, statement, statement_handovers)),
                        "this prepared statement") < 0) {
        Py_DECREF(statement);
        return NULL;
    }
    exchange = is_current(self, state, statement) ? execution(self, state, asked, statement) : NULL;
    if (exchange == NULL) {
        Py_DECREF(statement);
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None); /* it must be prepared */
    }
    Py_DECREF(statement);
    if (exchange == Py_None) {
        Py_DECREF(exchange);
        exchange = exchange_of_prepared(self, state, asked);
    }
    return exchange;
}

/* `encode`, or for a text that is complete `encode_text`. */
static PyObject *
encode(StatementEncoder *self, PyObject *cursor, PyObject *query, PyObject *args, int is_complete)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *exchange;
    Asked asked;

    if (!PyObject_TypeCheck(cursor, state->cursor_state_type)) {
        PyErr_SetString(PyExc_TypeError, "statements are encoded for a cursor");
        return NULL;
    }
    if (self->runner == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the garbage collector was here");
        return NULL;
    }
    if (check_handovers(self->runner, ((CursorState *)cursor)->_handovers, "this cursor") < 0) {
        return NULL;
    }
    asked = (Asked){(CursorState *)cursor, ((CursorState *)cursor)->_connection, query, args,
                    cursor_flags(state, (CursorState *)cursor), is_complete};
    if (asked.flags < 0) {
        return NULL;
    }
    if (is_none(asked.connection)) {
        PyErr_SetString(state->programming_error, "Cursor closed");
        return NULL;
    }
    Py_INCREF(asked.connection);
    exchange = encode_asked(self, state, &asked);
    Py_DECREF(asked.connection);
    return exchange;
}

/* encode(cursor, query, args) -> Query | tuple | None */
static PyObject *
StatementEncoder_encode(StatementEncoder *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "encode takes a cursor, a statement and arguments");
        return NULL;
    }
    return encode(self, args[0], args[1], args[2], 0);
}

/* encode_text(cursor, text) -> Query | None */
static PyObject *
StatementEncoder_encode_text(StatementEncoder *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "encode_text takes a cursor and a text");
        return NULL;
    }
    return encode(self, args[0], args[1], Py_None, 1);
}

/* ---- The type ---- */

static PyObject *
StatementEncoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"", "", "", "", NULL};
    State *state = PyType_GetModuleState(type);
    PyObject *runner, *statements, *charset, *literals;
    StatementEncoder *self;

    if (find_late_objects(state) < 0 ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!O!O:StatementEncoder", keywords,
                                     state->runner_state_type, &runner, state->owners.statements,
                                     &statements, state->owners.charset, &charset, &literals)) {
        return NULL;
    }
    self = (StatementEncoder *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->runner = (RunnerState *)Py_NewRef(runner);
    self->statements = Py_NewRef(statements);
    self->charset = Py_NewRef(charset);
    self->literals = Py_NewRef(literals);
    self->literal = PyObject_GetAttr(literals, state->names.literal);
    if (self->literal == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

DEFINE_TRAVERSE_CLEAR_DEALLOC(StatementEncoder, ALL_ENCODER_OBJECTS)

static PyMethodDef StatementEncoder_methods[] = {
    {"encode", METHOD(StatementEncoder_encode), METH_FASTCALL,
     "encode(self, cursor, query, args, /)\n--\n\n"},
    {"encode_text", METHOD(StatementEncoder_encode_text), METH_FASTCALL,
     "encode_text(self, cursor, text, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot StatementEncoder_slots[] = {
    {Py_tp_doc, "StatementEncoder(runner, statements, charset, literals, /)\n--\n\n"
                "See statement_encoder.py."},
    {Py_tp_new, StatementEncoder_new},
    {Py_tp_dealloc, StatementEncoder_dealloc},
    {Py_tp_traverse, StatementEncoder_traverse},
    {Py_tp_clear, StatementEncoder_clear},
    {Py_tp_methods, StatementEncoder_methods},
    {0, NULL},
};

PyType_Spec StatementEncoder_spec = {
    .name = "aiomysql_core._speedups.StatementEncoder",
    .basicsize = sizeof(StatementEncoder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = StatementEncoder_slots,
};
