/* Answers read at one go: see answers.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_ANSWERS_H
#define AIOMYSQL_PROTOCOL_ANSWERS_H

#include "_exchange_state.h"

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

/* Takes over the references to `rows` and `ok`. */
static PyObject *
new_answer(const State *state, Py_ssize_t position, unsigned sequence_id, PyObject *column_set,
           PyObject *rows, PyObject *ok)
{
    PyObject *items[5] = {
        PyLong_FromSsize_t(position),
        PyLong_FromLong(sequence_id & 0xFF),
        Py_NewRef(column_set),
        rows,
        ok,
    };

    return named_tuple((PyTypeObject *)state->answer_type, items, 5);
}

/* The rows behind the metadata of `block`, at `start`, and the packet that ends them. */
static PyObject *
answer_rows(const State *state, PyObject *block, PyObject *buffer, const unsigned char *base,
            Py_ssize_t start, Py_ssize_t end)
{
    long frames = PyLong_AsLong(PyTuple_GET_ITEM(block, BLOCK_FRAMES));
    PyObject *column_set = PyTuple_GET_ITEM(block, BLOCK_COLUMN_SET);
    PyObject *arguments[6] = {PyTuple_GET_ITEM(column_set, SET_DECODER), buffer, NULL, NULL, NULL, NULL};
    PyObject *stop = NULL, *ok = NULL;
    PyObject *rows = PyList_New(0);
    unsigned sequence_id = (unsigned)(1 + frames) & 0xFF;
    Py_ssize_t position = -1, length;
    const unsigned char *payload;

    if (frames == -1 && PyErr_Occurred()) {
        Py_XDECREF(rows);
        return NULL;
    }
    arguments[2] = PyLong_FromSsize_t(start);
    arguments[3] = PyLong_FromSsize_t(end);
    arguments[4] = PyLong_FromLong((long)sequence_id);
    arguments[5] = rows;
    if (rows != NULL && arguments[2] != NULL && arguments[3] != NULL && arguments[4] != NULL) {
        stop = PyObject_VectorcallMethod(state->decode_name, arguments, 6, NULL);
    }
    for (int i = 2; i < 5; i++) {
        Py_XDECREF(arguments[i]);
    }
    if (stop != NULL) {
        position = PyLong_AsSsize_t(stop);
        Py_DECREF(stop);
    }
    if (position < start || position > end) {
        Py_XDECREF(rows);
        return NULL;
    }
    sequence_id = (sequence_id + (unsigned)PyList_GET_SIZE(rows)) & 0xFF;
    payload = answer_frame(base + position, base + end, sequence_id, &length);
    if (payload != NULL && payload[0] == ANSWER_EOF) {
        ok = answer_ok(state, payload, length);
        if (ok == NULL && PyErr_Occurred()) {
            Py_DECREF(rows);
            return NULL;
        }
    }
    if (ok == NULL) {
        return new_answer(state, position, sequence_id, column_set, rows, Py_NewRef(Py_None));
    }
    position += ANSWER_HEADER + length;
    return new_answer(state, position, sequence_id + 1, column_set, rows, ok);
}

static int
is_block(PyObject *block)
{
    return PyTuple_Check(block) && PyTuple_GET_SIZE(block) == BLOCK_FIELDS &&
           PyBytes_Check(PyTuple_GET_ITEM(block, BLOCK_RAW)) &&
           PyTuple_Check(PyTuple_GET_ITEM(block, BLOCK_COLUMN_SET)) &&
           PyTuple_GET_SIZE(PyTuple_GET_ITEM(block, BLOCK_COLUMN_SET)) == SET_FIELDS;
}

/* The answer in `[start, end)`; NULL with an exception, or without one if it is none of ours. */
static PyObject *
find_answer(const State *state, PyObject *blocks, PyObject *buffer, const unsigned char *base,
            Py_ssize_t start, Py_ssize_t end)
{
    Py_ssize_t length;
    const unsigned char *payload = answer_frame(base + start, base + end, 1, &length);

    if (payload == NULL) {
        return NULL;
    }
    if (payload[0] == ANSWER_OK) {
        PyObject *ok = answer_ok(state, payload, length);
        return ok == NULL ? NULL
                          : new_answer(state, start + ANSWER_HEADER + length, 2, Py_None,
                                       PyList_New(0), ok);
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(blocks); i++) {
        PyObject *block = PyList_GET_ITEM(blocks, i), *raw, *answer;

        if (!is_block(block)) {
            PyErr_SetString(PyExc_TypeError, "blocks must hold Blocks");
            return NULL;
        }
        raw = PyTuple_GET_ITEM(block, BLOCK_RAW);
        if (PyTuple_GET_ITEM(PyTuple_GET_ITEM(block, BLOCK_COLUMN_SET), SET_PLAIN) != Py_True ||
            PyBytes_GET_SIZE(raw) > end - start ||
            memcmp(PyBytes_AS_STRING(raw), base + start, (size_t)PyBytes_GET_SIZE(raw)) != 0) {
            continue;
        }
        Py_INCREF(block);
        answer = answer_rows(state, block, buffer, base, start + PyBytes_GET_SIZE(raw), end);
        Py_DECREF(block);
        return answer;
    }
    return NULL;
}

