/* Answers read at one go: see answers.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_ANSWERS_H
#define AIOMYSQL_PROTOCOL_ANSWERS_H

#include "_exchange_state.h"
#include "_rows.h"

enum { ANSWER_HEADER = 4, ANSWER_FULL_FRAME = 0xFFFFFF, ANSWER_OK = 0x00, ANSWER_EOF = 0xFE };

/* Fields of columns.Block, and of the columns.ColumnSet in it. */
enum { BLOCK_RAW, BLOCK_FRAMES, BLOCK_COLUMN_SET, BLOCK_FIELDS };
enum { SET_COLUMNS, SET_DESCRIPTION, SET_DECODER, SET_PLAIN, SET_DEFINITIONS, SET_FIELDS };

/* The payload of the frame at `pos` and its length; NULL if it is empty, incomplete, long or out
 * of order. */
static const unsigned char *
answer_frame(const unsigned char *pos, const unsigned char *end, unsigned sequence_id,
             Py_ssize_t *length)
{
    if (end - pos <= ANSWER_HEADER || pos[3] != sequence_id) {
        return NULL;
    }
    *length = pos[0] | pos[1] << 8 | pos[2] << 16;
    if (*length == 0 || *length == ANSWER_FULL_FRAME || *length > end - pos - ANSWER_HEADER) {
        return NULL;
    }
    return pos + ANSWER_HEADER;
}

/* A length-encoded integer at `*pos`, which is moved past it; 0 if it is not whole or not one. */
static int
answer_integer(const unsigned char **pos, const unsigned char *end, uint64_t *value)
{
    int width;

    if (*pos >= end) {
        return 0;
    }
    *value = *(*pos)++;
    if (*value < 0xFB) {
        return 1;
    }
    width = *value == 0xFC ? 2 : *value == 0xFD ? 3 : *value == 0xFE ? 8 : 0;
    if (width == 0 || end - *pos < width) {
        return 0;
    }
    *value = 0;
    for (int i = 0; i < width; i++) {
        *value |= (uint64_t)(*pos)[i] << (8 * i);
    }
    *pos += width;
    return 1;
}

/* A tuple of the named tuple class `type`; takes over the references in `items`, of which a NULL
 * means that an exception is set. */
static PyObject *
named_tuple(PyTypeObject *type, PyObject **items, Py_ssize_t count)
{
    PyObject *result = NULL;
    Py_ssize_t i;

    for (i = 0; i < count && items[i] != NULL; i++) {
    }
    if (i == count) {
        result = type->tp_alloc(type, count);
    }
    for (i = 0; i < count; i++) {
        if (result == NULL) {
            Py_XDECREF(items[i]);
        }
        else {
            PyTuple_SET_ITEM(result, i, items[i]);
        }
    }
    return result;
}

/* The packets.Ok in `payload`. NULL with an exception, or without one if it is none. */
static PyObject *
answer_ok(const State *state, const unsigned char *payload, Py_ssize_t length)
{
    const unsigned char *pos = payload + 1, *end = payload + length;
    uint64_t affected_rows, insert_id;
    PyObject *items[5];

    if (!answer_integer(&pos, end, &affected_rows) || !answer_integer(&pos, end, &insert_id) ||
        end - pos < 4) {
        return NULL;
    }
    items[0] = PyLong_FromUnsignedLongLong(affected_rows);
    items[1] = PyLong_FromUnsignedLongLong(insert_id);
    items[2] = PyLong_FromLong(pos[0] | pos[1] << 8);
    items[3] = PyLong_FromLong(pos[2] | pos[3] << 8);
    items[4] = PyBytes_FromStringAndSize((const char *)pos + 4, end - pos - 4);
    return named_tuple((PyTypeObject *)state->ok_type, items, 5);
}

/* What answers.Answer has. */
typedef struct {
    Py_ssize_t position;
    unsigned sequence_id;
    PyObject *column_set;
    PyObject *rows;
    PyObject *ok; /* NULL: its end has not come */
} Answer;

