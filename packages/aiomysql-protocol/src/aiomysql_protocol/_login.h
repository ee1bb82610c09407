/* What a log-in is read with: see payloads.whole_payload and handshake.read_greeting. */
#ifndef AIOMYSQL_PROTOCOL_LOGIN_H
#define AIOMYSQL_PROTOCOL_LOGIN_H

#include "_values.h"

/* Behind the server's version: number of the session, the nonce's first 8 bytes, a filler, half of
 * the capability flags, collation, status flags, the other half, the nonce's length, 6 reserved
 * bytes, and MariaDB's own flags.  Then the rest of the nonce. */
enum { GREETING_FIXED = 31, NONCE_HEAD = 8, NONCE_TAIL = 13, NONCE_MOST = 255 };

/* An integer of `size` bytes. */
static unsigned long
fixed_integer(const unsigned char *bytes, int size)
{
    unsigned long value = 0;

    while (size-- > 0) {
        value = value << 8 | bytes[size];
    }
    return value;
}

/* The items of a Greeting; NULL, perhaps without an exception: it isn't whole, or not of this version
 * of the protocol. */
static PyObject *
greeting_items(const unsigned char *bytes, Py_ssize_t size)
{
    const unsigned char *zero, *fields, *plugin, *end = bytes + size;
    Py_ssize_t tail, plugin_size;
    unsigned long long capabilities;
    char nonce[NONCE_HEAD + NONCE_MOST];
    PyObject *version, *name;

    if (size < 1 || bytes[0] != 10 || (zero = memchr(bytes + 1, 0, (size_t)size - 1)) == NULL ||
        end - zero < 1 + GREETING_FIXED) {
        return NULL;
    }
    fields = zero + 1;
    capabilities = fixed_integer(fields + 13, 2) | fixed_integer(fields + 18, 2) << 16;
    if (!(capabilities & 1)) { /* LONG_PASSWORD, which MariaDB leaves out to say who it is */
        capabilities |= (unsigned long long)fixed_integer(fields + 27, 4) << 32;
    }
    tail = fields[20] - NONCE_HEAD > NONCE_TAIL ? fields[20] - NONCE_HEAD : NONCE_TAIL;
    if (end - fields - GREETING_FIXED < tail) {
        return NULL;
    }
    memcpy(nonce, fields + 4, NONCE_HEAD);
    memcpy(nonce + NONCE_HEAD, fields + GREETING_FIXED, (size_t)tail);
    plugin = fields + GREETING_FIXED + tail;
    zero = memchr(plugin, 0, (size_t)(end - plugin));
    plugin_size = (zero == NULL ? end : zero) - plugin;
    tail += NONCE_HEAD;
    if (nonce[tail - 1] == 0) {
        tail--;
    }
    version = PyUnicode_DecodeASCII((const char *)bytes + 1, fields - 1 - (bytes + 1), "replace");
    name = PyUnicode_DecodeASCII((const char *)plugin, plugin_size, "replace");
    if (version == NULL || name == NULL) {
        Py_XDECREF(version);
        Py_XDECREF(name);
        return NULL;
    }
    return Py_BuildValue("iNkKkky#N", 10, version, fixed_integer(fields, 4), capabilities,
                         fixed_integer(fields + 15, 1), fixed_integer(fields + 16, 2), nonce, tail,
                         name);
}

static PyObject *
read_greeting(PyObject *Py_UNUSED(module), PyObject *payload)
{
    PyObject *items;

    if (!PyBytes_Check(payload)) {
        PyErr_SetString(PyExc_TypeError, "read_greeting takes bytes");
        return NULL;
    }
    items = greeting_items((const unsigned char *)PyBytes_AS_STRING(payload),
                           PyBytes_GET_SIZE(payload));
    if (items == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return items;
}

static PyObject *
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
    else if (room >= 4) {
        const unsigned char *header = (const unsigned char *)view.buf + numbers[0];
        Py_ssize_t length = (Py_ssize_t)fixed_integer(header, 3);
        if (header[3] == numbers[2] && length != 0xFFFFFF && length <= room - 4) {
            payload = PyBytes_FromStringAndSize((const char *)header + 4, length);
        }
    }
    PyBuffer_Release(&view);
    if (payload == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return payload;
}

#endif
