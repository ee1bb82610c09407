/* What every deallocator of an object that the garbage collector knows does first and last.
 *
 * Every C module includes this file.
 */
#ifndef AIOMYSQL_DEALLOC_H
#define AIOMYSQL_DEALLOC_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The exception that is set, or none. An object may go while one is under way, and what it refers to
 * may run anybody's code when it goes with it: that code must neither meet the exception nor end it. */
#if PY_VERSION_HEX >= 0x030C0000
typedef PyObject *Raised;

static inline Raised
set_aside(void)
{
    return PyErr_GetRaisedException();
}

static inline void
put_back(Raised raised)
{
    PyErr_SetRaisedException(raised);
}
#else
typedef struct {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
} Raised;

static inline Raised
set_aside(void)
{
    Raised raised;

    PyErr_Fetch(&raised.type, &raised.value, &raised.traceback);
    return raised;
}

static inline void
put_back(Raised raised)
{
    PyErr_Restore(raised.type, raised.value, raised.traceback);
}
#endif

/* Around the body of `dealloc`, which lets go of all that `self` refers to and frees it. Objects that
 * are nested deeply are freed one after the other, not each within the one around it. */
#define BEGIN_DEALLOC(self, dealloc)                                                               \
    Raised raised = set_aside();                                                                   \
                                                                                                   \
    PyObject_GC_UnTrack(self);                                                                     \
    Py_TRASHCAN_BEGIN(self, dealloc)

#define END_DEALLOC                                                                                \
    Py_TRASHCAN_END                                                                                \
    put_back(raised);

#endif