/* The answers.Answer of `answer`, whose references it takes over. */
static PyObject *
answer_tuple(const State *state, const Answer *answer)
{
    PyObject *items[5] = {
        PyLong_FromSsize_t(answer->position),
        PyLong_FromLong(answer->sequence_id & 0xFF),
        answer->column_set,
        answer->rows,
        answer->ok == NULL ? Py_NewRef(Py_None) : answer->ok,
    };

    return named_tuple((PyTypeObject *)state->answer_type, items, 5);
}

/* What `decoder.decode` does with `[start, end)`; the position where it stopped.  -1: exception. */
static Py_ssize_t
decode_rows(const State *state, PyObject *decoder, PyObject *buffer, const unsigned char *base,
            Py_ssize_t start, Py_ssize_t end, unsigned sequence_id, PyObject *rows)
{
    Py_ssize_t position = -1;
    PyObject *stop;

    if (Py_IS_TYPE(decoder, state->decoder_type) || Py_IS_TYPE(decoder, state->binary_decoder_type)) {
        const unsigned char *at = read_rows(state, (Decoder *)decoder, base + start, base + end,
                                            (uint8_t)sequence_id, rows);
        return at == NULL ? -1 : at - base;
    }
    stop = PyObject_CallMethod(decoder, "decode", "OnnIO", buffer, start, end, sequence_id, rows);
    if (stop != NULL) {
        position = PyLong_AsSsize_t(stop);
        Py_DECREF(stop);
    }
    return position;
}

/* The rows behind the metadata of `block`, at `start`, and the packet that ends them.  0: there are
 * none of ours, or an exception. */
static int
answer_rows(const State *state, PyObject *block, PyObject *buffer, const unsigned char *base,
            Py_ssize_t start, Py_ssize_t end, Answer *answer)
{
    long frames = PyLong_AsLong(PyTuple_GET_ITEM(block, BLOCK_FRAMES));
    PyObject *column_set = PyTuple_GET_ITEM(block, BLOCK_COLUMN_SET);
    PyObject *ok = NULL, *rows = PyList_New(0);
    unsigned sequence_id = (unsigned)(1 + frames) & 0xFF;
    Py_ssize_t position = -1, length;
    const unsigned char *payload;

    if (rows != NULL && !(frames == -1 && PyErr_Occurred())) {
        position = decode_rows(state, PyTuple_GET_ITEM(column_set, SET_DECODER), buffer, base, start,
                               end, sequence_id, rows);
    }
    if (position < start || position > end) {
        Py_XDECREF(rows);
        return 0;
    }
    sequence_id = (sequence_id + (unsigned)PyList_GET_SIZE(rows)) & 0xFF;
    payload = answer_frame(base + position, base + end, sequence_id, &length);
    if (payload != NULL && payload[0] == ANSWER_EOF) {
        ok = answer_ok(state, payload, length);
        if (ok == NULL && PyErr_Occurred()) {
            Py_DECREF(rows);
            return 0;
        }
    }
    if (ok != NULL) {
        position += ANSWER_HEADER + length;
        sequence_id++;
    }
    *answer = (Answer){position, sequence_id, Py_NewRef(column_set), rows, ok};
    return 1;
}

static int
is_block(PyObject *block)
{
    return PyTuple_Check(block) && PyTuple_GET_SIZE(block) == BLOCK_FIELDS &&
           PyBytes_Check(PyTuple_GET_ITEM(block, BLOCK_RAW)) &&
           PyTuple_Check(PyTuple_GET_ITEM(block, BLOCK_COLUMN_SET)) &&
           PyTuple_GET_SIZE(PyTuple_GET_ITEM(block, BLOCK_COLUMN_SET)) == SET_FIELDS;
}

