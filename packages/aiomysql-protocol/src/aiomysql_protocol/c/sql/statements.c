#include "sql/statements.h"

#include <string.h>

enum { LONGEST_FIRST_WORD = 8 };

static const char *const simple_words[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE",
                                           "WITH",   "SHOW",   "DO",     "VALUES", "TABLE",
                                           "EXPLAIN", "DESC",  "DESCRIBE", NULL};
static const char *const row_changes[] = {"INSERT", "REPLACE", "UPDATE", "DELETE", NULL};

static inline int
is_sql_space(unsigned char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static inline int
is_sql_letter(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* Pass over spaces and parentheses, and over comments that the server doesn't execute. */
static const char *
skip_gap(const char *at, const char *end)
{
    for (;;) {
        while (at < end && (is_sql_space((unsigned char)*at) || *at == '(')) {
            at++;
        }
        if (at < end && (*at == '#' || (end - at > 2 && at[0] == '-' && at[1] == '-' &&
                                        is_sql_space((unsigned char)at[2])))) {
            const char *rest = at + (*at == '#' ? 1 : 2);
            const char *line = memchr(rest, '\n', (size_t)(end - rest));
            if (line == NULL) {
                return at; /* nothing stands behind it */
            }
            at = line + 1;
            continue;
        }
        if (end - at < 2 || at[0] != '/' || at[1] != '*' ||
            (end - at > 2 && (at[2] == '!' || at[2] == 'M' || at[2] == '+'))) {
            return at;
        }
        const char *close = at + 2;
        while (end - close >= 2 && !(close[0] == '*' && close[1] == '/')) {
            close++;
        }
        if (end - close < 2) {
            return at; /* the comment has no end */
        }
        at = close + 2;
    }
}

/* Whether what stands from `at` on is the rest of one statement.  Its semicolons may stand in
 * quotes, in which backslashes escape or don't, and at its end.  What has comments, or bytes out of
 * quotes that are the second of a character perhaps, is not looked into. */
static int
is_one_statement(const char *at, const char *end, int escaping)
{
    while (at < end) {
        unsigned char byte = (unsigned char)*at++;
        if (byte == ';') {
            while (at < end && is_sql_space((unsigned char)*at)) {
                at++;
            }
            return at == end;
        }
        if (byte == '\\' || byte == '#' || byte >= 0x80 ||
            (byte == '-' && at < end && *at == '-') ||
            (byte == '/' && at < end && *at == '*')) {
            return 0;
        }
        if (byte != '\'' && byte != '"' && byte != '`') {
            continue;
        }
        /* A doubled quote ends here, and begins anew at once. */
        while (at < end && (unsigned char)*at != byte) {
            if (byte == '`' && (unsigned char)*at >= 0x80) {
                return 0;
            }
            at += escaping && byte != '`' && *at == '\\' ? 2 : 1;
        }
        if (at >= end) {
            return 0;
        }
        at++;
    }
    return 1;
}

/* Where the first word ends, if it is one of `words`; NULL: it is another one. */
static const char *
behind_first_word(const char *const *words, const char *at, const char *end)
{
    char word[LONGEST_FIRST_WORD + 1];
    int length = 0;

    at = skip_gap(at, end);
    while (at < end && is_sql_letter((unsigned char)*at)) {
        if (length == LONGEST_FIRST_WORD) {
            return NULL;
        }
        word[length++] = (char)(*at++ & ~0x20);
    }
    word[length] = '\0';
    if (at < end) {
        unsigned char next = (unsigned char)*at;
        if (next >= 0x80 || next == '_' || next == '$' || (next >= '0' && next <= '9')) {
            return NULL;
        }
    }
    for (; *words != NULL; words++) {
        if (strcmp(word, *words) == 0) {
            return at;
        }
    }
    return NULL;
}

int
is_row_change_text(const char *text, Py_ssize_t size)
{
    return behind_first_word(row_changes, text, text + size) != NULL;
}

int
is_simple_text(const char *text, Py_ssize_t size)
{
    const char *end = text + size, *at = behind_first_word(simple_words, text, end), *semicolon;

    if (at == NULL) {
        return 0;
    }
    semicolon = memchr(at, ';', (size_t)(end - at));
    return semicolon == NULL || is_one_statement(semicolon, end, 0) ||
           (is_one_statement(at, end, 1) && is_one_statement(at, end, 0));
}

PyObject *
is_simple_statement(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    const char *text = NULL;
    Py_ssize_t start, size = 0;

    if (nargs != 2 || !(PyBytes_Check(args[0]) || PyUnicode_Check(args[0]))) {
        PyErr_SetString(PyExc_TypeError, "is_simple_statement takes a statement and a position");
        return NULL;
    }
    if (PyUnicode_Check(args[0])) {
        text = PyUnicode_AsUTF8AndSize(args[0], &size);
    }
    else {
        text = PyBytes_AS_STRING(args[0]);
        size = PyBytes_GET_SIZE(args[0]);
    }
    if (text == NULL) {
        return NULL;
    }
    start = PyLong_AsSsize_t(args[1]);
    if (start == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (start < 0 || start > size) {
        Py_RETURN_FALSE;
    }
    return PyBool_FromLong(is_simple_text(text + start, size - start));
}

PyObject *
is_row_change(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t start, size;

    if (nargs != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "is_row_change takes a statement and a position");
        return NULL;
    }
    start = PyLong_AsSsize_t(args[1]);
    if (start == -1 && PyErr_Occurred()) {
        return NULL;
    }
    size = PyBytes_GET_SIZE(args[0]);
    if (start < 0 || start > size) {
        Py_RETURN_FALSE;
    }
    return PyBool_FromLong(is_row_change_text(PyBytes_AS_STRING(args[0]) + start, size - start));
}
