/* Values: from the bytes of one cell to a Python object. */
#ifndef AIOMYSQL_PROTOCOL_ROWS_CELLS_H
#define AIOMYSQL_PROTOCOL_ROWS_CELLS_H

#include "module.h"

/* CellKind; the prefix because Windows has types called INT, FLOAT and DATE. */
enum {
    KIND_TEXT,
    KIND_BYTES,
    KIND_INT,
    KIND_FLOAT,
    KIND_DECIMAL,
    KIND_DATETIME,
    KIND_DATE,
    KIND_TIMEDELTA,
    KIND_CONVERT,
    KIND_TIMESTAMP,
    KINDS
};

enum { UTF8, ASCII_SUPERSET, OTHER_ENCODING };

typedef struct Column Column;

/* Reads a cell.  NULL without an exception: a shape that it does not know.  The readers only
 * know the common shapes.  Every other value, and every error message, is left to the column's
 * general reader, a function of rows/cells.py or rows/binary_cells.py. */
typedef PyObject *(*CellReader)(const State *state, const Column *column, const char *text,
                                Py_ssize_t length);

struct Column {
    CellReader read;
    int kind;
    int encoding_class;
    const char *encoding; /* owned by the plan */
    PyObject *converter;  /* owned by the plan */
    PyObject *general;    /* reads what `read` does not know */
    PyObject *tzinfo;     /* of a TIMESTAMP's values, while `localize` is NULL; or NULL */
    PyObject *localize;   /* makes them aware where the zone has rules; or NULL */
    int never_repeated;   /* not worth, or not fit, for sharing values that have the same bytes */
    int calls_without;    /* that it rests before sharing is tried again: see row_reader.c */
    /* Of binary rows; in text rows all zero. */
    int size; /* bytes of each value; 0: it carries its length */
    long decimals;
};

/* The reader of text cells, after the column's kind is set. */
CellReader text_reader(const Column *column);

/* Sets what a column of binary rows needs, after its kind is set. */
void set_binary_reader(Column *column, long type_code, long decimals, int is_unsigned);

/* The reader of bytes: its values are the bytes of the cell. */
PyObject *read_bytes(const State *state, const Column *column, const char *text, Py_ssize_t length);

/* What none of the other readers knows.  NULL: an exception is set. */
PyObject *read_with_general(const Column *column, const char *text, Py_ssize_t length);

static inline PyObject *
read_value(const State *state, const Column *column, const char *text, Py_ssize_t length)
{
    PyObject *value = column->read(state, column, text, length);

    return value != NULL ? value : read_with_general(column, text, length);
}

/* What a constructor of datetime returned; a value out of its range is no exception here. */
static inline PyObject *
unless_out_of_range(PyObject *result)
{
    if (result == NULL && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
    }
    return result;
}

/* A TIMESTAMP's value, naive where the zone has rules, as the column has it; takes over the
 * reference.  NULL without an exception: it is left to the general reader. */
static inline PyObject *
localized(const Column *column, PyObject *value)
{
    if (value != NULL && column->localize != NULL) {
        Py_SETREF(value, PyObject_CallOneArg(column->localize, value));
    }
    return unless_out_of_range(value);
}

#endif
