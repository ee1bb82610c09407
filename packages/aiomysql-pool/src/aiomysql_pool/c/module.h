/* The state of the module: what the C code here knows of the Python objects that it works on.
 *
 * Objects of other distributions are used as any Python code uses them: where they keep what is
 * their own affair. */
#ifndef AIOMYSQL_POOL_MODULE_H
#define AIOMYSQL_POOL_MODULE_H

#include "running_loop.h"
#include "slots.h"
#include "types.h"

#define SLOT_OWNERS(X) X(holder, "aiomysql_pool.holder", "ConnectionHolder")

#define SLOTS(X) X(holder, connection) X(holder, never_acquired) X(holder, runner)

DECLARE_SLOTS(SLOT_OWNERS, SLOTS);

/* Attributes and methods, each interned once per module. */
#define NAMES(X) X(arm) X(armed) X(close) X(fire) X(throw) X(value)

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
    RunningLoop running_loop;
    PyTypeObject *acquire_context_type;
    PyTypeObject *lease_queue_type;
    PyTypeObject *pool_waiter_type;
    PyObject *nothing_to_end; /* of aiomysql_core, as the next four */
    PyObject *wake_next;
    PyObject *waiter_type;
    PyObject *done_future;
    PyObject *done; /* its DONE */
    PyObject *cancelled_error;
    PyObject *deque_type;
    PyObject *monotonic;
} State;

#endif
