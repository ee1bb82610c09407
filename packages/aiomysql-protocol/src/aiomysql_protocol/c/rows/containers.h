/* What becomes of a whole result's rows: a tuple, or dicts.  See text.py. */
#ifndef AIOMYSQL_PROTOCOL_ROWS_CONTAINERS_H
#define AIOMYSQL_PROTOCOL_ROWS_CONTAINERS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* A dict of `names`, a tuple of str, each with None, of which copies are quicker made than new ones.
 * NULL: an exception is set. */
PyObject *dict_template(PyObject *names);

/* A dict with these names and the values of `row`, tuples of the same length.  NULL: an exception is
 * set. */
PyObject *dict_of_row(PyObject *names, PyObject *row);

/* drain_rows(rows) -> tuple */
PyObject *drain_rows(PyObject *module, PyObject *rows);

#endif
