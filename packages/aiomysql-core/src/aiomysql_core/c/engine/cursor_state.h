/* The first base of cursors: see cursor_state.py. */
#ifndef AIOMYSQL_CORE_ENGINE_CURSOR_STATE_H
#define AIOMYSQL_CORE_ENGINE_CURSOR_STATE_H

#include "module.h"

/* Status flags, and the items of packets.Ok. */
enum { MORE_RESULTS = 0x0008 };
enum { OK_AFFECTED_ROWS, OK_INSERT_ID, OK_SERVER_STATUS, OK_WARNING_COUNT };

#define CURSOR_OBJECTS(X)                                                                          \
    X(_connection) X(_executed) X(_last_executed) X(_rowcount) X(_lastrowid) X(_description)       \
    X(_rows) X(_result) X(_origin) X(_echo)

typedef struct {
    PyObject_HEAD
    State *state;
#define X(name) PyObject *name;
    CURSOR_OBJECTS(X)
#undef X
    Py_ssize_t _arraysize;
    Py_ssize_t _rownumber;
    Py_ssize_t _rows_before;
    long long _handovers; /* the runner's when it was made */
    int _row_flags; /* CURSOR_CONVERTS_ROWS or CURSOR_DICT_ROWS, by a `row_factory` */
    PyObject *own; /* the attributes that others have set, a dict; or NULL */
} CursorState;

extern PyType_Spec CursorState_spec;

PyObject *CursorState_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);

/* Note how often `connection`, which the cursor is of, has changed hands. */
void record_handovers(CursorState *self, PyObject *connection);

/* Let the last result go, as `_forget_result` does; flags: of the cursor (compat/hooks.h).  -1: an
 * exception is set. */
int forget_result(CursorState *self, const State *state, int flags);

/* 1: behind `result`, a Result that is complete, another one follows, or an error of the server that
 * nobody was told of; 0: neither; -1: an exception is set. */
int has_rest(const State *state, PyObject *result);

/* A number of an Ok, which has at least the four of them.  -1: an exception is set. */
long ok_number(PyObject *ok, int item);

#endif
