/* The decoders of rows: TextRowDecoder of text.py and BinaryRowDecoder of binary.py, where the
 * rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_ROWS_DECODER_H
#define AIOMYSQL_PROTOCOL_ROWS_DECODER_H

#include "rows/cells.h"
#include "wire/payloads.h"

/* A decoder does not change after it was made, but for advice (see row_reader.c).  What a call to
 * decode needs beside it lives in that call, so a converter may call the same decoder again, and no
 * lock is needed.  (The caller must not change the buffer from another thread meanwhile.) */
typedef struct {
    PyObject_HEAD
    PyObject *plans;
    Py_ssize_t count;
    Column *columns;
    int binary;   /* it reads binary rows */
    int converts; /* a function of the user's takes part */
} Decoder;

extern PyType_Spec TextRowDecoder_spec;
extern PyType_Spec BinaryRowDecoder_spec;

/* Whether `keys` are str, one for each column, in a tuple.  0: an exception is set. */
int check_keys(const Decoder *self, PyObject *keys);

/* Appends the rows of `[pos, end)` to `rows`: tuples, or dicts with `keys` if that is not NULL.
 * Returns the first byte not consumed; NULL: an
 * exception is set. */
const unsigned char *read_rows(const State *state, const Decoder *self, const unsigned char *pos,
                               const unsigned char *end, uint8_t sequence_id, PyObject *rows,
                               PyObject *keys);

/* The row that is all of `[pos, end)`.  NULL: an exception is set. */
PyObject *read_one_row(const State *state, const Decoder *self, const unsigned char *pos,
                       const unsigned char *end);

/* The row in `payload`, which is not empty and may be so afterwards.  NULL: an exception is set. */
PyObject *read_long_row(const State *state, const Decoder *self, LongPayload *payload);

#endif
