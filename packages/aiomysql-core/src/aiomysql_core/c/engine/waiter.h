/* Waiter: see waiter.py. */
#ifndef AIOMYSQL_CORE_ENGINE_WAITER_H
#define AIOMYSQL_CORE_ENGINE_WAITER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec Waiter_spec;

#endif
