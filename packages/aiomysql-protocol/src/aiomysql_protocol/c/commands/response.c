#include "commands/response.h"

#include "exceptions.h"
#include "rows/decoder.h"
#include "sql/statements.h"
#include "wire/frame.h"
#include "wire/packets.h"

/* Items of metadata.MetadataPrefix, and of the metadata.ResultMetadata in it. */
enum { PREFIX_RAW, PREFIX_FRAMES, PREFIX_METADATA, PREFIX_FIELDS };
enum { METADATA_DECODER = 2, METADATA_KEYS, METADATA_FIELDS = 5 };

/* Capabilities. */
#define FOUND_ROWS (1ULL << 1)
#define DEPRECATE_EOF (1ULL << 24)
#define CACHE_METADATA (1ULL << 36)

/* What is read, and how far. */
typedef struct {
    State *state;
    SessionState *session;
    ExchangeState *exchange;
    PyObject *buffer;
    Py_ssize_t position;
    Py_ssize_t end;
    Py_buffer view; /* of the buffer, while `is_held` */
    int is_held;
} Reading;

int
range_arguments(PyObject *const *args, Py_ssize_t *start, Py_ssize_t *end)
{
    *start = PyNumber_AsSsize_t(args[0], PyExc_ValueError);
    *end = *start == -1 && PyErr_Occurred() ? -1 : PyNumber_AsSsize_t(args[1], PyExc_ValueError);
    return PyErr_Occurred() ? -1 : 0;
}

