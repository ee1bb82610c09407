/* Parameters of a prepared statement: the usual types, in UTF-8.  See parameters.py. */
#ifndef AIOMYSQL_PROTOCOL_VALUES_PARAMETERS_H
#define AIOMYSQL_PROTOCOL_VALUES_PARAMETERS_H

#include "module.h"

enum { DATE_LENGTH = 10, DATETIME_LENGTH = 19, FRACTION_LENGTH = 7 };

/* Of what put_temporal() writes, at most. */
enum { TEMPORAL_SIZE = 1 + DATETIME_LENGTH + FRACTION_LENGTH };

/* Writes `value`, which is not None and counted by parameters_size(), and sets type[0], and
 * type[1] (the flags) unless it is 0.  Returns where the value ends; NULL, with no exception, for
 * what is left to Python. */
char *put_parameter(const State *state, char *to, PyObject *value, unsigned char *type);

/* Whether a datetime, of exactly that type, is written as it stands.  `as_is`: see
 * SessionZone.as_is; NULL or None: all are. */
static inline int
is_written_as_it_is(PyObject *value, PyObject *as_is)
{
    PyObject *tzinfo = PyDateTime_DATE_GET_TZINFO(value);

    return as_is == NULL || as_is == Py_None || tzinfo == Py_None || tzinfo == as_is;
}

/* The bytes that the values of `values`, a tuple, take.  -1 without an exception: one is not of the
 * usual types, or a datetime that is not written as it stands. */
Py_ssize_t parameters_size(const State *state, PyObject *values, PyObject *as_is);

/* Writes the values of `values`, a tuple: a bit for each, two bytes of type, and the values, in as
 * many bytes as parameters_size() says.  0: it is left to Python. */
int put_parameters(const State *state, PyObject *values, char *bitmap, char *types, char *to);

/* Writes a date or datetime as text, with its length before it.  Returns where it ends. */
char *put_temporal(const State *state, char *to, PyObject *value);

/* pack_parameters(values, as_is=None) -> tuple | None */
PyObject *pack_parameters(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
