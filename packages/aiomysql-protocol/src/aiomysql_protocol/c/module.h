/* The state of the module. */
#ifndef AIOMYSQL_PROTOCOL_MODULE_H
#define AIOMYSQL_PROTOCOL_MODULE_H

#include "slots.h"
#include "types.h"

#include <datetime.h>

/* The header's variable is one for the whole process, and so not used: each interpreter has a
 * datetime module of its own.  This keeps the compiler from saying so. */
static inline const void *
unused_datetime(void)
{
    return PyDateTimeAPI;
}

#define SLOT_OWNERS(X)                                                                             \
    X(session, "aiomysql_protocol.session", "Session")                                             \
    X(prepared, "aiomysql_protocol.commands.prepared", "ServerStatement")

#define SLOTS(X)                                                                                   \
    X(session, _to_send) X(session, columns) X(session, error) X(session, exchanges)               \
    X(session, server_status)                                                                      \
    X(prepared, accepted_last) X(prepared, prefixes) X(prepared, compiled_by) X(prepared, head)    \
    X(prepared, parameter_count)

DECLARE_SLOTS(SLOT_OWNERS, SLOTS);

/* Names of attributes and methods; name_texts has them in the same order. */
typedef struct {
    PyObject *prefixes;
    PyObject *new_result;
    PyObject *binary;
    PyObject *for_binary;
} Names;

/* What is asked of a class of queries. */
typedef struct {
    PyTypeObject *type;
    PyObject *new_result;
    int binary;
} QueryKind;

typedef struct {
    PyTypeObject *decoder_type;
    PyTypeObject *payload_type;
    PyTypeObject *binary_decoder_type;
    PyTypeObject *exchange_state_type;
    PyTypeObject *result_state_type;
    PyObject *checked_plans;
    PyObject *general_reader;
    PyObject *checked_binary_plans;
    PyObject *general_binary_reader;
    PyObject *malformed;
    PyObject *decimal; /* makes an exact Decimal of a str that holds nothing but a number */
    PyObject *decimal_type;
    PyObject *error;       /* pymysql.err.Error */
    PyObject *ok_type;     /* packets.Ok */
    PyObject *response_type; /* response.Response; NULL before the first one */
    PyObject *deque_append; /* collections.deque's methods */
    PyObject *deque_popleft;
    Names names;
    Owners owners;
    Offsets offsets;
    QueryKind kinds[2]; /* those met last */
    PyObject *null; /* the literal */
    PyDateTime_CAPI *datetime; /* NULL where datetime is not written in C */
} State;

/* Find the classes whose slots are used, and their offsets.  -1: an exception is set. */
int find_all_slots(State *state);

static inline int
find_slots(State *state)
{
    return state->offsets.found ? 0 : find_all_slots(state);
}

#endif