int
get_range(PyObject *buffer, Py_ssize_t start, Py_ssize_t end, Py_buffer *view)
{
    /* As long as the view is held a bytearray cannot be resized, whatever a converter does. */
    if (PyObject_GetBuffer(buffer, view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    if (start < 0 || start > end || end > view->len) {
        PyBuffer_Release(view);
        PyErr_SetString(PyExc_ValueError, "start and end must lie within the buffer");
        return -1;
    }
    return 0;
}

/* Where the bytes to be read begin, until they are released; NULL: an exception is set. */
static const unsigned char *
hold(Reading *self)
{
    if (!self->is_held && get_range(self->buffer, self->position, self->end, &self->view) < 0) {
        return NULL;
    }
    self->is_held = 1;
    return (const unsigned char *)self->view.buf + self->position;
}

static void
release(Reading *self)
{
    if (self->is_held) {
        self->is_held = 0;
        PyBuffer_Release(&self->view);
    }
}

/* ---- What becomes of an exchange ---- */

/* A result as it is before anything of it came.  NULL: an exception is set. */
static ResultState *
new_result(const State *state, const ExchangeState *exchange)
{
    PyObject *rows = PyList_New(0);
    ResultState *result =
        rows == NULL ? NULL : (ResultState *)new_state((PyObject *)state->owners.result);

    if (result == NULL) {
        Py_XDECREF(rows);
        return NULL;
    }
    Py_XSETREF(result->rows, rows);
    Py_XSETREF(result->ok, Py_NewRef(state->no_ok));
    Py_XSETREF(result->streamed, Py_NewRef(exchange->streamed));
    return result;
}

/* The result that is being read, or a new one; a new reference.  NULL: an exception is set. */
static ResultState *
result_under_way(const State *state, const ExchangeState *exchange)
{
    PyObject *result = exchange->result;

    if (result == NULL || result == Py_None) {
        return new_result(state, exchange);
    }
    if (!PyObject_TypeCheck(result, state->result_state_type)) {
        PyErr_SetString(PyExc_TypeError, "not a Result");
        return NULL;
    }
    return (ResultState *)Py_NewRef(result);
}

/* Hand `result` to who waits for it.  -1: an exception is set. */
static int
announce(ExchangeState *exchange, PyObject *result)
{
    if (exchange->announced != Py_True && exchange->discarding != Py_True) {
        if (exchange->results == NULL || !PyList_Check(exchange->results)) {
            PyErr_SetString(PyExc_TypeError, "results must be a list");
            return -1;
        }
        if (PyList_Append(exchange->results, result) < 0) {
            return -1;
        }
    }
    Py_XSETREF(exchange->announced, Py_NewRef(Py_True));
    return 0;
}

/* What `Exchange.notify` does.  -1: an exception is set. */
static int
notify(Reading *self)
{
    ExchangeState *exchange = self->exchange;
    PyObject *on_progress = exchange->on_progress, *done;

    if (on_progress == NULL || on_progress == Py_None) {
        Py_XSETREF(exchange->has_progress, Py_NewRef(Py_True));
        return 0;
    }
    exchange->on_progress = Py_NewRef(Py_None);
    release(self);
    done = PyObject_CallNoArgs(on_progress);
    Py_DECREF(on_progress);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Whether the statement of `exchange` is one INSERT, REPLACE, UPDATE or DELETE. */
static int
is_row_change_of(const State *state, const ExchangeState *exchange)
{
    PyObject *request = exchange->request, *prepared = exchange->own_prepared;

    if (exchange->is_simple != Py_True) {
        return 0;
    }
    if (exchange->binary == Py_True) {
        return prepared != NULL && IS_OWNED(state, prepared, prepared) &&
               SLOT(state, prepared, prepared_is_row_change) == Py_True;
    }
    return request != NULL && PyBytes_Check(request) && PyBytes_GET_SIZE(request) > 1 &&
           is_row_change_text(PyBytes_AS_STRING(request) + 1, PyBytes_GET_SIZE(request) - 1);
}

/* What Query.uncommitted_after says; it is asked where that is not to be seen at once.  -1: an
 * exception is set. */
static int
uncommitted_after(Reading *self, ResultState *result, PyObject *ok)
{
    const ExchangeState *exchange = self->exchange;
    int before = self->session->uncommitted, affected;
    long changes;
    PyObject *found;

    if (!(PyLong_AsLong(PyTuple_GET_ITEM(ok, OK_SERVER_STATUS)) & IN_TRANSACTION)) {
        return NO_CHANGES;
    }
    affected = PyObject_IsTrue(PyTuple_GET_ITEM(ok, OK_AFFECTED_ROWS));
    if (affected < 0 || before == CHANGES_UNKNOWN ||
        (before == CHANGES && exchange->is_simple == Py_True)) {
        return affected < 0 ? -1 : before;
    }
    if (before == NO_CHANGES && !affected) {
        int has_rows = result->rows != NULL && PyList_Check(result->rows) &&
                       PyList_GET_SIZE(result->rows) > 0;
        return has_rows && is_row_change_of(self->state, exchange) ? CHANGES : NO_CHANGES;
    }
    if (before == NO_CHANGES && !(self->session->capabilities & FOUND_ROWS) &&
        is_row_change_of(self->state, exchange)) {
        return CHANGES;
    }
    release(self);
    PyObject *args[3] = {(PyObject *)exchange, (PyObject *)result, ok};
    found = PyObject_VectorcallMethod(self->state->names.uncommitted_after, args, 3, NULL);
    changes = found == NULL ? -1 : PyLong_AsLong(found);
    Py_XDECREF(found);
    if (changes < NO_CHANGES || changes > CHANGES_UNKNOWN) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "unknown changes");
        }
        return -1;
    }
    return (int)changes;
}

