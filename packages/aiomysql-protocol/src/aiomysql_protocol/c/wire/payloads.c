#include "wire/payloads.h"

#include "wire/frame.h"

/* Room is made for as much as there is already, or for this many bytes: a peer that announces more
 * than it sends gets no more memory than that. */
enum { LEAST_ROOM = 1 << 20 };

/* Room for `count` bytes behind those that are there. */
static int
make_room(LongPayload *self, Py_ssize_t count)
{
    Py_ssize_t capacity = self->bytes == NULL ? 0 : PyBytes_GET_SIZE(self->bytes);

    if (count <= capacity - self->size) {
        return 0;
    }
    if (self->views != 0) {
        PyErr_SetString(PyExc_BufferError, "a view of the payload is in use");
        return -1;
    }
    if (count > PY_SSIZE_T_MAX / 4 - self->size) {
        PyErr_NoMemory();
        return -1;
    }
    if (self->bytes == NULL) {
        self->bytes = PyBytes_FromStringAndSize(NULL, count);
        return self->bytes == NULL ? -1 : 0;
    }
    if (_PyBytes_Resize(&self->bytes, self->size + count) < 0) {
        self->size = 0;
        return -1;
    }
    return 0;
}

static PyObject *
LongPayload_gather(LongPayload *self, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t start, stop;
    Py_buffer view;
    int failed;

    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "gather takes a buffer, start and stop");
        return NULL;
    }
    if (((start = PyNumber_AsSsize_t(args[1], PyExc_ValueError)) == -1 && PyErr_Occurred()) ||
        ((stop = PyNumber_AsSsize_t(args[2], PyExc_ValueError)) == -1 && PyErr_Occurred()) ||
        PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    failed = start < 0 || start > stop || stop > view.len;
    if (failed) {
        PyErr_SetString(PyExc_ValueError, "start and stop must lie within the buffer");
    }
    else if (stop > start) {
        failed = make_room(self, stop - start) < 0;
        if (!failed) {
            memcpy(payload_start(self) + self->size, (char *)view.buf + start,
                   (size_t)(stop - start));
            self->size += stop - start;
        }
    }
    PyBuffer_Release(&view);
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *
LongPayload_room(LongPayload *self, PyObject *limit)
{
    Py_ssize_t count = PyNumber_AsSsize_t(limit, PyExc_ValueError);
    Py_ssize_t most = self->size > LEAST_ROOM ? self->size : LEAST_ROOM;
    PyObject *view;

    if (count == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (count < 1) {
        PyErr_SetString(PyExc_ValueError, "the limit must be greater than zero");
        return NULL;
    }
    count = count < most ? count : most;
    if (make_room(self, count) < 0) {
        return NULL;
    }
    self->room = count;
    view = PyMemoryView_FromObject((PyObject *)self);
    self->room = 0;
    return view;
}

static PyObject *
LongPayload_fill(LongPayload *self, PyObject *number)
{
    Py_ssize_t count = PyNumber_AsSsize_t(number, PyExc_ValueError);

    if (count == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (count < 0 ||
        count > (self->bytes == NULL ? 0 : PyBytes_GET_SIZE(self->bytes) - self->size)) {
        PyErr_SetString(PyExc_ValueError, "there is no room for so many bytes");
        return NULL;
    }
    self->size += count;
    Py_RETURN_NONE;
}

PyObject *
take_from_payload(LongPayload *self, Py_ssize_t start, Py_ssize_t count)
{
    PyObject *taken = self->bytes;

    self->bytes = NULL;
    self->size = 0;
    memmove(PyBytes_AS_STRING(taken), PyBytes_AS_STRING(taken) + start, (size_t)count);
    (void)_PyBytes_Resize(&taken, count);
    return taken;
}

static int
LongPayload_getbuffer(LongPayload *self, Py_buffer *view, int flags)
{
    char *start = self->bytes == NULL ? (char *)"" : payload_start(self);
    int failed;

    if (self->room != 0) {
        failed =
            PyBuffer_FillInfo(view, (PyObject *)self, start + self->size, self->room, 0, flags);
    }
    else {
        failed = PyBuffer_FillInfo(view, (PyObject *)self, start, self->size, 1, flags);
    }
    self->views += !failed;
    return failed;
}

static void
LongPayload_releasebuffer(LongPayload *self, Py_buffer *Py_UNUSED(view))
{
    self->views--;
}

static Py_ssize_t
LongPayload_length(LongPayload *self)
{
    return self->size;
}

static PyObject *
LongPayload_subscript(LongPayload *self, PyObject *key)
{
    Py_ssize_t start, stop, step, count;

    if (PySlice_Check(key)) {
        if (PySlice_Unpack(key, &start, &stop, &step) < 0) {
            return NULL;
        }
        count = PySlice_AdjustIndices(self->size, &start, &stop, step);
        if (step != 1) {
            PyErr_SetString(PyExc_ValueError, "the step of a slice must be 1");
            return NULL;
        }
        return PyBytes_FromStringAndSize(count == 0 ? NULL : payload_start(self) + start, count);
    }
    start = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (start == -1 && PyErr_Occurred()) {
        return NULL;
    }
    start += start < 0 ? self->size : 0;
    if (start < 0 || start >= self->size) {
        PyErr_SetString(PyExc_IndexError, "index out of range");
        return NULL;
    }
    return PyLong_FromLong((unsigned char)payload_start(self)[start]);
}

static void
LongPayload_dealloc(LongPayload *self)
{
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(self->bytes);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef LongPayload_methods[] = {
    {"gather", (PyCFunction)(void (*)(void))LongPayload_gather, METH_FASTCALL,
     "See payloads.LongPayload.gather."},
    {"room", (PyCFunction)LongPayload_room, METH_O, "See payloads.LongPayload.room."},
    {"fill", (PyCFunction)LongPayload_fill, METH_O, "See payloads.LongPayload.fill."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot LongPayload_slots[] = {
    {Py_tp_doc, "LongPayload()\n--\n\nSee payloads.LongPayload."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, LongPayload_dealloc},
    {Py_tp_methods, LongPayload_methods},
    {Py_mp_length, LongPayload_length},
    {Py_mp_subscript, LongPayload_subscript},
    {Py_bf_getbuffer, LongPayload_getbuffer},
    {Py_bf_releasebuffer, LongPayload_releasebuffer},
    {0, NULL},
};

PyType_Spec LongPayload_spec = {
    .name = "aiomysql_protocol._speedups.LongPayload",
    .basicsize = sizeof(LongPayload),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = LongPayload_slots,
};

PyObject *
whole_payload(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t numbers[3], room;
    PyObject *payload = NULL;
    Py_buffer view;

    if (nargs != 4) {
        PyErr_Format(PyExc_TypeError, "whole_payload takes 4 positional arguments, not %zd",
                     nargs);
        return NULL;
    }
    for (int i = 0; i < 3; i++) {
        numbers[i] = PyNumber_AsSsize_t(args[i + 1], PyExc_ValueError);
        if (numbers[i] == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    room = numbers[1] - numbers[0];
    if (numbers[0] < 0 || room < 0 || numbers[1] > view.len) {
        PyErr_SetString(PyExc_ValueError, "position and end must lie within the buffer");
    }
    else if (numbers[2] >= 0 && numbers[2] <= 255) {
        const unsigned char *start = (const unsigned char *)view.buf + numbers[0];
        Py_ssize_t length;
        const unsigned char *found =
            frame_payload(start, start + room, (unsigned)numbers[2], &length);
        if (found != NULL) {
            payload = PyBytes_FromStringAndSize((const char *)found, length);
        }
    }
    PyBuffer_Release(&view);
    if (payload == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return payload;
}
