/* LongPayload and whole_payload: see payloads.py. */
#ifndef AIOMYSQL_PROTOCOL_WIRE_PAYLOADS_H
#define AIOMYSQL_PROTOCOL_WIRE_PAYLOADS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* A payload of many bytes, of which a value can be made where it stands.  The bytes are gathered
 * in a bytes object that no other code sees before it is the value. */
typedef struct {
    PyObject_HEAD
    PyObject *bytes;  /* NULL at first */
    Py_ssize_t size;  /* how many of them are there */
    Py_ssize_t room;  /* not 0: the view that is being made is of so many behind them */
    Py_ssize_t views;
} LongPayload;

extern PyType_Spec LongPayload_spec;

static inline char *
payload_start(const LongPayload *self)
{
    return self->bytes == NULL ? NULL : PyBytes_AS_STRING(self->bytes);
}

/* `count` bytes from `start` on, as a bytes object; nothing is left of the payload.  NULL: an
 * exception is set. */
PyObject *take_from_payload(LongPayload *self, Py_ssize_t start, Py_ssize_t count);

/* whole_payload(buffer, position, end, sequence_id) -> bytes | None */
PyObject *whole_payload(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
