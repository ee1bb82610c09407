/* Frame headers: three bytes with the payload's length, and one with its sequence id. */
#ifndef AIOMYSQL_PROTOCOL_WIRE_FRAME_H
#define AIOMYSQL_PROTOCOL_WIRE_FRAME_H

#include "wire/bytes.h"

/* A frame of the greatest length is not the last one of its payload, which has 16 MiB or more. */
enum { FRAME_HEADER = 4, FULL_FRAME = 0xFFFFFF };

/* The payload, which may be empty, of the frame at `pos`.  NULL: the frame is not all there, out of
 * order, or one of several that make a payload. */
static inline const unsigned char *
frame_payload(const unsigned char *pos, const unsigned char *end, unsigned sequence_id,
              Py_ssize_t *length)
{
    if (end - pos < FRAME_HEADER) {
        return NULL;
    }
    *length = (Py_ssize_t)load_3(pos);
    if (*length == FULL_FRAME || *length > end - pos - FRAME_HEADER || pos[3] != sequence_id) {
        return NULL;
    }
    return pos + FRAME_HEADER;
}

/* A frame with room for `length` bytes, fewer than FULL_FRAME, which are to be written at
 * `*payload`. NULL: an exception is set. */
static inline PyObject *
new_frame(Py_ssize_t length, unsigned sequence_id, char **payload)
{
    PyObject *frame = PyBytes_FromStringAndSize(NULL, FRAME_HEADER + length);

    if (frame != NULL) {
        char *end = store_integer(PyBytes_AS_STRING(frame), (uint64_t)length, 3);
        *payload = store_integer(end, sequence_id, 1);
    }
    return frame;
}

#endif
