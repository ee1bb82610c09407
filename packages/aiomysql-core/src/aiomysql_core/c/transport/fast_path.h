/* `Cursor.execute` for the commonest case: one statement on a reusable connection, from a buffered
 * cursor, whose whole response comes at once. */
#ifndef AIOMYSQL_CORE_TRANSPORT_FAST_PATH_H
#define AIOMYSQL_CORE_TRANSPORT_FAST_PATH_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec FastPath_spec;

#endif
