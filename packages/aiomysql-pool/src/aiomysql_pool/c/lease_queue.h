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
    Py_ssize_t capacity;
    Py_ssize_t requests;
    Py_ssize_t waited;
    double wait_time;
    char is_open;
} LeaseQueue;

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

/* As the methods of LeaseQueue.  They return 1 or a new reference when that was done; 0 or, with
 * no exception set, NULL when more is to be done than that; -1 or NULL: an exception is set. */
PyObject *try_acquire(const State *state, LeaseQueue *self);
int try_release(const State *state, LeaseQueue *self, PyObject *connection);
PoolWaiter *try_enqueue(const State *state, LeaseQueue *self);

/* Take out a waiter, if it is in the queue. */
void discard(LeaseQueue *self, PoolWaiter *waiter);

/* Whether nothing was given to the waiter yet.  -1: an exception is set. */
int is_waiting(const State *state, PoolWaiter *waiter);

/* What was given.  NULL: an exception is set, perhaps the one that was given. */
PyObject *outcome(PoolWaiter *self);

/* Whether the connection of `holder`, a ConnectionHolder, can change hands without more ado.  -1:
 * an exception is set. */
int is_at_rest(const State *state, PyObject *holder);

#endif
