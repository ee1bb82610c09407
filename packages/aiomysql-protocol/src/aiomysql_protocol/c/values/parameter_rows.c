#include "values/parameter_rows.h"

#include "field_types.h"
#include "module.h"
#include "sequences.h"
#include "values/parameters.h"
#include "values/text.h"

/* What stands in front of each value. */
enum { VALUE_FOLLOWS = 0, VALUE_IS_NULL = 1 };

/* Rows with values of the same types. */
typedef struct {
    Text text;
    unsigned char *types; /* two bytes for each parameter; TYPE_NULL: it is not decided yet */
    unsigned char *tried; /* the same, with those of the row under way */
    Py_ssize_t count;     /* of the parameters */
    PyObject *as_is;      /* see parameters.h */
} Rows;

/* The bytes that the row takes; -1, with no exception, for what is left to Python. */
static Py_ssize_t
row_size(const State *state, PyObject *values, PyObject *as_is)
{
    Py_ssize_t size = parameters_size(state, values, as_is), count = PyTuple_GET_SIZE(values);

    return size < 0 || size > PY_SSIZE_T_MAX - count ? -1 : size + count;
}

/* 0: a value is left to Python, or is of another type than those before. */
static int
put_row(const State *state, Rows *rows, PyObject *values, char *to)
{
    memcpy(rows->tried, rows->types, 2 * (size_t)rows->count);
    for (Py_ssize_t i = 0; i < rows->count; i++) {
        PyObject *value = PyTuple_GET_ITEM(values, i);
        unsigned char *known = rows->tried + 2 * i, type[2] = {0, 0};

        if (value == Py_None) {
            *to++ = VALUE_IS_NULL;
            continue;
        }
        *to++ = VALUE_FOLLOWS;
        to = put_parameter(state, to, value, type);
        if (to == NULL || (known[0] != TYPE_NULL && memcmp(known, type, 2) != 0)) {
            return 0;
        }
        memcpy(known, type, 2);
    }
    memcpy(rows->types, rows->tried, 2 * (size_t)rows->count);
    return 1;
}

/* Writes a row, any object. */
static int
write_row(const State *state, Rows *rows, PyObject *row, Py_ssize_t room)
{
    PyObject *values;
    Py_ssize_t size;
    int done = LEFT;

    if (!PyTuple_Check(row) && !PyList_Check(row)) {
        return LEFT;
    }
    values = tuple_of(row);
    if (values == NULL) {
        return FAILED;
    }
    if (PyTuple_GET_SIZE(values) == rows->count &&
        (size = row_size(state, values, rows->as_is)) >= 0 && size <= room - rows->text.length) {
        char *to = reserve(&rows->text, size);
        if (to == NULL) {
            done = FAILED;
        }
        else if (put_row(state, rows, values, to)) {
            rows->text.length += size;
            done = WRITTEN;
        }
    }
    Py_DECREF(values);
    return done;
}

static int
write_next_row(const State *state, Rows *rows, PyObject *from, Py_ssize_t at, Py_ssize_t room)
{
    Py_ssize_t count = PySequence_Size(from);
    PyObject *row;
    int done;

    if (count < 0 || at >= count) {
        return count < 0 ? FAILED : LEFT;
    }
    row = PySequence_GetItem(from, at);
    if (row == NULL) {
        return FAILED;
    }
    done = write_row(state, rows, row, room);
    Py_DECREF(row);
    return done;
}

PyObject *
write_parameter_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const State *state = PyModule_GetState(module);
    Rows rows = {{NULL, 0, 0}, NULL, NULL, 0, nargs == 5 ? args[4] : NULL};
    Py_ssize_t at, room, length;
    PyObject *result = NULL;
    int done;

    if ((nargs != 4 && nargs != 5) || !PyBytes_Check(args[3])) {
        PyErr_SetString(PyExc_TypeError,
                        "write_parameter_rows takes rows, start, room, bytes and perhaps as_is");
        return NULL;
    }
    if (((at = PyNumber_AsSsize_t(args[1], PyExc_ValueError)) == -1 && PyErr_Occurred()) ||
        ((room = PyNumber_AsSsize_t(args[2], PyExc_ValueError)) == -1 && PyErr_Occurred())) {
        return NULL;
    }
    if (at < 0) {
        PyErr_SetString(PyExc_ValueError, "start must not be negative");
        return NULL;
    }
    rows.count = PyBytes_GET_SIZE(args[3]) / 2;
    length = 2 * rows.count;
    rows.types = PyMem_Calloc(2, (size_t)length + 1);
    if (rows.types == NULL) {
        return PyErr_NoMemory();
    }
    rows.tried = rows.types + length;
    memcpy(rows.types, PyBytes_AS_STRING(args[3]), (size_t)length);
    while ((done = write_next_row(state, &rows, args[0], at, room)) == WRITTEN) {
        at++;
    }
    if (done != FAILED) {
        result = Py_BuildValue("y#y#n", rows.text.data == NULL ? "" : rows.text.data,
                               rows.text.length, (char *)rows.types, length, at);
    }
    PyMem_Free(rows.text.data);
    PyMem_Free(rows.types);
    return result;
}
