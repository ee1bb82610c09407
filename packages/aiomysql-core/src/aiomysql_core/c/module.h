/* The state of the module: what the C code here knows of the Python objects that it works on. */
#ifndef AIOMYSQL_CORE_MODULE_H
#define AIOMYSQL_CORE_MODULE_H

#include "attribute_slots.h"
#include "exceptions.h"
#include "running_loop.h"
#include "session_functions.h"
#include "types.h"

#define SLOT_OWNERS(X)                                                                             \
    X(statements, "aiomysql_core.statements", "StatementCache")                                    \
    X(statement, "aiomysql_core.statements", "Statement")                                          \
    X(charset, "aiomysql_core.session_charset", "SessionCharset")                                  \
    X(session, "aiomysql_protocol.session", "Session")                                             \
    X(exchange, "aiomysql_protocol.commands.exchange", "Exchange")                                 \
    X(query, "aiomysql_protocol.commands.query", "Query")                                          \
    X(execute, "aiomysql_protocol.commands.prepared", "Execute")                                   \
    X(result, "aiomysql_protocol.commands.query", "Result")

#define SLOTS(X)                                                                                   \
    X(statements, _cached) X(statements, _conv) X(statements, _used) X(statements, _writer)        \
    X(statements, size)                                                                            \
    X(statement, changes_meaning) X(statement, encoded) X(statement, generation)                   \
    X(statement, handovers) X(statement, parsed) X(statement, positional) X(statement, prepared) X(statement, used)        \
    X(charset, encoding)                                                                           \
    X(session, error) X(session, exchanges) X(session, server_status)                              \
    X(exchange, as_dicts) X(exchange, done) X(exchange, error) X(exchange, has_progress)           \
    X(exchange, is_simple) X(exchange, local_files) X(exchange, on_progress)                       \
    X(exchange, results) X(exchange, statement)                                                    \
    X(result, complete) X(result, error) X(result, exchange) X(result, metadata) X(result, ok)     \
    X(result, rows) X(result, streamed) X(result, unbuffered_active)

DECLARE_SLOTS(SLOT_OWNERS, SLOTS);

/* Attributes and methods, each interned once per module. */
#define NAMES(X)                                                                                   \
    X(__aexit__) X(_begin_later) X(_begin_slowly) X(_check_executed) X(_clear_result)              \
    X(_connection) X(_conv_rows) X(_enlarge_buffer) X(_fetch_more) X(_forget_result)               \
    X(_interrupted) X(_learn_columns) X(_look_after) X(_not_begun) X(_not_received) X(_not_sent)   \
    X(_raise_for) X(_read_soon) X(_receive_more) X(_refuse) X(_start_silence_timer) X(_statement)  \
    X(_take_result) X(_write) X(abort) X(arguments) X(as_text) X(cached) X(call_soon)              \
    X(check_free) X(close) X(connection_lost) X(decode) X(encoding) X(escape) X(fire) X(forget)    \
    X(literal) X(local_files) X(mark_progress) X(matters_to) X(mogrify) X(new_query)               \
    X(no_backslash_escapes) X(paused) X(read) X(record_statement) X(release) X(resume) X(start)    \
    X(statement_for) X(take_rows) X(values) X(wake_next) X(write) X(writer)

typedef struct {
#define X(name) PyObject *name;
    NAMES(X)
#undef X
} Names;

enum { NAME_COUNT = sizeof(Names) / sizeof(PyObject *) };

/* What a class's flags are as long as it has this version: see compat/hooks.h. */
typedef struct {
    unsigned int version;
    int flags;
} ClassFlags;

enum { CLASS_FLAGS = 64 };

typedef struct {
    Names names;
    Owners owners;
    Offsets offsets;
    PyTypeObject *connection_state_type;
    PyTypeObject *cursor_state_type;
    PyTypeObject *ready_context_type;
    PyTypeObject *ready_type;
    PyTypeObject *runner_state_type;
    PyTypeObject *statement_encoder_type;
    PyTypeObject *stream_state_type;
    PyTypeObject *waiter_type;
    PyObject *done;               /* Ready(None) */
    PyObject *literals;           /* of aiomysql_protocol, as the next three */
    PyObject *drain_rows;
    PyObject *encode_query;
    PyObject *encode_execution;
    PyObject *encode_statement;
    PyObject *cancelled_error;    /* asyncio's */
    PyObject *programming_error;  /* PyMySQL's */
    PyObject *unknown_row_count;
    const SessionFunctions *session; /* of the capsule that follows */
    PyObject *session_functions;
    RunningLoop running_loop;
    /* Of modules that need this one, as the owners: found when they are needed first. */
    PyObject *done_future;
    PyObject *prepared_statement_type;
    PyObject *cursor_hooks;
    PyObject *cursor_hooks_of;
    PyObject *connection_hooks;
    PyObject *connection_hooks_of;
    PyObject *cursor_attributes;
    PyObject *connection_attributes;
    unsigned long maybe_in_transaction; /* flags of a session's server_status */
    int late_objects_found;
    ClassFlags cursor_classes[CLASS_FLAGS];
    ClassFlags connection_classes[CLASS_FLAGS];
    PyObject *context_manager;
    PyObject *context_names; /* ("context",), the names of call_soon's last argument */
    PyObject *query_names;   /* those of new_query */
} State;

/* The state of the module that `object`, of a class derived from one of its types, comes
 * from.  NULL: an exception is set. */
State *state_of(PyObject *object);

/* The same for the type. */
State *state_of_type(PyTypeObject *type);

/* Find what could not be imported as long as this module was.  -1: an exception is set. */
int find_all_late_objects(State *state);

static inline int
find_late_objects(State *state)
{
    return state->late_objects_found ? 0 : find_all_late_objects(state);
}

/* Whether `object` is an exchange, most often one of two classes. */
static inline int
is_exchange(const State *state, PyObject *object)
{
    return Py_IS_TYPE(object, state->owners.query) || Py_IS_TYPE(object, state->owners.execute) ||
           IS_OWNED(state, object, exchange);
}

static inline int
is_none(PyObject *object)
{
    return object == NULL || object == Py_None;
}

/* Calls a method that returns nothing of interest.  -1: an exception is set. */
static inline int
call_method(PyObject *object, PyObject *name)
{
    PyObject *done = PyObject_CallMethodNoArgs(object, name);

    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static inline int
call_method_with(PyObject *object, PyObject *name, PyObject *argument)
{
    PyObject *done = PyObject_CallMethodOneArg(object, name, argument);

    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Whether `value`, which other code may replace meanwhile, is true; it was read from the attribute
 * `name`.  -1: an exception is set. */
static inline int
is_true(PyObject *value, const char *name)
{
    int found;

    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, name);
        return -1;
    }
    if (value == Py_True || value == Py_False || value == Py_None) {
        return value == Py_True;
    }
    Py_INCREF(value);
    found = PyObject_IsTrue(value);
    Py_DECREF(value);
    return found;
}

/* Set what take_exception() returned again, which may be NULL, or else the exception of the code
 * that ran meanwhile, whose context it becomes, as behind `except`. */
static inline void
set_exception_again(PyObject *exception)
{
    PyObject *later = take_exception(), *context;

    if (later == NULL) {
        if (exception != NULL) {
            set_exception(exception);
        }
        return;
    }
    context = PyException_GetContext(later);
    if (exception != NULL && exception != later && context == NULL) {
        PyException_SetContext(later, exception); /* takes over the reference */
    }
    else {
        Py_XDECREF(exception);
    }
    Py_XDECREF(context);
    set_exception(later);
}

#endif
