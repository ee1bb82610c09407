#include "commands/response.h"

#include "commands/exchange_state.h"
#include "interpreter.h"
#include "module.h"
#include "rows/decoder.h"
#include "wire/frame.h"
#include "wire/packets.h"

/* Items of metadata.MetadataPrefix, and of the metadata.ResultMetadata in it. */
enum { PREFIX_RAW, PREFIX_FRAMES, PREFIX_METADATA, PREFIX_FIELDS };
enum {
    METADATA_COLUMNS,
    METADATA_DESCRIPTION,
    METADATA_DECODER,
    METADATA_PLAIN,
    METADATA_DEFINITIONS,
    METADATA_FIELDS
};

/* What response.Response has. */
typedef struct {
    Py_ssize_t position;
    unsigned sequence_id;
    PyObject *metadata;
    PyObject *rows;
    PyObject *ok; /* NULL: its end has not come */
} Response;

static void
response_clear(Response *self)
{
    Py_CLEAR(self->metadata);
    Py_CLEAR(self->rows);
    Py_CLEAR(self->ok);
}

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

/* What `decoder.decode` does with `[start, end)`; the position where it stopped.  -1: an
 * exception is set. */
static Py_ssize_t
decode_rows(const State *state, PyObject *decoder, PyObject *buffer, const unsigned char *base,
            Py_ssize_t start, Py_ssize_t end, unsigned sequence_id, PyObject *rows)
{
    Py_ssize_t position = -1;
    PyObject *stop;

    if (Py_IS_TYPE(decoder, state->decoder_type) ||
        Py_IS_TYPE(decoder, state->binary_decoder_type)) {
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

/* The rows behind the metadata of `prefix`, at `start`, and the packet that ends them.  0: there
 * are none of ours; -1: an exception is set. */
static int
response_rows(const State *state, PyObject *prefix, PyObject *buffer, const unsigned char *base,
              Py_ssize_t start, Py_ssize_t end, Response *response)
{
    long frames = PyLong_AsLong(PyTuple_GET_ITEM(prefix, PREFIX_FRAMES));
    PyObject *metadata = PyTuple_GET_ITEM(prefix, PREFIX_METADATA);
    unsigned sequence_id = (unsigned)(1 + frames) & 0xFF;
    PyObject *rows, *ok = NULL;
    Py_ssize_t position, length;
    const unsigned char *payload;

    if (frames == -1 && PyErr_Occurred()) {
        return -1;
    }
    rows = PyList_New(0);
    if (rows == NULL) {
        return -1;
    }
    position = decode_rows(state, PyTuple_GET_ITEM(metadata, METADATA_DECODER), buffer, base, start,
                           end, sequence_id, rows);
    if (position < start || position > end) {
        Py_DECREF(rows);
        return PyErr_Occurred() ? -1 : 0;
    }
    sequence_id = (sequence_id + (unsigned)PyList_GET_SIZE(rows)) & 0xFF;
    payload = frame_payload(base + position, base + end, sequence_id, &length);
    if (payload != NULL && length > 0 && payload[0] == PACKET_EOF) {
        int found = read_ok(state, payload, length, &ok);
        if (found < 0) {
            Py_DECREF(rows);
            return -1;
        }
        if (found > 0) {
            position += FRAME_HEADER + length;
            sequence_id++;
        }
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

/* Whether the response in `[start, end)` begins with `prefix`, behind which rows can be read at
 * once. */
static int
begins_with(PyObject *prefix, const unsigned char *start, Py_ssize_t size)
{
    PyObject *raw = PyTuple_GET_ITEM(prefix, PREFIX_RAW);
    PyObject *metadata = PyTuple_GET_ITEM(prefix, PREFIX_METADATA);

    return PyTuple_GET_ITEM(metadata, METADATA_PLAIN) == Py_True && PyBytes_GET_SIZE(raw) <= size &&
           memcmp(PyBytes_AS_STRING(raw), start, (size_t)PyBytes_GET_SIZE(raw)) == 0;
}

/* The response that is the OK packet in a payload.  As find_response. */
static int
response_without_rows(const State *state, const unsigned char *payload, Py_ssize_t length,
                      Py_ssize_t end, Response *response)
{
    PyObject *ok, *rows;
    int found = read_ok(state, payload, length, &ok);

    if (found <= 0) {
        return found;
    }
    rows = PyList_New(0);
    if (rows == NULL) {
        Py_DECREF(ok);
        return -1;
    }
    *response = (Response){end, 2, Py_NewRef(Py_None), rows, ok};
    return 1;
}

/* The response in `[start, end)`.  0: it is none of ours; -1: an exception is set. */
static int
find_response(const State *state, PyObject *prefixes, PyObject *buffer, const unsigned char *base,
              Py_ssize_t start, Py_ssize_t end, Response *response)
{
    Py_ssize_t length;
    const unsigned char *payload = frame_payload(base + start, base + end, 1, &length);

    if (payload == NULL || length == 0) {
        return 0;
    }
    if (payload[0] == PACKET_OK) {
        return response_without_rows(state, payload, length, start + FRAME_HEADER + length,
                                     response);
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(prefixes); i++) {
        PyObject *prefix = PyList_GET_ITEM(prefixes, i);
        int found;

        if (!is_prefix(prefix)) {
            PyErr_SetString(PyExc_TypeError, "prefixes must hold MetadataPrefixes");
            return -1;
        }
        if (!begins_with(prefix, base + start, end - start)) {
            continue;
        }
        Py_INCREF(prefix);
        start += PyBytes_GET_SIZE(PyTuple_GET_ITEM(prefix, PREFIX_RAW));
        found = response_rows(state, prefix, buffer, base, start, end, response);
        Py_DECREF(prefix);
        return found;
    }
    return 0;
}

/* As find_response, but a malformed packet is no exception: the reader of single frames will
 * meet it again. */
static int
find_sound_response(const State *state, PyObject *prefixes, PyObject *buffer,
                    const unsigned char *base, Py_ssize_t start, Py_ssize_t end, Response *response)
{
    int found = find_response(state, prefixes, buffer, base, start, end, response);

    if (found < 0 && PyErr_ExceptionMatches(state->error)) {
        PyErr_Clear();
        return 0;
    }
    return found;
}

/* ---- The commonest case of all: one exchange, its whole response, nothing else ---- */

/* Longer responses are read the other way, which does not begin anew when more is to come. */
enum { QUICK_LIMIT = 1 << 14 };

/* The exchange whose response is due, if that may be read so.  NULL with or without an
 * exception. */
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

/* What the class of `query` has; NULL: an exception is set. */
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

/* `exchange`, the oldest one of `session`, is done; `status`: the server's flags.  -1: an
 * exception is set. */
static int
finish_exchange(const State *state, PyObject *session, ExchangeState *exchange, PyObject *status)
{
    PyObject *on_progress, *done;

    Py_XSETREF(SLOT(state, session, session_server_status), Py_NewRef(status));
    Py_XSETREF(exchange->done, Py_NewRef(Py_True));
    done = PyObject_CallOneArg(state->deque_popleft, SLOT(state, session, session_exchanges));
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    on_progress = exchange->on_progress;
    if (on_progress == NULL || on_progress == Py_None) {
        Py_XSETREF(exchange->has_progress, Py_NewRef(Py_True));
        return 0;
    }
    exchange->on_progress = Py_NewRef(Py_None);
    done = PyObject_CallNoArgs(on_progress);
    Py_DECREF(on_progress);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Hand the parts of `response`, whose references it takes over, to `query` and `session`.  -1: an
 * exception is set. */
static int
finish_query(const State *state, const QueryKind *kind, PyObject *session, ExchangeState *query,
             Response *response)
{
    ResultState *result;
    int failed;

    if (!PyList_Check(query->results)) {
        PyErr_SetString(PyExc_TypeError, "results must be a list");
        response_clear(response);
        return -1;
    }
    result = (ResultState *)new_state(kind->new_result);
    if (result == NULL) {
        response_clear(response);
        return -1;
    }
    Py_XSETREF(result->rows, response->rows);
    Py_XSETREF(result->metadata, response->metadata);
    Py_XSETREF(result->ok, response->ok);
    Py_XSETREF(result->complete, Py_NewRef(Py_True));
    failed = PyList_Append(query->results, (PyObject *)result) < 0 ||
             finish_exchange(state, session, query,
                             PyTuple_GET_ITEM(result->ok, OK_SERVER_STATUS)) < 0;
    Py_DECREF(result);
    return failed ? -1 : 0;
}

/* 1: bytes[0:size] are an OK packet that ends `exchange`, which has no results, and it has ended;
 * 0: they are not; -1: an exception is set. */
static int
take_ok(const State *state, PyObject *session, ExchangeState *exchange,
        const unsigned char *bytes, Py_ssize_t size)
{
    unsigned sequence_id = (unsigned)PyLong_AsLong(exchange->sequence_id) & 0xFF;
    Py_ssize_t length;
    const unsigned char *payload = frame_payload(bytes, bytes + size, sequence_id, &length);
    PyObject *ok;
    int found;

    if (payload == NULL || length == 0 || payload[0] != PACKET_OK ||
        payload + length != bytes + size) {
        return 0;
    }
    found = read_ok(state, payload, length, &ok);
    if (found <= 0) {
        return found;
    }
    if (finish_exchange(state, session, exchange, PyTuple_GET_ITEM(ok, OK_SERVER_STATUS)) < 0) {
        found = -1;
    }
    Py_DECREF(ok);
    return found;
}

/* Whether `response` ends at `end`, and with it all that is due. */
static int
is_all(const Response *response, Py_ssize_t end)
{
    return response->ok != NULL && response->position == end && !has_more_results(response->ok);
}

/* The metadata that the response to `query` may begin with: its own, or the session's.  NULL
 * with or without an exception. */
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

/* Two numbers, `start` and `end` of a buffer.  -1: an exception is set. */
static int
range_arguments(PyObject *const *args, Py_ssize_t *start, Py_ssize_t *end)
{
    *start = PyNumber_AsSsize_t(args[0], PyExc_ValueError);
    *end = *start == -1 && PyErr_Occurred() ? -1 : PyNumber_AsSsize_t(args[1], PyExc_ValueError);
    return PyErr_Occurred() ? -1 : 0;
}

/* The bytes of `buffer`, to be released.  0: `[start, end)` does not lie in them; -1: an
 * exception is set. */
static int
get_bytes(PyObject *buffer, Py_ssize_t start, Py_ssize_t end, Py_buffer *view)
{
    if (PyObject_GetBuffer(buffer, view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    if (start < 0 || start > end || end > view->len) {
        PyBuffer_Release(view);
        return 0;
    }
    return 1;
}

/* What quick_response does for `query`, which has results.  -1: an exception is set. */
static int
take_query_response(State *state, PyObject *session, ExchangeState *query, PyObject *buffer,
                    Py_ssize_t start, Py_ssize_t end)
{
    const QueryKind *kind = query_kind(state, (PyObject *)query);
    PyObject *prefixes =
        kind == NULL ? NULL : quick_prefixes(state, kind, session, (PyObject *)query);
    Response response;
    Py_buffer view;
    int found;

    if (prefixes == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    found = PyList_Check(prefixes) ? get_bytes(buffer, start, end, &view) : 0;
    if (found > 0) {
        found = find_sound_response(state, prefixes, buffer, view.buf, start, end, &response);
        PyBuffer_Release(&view);
    }
    Py_DECREF(prefixes);
    if (found <= 0) {
        return found;
    }
    if (!is_all(&response, end)) {
        response_clear(&response);
        return 0;
    }
    return finish_query(state, kind, session, query, &response) < 0 ? -1 : 1;
}

/* What quick_response does for `exchange`, which has no results.  -1: an exception is set. */
static int
take_ok_response(const State *state, PyObject *session, ExchangeState *exchange, PyObject *buffer,
                 Py_ssize_t start, Py_ssize_t end)
{
    Py_buffer view;
    int taken = get_bytes(buffer, start, end, &view);

    if (taken > 0) {
        taken = take_ok(state, session, exchange, (unsigned char *)view.buf + start, end - start);
        PyBuffer_Release(&view);
    }
    return taken;
}

PyObject *
quick_response(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    ExchangeState *exchange;
    Py_ssize_t start, end;
    int taken = 0;

    if (nargs != 4) {
        PyErr_SetString(PyExc_TypeError, "quick_response takes a session, a buffer, start and end");
        return NULL;
    }
    if (range_arguments(args + 2, &start, &end) < 0 || find_slots(state) < 0) {
        return NULL;
    }
    if (end - start > QUICK_LIMIT || !IS_OWNED(state, args[0], session) ||
        (exchange = quick_exchange(state, args[0])) == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    }
    if (exchange->results == NULL) {
        taken = take_ok_response(state, args[0], exchange, args[1], start, end);
    }
    else if (PyLong_AsLong(exchange->sequence_id) == 1) {
        taken = take_query_response(state, args[0], exchange, args[1], start, end);
    }
    Py_DECREF(exchange);
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

PyObject *
read_response(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    Py_ssize_t start, end;
    Response response;
    Py_buffer view;
    int found = -1;

    if (nargs != 4 || !PyList_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "read_response takes a list of prefixes, a buffer, start, end");
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
        found = find_sound_response(state, args[0], args[1], view.buf, start, end, &response);
    }
    PyBuffer_Release(&view);
    if (found <= 0) {
        return found < 0 ? NULL : Py_NewRef(Py_None);
    }
    return response_tuple(state, &response);
}
