/* The base of CommandRunner: see runner_state.py. */
#ifndef AIOMYSQL_CORE_ENGINE_RUNNER_STATE_H
#define AIOMYSQL_CORE_ENGINE_RUNNER_STATE_H

#include "module.h"

#define RUNNER_OBJECTS(X)                                                                          \
    X(_stream) X(session) X(_cancellation) X(_beginning) X(_detached) X(_read_timeout) X(result)  \
    X(autocommit) X(affected_rows) X(last_usage)

typedef struct {
    PyObject_HEAD
    State *state;
#define X(name) PyObject *name;
    RUNNER_OBJECTS(X)
#undef X
    long long generation;
    long long handovers;
    char _busy;
    char transaction_possible;
    char no_backslash_escapes;
    char charset_in_doubt;
} RunnerState;

extern PyType_Spec RunnerState_spec;

/* Whether something of the last statement's response may be unread.  -1: an exception is set. */
int has_outstanding(RunnerState *self, State *state);

/* Check that what was made when there were `number` handovers may still send something.  -1: an
 * exception is set. */
int check_handovers(const RunnerState *self, long long number, const char *what);

/* hand_over(runner) -> bool */
PyObject *hand_over(PyObject *module, PyObject *runner);

/* nothing_to_end(runner) -> bool */
PyObject *nothing_to_end(PyObject *module, PyObject *runner);

/* wake_next(runner, waiter) */
PyObject *wake_next(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
