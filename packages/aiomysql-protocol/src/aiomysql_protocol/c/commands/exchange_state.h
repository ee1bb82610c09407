/* The attributes of exchanges and results that are used for each statement, where C finds them at
 * once: see exchange_state.py, which says what they are. */
#ifndef AIOMYSQL_PROTOCOL_COMMANDS_EXCHANGE_STATE_H
#define AIOMYSQL_PROTOCOL_COMMANDS_EXCHANGE_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* F(name): False at first; N: None; Z: 0; U: unset. */
#define EXCHANGE_FIELDS(F, N, Z, U)                                                                \
    F(done) F(has_progress) F(quick) F(streamed) N(session) N(error) N(on_progress)                \
    N(local_files) N(own_prefixes) N(compiled_by) Z(sequence_id) U(own_prepared) U(results)

#define RESULT_FIELDS(F, N, Z, U)                                                                  \
    F(complete) F(skipped) F(unbuffered_active) F(streamed) N(metadata) N(error) U(ok)             \
    U(exchange) U(rows)

#define FIELD(name) PyObject *name;

typedef struct {
    PyObject_HEAD
    EXCHANGE_FIELDS(FIELD, FIELD, FIELD, FIELD)
} ExchangeState;

typedef struct {
    PyObject_HEAD
    RESULT_FIELDS(FIELD, FIELD, FIELD, FIELD)
} ResultState;

#undef FIELD

extern PyType_Spec ExchangeState_spec;
extern PyType_Spec ResultState_spec;

/* A new object of `type`, a subclass of one of the two.  NULL: an exception is set. */
PyObject *new_state(PyObject *type);

#endif