/* The answer in `[start, end)`.  0: it is none of ours, or an exception. */
static int
find_answer(const State *state, PyObject *blocks, PyObject *buffer, const unsigned char *base,
            Py_ssize_t start, Py_ssize_t end, Answer *answer)
{
    Py_ssize_t length;
    const unsigned char *payload = answer_frame(base + start, base + end, 1, &length);

    if (payload == NULL) {
        return 0;
    }
    if (payload[0] == ANSWER_OK) {
        PyObject *ok = answer_ok(state, payload, length);
        PyObject *rows = ok == NULL ? NULL : PyList_New(0);
        if (rows == NULL) {
            Py_XDECREF(ok);
            return 0;
        }
        *answer = (Answer){start + ANSWER_HEADER + length, 2, Py_NewRef(Py_None), rows, ok};
        return 1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(blocks); i++) {
        PyObject *block = PyList_GET_ITEM(blocks, i), *raw;
        int found;

        if (!is_block(block)) {
            PyErr_SetString(PyExc_TypeError, "blocks must hold Blocks");
            return 0;
        }
        raw = PyTuple_GET_ITEM(block, BLOCK_RAW);
        if (PyTuple_GET_ITEM(PyTuple_GET_ITEM(block, BLOCK_COLUMN_SET), SET_PLAIN) != Py_True ||
            PyBytes_GET_SIZE(raw) > end - start ||
            memcmp(PyBytes_AS_STRING(raw), base + start, (size_t)PyBytes_GET_SIZE(raw)) != 0) {
            continue;
        }
        Py_INCREF(block);
        found = answer_rows(state, block, buffer, base, start + PyBytes_GET_SIZE(raw), end, answer);
        Py_DECREF(block);
        return found;
    }
    return 0;
}

/* ---- The commonest case of all: one exchange, its whole answer, nothing else ---- */

/* Longer answers are read the other way, which does not begin anew when more is to come. */
enum { QUICK_LIMIT = 1 << 14 };

/* The exchange whose answer is due, if that may be read so; NULL with or without an exception. */
static ExchangeState *
quick_exchange(const State *state, PyObject *session)
{
    PyObject *exchanges = SLOT(state, session, session_exchanges);
    PyObject *exchange = NULL;

    if (exchanges != NULL && PyObject_Size(exchanges) == 1) {
        exchange = PySequence_GetItem(exchanges, 0);
    }
    if (exchange != NULL && PyObject_TypeCheck(exchange, state->exchange_state_type)) {
        ExchangeState *known = (ExchangeState *)exchange;
        if (known->quick == Py_True && known->sequence_id != NULL &&
            PyLong_CheckExact(known->sequence_id)) {
            return known;
        }
    }
    Py_XDECREF(exchange);
    return NULL;
}

/* What the class of `query` has; NULL with an exception. */
static const QueryKind *
query_kind(State *state, PyObject *query)
{
    PyTypeObject *type = Py_TYPE(query);
    PyObject *binary, *new_result;
    QueryKind *kind = &state->kinds[0];

    for (int i = 0; i < 2; i++) {
        if (state->kinds[i].type == type) {
            return &state->kinds[i];
        }
    }
    if (kind->type != NULL) {
        kind = &state->kinds[1];
    }
    binary = PyObject_GetAttr((PyObject *)type, state->names.binary);
    new_result = PyObject_GetAttr((PyObject *)type, state->names.new_result);
    if (binary == NULL || new_result == NULL || !PyType_Check(new_result) ||
        !PyType_IsSubtype((PyTypeObject *)new_result, state->result_state_type)) {
        if (binary != NULL && new_result != NULL) {
            PyErr_SetString(PyExc_TypeError, "new_result must be a class of results");
        }
        Py_XDECREF(binary);
        Py_XDECREF(new_result);
        return NULL;
    }
    Py_XSETREF(kind->type, (PyTypeObject *)Py_NewRef((PyObject *)type));
    Py_XSETREF(kind->new_result, new_result);
    kind->binary = binary == Py_True;
    Py_DECREF(binary);
    return kind;
}