/* `ok` has ended `result`.  -1: an exception is set. */
static int
end_result(Reading *self, ResultState *result, PyObject *ok)
{
    SessionState *session = self->session;
    ExchangeState *exchange = self->exchange;
    PyObject *done;

    if (announce(exchange, (PyObject *)result) < 0) {
        return -1;
    }
    Py_XSETREF(session->server_status, Py_NewRef(PyTuple_GET_ITEM(ok, OK_SERVER_STATUS)));
    Py_XSETREF(result->ok, Py_NewRef(ok));
    Py_XSETREF(result->complete, Py_NewRef(Py_True));
    Py_XSETREF(exchange->result, Py_NewRef(Py_None)); /* it may know the exchange */
    if (has_more_results(ok)) {
        Py_XSETREF(exchange->announced, Py_NewRef(Py_False));
        exchange->reading = RESPONSE;
    }
    else {
        Py_XSETREF(exchange->done, Py_NewRef(Py_True));
        if (session->exchanges == NULL) {
            PyErr_SetString(PyExc_AttributeError, "exchanges");
            return -1;
        }
        done = PyObject_CallOneArg(self->state->deque_popleft, session->exchanges);
        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    return notify(self);
}

/* The functions that read return 1 when they got on, 0 when they did not, and -1 when an exception
 * is set. */

/* The OK packet in a payload, which ends a result. */
static int
read_end(Reading *self, const unsigned char *payload, Py_ssize_t length)
{
    ExchangeState *exchange = self->exchange;
    int reading = exchange->reading, sequence_id = exchange->sequence_id, status, changes;
    ResultState *result;
    PyObject *ok = NULL;

    status = read_ok(self->state, payload, length, &ok);
    if (status == 0) { /* the parser in Python says what is wrong */
        ok = PyObject_CallFunction(self->state->parse_ok, "y#", payload, length);
    }
    result = ok == NULL ? NULL : result_under_way(self->state, exchange);
    changes = result == NULL ? -1 : uncommitted_after(self, result, ok);
    if (changes < 0) {
        Py_XDECREF(result);
        Py_XDECREF(ok);
        return -1;
    }
    status = is_due(self->session, exchange) && exchange->reading == reading;
    if (status) {
        self->session->uncommitted = changes;
        self->position += FRAME_HEADER + length;
        exchange->sequence_id = (sequence_id + 1) & 0xFF;
        status = end_result(self, result, ok) < 0 ? -1 : 1;
    }
    Py_DECREF(ok);
    Py_DECREF(result);
    return status;
}

/* ---- Metadata ---- */

static int
is_prefix(PyObject *prefix)
{
    return PyTuple_Check(prefix) && PyTuple_GET_SIZE(prefix) == PREFIX_FIELDS &&
           PyBytes_Check(PyTuple_GET_ITEM(prefix, PREFIX_RAW)) &&
           PyTuple_Check(PyTuple_GET_ITEM(prefix, PREFIX_METADATA)) &&
           PyTuple_GET_SIZE(PyTuple_GET_ITEM(prefix, PREFIX_METADATA)) == METADATA_FIELDS;
}

/* Whether the frames of `raw`, the first numbered 1, stand at `start` numbered from `sequence_id` on:
 * in a response of several results only those of the first are as in `raw`. */
static int
stands_at(PyObject *raw, const unsigned char *start, Py_ssize_t size, int sequence_id)
{
    const unsigned char *own = (const unsigned char *)PyBytes_AS_STRING(raw), *payload;
    const unsigned char *own_end = own + PyBytes_GET_SIZE(raw);
    Py_ssize_t length;

    if (own_end - own > size) {
        return 0;
    }
    if (sequence_id == 1) {
        return memcmp(own, start, (size_t)(own_end - own)) == 0;
    }
    for (unsigned number = 1; own < own_end; number++, sequence_id++) {
        payload = frame_payload(own, own_end, number & 0xFF, &length);
        if (payload == NULL || memcmp(own, start, 3) != 0 || start[3] != (sequence_id & 0xFF) ||
            memcmp(payload, start + FRAME_HEADER, (size_t)length) != 0) {
            return 0;
        }
        start += FRAME_HEADER + length;
        own = payload + length;
    }
    return 1;
}

/* Find in `prefixes`, a list, what the bytes begin with: a new reference.  It becomes the first of
 * the list. */
static int
find_in(PyObject *prefixes, const unsigned char *start, Py_ssize_t size, int sequence_id,
        PyObject **found)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(prefixes); i++) {
        PyObject *prefix = PyList_GET_ITEM(prefixes, i), *raw;

        if (!is_prefix(prefix)) {
            PyErr_SetString(PyExc_TypeError, "prefixes must hold MetadataPrefixes");
            return -1;
        }
        raw = PyTuple_GET_ITEM(prefix, PREFIX_RAW);
        if (!stands_at(raw, start, size, sequence_id)) {
            continue;
        }
        *found = Py_NewRef(prefix);
        if (i > 0 && (PyList_SetSlice(prefixes, i, i + 1, NULL) < 0 ||
                      PyList_Insert(prefixes, 0, prefix) < 0)) {
            Py_CLEAR(*found);
            return -1;
        }
        return 1;
    }
    return 0;
}

