/* The reader of responses: see response.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_COMMANDS_RESPONSE_H
#define AIOMYSQL_PROTOCOL_COMMANDS_RESPONSE_H

#include "session_state.h"

/* Two numbers, `start` and `end` of a buffer.  -1: an exception is set. */
int range_arguments(PyObject *const *args, Py_ssize_t *start, Py_ssize_t *end);

/* The bytes of `buffer`, to be released; `[start, end)` lies in them.  -1: an exception is set. */
int get_range(PyObject *buffer, Py_ssize_t start, Py_ssize_t end, Py_buffer *view);

/* What read_response does, for `exchange`, the oldest one of `session`.  Returns the position where
 * that ends; -1: an exception is set. */
Py_ssize_t read_from(State *state, SessionState *session, ExchangeState *exchange,
                     PyObject *buffer, Py_ssize_t position, Py_ssize_t end);

/* read_response(session, buffer, position, end) -> int */
PyObject *read_response(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
