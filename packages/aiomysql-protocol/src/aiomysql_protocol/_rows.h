/* Rows: from the frames in a buffer to tuples. What a cell becomes is in _values.h. */
#ifndef AIOMYSQL_PROTOCOL_ROWS_H
#define AIOMYSQL_PROTOCOL_ROWS_H

#include "_values.h"

enum { HEADER = 4, FULL_FRAME = 0xFFFFFF, NULL_CELL = 0xFB, FIRST_STOP = 0xFE };

/* A value up to this length is compared with the one above it in its column. */
enum { LONGEST_REPEATED = 64 };

typedef struct {
    PyObject_HEAD
    PyObject *plans;
    Py_ssize_t count;
    Column *columns;
    int binary; /* of binary rows? */
} Decoder;

/* One column's part of the row at hand, and the last value made in it. All of it points into the
 * buffer of the running call. */
typedef struct {
    const char *start; /* NULL: an SQL NULL */
    Py_ssize_t length;
    const char *last_start;
    Py_ssize_t last_length;
    PyObject *last_value;
} Slot;

/* The value in `slot`. Where the column's last value had the same bytes it is the same object:
 * only for immutable values, and never for what a user's converter returns. */
static PyObject *
read_slot(const State *state, const Column *column, Slot *slot)
{
    PyObject *value;

    if (slot->start == NULL) {
        return Py_NewRef(Py_None);
    }
    if (column->never_repeated || slot->length > LONGEST_REPEATED) {
        return read_value(state, column, slot->start, slot->length);
    }
    if (slot->last_value != NULL && slot->last_length == slot->length &&
        memcmp(slot->last_start, slot->start, (size_t)slot->length) == 0) {
        return Py_NewRef(slot->last_value);
    }
    value = read_value(state, column, slot->start, slot->length);
    if (value != NULL) {
        Py_XSETREF(slot->last_value, Py_NewRef(value));
        slot->last_start = slot->start;
        slot->last_length = slot->length;
    }
    return value;
}

/* The length that begins at `*pos` and is too great for one byte. On success returns NULL and moves
 * `*pos` past it, else returns what is wrong. */
static const char *
read_long_length(const unsigned char **pos, const unsigned char *end, uint64_t *length)
{
    unsigned char first = *(*pos)++;
    int width = first == 0xFC ? 2 : first == 0xFD ? 3 : 8;

    if (first == 0xFF) {
        return "a value's length begins with 0xff";
    }
    if (end - *pos < width) {
        return "a row ends within a value's length";
    }
    *length = 0;
    for (int i = 0; i < width; i++) {
        *length |= (uint64_t)(*pos)[i] << (8 * i);
    }
    *pos += width;
    return NULL;
}

/* Finds the values of a row. Returns NULL, or what is wrong with the row. */
static const char *
split_row(const unsigned char *pos, const unsigned char *end, Slot *slots, Py_ssize_t count)
{
    for (Slot *slot = slots; slot < slots + count; slot++) {
        uint64_t length;

        if (pos >= end) {
            return "a row ends before its last column";
        }
        if (*pos == NULL_CELL) {
            slot->start = NULL;
            pos++;
            continue;
        }
        if (*pos < NULL_CELL) {
            length = *pos++;
        }
        else {
            const char *wrong = read_long_length(&pos, end, &length);
            if (wrong != NULL) {
                return wrong;
            }
        }
        if (length > (uint64_t)(end - pos)) {
            return "a value runs past the end of its row";
        }
        slot->start = (const char *)pos;
        slot->length = (Py_ssize_t)length;
        pos += length;
    }
    return pos == end ? NULL : "bytes are left over after the last column of a row";
}

/* Finds the values of a binary row: 0x00, the bitmap of NULLs from its third bit on, the values.
 * Returns NULL, or what is wrong with the row. */
