/* Rows of literals, written straight in UTF-8, for statements of many rows. */
#ifndef AIOMYSQL_PROTOCOL_VALUES_ROW_LITERALS_H
#define AIOMYSQL_PROTOCOL_VALUES_ROW_LITERALS_H

#include "values/text.h"

/* What follows appends a value as the digits and signs of its literal; LEFT: Python knows whether
 * it has one. */

/* An int or a bool. */
int append_long(Text *text, PyObject *value);

/* exponent: whether there is to be one always, which makes it a DOUBLE in a statement. */
int append_float(Text *text, double number, int exponent);

/* An exact Decimal. */
int append_decimal(Text *text, PyObject *value);

/* write_rows(pieces, rows, start, room, no_backslash_escapes, other, separator, as_is=None)
 * -> (bytes, end)  */
PyObject *write_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
