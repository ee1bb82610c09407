/* The attributes of sessions that are used for each statement, where C finds them at once, and what
 * is done with each statement: see session_state.py. */
#ifndef AIOMYSQL_PROTOCOL_SESSION_STATE_H
#define AIOMYSQL_PROTOCOL_SESSION_STATE_H

#include "commands/exchange_state.h"
#include "module.h"

typedef struct {
    PyObject_HEAD
    PyObject *_to_send;
    PyObject *columns;
    PyObject *error;
    PyObject *exchanges;
    PyObject *server_status;
    unsigned long long capabilities;
    int uncommitted; /* one of the following */
    char compressed; /* all that goes either way */
    char gathering; /* a payload, of which the first bytes were consumed */
} SessionState;

enum { NO_CHANGES, CHANGES, CHANGES_UNKNOWN };

extern PyType_Spec SessionState_spec;

/* The exchange whose response comes next, for the response to be read in C; a new reference.  NULL
 * with or without an exception. */
ExchangeState *oldest_exchange(const State *state, const SessionState *session);

/* Whether the response to `exchange`, which was the oldest one, is still the one that comes next. */
static inline int
is_due(const SessionState *session, const ExchangeState *exchange)
{
    return session->error == Py_None && exchange->done == Py_False;
}

/* What other packages call: see session_functions.h.  NULL: an exception is set. */
PyObject *session_functions(void);

/* 1: `exchange` was queued, and its request, of which `frame` is all, is to be sent at once; 0: not
 * before something else; -1: an exception is set. */
int queue_exchange(const State *state, SessionState *session, ExchangeState *exchange);

#endif
