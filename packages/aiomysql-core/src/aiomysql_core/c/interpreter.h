/* What depends on how CPython and its asyncio keep their state. */
#ifndef AIOMYSQL_CORE_INTERPRETER_H
#define AIOMYSQL_CORE_INTERPRETER_H

#include "module.h"

/* 1: the event loop `loop` runs in this thread, whose id was `thread` when that was looked up; 0:
 * it does not; -1: an exception is set. */
static inline int
is_running_loop(const State *state, PyObject *loop, unsigned long thread)
{
    PyObject *running;

    /* asyncio's question for the running loop costs a system call in Python 3.11. */
    if (state->current_tasks != NULL && thread == PyThread_get_thread_ident()) {
        if (PyDict_GetItemWithError(state->current_tasks, loop) != NULL) {
            return 1;
        }
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    running = PyObject_CallNoArgs(state->running_loop);
    Py_XDECREF(running); /* only compared */
    return running == NULL ? -1 : running == loop;
}

/* Import what is_running_loop() needs.  -1: an exception is set. */
static inline int
import_asyncio(State *state)
{
    state->running_loop = import_name("asyncio", "_get_running_loop");
    if (state->running_loop == NULL) {
        return -1;
    }
    state->current_tasks = import_name("asyncio.tasks", "_current_tasks");
    if (state->current_tasks == NULL) {
        PyErr_Clear();
    }
    else if (!PyDict_Check(state->current_tasks)) {
        Py_CLEAR(state->current_tasks);
    }
    return 0;
}

/* Have `type`, when it is called, call `function`, without a tuple of arguments in between.  (A
 * type's slots have had that since Python 3.14.) */
static inline void
set_vectorcall(PyTypeObject *type, vectorcallfunc function)
{
    type->tp_vectorcall = function;
}

#endif
