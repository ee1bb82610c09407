/* Rows: from the frames in a buffer to tuples.  What a cell becomes is in text_cells.c and
 * binary_cells.c. */
#include "interpreter.h"
#include "rows/containers.h"
#include "rows/decoder.h"
#include "rows/digits.h"
#include "wire/frame.h"
#include "wire/lenenc.h"

/* What begins with this byte or a greater one is no row, or a row that begins with the length of a
 * cell of 16 MiB or more, and so does not stand in one frame. */
enum { FIRST_STOP = 0xFE };

/* Of values up to this length those with the same bytes may be one object. */
enum { LONGEST_SHARED = 64 };

/* Values of a column are kept in pairs, by a hash of their bytes. */
enum { PAIR_BITS = 5, KEPT_VALUES = 2 << PAIR_BITS };

/* Bytes of rows for which keeping values is worth the while. */
enum { FEWEST_BYTES = 2048 };

/* Values that may be new in a row of them, and what a value that is not new adds to that. */
enum { PATIENCE = 48, REWARD = 3 };

/* In result sets of more columns than a server knows no values are kept: it would take more
 * memory than the rows. */
enum { MOST_COLUMNS_WITH_CACHE = 4096 };

/* After a call in which a column's values differed, so many calls do not try to keep them. */
enum { CALLS_WITHOUT = 15 };

typedef struct {
    PyObject *object; /* NULL: nothing is kept */
    const char *text; /* in the buffer of the running call */
    Py_ssize_t length;
} Value;

/* What a running call keeps of a column. */
typedef struct {
    int tried;
    int patience; /* 0: its values differ, or there are too few, or it is not tried */
    Value *values; /* NULL at first */
} Slot;

/* Below 1 << PAIR_BITS. What lies between the chunks has no influence. */
static inline unsigned
hash_bytes(const char *text, Py_ssize_t length)
{
    uint64_t hash = (uint64_t)length;

    if (length >= 8) {
        hash += load_8(text) * UINT64_C(0x9E3779B97F4A7C15) ^ load_8(text + length - 8);
        if (length > 16) {
            hash ^= load_8(text + 8) * UINT64_C(0xC2B2AE3D27D4EB4F);
        }
    }
    else if (length >= 4) {
        hash ^= (uint64_t)load_4(text) << 32 | load_4(text + length - 4);
    }
    else {
        for (Py_ssize_t i = 0; i < length; i++) {
            hash = hash << 8 | (unsigned char)text[i];
        }
    }
    return (unsigned)(hash * UINT64_C(0x9E3779B97F4A7C15) >> (64 - PAIR_BITS));
}

static inline int
same_bytes(const char *one, const char *other, Py_ssize_t length)
{
    if (length >= 8) {
        for (Py_ssize_t i = 0; i < length - 8; i += 8) {
            if (load_8(one + i) != load_8(other + i)) {
                return 0;
            }
        }
        return load_8(one + length - 8) == load_8(other + length - 8);
    }
    if (length >= 4) {
        return load_4(one) == load_4(other) &&
               load_4(one + length - 4) == load_4(other + length - 4);
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        if (one[i] != other[i]) {
            return 0;
        }
    }
    return 1;
}

static void
forget_values(Slot *slot)
{
    Value *values = slot->values;

    slot->values = NULL;
    slot->patience = 0;
    for (int i = 0; values != NULL && i < KEPT_VALUES; i++) {
        Py_XDECREF(values[i].object);
    }
    PyMem_Free(values);
}

/* The value of a cell, the same object as for a cell above it with the same bytes, if that is still
 * kept.  Only for immutable values, and never for what a user's converter returns. */
static PyObject *
read_shared(const State *state, const Column *column, Slot *slot, const char *text,
            Py_ssize_t length)
{
    PyObject *object;
    Value *pair;

    if (slot->values == NULL) {
        slot->values = PyMem_Calloc(KEPT_VALUES, sizeof(Value));
        if (slot->values == NULL) {
            return PyErr_NoMemory();
        }
    }
    pair = &slot->values[2 * hash_bytes(text, length)];
    for (Value *value = pair; value < pair + 2; value++) {
        if (value->object != NULL && value->length == length &&
            same_bytes(value->text, text, length)) {
            slot->patience = slot->patience < PATIENCE ? slot->patience + REWARD : PATIENCE;
            return Py_NewRef(value->object);
        }
    }
    object = read_value(state, column, text, length);
    if (object == NULL) {
        return NULL;
    }
    if (--slot->patience == 0) {
        forget_values(slot);
        return object;
    }
    Py_XDECREF(pair[1].object);
    pair[1] = pair[0];
    pair[0] = (Value){Py_NewRef(object), text, length};
    return object;
}