/* Find the metadata of binary rows that the prepared statement has of its own. */
static int
find_own(const Reading *self, PyObject *columns, const unsigned char *start, PyObject **found)
{
    const State *state = self->state;
    PyObject *prepared = self->exchange->own_prepared, *prefixes;
    int status;

    if (prepared == NULL || !IS_OWNED(state, prepared, prepared) ||
        SLOT(state, prepared, prepared_compiled_by) != columns) {
        return 0;
    }
    prefixes = SLOT(state, prepared, prepared_prefixes);
    if (prefixes == NULL || !PyList_Check(prefixes)) {
        return 0;
    }
    Py_INCREF(prefixes);
    status = find_in(prefixes, start, self->end - self->position, self->exchange->sequence_id,
                     found);
    Py_DECREF(prefixes);
    return status;
}

/* Find the metadata that `columns` keeps. */
static int
find_kept(const Reading *self, PyObject *columns, const unsigned char *start, PyObject **found)
{
    PyObject *prefixes = PyObject_GetAttr(columns, self->state->names.prefixes), *done;
    int status = -1;

    if (prefixes != NULL && !PyList_Check(prefixes)) {
        PyErr_SetString(PyExc_TypeError, "prefixes must be a list");
    }
    else if (prefixes != NULL) {
        status = find_in(prefixes, start, self->end - self->position, self->exchange->sequence_id,
                         found);
    }
    Py_XDECREF(prefixes);
    if (status > 0 && self->exchange->binary == Py_True &&
        self->session->capabilities & CACHE_METADATA) {
        done = PyObject_CallMethodOneArg((PyObject *)self->exchange,
                                         self->state->names.record_metadata,
                                         PyTuple_GET_ITEM(*found, PREFIX_METADATA));
        if (done == NULL) {
            Py_CLEAR(*found);
            return -1;
        }
        Py_DECREF(done);
    }
    return status;
}

/* Find the metadata that stands whole at `start`. */
static int
find_metadata(const Reading *self, const unsigned char *start, PyObject **found)
{
    PyObject *columns = self->session->columns;
    int status;

    if (columns == NULL) {
        PyErr_SetString(PyExc_AttributeError, "columns");
        return -1;
    }
    if (self->exchange->binary != Py_True) {
        Py_INCREF(columns);
        status = 0;
    }
    else {
        columns = PyObject_GetAttr(columns, self->state->names.for_binary);
        status = columns == NULL ? -1 : find_own(self, columns, start, found);
    }
    if (status == 0) {
        status = find_kept(self, columns, start, found);
    }
    Py_XDECREF(columns);
    return status;
}

/* `prefix` stands at the position: rows follow. */
static int
begin_rows(Reading *self, PyObject *prefix)
{
    ExchangeState *exchange = self->exchange;
    long frames = PyLong_AsLong(PyTuple_GET_ITEM(prefix, PREFIX_FRAMES));
    ResultState *result;
    int status = 1;

    if (frames == -1 && PyErr_Occurred()) {
        return -1;
    }
    result = result_under_way(self->state, exchange);
    if (result == NULL) {
        return -1;
    }
    if (!is_due(self->session, exchange) || exchange->reading != RESPONSE) {
        Py_DECREF(result);
        return 0;
    }
    self->position += PyBytes_GET_SIZE(PyTuple_GET_ITEM(prefix, PREFIX_RAW));
    exchange->sequence_id = (int)((unsigned)exchange->sequence_id + (unsigned long)frames) & 0xFF;
    exchange->reading = ROWS;
    Py_XSETREF(result->metadata, Py_NewRef(PyTuple_GET_ITEM(prefix, PREFIX_METADATA)));
    Py_XSETREF(exchange->result, Py_NewRef((PyObject *)result));
    if (exchange->streamed == Py_True) {
        status = announce(exchange, (PyObject *)result) < 0 ? -1 : notify(self);
    }
    Py_DECREF(result);
    return status < 0 ? -1 : 1;
}

/* Read the first packet of a result, or all of its metadata. */
static int
read_first(Reading *self)
{
    const unsigned char *start = hold(self), *payload;
    PyObject *prefix = NULL;
    Py_ssize_t length;
    int status = 0;

    if (start == NULL) {
        return -1;
    }
    payload = frame_payload(start, start + (self->end - self->position),
                            (unsigned)self->exchange->sequence_id, &length);
    if (payload != NULL && length > 0 && *payload == PACKET_OK) {
        return read_end(self, payload, length);
    }
    if (self->session->capabilities & DEPRECATE_EOF) {
        status = find_metadata(self, start, &prefix);
    }
    if (status > 0) {
        status = begin_rows(self, prefix);
    }
    Py_XDECREF(prefix);
    return status;
}

