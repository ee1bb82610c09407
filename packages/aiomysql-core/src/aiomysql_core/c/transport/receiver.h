/* What the event loop calls when a SocketStream's socket has bytes: see socket_stream.py, whose
 * `_readable` it is. */
#ifndef AIOMYSQL_CORE_TRANSPORT_RECEIVER_H
#define AIOMYSQL_CORE_TRANSPORT_RECEIVER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec Receiver_spec;

#endif
