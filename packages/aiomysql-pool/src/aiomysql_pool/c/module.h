/* The state of the module: what the C code here knows of the Python objects that it works on.
 *
 * Objects of other distributions are used as any Python code uses them: where they keep what is
 * their own affair. */
#ifndef AIOMYSQL_POOL_MODULE_H
#define AIOMYSQL_POOL_MODULE_H

#include "attribute_slots.h"
#include "running_loop.h"
#include "types.h"

#define SLOT_OWNERS(X) X(holder, "aiomysql_pool.holder", "ConnectionHolder")

#define SLOTS(X)                                                                                   \
    X(holder, acquired_at)                                                                         \
    X(holder, acquired_by)                                                                         \
    X(holder, connection)                                                                          \
    X(holder, expires_at)                                                                          \
    X(holder, is_reported)                                                                         \
    X(holder, key)                                                                                 \
    X(holder, must_close)                                                                          \
    X(holder, never_acquired)                                                                      \
    X(holder, opened_at)                                                                           \
    X(holder, runner)

DECLARE_SLOTS(SLOT_OWNERS, SLOTS);

/* Attributes and methods, each interned once per module. */
#define NAMES(X)                                                                                   \
    X(arm) X(armed) X(close) X(fire) X(forget_changes) X(is_reusable) X(last_usage)         \
    X(runner) X(throw) X(value)

typedef struct {
#define X(name) PyObject *name;
    NAMES(X)
#undef X
} Names;

enum { NAME_COUNT = sizeof(Names) / sizeof(PyObject *) };

/* See verdict.py. */
#define VERDICTS(X)                                                                                \
    X(UNKNOWN) X(LENDABLE) X(LOST) X(EXPIRED) X(PING) X(CHECK) X(UNCLEAN) X(CLOSING) X(DRAINED)    \
    X(SURPLUS)

typedef enum {
    FAILED = -1, /* an exception is set */
#define X(name) name,
    VERDICTS(X)
#undef X
    VERDICT_COUNT,
} Verdict;

typedef struct {
    Names names;
    PyObject *verdicts[VERDICT_COUNT]; /* the members of Verdict in Python */
    Owners owners;
    Offsets offsets;
    RunningLoop running_loop;
    PyTypeObject *acquire_context_type;
    PyTypeObject *lease_queue_type;
    PyTypeObject *pool_waiter_type;
    PyObject *hand_over; /* of aiomysql_core, as the next four */
    PyObject *wake_next;
    PyObject *waiter_type;
    PyObject *done_future;
    PyObject *done; /* its DONE */
    PyObject *cancelled_error;
    PyObject *deque_type;
    PyObject *monotonic;
    PyObject *current_task;
} State;

#endif
