/* The state of the module: what the C code here knows of the Python objects that it works on. */
#ifndef AIOMYSQL_CORE_MODULE_H
#define AIOMYSQL_CORE_MODULE_H

#include "running_loop.h"
#include "slots.h"
#include "types.h"

#define SLOT_OWNERS(X)                                                                             \
    X(runner, "aiomysql_core.engine.runner_state", "RunnerState")                                  \
    X(stream, "aiomysql_core.transport.socket_stream", "SocketStream")                             \
    X(statements, "aiomysql_core.statements", "StatementCache")                                    \
    X(statement, "aiomysql_core.statements", "Statement")                                          \
    X(session, "aiomysql_protocol.session", "Session")                                             \
    X(exchange, "aiomysql_protocol.commands.query", "Query")                                       \
    X(result, "aiomysql_protocol.commands.query", "Result")

#define SLOTS(X)                                                                                   \
    X(runner, _busy) X(runner, affected_rows) X(runner, autocommit) X(runner, last_usage)          \
    X(runner, _stream) X(runner, no_backslash_escapes) X(runner, result) X(runner, session)        \
    X(runner, transaction_possible)                                                                \
    X(stream, _buffer) X(stream, _end) X(stream, _sock) X(stream, next_waiter) X(stream, received) \
    X(stream, waking)                                                                              \
    X(statements, _cached) X(statements, _generation) X(statements, _newest) X(statements, size)   \
    X(statements, usual) X(statements, version)                                                    \
    X(statement, generation) X(statement, positional) X(statement, prepared)                       \
    X(statement, is_simple) X(statement, session) X(statement, encoded)                            \
    X(session, error) X(session, exchanges) X(session, server_status)                              \
    X(exchange, done) X(exchange, error) X(exchange, results) X(exchange, on_progress)             \
    X(result, metadata) X(result, error) X(result, exchange) X(result, ok) X(result, rows)

DECLARE_SLOTS(SLOT_OWNERS, SLOTS);

/* Attributes and methods, each interned once per module. */
#define NAMES(X)                                                                                   \
    X(__aexit__) X(_check_executed) X(_clear_result) X(_connection) X(_readable) X(_statement)     \
    X(_take) X(_usual_init) X(_write) X(cached) X(call_soon) X(close) X(connection_lost)           \
    X(count) X(fire) X(literal) X(loop) X(mark_progress) X(no_backslash_escapes) X(wake_next)

typedef struct {
#define X(name) PyObject *name;
    NAMES(X)
#undef X
} Names;

enum { NAME_COUNT = sizeof(Names) / sizeof(PyObject *) };

typedef struct {
    Names names;
    Owners owners;
    Offsets offsets;
    PyTypeObject *fast_path_type;
    PyTypeObject *receiver_type;
    PyTypeObject *cursor_state_type;
    PyTypeObject *ready_context_type;
    PyTypeObject *ready_type;
    PyTypeObject *waiter_type;
    PyObject *done;           /* Ready(None) */
    PyObject *quick_response; /* of aiomysql_protocol, as the next five */
    PyObject *literals;
    PyObject *drain_rows;
    PyObject *is_simple_statement;
    PyObject *start_query;
    PyObject *start_execution;
    PyObject *query_type;
    PyObject *execute_type;
    PyObject *monotonic;
    RunningLoop running_loop;
    /* Of modules that need this one, as the owners: found when they are needed first. */
    PyObject *forks;
    PyObject *prepared_statement_type;
    unsigned long maybe_in_transaction; /* flags of a session's server_status */
    int late_objects_found;
    PyObject *context_manager;
    PyObject *context_names; /* ("context",), the names of call_soon's last argument */
} State;

/* The state of the module that `object`, of a class derived from one of its types, comes
 * from.  NULL: an exception is set. */
State *state_of(PyObject *object);

/* Find what could not be imported as long as this module was.  -1: an exception is set. */
int find_all_late_objects(State *state);

static inline int
find_late_objects(State *state)
{
    return state->late_objects_found ? 0 : find_all_late_objects(state);
}

/* 1: the attribute `name` of `object` is this very `value`; 0: it is not; -1: an exception is
 * set. */
static inline int
attribute_is(PyObject *object, PyObject *name, PyObject *value)
{
    PyObject *found = PyObject_GetAttr(object, name);

    Py_XDECREF(found);
    return found == NULL ? -1 : found == value;
}

#endif
