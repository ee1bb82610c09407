/* What a FastPath is, and what it does before it sends: it finds out whether the connection is
 * reusable and the statement one for it, and what is to be sent.  Nothing is changed here but what
 * it knows of statements. */
#ifndef AIOMYSQL_CORE_TRANSPORT_FAST_REQUEST_H
#define AIOMYSQL_CORE_TRANSPORT_FAST_REQUEST_H

#include "engine/cursor_state.h"
#include "waiting/waiter.h"

typedef struct {
    PyObject_HEAD
    PyObject *runner;
    PyObject *interrupted; /* the runner's, called when the task is resumed by an exception */
    PyObject *stream;
    PyObject *loop;   /* the stream's */
    PyObject *unsent; /* the stream's, a bytearray */
    PyObject *forks;  /* how often the process had forked when the stream was made */
    Waiter *waiter;          /* the stream's */
    PyObject *mark_progress; /* its method */
    PyObject *session;
    PyObject *exchanges; /* the session's */
    PyObject *statements;
    PyObject *literals;
    PyObject *literal; /* its method */
    int descriptor;
    int text; /* statements may go as text */
    unsigned long thread; /* the loop's */
    /* Of the statement under way; NULL when there is none. */
    CursorState *cursor;
    PyObject *exchange;
    PyObject *encoded;   /* bytes */
    PyObject *statement; /* if it is prepared */
    /* The result taken last: complete, and the only one of its statement. */
    PyObject *last_result;
    /* The prepared statement run last, as long as `StatementCache.version` is the same object. */
    PyObject *version;
    PyObject *known_query;
    PyObject *known_statement;
    PyObject *known_prepared;
    /* The text run last, if it is simple: mostly the very same object is run again. */
    PyObject *simple_query;
} FastPath;

/* What is to be run, as far as it is known. */
typedef struct {
    PyObject *encoded;   /* bytes, or NULL */
    PyObject *statement; /* or NULL: it goes as text */
    PyObject *values;    /* of a prepared statement; borrowed */
    int known;           /* `known_prepared` is what runs it */
} Request;

/* Whether the stream is open, so that the descriptor is its own. */
int is_open(const FastPath *self, const State *state);

/* Mark the runner as busy if the stream is open and nothing is under way on it.  To be done before
 * anything else: to make an object may run any code (a finalizer's), which finds the runner busy
 * then.  1: done; 0: it is not free; -1: an exception is set. */
int fast_claim(FastPath *self, const State *state);

/* The runner is busy (Py_True) or not (Py_False). */
static inline void
set_busy(FastPath *self, const State *state, PyObject *busy)
{
    Py_XSETREF(SLOT(state, self->runner, runner__busy), Py_NewRef(busy));
}

/* 1: the connection is reusable; 0: it is not; -1: an exception is set. */
int fast_is_reusable(FastPath *self, const State *state, const CursorState *cursor);

/* Whether the cursor is none of the user's, but what takes the result of COMMIT or ROLLBACK. */
static inline int
ends_transaction(const State *state, const CursorState *cursor)
{
    return Py_IS_TYPE((PyObject *)cursor, state->cursor_state_type);
}

/* Find out what `query` and `args` ask for.  1: found; 0: not for here; -1: an exception is set. */
int fast_request(FastPath *self, const State *state, const CursorState *cursor, PyObject *query,
                 PyObject *args, Request *request);

/* Start the exchange for `request`: what start_query and start_execution return, or None.  NULL: an
 * exception is set. */
PyObject *fast_start(FastPath *self, const State *state, PyObject *query, Request *request);

#endif