/* Where in a row the next cell begins. */
typedef struct {
    const unsigned char *pos;
    const unsigned char *end;
    const unsigned char *nulls; /* the bitmap of a binary row */
} Place;

/* `[pos, end)` is a row. On success returns NULL, else what is wrong with it. */
static inline const char *
begin_row(const Decoder *self, int binary, Place *place)
{
    /* A binary row: 0x00, the bitmap of NULLs from its third bit on, the values. */
    if (binary) {
        Py_ssize_t bitmap_size = (self->count + 9) / 8;

        if (place->pos >= place->end || *place->pos != 0) {
            return "a binary row does not begin with 0x00";
        }
        place->nulls = place->pos + 1;
        if (place->end - place->nulls < bitmap_size) {
            return "a row ends within its bitmap of NULLs";
        }
        place->pos = place->nulls + bitmap_size;
    }
    return NULL;
}

/* Finds the next cell, that of the column with that index; `*text` is NULL for an SQL NULL. On
 * success returns NULL, else what is wrong with the row. */
static inline const char *
next_cell(const Column *column, int binary, size_t index, Place *place, const char **text,
          Py_ssize_t *length)
{
    uint64_t size = binary ? (uint64_t)column->size : 0;

    *text = NULL;
    if (binary && place->nulls[(index + 2) / 8] >> (index + 2) % 8 & 1) {
        return NULL;
    }
    if (size == 0) {
        if (place->pos >= place->end) {
            return "a row ends before its last column";
        }
        switch (read_lenenc(&place->pos, place->end, &size)) {
        case LENENC_READ:
            break;
        case LENENC_IS_NULL:
            return binary ? "a value's length begins with 0xfb" : NULL;
        case LENENC_INVALID:
            return "a value's length begins with 0xff";
        default:
            return "a row ends within a value's length";
        }
    }
    if (size > (uint64_t)(place->end - place->pos)) {
        return "a value runs past the end of its row";
    }
    *text = (const char *)place->pos;
    *length = (Py_ssize_t)size;
    place->pos += size;
    return NULL;
}

