/* The first base of cursors: see cursor_state.py. */
#ifndef AIOMYSQL_CORE_ENGINE_CURSOR_STATE_H
#define AIOMYSQL_CORE_ENGINE_CURSOR_STATE_H

#include "module.h"

/* Status flags, and the items of packets.Ok. */
enum { MORE_RESULTS = 0x0008 };
enum { OK_AFFECTED_ROWS, OK_INSERT_ID, OK_SERVER_STATUS, OK_WARNING_COUNT };

#define CURSOR_OBJECTS(X)                                                                          \
    X(_connection) X(_executed) X(_last_executed) X(_rowcount) X(_lastrowid) X(_description)       \
    X(_rows) X(_result)

typedef struct {
    PyObject_HEAD
#define X(name) PyObject *name;
    CURSOR_OBJECTS(X)
#undef X
    Py_ssize_t _arraysize;
    Py_ssize_t _rownumber;
    char _echo;
} CursorState;

extern PyType_Spec CursorState_spec;

PyObject *CursorState_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);

/* 1: the response that `result` came in is there as a whole, has no result behind it, and no error
 * that nobody was told of; 0: not so; -1: an exception is set. */
int is_finished(const State *state, PyObject *result);

#endif
