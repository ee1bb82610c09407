/* What is asked of a runner whenever its connection changes hands: see runner_state.py. */
#ifndef AIOMYSQL_CORE_ENGINE_RUNNER_STATE_H
#define AIOMYSQL_CORE_ENGINE_RUNNER_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* nothing_to_end(runner) -> bool */
PyObject *nothing_to_end(PyObject *module, PyObject *runner);

/* wake_next(runner, waiter) */
PyObject *wake_next(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