/* ---- The commonest case of all: one exchange, its whole answer, nothing else ---- */

/* Longer answers are read the other way, which does not begin anew when more is to come. */
enum { QUICK_LIMIT = 1 << 14 };

/* The exchange whose answer is due, if that may be read so; NULL with or without an exception. */
static ExchangeState *
quick_exchange(const State *state, PyObject *session)
{
    PyObject *exchanges = PyObject_GetAttr(session, state->names.exchanges);
    PyObject *exchange = NULL;

    if (exchanges != NULL && PyObject_Size(exchanges) == 1) {
        exchange = PySequence_GetItem(exchanges, 0);
    }
    Py_XDECREF(exchanges);
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

/* The Result in `answer`, an Answer. */
static PyObject *
answer_result(const State *state, PyObject *query, PyObject *answer)
{
    PyObject *new_result = PyObject_GetAttr(query, state->names.new_result);
    ResultState *result = NULL;

    if (new_result != NULL && PyType_Check(new_result) &&
        PyType_IsSubtype((PyTypeObject *)new_result, state->result_state_type)) {
        result = (ResultState *)new_state(new_result);
    }
    if (result != NULL) {
        Py_XSETREF(result->rows, Py_NewRef(PyTuple_GET_ITEM(answer, 3)));
        Py_XSETREF(result->column_set, Py_NewRef(PyTuple_GET_ITEM(answer, 2)));
        Py_XSETREF(result->ok, Py_NewRef(PyTuple_GET_ITEM(answer, 4)));
        Py_XSETREF(result->complete, Py_NewRef(Py_True));
    }
    else if (new_result != NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "new_result must be a class of results");
    }
    Py_XDECREF(new_result);
    return (PyObject *)result;
}

/* `exchange`, the oldest one of `session`, is done; `status`: the server's flags. -1 with an
 * exception. */