/* `exchange`, the oldest one of `session`, is done; `status`: the server's flags.  -1: exception. */
static int
finish_exchange(const State *state, PyObject *session, ExchangeState *exchange, PyObject *status)
{
    PyObject *wake, *done;

    Py_XSETREF(SLOT(state, session, session_server_status), Py_NewRef(status));
    Py_XSETREF(exchange->done, Py_NewRef(Py_True));
    done = PyObject_CallOneArg(state->deque_popleft, SLOT(state, session, session_exchanges));
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    wake = exchange->wake;
    if (wake == NULL || wake == Py_None) {
        Py_XSETREF(exchange->news, Py_NewRef(Py_True));
        return 0;
    }
    exchange->wake = Py_NewRef(Py_None);
    done = PyObject_CallNoArgs(wake);
    Py_DECREF(wake);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Hand the parts of `answer`, whose references it takes over, to `query` and `session`.  -1:
 * exception. */
static int
finish_query(const State *state, const QueryKind *kind, PyObject *session, ExchangeState *query,
             const Answer *answer)
{
    ResultState *result = (ResultState *)new_state(kind->new_result);
    int failed;

    if (result == NULL || !PyList_Check(query->results)) {
        if (result != NULL) {
            PyErr_SetString(PyExc_TypeError, "results must be a list");
        }
        Py_XDECREF(result);
        Py_DECREF(answer->rows);
        Py_DECREF(answer->column_set);
        Py_DECREF(answer->ok);
        return -1;
    }
    Py_XSETREF(result->rows, answer->rows);
    Py_XSETREF(result->column_set, answer->column_set);
    Py_XSETREF(result->ok, answer->ok);
    Py_XSETREF(result->complete, Py_NewRef(Py_True));
    failed = PyList_Append(query->results, (PyObject *)result) < 0 ||
             finish_exchange(state, session, query, PyTuple_GET_ITEM(result->ok, 2)) < 0;
    Py_DECREF(result);
    return failed ? -1 : 0;
}

/* Whether bytes[0:size] are an OK packet that ends `exchange`, which has no results.  -1: exception. */
static int
take_ok(const State *state, PyObject *session, ExchangeState *exchange,
        const unsigned char *bytes, Py_ssize_t size)
{
    Py_ssize_t length;
    const unsigned char *payload = answer_frame(
        bytes, bytes + size, (unsigned)PyLong_AsLong(exchange->sequence_id) & 0xFF, &length);
    PyObject *ok;
    int failed;

    if (payload == NULL || payload[0] != ANSWER_OK || payload + length != bytes + size) {
        return 0;
    }
    ok = answer_ok(state, payload, length);
    if (ok == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    failed = finish_exchange(state, session, exchange, PyTuple_GET_ITEM(ok, 2)) < 0;
    Py_DECREF(ok);
    return failed ? -1 : 1;
}

/* Whether `answer` ends at `end`, and with it the answers that are due. */
static int
is_all(const Answer *answer, Py_ssize_t end, unsigned more_results)
{
    return answer->ok != NULL && answer->position == end &&
           !((unsigned long)PyLong_AsLong(PyTuple_GET_ITEM(answer->ok, 2)) & more_results);
}

/* The metadata that the answer to `query` may begin with: its own, or the session's. */
static PyObject *
quick_blocks(const State *state, const QueryKind *kind, PyObject *session, PyObject *query)
{
    PyObject *columns = SLOT(state, session, session_columns), *own, *wanted;

    if (columns == NULL) {
        return NULL;
    }
    if (!kind->binary) {
        return PyObject_GetAttr(columns, state->names.blocks);
    }
    wanted = PyObject_GetAttr(columns, state->names.for_binary);
    Py_XDECREF(wanted); /* the columns keep it */
    if (wanted == NULL) {
        return NULL;
    }
    own = ((ExchangeState *)query)->compiled_by;
    if (own == wanted) {
        return Py_XNewRef(((ExchangeState *)query)->own_blocks);
    }
    return PyObject_GetAttr(query, state->names.blocks);
}

/* Two numbers, `start` and `end` of a buffer.  -1: exception. */
static int
range_arguments(PyObject *const *args, Py_ssize_t *start, Py_ssize_t *end)
{
    *start = PyNumber_AsSsize_t(args[0], PyExc_ValueError);
    *end = *start == -1 && PyErr_Occurred() ? -1 : PyNumber_AsSsize_t(args[1], PyExc_ValueError);
    return PyErr_Occurred() ? -1 : 0;
}

/* quick_answer(session, buffer, start, end) -> bool */
static PyObject *
quick_answer(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { MORE_RESULTS = 0x0008 };
    State *state = PyModule_GetState(module);
    PyObject *blocks = NULL;
    ExchangeState *exchange;
    const QueryKind *kind = NULL;
    Answer answer;
    Py_ssize_t start, end;
    Py_buffer view;
    int found = 0, taken = 0;

    if (nargs != 4) {
        PyErr_SetString(PyExc_TypeError, "quick_answer takes a session, a buffer, start and end");
        return NULL;
    }
    if (range_arguments(args + 2, &start, &end) < 0 ||
        find_slots(&state->owners, &state->offsets) < 0) {
        return NULL;
    }
    if (end - start > QUICK_LIMIT || !IS_OWNED(state, args[0], session) ||
        (exchange = quick_exchange(state, args[0])) == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    }
    if (exchange->results != NULL && PyLong_AsLong(exchange->sequence_id) == 1 &&
        (kind = query_kind(state, (PyObject *)exchange)) != NULL) {
        blocks = quick_blocks(state, kind, args[0], (PyObject *)exchange);
    }
    if (!PyErr_Occurred() && PyObject_GetBuffer(args[1], &view, PyBUF_SIMPLE) == 0) {
        if (start < 0 || start > end || end > view.len) {
            taken = 0;
        }
        else if (exchange->results == NULL) {
            taken = take_ok(state, args[0], exchange, (unsigned char *)view.buf + start,
                            end - start) > 0;
        }
        else if (blocks != NULL && PyList_Check(blocks)) {
            found = find_answer(state, blocks, args[1], view.buf, start, end, &answer);
        }
        PyBuffer_Release(&view);
    }
    Py_XDECREF(blocks);
    if (!found && PyErr_Occurred() && PyErr_ExceptionMatches(state->error)) {
        PyErr_Clear(); /* whoever reads frame by frame will meet it again */
    }
    if (found && is_all(&answer, end, MORE_RESULTS)) {
        taken = finish_query(state, kind, args[0], exchange, &answer) == 0;
    }
    else if (found) {
        Py_DECREF(answer.rows);
        Py_DECREF(answer.column_set);
        Py_XDECREF(answer.ok);
    }
    Py_DECREF(exchange);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(taken);
}

static PyObject *
read_answer(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyModule_GetState(module);
    Py_ssize_t start, end;
    Answer answer;
    Py_buffer view;
    int found = 0;

    if (nargs != 4 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "read_answer takes a list of blocks, a buffer, start, end");
        return NULL;
    }
    if (range_arguments(args + 2, &start, &end) < 0 ||
        PyObject_GetBuffer(args[1], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (start < 0 || start > end || end > view.len) {
        PyErr_SetString(PyExc_ValueError, "start and end must lie within the buffer");
    }
    else {
        found = find_answer(state, args[0], args[1], view.buf, start, end, &answer);
        if (!found && PyErr_Occurred() && PyErr_ExceptionMatches(state->error)) {
            PyErr_Clear(); /* whoever reads frame by frame will meet it again */
        }
    }
    PyBuffer_Release(&view);
    if (!found) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    return answer_tuple(state, &answer);
}

#endif
