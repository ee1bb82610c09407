/* Which of asyncio's event loops runs; depends on how CPython's asyncio keeps its state. */
#ifndef AIOMYSQL_RUNNING_LOOP_H
#define AIOMYSQL_RUNNING_LOOP_H

#include "attribute_slots.h"

/* What a module keeps of asyncio. */
typedef struct {
    PyObject *get;           /* asyncio's function */
    PyObject *current_tasks; /* asyncio's dict: loop -> the task it runs; NULL: it has not all */
} RunningLoop;

/* Does the event loop `loop` run, in this thread, whose id was `thread` when that was looked
 * up?  -1: an exception is set. */
static inline int
is_running_loop(const RunningLoop *asyncio, PyObject *loop, unsigned long thread)
{
    PyObject *running;

    /* asyncio's question for the running loop costs a system call in Python 3.11. */
    if (asyncio->current_tasks != NULL && thread == PyThread_get_thread_ident()) {
        if (PyDict_GetItemWithError(asyncio->current_tasks, loop) != NULL) {
            return 1;
        }
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    running = PyObject_CallNoArgs(asyncio->get);
    Py_XDECREF(running); /* only compared */
    return running == NULL ? -1 : running == loop;
}

/* Import what is_running_loop() needs.  -1: an exception is set. */
static inline int
import_running_loop(RunningLoop *asyncio)
{
    asyncio->get = import_name("asyncio", "_get_running_loop");
    if (asyncio->get == NULL) {
        return -1;
    }
    asyncio->current_tasks = NULL;
    /* From Python 3.14 on the tasks of C code are in the thread's state, and not in the dict. */
    if (Py_Version < 0x030E0000) {
        asyncio->current_tasks = import_name("asyncio.tasks", "_current_tasks");
        if (asyncio->current_tasks == NULL) {
            PyErr_Clear();
        }
        else if (!PyDict_Check(asyncio->current_tasks)) {
            Py_CLEAR(asyncio->current_tasks);
        }
    }
    return 0;
}

#endif
