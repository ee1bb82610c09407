/* The first base of streams: see stream_state.py. */
#ifndef AIOMYSQL_CORE_TRANSPORT_STREAM_STATE_H
#define AIOMYSQL_CORE_TRANSPORT_STREAM_STATE_H

#include "module.h"

#define STREAM_OBJECTS(X)                                                                          \
    X(_sock) X(_unsent) X(_buffer) X(_view) X(next_waiter) X(_read_timeout) X(_silence_timer)

/* NULL before `__init__`; then always these.  mark_progress: the waiter's method. */
#define STREAM_FIXED_OBJECTS(X) X(session) X(loop) X(waiter) X(mark_progress)

typedef struct {
    PyObject_HEAD
    State *state;
#define X(name) PyObject *name;
    STREAM_OBJECTS(X)
    STREAM_FIXED_OBJECTS(X)
#undef X
    double _received_at;
    double _waiting_since;
    long long bytes_received;
    Py_ssize_t _end;
    unsigned long thread; /* the one it was made in */
    unsigned int forks;   /* how often the process had forked then */
    int _descriptor;
    char _closing;
    char _encrypted;
    char _look_again;
    char waking;
    char _reading_paused;
    char writing_paused;
} StreamState;

extern PyType_Spec StreamState_spec;

/* Have forks counted from now on.  -1: an exception is set. */
int count_forks(void);

/* -1: an exception is set, because `__init__` was not called. */
int check_stream(const StreamState *self);

/* StreamState.start, where the stream has a socket of its own: 1: started; 0: it is closed; -1: an
 * exception is set. */
int stream_start(StreamState *self, PyObject *exchange);

/* StreamState.wait; is_owner: `interrupted` is not a function, but what has a method `_interrupted`.
 * NULL: an exception is set. */
PyObject *stream_wait(StreamState *self, State *state, PyObject *exchange, PyObject *interrupted,
                      int is_owner, PyObject *read_timeout);

/* StreamState.wake_next.  -1: an exception is set. */
int stream_wake_next(StreamState *self, State *state, PyObject *waiter);

#endif