static int
finish_exchange(const State *state, PyObject *session, ExchangeState *exchange, PyObject *status)
{
    PyObject *wake, *exchanges, *done;

    if (PyObject_SetAttr(session, state->names.server_status, status) < 0) {
        return -1;
    }
    Py_XSETREF(exchange->done, Py_NewRef(Py_True));
    exchanges = PyObject_GetAttr(session, state->names.exchanges);
    done = exchanges == NULL ? NULL : PyObject_CallMethodNoArgs(exchanges, state->names.popleft);
    Py_XDECREF(exchanges);
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

/* Hand the parts of `answer`, an Answer, to `query` and `session`. -1 with an exception. */
static int
finish_query(const State *state, PyObject *session, ExchangeState *query, PyObject *answer)
{
    PyObject *result = answer_result(state, (PyObject *)query, answer), *done;

    if (result == NULL) {
        return -1;
    }
    done = PyObject_CallMethodOneArg(query->results, state->names.append, result);
    Py_DECREF(result);
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    return finish_exchange(state, session, query,
                           PyTuple_GET_ITEM(PyTuple_GET_ITEM(answer, 4), 2));
}

/* Whether bytes[0:size] are an OK packet, one as it nearly always is, that ends `exchange`, which
 * has no results. -1 with an exception. */
static int
take_ok(const State *state, PyObject *session, ExchangeState *exchange,
        const unsigned char *bytes, Py_ssize_t size)
{
    PyObject *status;
    int failed;

    if (size < 4 + 7 || (bytes[0] | bytes[1] << 8 | bytes[2] << 16) != size - 4 ||
        bytes[3] != PyLong_AsLong(exchange->sequence_id) || bytes[4] != 0 || bytes[5] >= 0xFB ||
        bytes[6] >= 0xFB) {
        return 0;
    }
    status = PyLong_FromLong(bytes[7] | bytes[8] << 8);
    failed = status == NULL || finish_exchange(state, session, exchange, status) < 0;
    Py_XDECREF(status);
    return failed ? -1 : 1;
}

/* Whether `answer` ends at `end`, and with it the answers that are due. */
static int
is_all(PyObject *answer, Py_ssize_t end, unsigned more_results)
{
    PyObject *ok = PyTuple_GET_ITEM(answer, 4);

    return ok != Py_None && PyLong_AsSsize_t(PyTuple_GET_ITEM(answer, 0)) == end &&
           !((unsigned long)PyLong_AsLong(PyTuple_GET_ITEM(ok, 2)) & more_results);
}

/* The metadata that the answer to `query` may begin with: its own, or the session's. */
static PyObject *
quick_blocks(const State *state, PyObject *session, PyObject *query)
{
    PyObject *columns = PyObject_GetAttr(session, state->names.columns), *own, *wanted, *blocks;
    PyObject *binary = columns == NULL ? NULL : PyObject_GetAttr(query, state->names.binary);

    if (binary == NULL) {
        Py_XDECREF(columns);
        return NULL;
    }
    Py_DECREF(binary);
    if (binary == Py_False) {
        blocks = PyObject_GetAttr(columns, state->names.blocks);
        Py_DECREF(columns);
        return blocks;
    }
    wanted = PyObject_GetAttr(columns, state->names.for_binary);
    Py_DECREF(columns);
    Py_XDECREF(wanted);
    if (wanted == NULL) {
        return NULL;
    }
    own = ((ExchangeState *)query)->compiled_by;
    if (own == wanted && own != Py_None) {
        return Py_XNewRef(((ExchangeState *)query)->own_blocks);
    }
    return PyObject_GetAttr(query, state->names.blocks);
}

/* quick_answer(session, buffer, start, end) -> bool */
static PyObject *
quick_answer(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { MORE_RESULTS = 0x0008 };
    const State *state = PyModule_GetState(module);
    PyObject *blocks = NULL, *answer = NULL;
    ExchangeState *exchange;
    Py_ssize_t start, end;
    Py_buffer view;
    int taken = 0;

    if (nargs != 4) {
        PyErr_SetString(PyExc_TypeError, "quick_answer takes a session, a buffer, start and end");
        return NULL;
    }
    start = PyNumber_AsSsize_t(args[2], PyExc_ValueError);
    if (start == -1 && PyErr_Occurred()) {
        return NULL;
    }
    end = PyNumber_AsSsize_t(args[3], PyExc_ValueError);
    if (end == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (end - start > QUICK_LIMIT || (exchange = quick_exchange(state, args[0])) == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    }
    if (exchange->results != NULL && PyLong_AsLong(exchange->sequence_id) == 1) {
        blocks = quick_blocks(state, args[0], (PyObject *)exchange);
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
            answer = find_answer(state, blocks, args[1], view.buf, start, end);
        }
        PyBuffer_Release(&view);
    }
    Py_XDECREF(blocks);
    if (answer == NULL && PyErr_Occurred() && PyErr_ExceptionMatches(state->error)) {
        PyErr_Clear(); /* whoever reads frame by frame will meet it again */
    }
    if (answer != NULL && is_all(answer, end, MORE_RESULTS)) {
        taken = finish_query(state, args[0], exchange, answer) == 0;
    }
    Py_XDECREF(answer);
    Py_DECREF(exchange);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(taken);
}

static PyObject *
read_answer(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyModule_GetState(module);
    PyObject *answer = NULL;
    Py_ssize_t start, end;
    Py_buffer view;

    if (nargs != 4 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "read_answer takes a list of blocks, a buffer, start, end");
        return NULL;
    }
    start = PyNumber_AsSsize_t(args[2], PyExc_ValueError);
    if (start == -1 && PyErr_Occurred()) {
        return NULL;
    }
    end = PyNumber_AsSsize_t(args[3], PyExc_ValueError);
    if (end == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (PyObject_GetBuffer(args[1], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (start < 0 || start > end || end > view.len) {
        PyErr_SetString(PyExc_ValueError, "start and end must lie within the buffer");
    }
    else {
        answer = find_answer(state, args[0], args[1], view.buf, start, end);
        if (answer == NULL && PyErr_Occurred() && PyErr_ExceptionMatches(state->error)) {
            PyErr_Clear(); /* whoever reads frame by frame will meet it again */
        }
    }
    PyBuffer_Release(&view);
    if (answer == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return answer;
}

#endif
