#include "login/handshake.h"

#include "wire/bytes.h"

#include <string.h>

/* Behind the server's version: number of the session, the nonce's first 8 bytes, a filler, half of
 * the capability flags, collation, status flags, the other half, the nonce's length, 6 reserved
 * bytes, and MariaDB's own flags.  Then the rest of the nonce. */
enum { GREETING_FIXED = 31, NONCE_HEAD = 8, NONCE_TAIL = 13, NONCE_MOST = 255 };

/* The items of a Greeting; NULL, perhaps without an exception: it isn't whole, or not of this
 * version of the protocol. */
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
    capabilities = load_2(fields + 13) | (unsigned long)load_2(fields + 18) << 16;
    if (!(capabilities & 1)) { /* LONG_PASSWORD, which MariaDB leaves out to say who it is */
        capabilities |= (unsigned long long)load_4(fields + 27) << 32;
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
    return Py_BuildValue("iNkKkky#N", 10, version, (unsigned long)load_4(fields), capabilities,
                         (unsigned long)fields[15], (unsigned long)load_2(fields + 16), nonce, tail,
                         name);
}

PyObject *
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
