#include "wire/packets.h"

#include "interpreter.h"
#include "wire/lenenc.h"

int
read_ok(const State *state, const unsigned char *payload, Py_ssize_t length, PyObject **ok)
{
    const unsigned char *pos = payload + 1, *end = payload + length;
    uint64_t affected_rows, insert_id;
    PyObject *items[OK_ITEMS];

    if (read_lenenc(&pos, end, &affected_rows) != LENENC_READ ||
        read_lenenc(&pos, end, &insert_id) != LENENC_READ || end - pos < 4) {
        return 0;
    }
    items[OK_AFFECTED_ROWS] = PyLong_FromUnsignedLongLong(affected_rows);
    items[OK_INSERT_ID] = PyLong_FromUnsignedLongLong(insert_id);
    items[OK_SERVER_STATUS] = PyLong_FromLong((long)load_2(pos));
    items[OK_WARNING_COUNT] = PyLong_FromLong((long)load_2(pos + 2));
    items[OK_INFO] = PyBytes_FromStringAndSize((const char *)pos + 4, end - pos - 4);
    *ok = named_tuple((PyTypeObject *)state->ok_type, items, OK_ITEMS);
    return *ok == NULL ? -1 : 1;
}

int
has_more_results(PyObject *ok)
{
    return (PyLong_AsLong(PyTuple_GET_ITEM(ok, OK_SERVER_STATUS)) & MORE_RESULTS) != 0;
}