/* ---- Rows ---- */

static int
is_unwanted(const ExchangeState *exchange, const ResultState *result)
{
    return exchange->discarding == Py_True || result->skipped == Py_True;
}

/* What the decoder of `metadata` makes of the bytes from the position on; returns the position where it
 * stopped.  -1: an exception is set. */
static Py_ssize_t
decode_rows(const Reading *self, PyObject *metadata, const unsigned char *base, PyObject *rows)
{
    const State *state = self->state;
    PyObject *decoder = PyTuple_GET_ITEM(metadata, METADATA_DECODER), *keys = NULL, *stop;
    Py_ssize_t position = -1;

    if (self->exchange->as_dicts == Py_True) {
        keys = PyTuple_GET_ITEM(metadata, METADATA_KEYS);
    }
    if (Py_IS_TYPE(decoder, state->decoder_type) ||
        Py_IS_TYPE(decoder, state->binary_decoder_type)) {
        const unsigned char *at = NULL;

        if (keys == NULL || check_keys((Decoder *)decoder, keys)) {
            at = read_rows(state, (Decoder *)decoder, base + self->position, base + self->end,
                           (uint8_t)self->exchange->sequence_id, rows, keys);
        }
        return at == NULL ? -1 : at - base;
    }
    stop = PyObject_CallMethod(decoder, "decode", keys == NULL ? "OnniO" : "OnniOO", self->buffer,
                               self->position, self->end, self->exchange->sequence_id, rows, keys);
    if (stop != NULL) {
        position = PyLong_AsSsize_t(stop);
        Py_DECREF(stop);
        if (!PyErr_Occurred() && (position < self->position || position > self->end)) {
            PyErr_SetString(PyExc_ValueError, "a decoder went astray");
            position = -1;
        }
    }
    return position;
}

/* -1: an exception is set. */
static int
add_rows(const ExchangeState *exchange, ResultState *result, PyObject *rows)
{
    if (is_unwanted(exchange, result)) {
        return 0;
    }
    if (result->rows != NULL && PyList_Check(result->rows) && PyList_GET_SIZE(result->rows) > 0) {
        Py_ssize_t count = PyList_GET_SIZE(result->rows);
        return PyList_SetSlice(result->rows, count, count, rows);
    }
    Py_XSETREF(result->rows, Py_NewRef(rows));
    return 0;
}

/* The exception that is set came while rows were decoded, of which `rows` came before. */
static int
end_decoding(Reading *self, ResultState *result, PyObject *rows)
{
    PyObject *error = take_exception();
    int status;

    if (add_rows(self->exchange, result, rows) < 0) {
        Py_DECREF(error);
        return -1;
    }
    status = is_due(self->session, self->exchange);
    if (status && PyErr_GivenExceptionMatches(error, self->state->malformed_packet)) {
        set_exception(error);
        return -1;
    }
    if (status) {
        Py_XSETREF(result->error, Py_NewRef(error));
        status = self->exchange->streamed == Py_True && notify(self) < 0 ? -1 : 1;
    }
    Py_DECREF(error);
    return status;
}

/* `rows` were decoded, from the position to `stop`. */
static int
end_rows(Reading *self, ResultState *result, PyObject *rows, Py_ssize_t stop)
{
    ExchangeState *exchange = self->exchange;
    Py_ssize_t size = stop - self->position;
    int status;

    if (size == 0) {
        return 0;
    }
    self->position = stop;
    exchange->sequence_id = (int)(exchange->sequence_id + PyList_GET_SIZE(rows)) & 0xFF;
    if (add_rows(exchange, result, rows) < 0) {
        return -1;
    }
    status = is_due(self->session, exchange);
    if (status > 0 && exchange->streamed == Py_True && !is_unwanted(exchange, result)) {
        exchange->stored += size;
        status = notify(self) < 0 ? -1 : 1;
    }
    return status;
}

