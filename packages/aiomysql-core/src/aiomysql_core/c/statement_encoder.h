/* From a cursor's statement and arguments to the exchange that runs it: see statement_encoder.py. */
#ifndef AIOMYSQL_CORE_STATEMENT_ENCODER_H
#define AIOMYSQL_CORE_STATEMENT_ENCODER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec StatementEncoder_spec;

#endif
