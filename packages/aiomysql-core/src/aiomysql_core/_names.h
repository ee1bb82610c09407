/* What the C code here knows of the Python objects that it works on, and small helps for that. */
#ifndef AIOMYSQL_CORE_NAMES_H
#define AIOMYSQL_CORE_NAMES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Attributes and methods, each interned once per module. */
#define NAMES(X)                                                                                   \
    X(_buffer) X(_cached) X(_claimed) X(_clear_result) X(_connection) X(_end) X(_generation)       \
    X(_handle) X(_newest) X(_readable) X(_sock) X(_take) X(_write) X(affected_rows) X(arm)         \
    X(cached) X(changes_meaning) X(close) X(column_set) X(connection_lost) X(count) X(done)        \
    X(error) X(exchange) X(exchanges) X(fire) X(follower) X(generation) X(last_usage) X(literal)   \
    X(loop) X(no_backslash_escapes) X(note) X(ok) X(popleft) X(positional) X(prepared)             \
    X(received) X(result) X(results) X(rows) X(server_status) X(session) X(settle) X(size)         \
    X(statement) X(throw) X(usual) X(version) X(wake) X(waking) X(_usual_init) X(__aexit__)        \
    X(_check_executed)

typedef struct {
#define X(name) PyObject *name;
    NAMES(X)
#undef X
} Names;

enum { NAME_COUNT = sizeof(Names) / sizeof(PyObject *) };

typedef struct {
    Names names;
    PyTypeObject *fast_path_type;
    PyTypeObject *receiver_type;
    PyTypeObject *cursor_state_type;
    PyTypeObject *ready_context_type;
    PyObject *ready_type; /* of aiomysql_protocol.implementation, as the next four */
    PyObject *done;       /* Ready(None) */
    PyObject *quick_answer;
    PyObject *literals;
    PyObject *drain_rows;
    PyObject *start_query;
    PyObject *start_execution;
    PyObject *query_type;
    PyObject *execute_type;
    PyObject *monotonic;
    PyObject *running_loop;  /* asyncio's function */
    PyObject *current_tasks; /* asyncio's dict: loop -> the task it runs; NULL: there is none */
    /* Of modules that need this one: found when they are needed first. */
    PyObject *forks;
    PyObject *prepared_statement_type;
    PyObject *context_manager;
} State;

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

/* The state of the module that `object`, of a class derived from one of its types, comes from. */
static const State *state_of(PyObject *object);

/* Is the attribute `name` of `object` this very `value`?  -1: exception. */
static int
attribute_is(PyObject *object, PyObject *name, PyObject *value)
{
    PyObject *found = PyObject_GetAttr(object, name);

    Py_XDECREF(found);
    return found == NULL ? -1 : found == value;
}

#endif
