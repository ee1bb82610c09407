/* What the C code of another package calls of a Session: functions in a capsule, which
 * aiomysql_protocol.session_state has as `functions`.
 *
 * Functions are only added, at the end: who asks for some number of them runs with all that come
 * later. */
#ifndef AIOMYSQL_SESSION_FUNCTIONS_H
#define AIOMYSQL_SESSION_FUNCTIONS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define SESSION_FUNCTIONS "aiomysql_protocol.session_state.functions"

/* `session` is a Session for each of them, which the caller has made sure of. */
typedef struct {
    /* How many functions follow. */
    int count;
    /* What Session.request does.  NULL: an exception is set. */
    PyObject *(*request)(PyObject *session, PyObject *exchange);
    /* What Session.receive does.  -1: an exception is set. */
    Py_ssize_t (*receive)(PyObject *session, PyObject *buffer, Py_ssize_t start, Py_ssize_t end);
} SessionFunctions;

#endif
