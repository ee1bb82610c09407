/* The state of the module. */
#ifndef AIOMYSQL_PROTOCOL_MODULE_H
#define AIOMYSQL_PROTOCOL_MODULE_H

#include "attribute_slots.h"
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
    X(prepared, "aiomysql_protocol.commands.prepared", "ServerStatement")                          \
    X(writer, "aiomysql_protocol.values.parameters", "ParameterWriter")                            \
    X(query, "aiomysql_protocol.commands.query", "Query")                                          \
    X(execute, "aiomysql_protocol.commands.prepared", "Execute")                                   \
    X(result, "aiomysql_protocol.commands.query", "Result")

#define SLOTS(X)                                                                                   \
    X(prepared, accepted_last) X(prepared, prefixes) X(prepared, compiled_by) X(prepared, head)    \
    X(prepared, parameter_count) X(prepared, is_row_change) X(prepared, is_simple)                 \
    X(writer, as_is) X(writer, is_usual)

DECLARE_SLOTS(SLOT_OWNERS, SLOTS);

/* Attributes and methods, each interned once per module. */
#define NAMES(X)                                                                                   \
    X(_fail_reading) X(_receive_compressed) X(_receive_payload) X(_receive_unasked)                \
    X(data_to_send) X(for_binary)                                                                  \
    X(prefixes) X(record_metadata) X(start) X(uncommitted_after)

typedef struct {
#define X(name) PyObject *name;
    NAMES(X)
#undef X
} Names;

enum { NAME_COUNT = sizeof(Names) / sizeof(PyObject *) };

typedef struct {
    PyTypeObject *decoder_type;
    PyTypeObject *payload_type;
    PyTypeObject *binary_decoder_type;
    PyTypeObject *exchange_state_type;
    PyTypeObject *result_state_type;
    PyTypeObject *session_state_type;
    PyObject *checked_plans;
    PyObject *general_reader;
    PyObject *checked_binary_plans;
    PyObject *general_binary_reader;
    PyObject *malformed;
    PyObject *malformed_packet; /* the class of what `malformed` makes */
    PyObject *decimal; /* makes an exact Decimal of a str that holds nothing but a number */
    PyObject *decimal_type;
    PyObject *ok_type;       /* packets.Ok */
    PyObject *no_ok;         /* Ok() */
    PyObject *parse_ok;
    PyObject *deque_append; /* collections.deque's methods */
    PyObject *deque_popleft;
    PyObject *general_execution; /* NULL before the first call */
    Names names;
    Owners owners;
    Offsets offsets;
    PyObject *null; /* the literal */
    PyDateTime_CAPI *datetime; /* NULL where datetime is not written in C */
} State;

/* The state of the module that `object`, of a class derived from one of its types, comes
 * from.  NULL: an exception is set. */
State *state_of(PyObject *object);

/* Find the classes whose slots are used, and their offsets.  -1: an exception is set. */
int find_all_slots(State *state);

static inline int
find_slots(State *state)
{
    return state->offsets.found ? 0 : find_all_slots(state);
}

#endif