static const char *
split_binary_row(const Decoder *self, const unsigned char *pos, const unsigned char *end,
                 Slot *slots)
{
    Py_ssize_t bitmap_size = (self->count + 9) / 8;
    const unsigned char *bitmap = pos + 1;

    if (pos >= end || *pos != 0) {
        return "a binary row does not begin with 0x00";
    }
    if (end - bitmap < bitmap_size) {
        return "a row ends within its bitmap of NULLs";
    }
    pos = bitmap + bitmap_size;
    for (Py_ssize_t i = 0, bit = 2; i < self->count; i++, bit++) {
        uint64_t length = (uint64_t)self->columns[i].size;

        if (bitmap[bit / 8] >> bit % 8 & 1) {
            slots[i].start = NULL;
            continue;
        }
        if (length == 0) {
            if (pos >= end) {
                return "a row ends before its last column";
            }
            if (*pos < NULL_CELL) {
                length = *pos++;
            }
            else if (*pos == NULL_CELL) {
                return "a value's length begins with 0xfb";
            }
            else {
                const char *wrong = read_long_length(&pos, end, &length);
                if (wrong != NULL) {
                    return wrong;
                }
            }
        }
        if (length > (uint64_t)(end - pos)) {
            return "a value runs past the end of its row";
        }
        slots[i].start = (const char *)pos;
        slots[i].length = (Py_ssize_t)length;
        pos += length;
    }
    return pos == end ? NULL : "bytes are left over after the last column of a row";
}

static void
raise_malformed(const State *state, const char *what)
{
    PyObject *error = PyObject_CallFunction(state->malformed, "s", what);

    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

static PyObject *
read_row(const State *state, const Decoder *self, Slot *slots, const unsigned char *pos,
         const unsigned char *end)
{
    const char *wrong = self->binary ? split_binary_row(self, pos, end, slots)
                                     : split_row(pos, end, slots, self->count);
    PyObject *row;
    int atomic = 1;

    if (wrong != NULL) {
        raise_malformed(state, wrong);
        return NULL;
    }
    row = PyTuple_New(self->count);
    if (row == NULL || self->count == 0) {
        return row;
    }
    /* No converter may find the half-made tuple through the garbage collector. When it is done the
     * collector need not know it either, unless one of its values could be part of a cycle. */
    PyObject_GC_UnTrack(row);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyObject *value = read_slot(state, &self->columns[i], &slots[i]);
        if (value == NULL) {
            Py_DECREF(row);
            return NULL;
        }
        atomic &= !PyObject_IS_GC(value);
        PyTuple_SET_ITEM(row, i, value);
    }
    if (!atomic) {
        PyObject_GC_Track(row);
    }
    return row;
}

static Slot *
new_slots(const Decoder *self)
{
    Slot *slots = PyMem_Calloc((size_t)self->count + 1, sizeof(Slot));

    if (slots == NULL) {
        PyErr_NoMemory();
    }
    return slots;
}

static void
free_slots(const Decoder *self, Slot *slots)
{
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_XDECREF(slots[i].last_value);
    }
    PyMem_Free(slots);
}

/* Appends the rows of `[pos, end)` to `rows`. Returns the first byte not consumed, or NULL. */
static const unsigned char *
read_rows(const State *state, const Decoder *self, Slot *slots, const unsigned char *pos,
          const unsigned char *end, uint8_t sequence_id, PyObject *rows)
{
    while (end - pos > HEADER) {
        Py_ssize_t length = pos[0] | pos[1] << 8 | pos[2] << 16;
        const unsigned char *payload = pos + HEADER;
        PyObject *row;
        int failed;

        if (length == 0 || length == FULL_FRAME || length > end - payload ||
            pos[3] != sequence_id || payload[0] >= FIRST_STOP) {
            break;
        }
        row = read_row(state, self, slots, payload, payload + length);
        if (row == NULL) {
            return NULL;
        }
        failed = PyList_Append(rows, row);
        Py_DECREF(row);
        if (failed) {
            return NULL;
        }
        pos = payload + length;
        sequence_id++;
    }
    return pos;
}

#endif
