/* Answers read at one go: see commands/response.py, where the rules are written down. */
#ifndef AIOMYSQL_PROTOCOL_ANSWERS_H
#define AIOMYSQL_PROTOCOL_ANSWERS_H

#include "_exchange_state.h"
#include "_rows.h"

enum { RESPONSE_HEADER = 4, RESPONSE_FULL_FRAME = 0xFFFFFF, RESPONSE_OK = 0x00, RESPONSE_EOF = 0xFE };

/* Fields of columns.MetadataPrefix, and of the columns.ResultMetadata in it. */
enum { PREFIX_RAW, PREFIX_FRAMES, PREFIX_METADATA, PREFIX_FIELDS };
enum { METADATA_COLUMNS, METADATA_DESCRIPTION, METADATA_DECODER, METADATA_PLAIN, SET_DEFINITIONS, METADATA_FIELDS };

/* The payload of the frame at `pos` and its length; NULL if it is empty, incomplete, long or out
 * of order. */
static const unsigned char *
answer_frame(const unsigned char *pos, const unsigned char *end, unsigned sequence_id,
             Py_ssize_t *length)
{
    if (end - pos <= RESPONSE_HEADER || pos[3] != sequence_id) {
        return NULL;
    }
    *length = pos[0] | pos[1] << 8 | pos[2] << 16;
    if (*length == 0 || *length == RESPONSE_FULL_FRAME || *length > end - pos - RESPONSE_HEADER) {
        return NULL;
    }
    return pos + RESPONSE_HEADER;
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
response_ok(const State *state, const unsigned char *payload, Py_ssize_t length)
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

/* What response.Response has. */
typedef struct {
    Py_ssize_t position;
    unsigned sequence_id;
    PyObject *metadata;
    PyObject *rows;
    PyObject *ok; /* NULL: its end has not come */
} Response;

/* The response.Response of `response`, whose references it takes over. */
static PyObject *
response_tuple(const State *state, const Response *response)
{
    PyObject *items[5] = {
        PyLong_FromSsize_t(response->position),
        PyLong_FromLong(response->sequence_id & 0xFF),
        response->metadata,
        response->rows,
        response->ok == NULL ? Py_NewRef(Py_None) : response->ok,
    };

    return named_tuple((PyTypeObject *)state->response_type, items, 5);
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

/* The rows behind the metadata of `prefix`, at `start`, and the packet that ends them.  0: there are
 * none of ours, or an exception. */
static int
response_rows(const State *state, PyObject *prefix, PyObject *buffer, const unsigned char *base,
            Py_ssize_t start, Py_ssize_t end, Response *response)
{
    long frames = PyLong_AsLong(PyTuple_GET_ITEM(prefix, PREFIX_FRAMES));
    PyObject *metadata = PyTuple_GET_ITEM(prefix, PREFIX_METADATA);
    PyObject *ok = NULL, *rows = PyList_New(0);
    unsigned sequence_id = (unsigned)(1 + frames) & 0xFF;
    Py_ssize_t position = -1, length;
    const unsigned char *payload;

    if (rows != NULL && !(frames == -1 && PyErr_Occurred())) {
        position = decode_rows(state, PyTuple_GET_ITEM(metadata, METADATA_DECODER), buffer, base, start,
                               end, sequence_id, rows);
    }
    if (position < start || position > end) {
        Py_XDECREF(rows);
        return 0;
    }
    sequence_id = (sequence_id + (unsigned)PyList_GET_SIZE(rows)) & 0xFF;
    payload = answer_frame(base + position, base + end, sequence_id, &length);
    if (payload != NULL && payload[0] == RESPONSE_EOF) {
        ok = response_ok(state, payload, length);
        if (ok == NULL && PyErr_Occurred()) {
            Py_DECREF(rows);
            return 0;
        }
    }
    if (ok != NULL) {
        position += RESPONSE_HEADER + length;
        sequence_id++;
    }
    *response = (Response){position, sequence_id, Py_NewRef(metadata), rows, ok};
    return 1;
}

static int
is_prefix(PyObject *prefix)
{
    return PyTuple_Check(prefix) && PyTuple_GET_SIZE(prefix) == PREFIX_FIELDS &&
           PyBytes_Check(PyTuple_GET_ITEM(prefix, PREFIX_RAW)) &&
           PyTuple_Check(PyTuple_GET_ITEM(prefix, PREFIX_METADATA)) &&
           PyTuple_GET_SIZE(PyTuple_GET_ITEM(prefix, PREFIX_METADATA)) == METADATA_FIELDS;
}

/* The response in `[start, end)`.  0: it is none of ours, or an exception. */
static int
find_response(const State *state, PyObject *prefixes, PyObject *buffer, const unsigned char *base,
            Py_ssize_t start, Py_ssize_t end, Response *response)
{
    Py_ssize_t length;
    const unsigned char *payload = answer_frame(base + start, base + end, 1, &length);

    if (payload == NULL) {
        return 0;
    }
    if (payload[0] == RESPONSE_OK) {
        PyObject *ok = response_ok(state, payload, length);
        PyObject *rows = ok == NULL ? NULL : PyList_New(0);
        if (rows == NULL) {
            Py_XDECREF(ok);
            return 0;
        }
        *response = (Response){start + RESPONSE_HEADER + length, 2, Py_NewRef(Py_None), rows, ok};
        return 1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(prefixes); i++) {
        PyObject *prefix = PyList_GET_ITEM(prefixes, i), *raw;
        int found;

        if (!is_prefix(prefix)) {
            PyErr_SetString(PyExc_TypeError, "prefixes must hold Blocks");
            return 0;
        }
        raw = PyTuple_GET_ITEM(prefix, PREFIX_RAW);
        if (PyTuple_GET_ITEM(PyTuple_GET_ITEM(prefix, PREFIX_METADATA), METADATA_PLAIN) != Py_True ||
            PyBytes_GET_SIZE(raw) > end - start ||
            memcmp(PyBytes_AS_STRING(raw), base + start, (size_t)PyBytes_GET_SIZE(raw)) != 0) {
            continue;
        }
        Py_INCREF(prefix);
        found = response_rows(state, prefix, buffer, base, start + PyBytes_GET_SIZE(raw), end, response);
        Py_DECREF(prefix);
        return found;
    }
    return 0;
}

/* ---- The commonest case of all: one exchange, its whole response, nothing else ---- */

/* Longer answers are read the other way, which does not begin anew when more is to come. */
enum { QUICK_LIMIT = 1 << 14 };

/* The exchange whose response is due, if that may be read so; NULL with or without an exception. */
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
    wake = exchange->on_progress;
    if (wake == NULL || wake == Py_None) {
        Py_XSETREF(exchange->has_progress, Py_NewRef(Py_True));
        return 0;
    }
    exchange->on_progress = Py_NewRef(Py_None);
    done = PyObject_CallNoArgs(wake);
    Py_DECREF(wake);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Hand the parts of `response`, whose references it takes over, to `query` and `session`.  -1:
 * exception. */
static int
finish_query(const State *state, const QueryKind *kind, PyObject *session, ExchangeState *query,
             const Response *response)
{
    ResultState *result = (ResultState *)new_state(kind->new_result);
    int failed;

    if (result == NULL || !PyList_Check(query->results)) {
        if (result != NULL) {
            PyErr_SetString(PyExc_TypeError, "results must be a list");
        }
        Py_XDECREF(result);
        Py_DECREF(response->rows);
        Py_DECREF(response->metadata);
        Py_DECREF(response->ok);
        return -1;
    }
    Py_XSETREF(result->rows, response->rows);
    Py_XSETREF(result->metadata, response->metadata);
    Py_XSETREF(result->ok, response->ok);
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

    if (payload == NULL || payload[0] != RESPONSE_OK || payload + length != bytes + size) {
        return 0;
    }
    ok = response_ok(state, payload, length);
    if (ok == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    failed = finish_exchange(state, session, exchange, PyTuple_GET_ITEM(ok, 2)) < 0;
    Py_DECREF(ok);
    return failed ? -1 : 1;
}

/* Whether `response` ends at `end`, and with it the answers that are due. */
static int
is_all(const Response *response, Py_ssize_t end, unsigned more_results)
{
    return response->ok != NULL && response->position == end &&
           !((unsigned long)PyLong_AsLong(PyTuple_GET_ITEM(response->ok, 2)) & more_results);
}

/* The metadata that the response to `query` may begin with: its own, or the session's. */
static PyObject *
quick_prefixes(const State *state, const QueryKind *kind, PyObject *session, PyObject *query)
{
    PyObject *columns = SLOT(state, session, session_columns), *own, *wanted;

    if (columns == NULL) {
        return NULL;
    }
    if (!kind->binary) {
        return PyObject_GetAttr(columns, state->names.prefixes);
    }
    wanted = PyObject_GetAttr(columns, state->names.for_binary);
    Py_XDECREF(wanted); /* the columns keep it */
    if (wanted == NULL) {
        return NULL;
    }
    own = ((ExchangeState *)query)->compiled_by;
    if (own == wanted) {
        return Py_XNewRef(((ExchangeState *)query)->own_prefixes);
    }
    return PyObject_GetAttr(query, state->names.prefixes);
}

/* Two numbers, `start` and `end` of a buffer.  -1: exception. */
static int
range_arguments(PyObject *const *args, Py_ssize_t *start, Py_ssize_t *end)
{
    *start = PyNumber_AsSsize_t(args[0], PyExc_ValueError);
    *end = *start == -1 && PyErr_Occurred() ? -1 : PyNumber_AsSsize_t(args[1], PyExc_ValueError);
    return PyErr_Occurred() ? -1 : 0;
}

/* quick_response(session, buffer, start, end) -> bool */
static PyObject *
quick_response(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    enum { MORE_RESULTS = 0x0008 };
    State *state = PyModule_GetState(module);
    PyObject *prefixes = NULL;
    ExchangeState *exchange;
    const QueryKind *kind = NULL;
    Response response;
    Py_ssize_t start, end;
    Py_buffer view;
    int found = 0, taken = 0;

    if (nargs != 4) {
        PyErr_SetString(PyExc_TypeError, "quick_response takes a session, a buffer, start and end");
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
        prefixes = quick_prefixes(state, kind, args[0], (PyObject *)exchange);
    }
    if (!PyErr_Occurred() && PyObject_GetBuffer(args[1], &view, PyBUF_SIMPLE) == 0) {
        if (start < 0 || start > end || end > view.len) {
            taken = 0;
        }
        else if (exchange->results == NULL) {
            taken = take_ok(state, args[0], exchange, (unsigned char *)view.buf + start,
                            end - start) > 0;
        }
        else if (prefixes != NULL && PyList_Check(prefixes)) {
            found = find_response(state, prefixes, args[1], view.buf, start, end, &response);
        }
        PyBuffer_Release(&view);
    }
    Py_XDECREF(prefixes);
    if (!found && PyErr_Occurred() && PyErr_ExceptionMatches(state->error)) {
        PyErr_Clear(); /* whoever reads frame by frame will meet it again */
    }
    if (found && is_all(&response, end, MORE_RESULTS)) {
        taken = finish_query(state, kind, args[0], exchange, &response) == 0;
    }
    else if (found) {
        Py_DECREF(response.rows);
        Py_DECREF(response.metadata);
        Py_XDECREF(response.ok);
    }
    Py_DECREF(exchange);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(taken);
}

static PyObject *
read_response(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    Py_ssize_t start, end;
    Response response;
    Py_buffer view;
    int found = 0;

    if (nargs != 4 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "read_response takes a list of prefixes, a buffer, start, end");
        return NULL;
    }
    if (state->response_type == NULL) { /* its module takes `read_response` from this one */
        state->response_type = import_name("aiomysql_protocol.commands.response", "Response");
        if (state->response_type == NULL) {
            return NULL;
        }
    }
    if (range_arguments(args + 2, &start, &end) < 0 ||
        PyObject_GetBuffer(args[1], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (start < 0 || start > end || end > view.len) {
        PyErr_SetString(PyExc_ValueError, "start and end must lie within the buffer");
    }
    else {
        found = find_response(state, args[0], args[1], view.buf, start, end, &response);
        if (!found && PyErr_Occurred() && PyErr_ExceptionMatches(state->error)) {
            PyErr_Clear(); /* whoever reads frame by frame will meet it again */
        }
    }
    PyBuffer_Release(&view);
    if (!found) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    return response_tuple(state, &response);
}

#endif