/* Returns NULL, or what is wrong with the structure of the row `[pos, end)`. */
static const char *
check_row(const Decoder *self, const unsigned char *pos, const unsigned char *end)
{
    Place place = {pos, end, NULL};
    const char *wrong = begin_row(self, self->binary, &place);
    const char *text;
    Py_ssize_t length;

    for (Py_ssize_t i = 0; wrong == NULL && i < self->count; i++) {
        wrong = next_cell(&self->columns[i], self->binary, (size_t)i, &place, &text, &length);
    }
    if (wrong == NULL && place.pos != end) {
        return "bytes are left over after the last column of a row";
    }
    return wrong;
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

/* The dicts that rows become. */
typedef struct {
    PyObject *keys;
    PyObject *template; /* what the second one and those after it are copied from; NULL at first */
    int begun;
} Dicts;

/* An empty row. */
static inline PyObject *
new_row(const Decoder *self, Dicts *dicts)
{
    if (dicts == NULL) {
        /* When it is done the garbage collector need not know it either, unless one of its values
         * could be part of a cycle. */
        return new_hidden_tuple(self->count);
    }
    if (!dicts->begun) {
        dicts->begun = 1;
        return PyDict_New();
    }
    if (dicts->template == NULL) {
        dicts->template = dict_template(dicts->keys);
    }
    return dicts->template == NULL ? NULL : PyDict_Copy(dicts->template);
}

/* Fills `row`, a dict if there are `keys`, with the cells at `place`.  0: that is not possible, because the row is malformed
 * (whose exception the caller sets) or because an exception is set. */
static inline int
read_cells(const State *state, const Decoder *self, int binary, Slot *slots, Place place,
           const unsigned char *limit, PyObject *row, PyObject *keys)
{
    const Column *column = self->columns;
    const size_t count = (size_t)self->count;
    int converts = self->converts, atomic = 1;

    if (begin_row(self, binary, &place) != NULL) {
        return 0;
    }
    for (size_t i = 0; i < count; i++, column++) {
        const char *text;
        Py_ssize_t length;
        PyObject *value;

        if (next_cell(column, binary, i, &place, &text, &length) != NULL) {
            return 0;
        }
        if (text == NULL) {
            value = Py_NewRef(Py_None);
        }
        else if (!binary && column->kind == KIND_INT) {
            value = read_int_within(text, length, limit - (const unsigned char *)text);
            if (value == NULL) {
                value = read_with_general(column, text, length);
            }
        }
        else if (slots[i].patience == 0 || length > LONGEST_SHARED) {
            value = read_value(state, column, text, length);
        }
        else {
            value = read_shared(state, column, &slots[i], text, length);
        }
        if (value == NULL) {
            return 0;
        }
        if (keys != NULL) {
            int failed = PyDict_SetItem(row, PyTuple_GET_ITEM(keys, (Py_ssize_t)i), value);
            Py_DECREF(value);
            if (failed) {
                return 0;
            }
            continue;
        }
        PyTuple_SET_ITEM(row, (Py_ssize_t)i, value);
        if (converts) {
            atomic &= !PyObject_IS_GC(value);
        }
    }
    if (keys == NULL && !atomic) {
        PyObject_GC_Track(row);
    }
    return place.pos == place.end;
}

static int
read_text_cells(const State *state, const Decoder *self, Slot *slots, Place place,
                const unsigned char *limit, PyObject *row)
{
    return read_cells(state, self, 0, slots, place, limit, row, NULL);
}

static int
read_binary_cells(const State *state, const Decoder *self, Slot *slots, Place place,
                  const unsigned char *limit, PyObject *row)
{
    return read_cells(state, self, 1, slots, place, limit, row, NULL);
}

static int
read_cells_by_name(const State *state, const Decoder *self, Slot *slots, Place place,
                   const unsigned char *limit, PyObject *row, PyObject *keys)
{
    return read_cells(state, self, self->binary, slots, place, limit, row, keys);
}

/* Whatever is wrong with the structure of a row matters more than what is wrong with its values. A
 * user's function may not even see the values of such a row; otherwise the structure is looked at
 * only after reading failed. */
static PyObject *
read_row(const State *state, const Decoder *self, Slot *slots, const unsigned char *pos,
         const unsigned char *end, const unsigned char *limit, Dicts *dicts)
{
    Place place = {pos, end, NULL};
    const char *wrong = self->converts ? check_row(self, pos, end) : NULL;
    PyObject *row;
    int complete;

    if (wrong != NULL) {
        raise_malformed(state, wrong);
        return NULL;
    }
    row = new_row(self, dicts);
    if (row == NULL) {
        return NULL;
    }
    if (dicts != NULL) {
        complete = read_cells_by_name(state, self, slots, place, limit, row, dicts->keys);
    }
    else {
        complete = (self->binary ? read_binary_cells : read_text_cells)(state, self, slots, place,
                                                                        limit, row);
    }
    if (complete) {
        return row;
    }
    Py_DECREF(row);
    wrong = check_row(self, pos, end);
    if (wrong != NULL) {
        PyErr_Clear();
        raise_malformed(state, wrong);
    }
    return NULL;
}

/* ---- Long rows ---- */

/* A value of fewer bytes is copied out of a LongPayload. */
enum { SHORTEST_TAKEN = 1 << 16 };

/* The column with the longest value that may be made of the payload's own bytes, if that is worth
 * the while; else -1. The row is sound. */
static Py_ssize_t
column_to_take(const Decoder *self, Place place, Py_ssize_t *start, Py_ssize_t *length)
{
    const char *base = (const char *)place.pos, *text;
    Py_ssize_t found = -1, size;

    *length = SHORTEST_TAKEN - 1;
    (void)begin_row(self, self->binary, &place);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        (void)next_cell(&self->columns[i], self->binary, (size_t)i, &place, &text, &size);
        if (text != NULL && size > *length && self->columns[i].read == read_bytes) {
            found = i;
            *start = text - base;
            *length = size;
        }
    }
    return found;
}

/* Fills `row`, but for the cell with the index `but`.  -1: an exception is set. */
static int
read_long_cells(const State *state, const Decoder *self, Place place, Py_ssize_t but,
                PyObject *row)
{
    (void)begin_row(self, self->binary, &place);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyObject *value = NULL;
        const char *text;
        Py_ssize_t size;

        (void)next_cell(&self->columns[i], self->binary, (size_t)i, &place, &text, &size);
        if (i == but) {
            continue;
        }
        value = text == NULL ? Py_NewRef(Py_None)
                             : read_value(state, &self->columns[i], text, size);
        if (value == NULL) {
            return -1;
        }
        PyTuple_SET_ITEM(row, i, value);
    }
    return 0;
}

PyObject *
read_long_row(const State *state, const Decoder *self, LongPayload *payload)
{
    const unsigned char *pos = (const unsigned char *)payload_start(payload);
    Place place = {pos, pos + payload->size, NULL};
    const char *wrong = check_row(self, pos, pos + payload->size);
    Py_ssize_t start = 0, length, taken = -1;
    PyObject *row;
    int failed = -1;

    if (wrong != NULL) {
        raise_malformed(state, wrong);
        return NULL;
    }
    taken = column_to_take(self, place, &start, &length);
    payload->views++; /* no other code may move it meanwhile */
    row = new_hidden_tuple(self->count);
    if (row != NULL) {
        failed = read_long_cells(state, self, place, taken, row);
    }
    payload->views--;
    if (!failed && taken >= 0) {
        PyObject *value =
            payload->views == 0 ? take_from_payload(payload, start, length)
                                : PyBytes_FromStringAndSize((const char *)pos + start, length);
        PyTuple_SET_ITEM(row, taken, value);
        failed = value == NULL ? -1 : 0;
    }
    if (failed) {
        Py_XDECREF(row);
        return NULL;
    }
    show_tuple(row);
    return row;
}

