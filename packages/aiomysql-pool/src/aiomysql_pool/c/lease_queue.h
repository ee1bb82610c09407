/* LeaseQueue and PoolWaiter: see lease_queue.py. */
#ifndef AIOMYSQL_POOL_LEASE_QUEUE_H
#define AIOMYSQL_POOL_LEASE_QUEUE_H

#include "module.h"

typedef struct PoolWaiter PoolWaiter;

typedef struct {
    PyObject_HEAD
    PyObject *loop;
    PyObject *done_future;
    PyObject *holders;   /* a dict */
    PyObject *available; /* a collections.deque, and methods of it */
    PyObject *append;
    PyObject *appendleft;
    PyObject *popleft;
    PoolWaiter *first; /* the queue, which has a reference to each of its waiters */
    PoolWaiter *last;
    Py_ssize_t waiting;
    long long newest_ticket;
    unsigned long thread; /* the one that it was made in */
    Py_ssize_t maxsize;
    Py_ssize_t capacity;
    Py_ssize_t least_available;
    Py_ssize_t requests;
    Py_ssize_t waited;
    double max_age;
    double ping_after;
    double wait_time;
    char is_open;
    char is_watched;
    char has_check;
    char resets_sessions;
    char records_times;
    char records_tasks;
} LeaseQueue;

/* What a caller gets: references. */
typedef struct {
    PyObject *holder;
    PyObject *connection;
} Taken;

struct PoolWaiter {
    PyObject_HEAD
    PyObject *waiter;     /* a Waiter of aiomysql_core */
    PyObject *connection; /* what was given, or NULL */
    PyObject *holder;     /* of that, or NULL */
    PyObject *error;      /* given instead, or NULL */
    long long ticket;
    LeaseQueue *queue; /* in which it stands, no reference; NULL: in none */
    PoolWaiter *older;
    PoolWaiter *newer;
};

extern PyType_Spec LeaseQueue_spec;
extern PyType_Spec PoolWaiter_spec;

/* As the methods of LeaseQueue. */

/* -1: an exception is set. */
int is_direct(const State *state, LeaseQueue *self);

/* `taken` is filled in unless it returns FAILED or, with nothing available, UNKNOWN. */
Verdict try_acquire(const State *state, LeaseQueue *self, Taken *taken);

/* The same, of what a waiter was given; `now`: the time.  FAILED: perhaps with the exception that
 * it was given. */
Verdict collect(const State *state, LeaseQueue *self, PoolWaiter *waiter, double now,
                Taken *taken);

Verdict try_release(const State *state, LeaseQueue *self, PyObject *connection);

/* NULL with no exception set: the pool is to be asked. */
PoolWaiter *try_enqueue(const State *state, LeaseQueue *self);

/* The time, as time.monotonic gives it.  -1: an exception is set. */
int read_clock(const State *state, double *now);

void drop_taken(Taken *taken);

/* Take out a waiter, if it is in the queue. */
void discard(LeaseQueue *self, PoolWaiter *waiter);

/* Whether nothing was given to the waiter yet.  -1: an exception is set. */
int is_waiting(const State *state, PoolWaiter *waiter);

#endif
