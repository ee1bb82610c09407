/* The attributes of exchanges and results that are used for each statement, where C finds them at
 * once: see exchange_state.py, which says what they are. */
#ifndef AIOMYSQL_PROTOCOL_COMMANDS_EXCHANGE_STATE_H
#define AIOMYSQL_PROTOCOL_COMMANDS_EXCHANGE_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* F(name): False at first; N: None; B: no bytes; U: unset. */
#define EXCHANGE_FIELDS(F, N, B, U)                                                                \
    F(done) F(has_progress) F(streamed) F(is_simple) F(binary) F(as_dicts) F(discarding)           \
    F(announced) N(session) N(error) N(on_progress) N(result) N(local_files)             \
    N(statement) B(request) U(own_prepared) U(results)

#define RESULT_FIELDS(F, N, B, U)                                                                  \
    F(complete) F(skipped) F(unbuffered_active) F(streamed) N(metadata) N(error) U(ok)             \
    U(exchange) U(rows)

#define FIELD(name) PyObject *name;

typedef struct {
    PyObject_HEAD
    EXCHANGE_FIELDS(FIELD, FIELD, FIELD, FIELD)
    int reading; /* one of the following */
    int sequence_id;
    Py_ssize_t stored;
} ExchangeState;

enum { PAYLOADS, RESPONSE, ROWS };

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