/* The calls for which a column rests are all that calls tell each other, and nothing but advice: of
 * two threads that change the number at once one may be overheard. */
#if defined(__GNUC__)
#define GET_ADVICE(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define SET_ADVICE(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)
#else
#define GET_ADVICE(place) (place)
#define SET_ADVICE(place, value) ((place) = (value))
#endif

static int
is_worth_a_try(Column *column)
{
    int calls = GET_ADVICE(column->calls_without);

    if (column->never_repeated) {
        return 0;
    }
    if (calls > 0) {
        SET_ADVICE(column->calls_without, calls - 1);
    }
    return calls <= 0;
}

/* `size`: bytes of the rows to be read. */
static Slot *
new_slots(const Decoder *self, Py_ssize_t size)
{
    Slot *slots = PyMem_Calloc((size_t)self->count + 1, sizeof(Slot));

    if (slots == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    if (size < FEWEST_BYTES || self->count > MOST_COLUMNS_WITH_CACHE) {
        return slots;
    }
    for (Py_ssize_t i = 0; i < self->count; i++) {
        slots[i].tried = is_worth_a_try(&self->columns[i]);
        slots[i].patience = slots[i].tried ? PATIENCE : 0;
    }
    return slots;
}

static void
free_slots(const Decoder *self, Slot *slots)
{
    for (Py_ssize_t i = 0; i < self->count; i++) {
        if (slots[i].tried && slots[i].patience < PATIENCE / 2) {
            SET_ADVICE(self->columns[i].calls_without, CALLS_WITHOUT);
        }
        forget_values(&slots[i]);
    }
    PyMem_Free(slots);
}

/* The length of the row in the frame at `pos`; 0 if there is no whole frame that is a row. */
static inline Py_ssize_t
row_length(const unsigned char *pos, const unsigned char *end, uint8_t sequence_id)
{
    Py_ssize_t length;
    const unsigned char *payload = frame_payload(pos, end, sequence_id, &length);

    return payload == NULL || length == 0 || payload[0] >= FIRST_STOP ? 0 : length;
}

static const unsigned char *
read_frames(const State *state, const Decoder *self, Slot *slots, const unsigned char *pos,
            const unsigned char *end, uint8_t sequence_id, PyObject *rows, Dicts *dicts)
{
    Py_ssize_t length;

    while ((length = row_length(pos, end, sequence_id)) > 0) {
        const unsigned char *payload = pos + FRAME_HEADER;
        PyObject *row;
        int failed;

        row = read_row(state, self, slots, payload, payload + length, end, dicts);
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

int
check_keys(const Decoder *self, PyObject *keys)
{
    if (!PyTuple_Check(keys)) {
        PyErr_SetString(PyExc_TypeError, "keys must be a tuple");
        return 0;
    }
    if (PyTuple_GET_SIZE(keys) != self->count) {
        PyErr_SetString(PyExc_ValueError, "there must be a key for each column");
        return 0;
    }
    for (Py_ssize_t i = 0; i < self->count; i++) {
        if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(keys, i))) {
            PyErr_SetString(PyExc_TypeError, "keys must be str");
            return 0;
        }
    }
    return 1;
}

const unsigned char *
read_rows(const State *state, const Decoder *self, const unsigned char *pos,
          const unsigned char *end, uint8_t sequence_id, PyObject *rows, PyObject *keys)
{
    Dicts dicts = {keys, NULL, 0};
    Slot *slots;

    /* Of a row of many columns that comes bit by bit nothing is made before it is there. */
    if (row_length(pos, end, sequence_id) == 0) {
        return pos;
    }
    slots = new_slots(self, end - pos);
    if (slots == NULL) {
        return NULL;
    }
    pos = read_frames(state, self, slots, pos, end, sequence_id, rows,
                      keys == NULL ? NULL : &dicts);
    free_slots(self, slots);
    Py_XDECREF(dicts.template);
    return pos;
}

PyObject *
read_one_row(const State *state, const Decoder *self, const unsigned char *pos,
             const unsigned char *end)
{
    Slot *slots = new_slots(self, 0);
    PyObject *row;

    if (slots == NULL) {
        return NULL;
    }
    row = read_row(state, self, slots, pos, end, end, NULL);
    free_slots(self, slots);
    return row;
}
