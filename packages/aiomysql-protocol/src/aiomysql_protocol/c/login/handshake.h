/* The server's greeting: see handshake.py. */
#ifndef AIOMYSQL_PROTOCOL_LOGIN_HANDSHAKE_H
#define AIOMYSQL_PROTOCOL_LOGIN_HANDSHAKE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* read_greeting(payload) -> the items of a Greeting | None */
PyObject *read_greeting(PyObject *module, PyObject *payload);

#endif