/* Read as many rows as there are, or the packet that ends them. */
static int
read_row_frames(Reading *self, ResultState *result, PyObject *metadata)
{
    const unsigned char *start = hold(self), *payload;
    Py_ssize_t length, stop;
    PyObject *rows;
    int status;

    if (start == NULL) {
        return -1;
    }
    payload = frame_payload(start, start + (self->end - self->position),
                            (unsigned)self->exchange->sequence_id, &length);
    if (payload == NULL || length == 0 || *payload > PACKET_EOF ||
        (*payload == PACKET_EOF && !(self->session->capabilities & DEPRECATE_EOF))) {
        return 0;
    }
    if (*payload == PACKET_EOF) {
        return read_end(self, payload, length);
    }
    /* In a list of their own: a converter, or a finalizer, may take the result's rows meanwhile. */
    rows = PyList_New(0);
    if (rows == NULL) {
        return -1;
    }
    stop = decode_rows(self, metadata, self->view.buf, rows);
    status = stop < 0 ? end_decoding(self, result, rows) : end_rows(self, result, rows, stop);
    Py_DECREF(rows);
    return status;
}

/* Pass over rows that nobody wants. */
static int
skip_rows(Reading *self)
{
    const unsigned char *pos = hold(self), *end, *payload;
    Py_ssize_t length, before = self->position;
    int sequence_id = self->exchange->sequence_id;

    if (pos == NULL) {
        return -1;
    }
    end = pos + (self->end - self->position);
    while ((payload = frame_payload(pos, end, (unsigned)sequence_id, &length)) != NULL &&
           length > 0 && *payload < PACKET_EOF) {
        sequence_id = (sequence_id + 1) & 0xFF;
        self->position += payload + length - pos;
        pos = payload + length;
    }
    self->exchange->sequence_id = sequence_id;
    return self->position > before;
}

static int
read_in_rows(Reading *self)
{
    ResultState *result = result_under_way(self->state, self->exchange);
    PyObject *metadata;
    int status = 0;

    if (result == NULL) {
        return -1;
    }
    metadata = result->metadata;
    if (metadata == NULL || !PyTuple_Check(metadata) ||
        PyTuple_GET_SIZE(metadata) != METADATA_FIELDS) {
        PyErr_SetString(PyExc_TypeError, "a result without metadata has no rows");
        status = -1;
    }
    else if (is_unwanted(self->exchange, result) || result->error != Py_None) {
        status = skip_rows(self);
    }
    else {
        Py_INCREF(metadata);
        status = read_row_frames(self, result, metadata);
        Py_DECREF(metadata);
    }
    Py_DECREF(result);
    return status;
}

Py_ssize_t
read_from(State *state, SessionState *session, ExchangeState *exchange, PyObject *buffer,
          Py_ssize_t position, Py_ssize_t end)
{
    Reading reading;
    int status = 1;

    if (exchange->reading == PAYLOADS) {
        return position;
    }
    if (find_slots(state) < 0) {
        return -1;
    }
    reading.state = state;
    reading.session = session;
    reading.exchange = exchange;
    reading.buffer = buffer;
    reading.position = position;
    reading.end = end;
    reading.is_held = 0;
    Py_INCREF(exchange);
    while (status > 0 && reading.position < end && is_due(session, exchange)) {
        status = exchange->reading == RESPONSE ? read_first(&reading)
                 : exchange->reading == ROWS   ? read_in_rows(&reading)
                                               : 0;
    }
    release(&reading);
    Py_DECREF(exchange);
    return status < 0 ? -1 : reading.position;
}

PyObject *
read_response(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    Py_ssize_t position, end;
    ExchangeState *exchange;

    if (nargs != 4 || !PyObject_TypeCheck(args[0], state->session_state_type)) {
        PyErr_SetString(PyExc_TypeError, "read_response takes a session, a buffer, position, end");
        return NULL;
    }
    if (range_arguments(args + 2, &position, &end) < 0) {
        return NULL;
    }
    exchange = oldest_exchange(state, (SessionState *)args[0]);
    if (exchange != NULL) {
        position = read_from(state, (SessionState *)args[0], exchange, args[1], position, end);
        Py_DECREF(exchange);
    }
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(position);
}
