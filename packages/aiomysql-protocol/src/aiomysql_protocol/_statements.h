/* is_simple_statement: see statements.py. */
#ifndef AIOMYSQL_PROTOCOL_STATEMENTS_H
#define AIOMYSQL_PROTOCOL_STATEMENTS_H

#include "_values.h"

#include <string.h>

enum { LONGEST_FIRST_WORD = 8 };

static const char *const simple_words[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE",
                                           "WITH",   "SHOW",   "DO",     "VALUES", "TABLE",
                                           "EXPLAIN", "DESC",  "DESCRIBE", NULL};

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

/* Pass over spaces, and over comments that the server doesn't execute. */
static const char *
skip_gap(const char *at, const char *end)
{
    for (;;) {
        while (at < end && is_sql_space((unsigned char)*at)) {
            at++;
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

static int
begins_simply(const char *at, const char *end)
{
    char word[LONGEST_FIRST_WORD + 1];
    int length = 0;

    at = skip_gap(at, end);
    while (at < end && is_sql_letter((unsigned char)*at)) {
        if (length == LONGEST_FIRST_WORD) {
            return 0;
        }
        word[length++] = (char)(*at++ & ~0x20);
    }
    word[length] = '\0';
    if (at < end) {
        unsigned char next = (unsigned char)*at;
        if (next >= 0x80 || next == '_' || next == '$' || (next >= '0' && next <= '9')) {
            return 0;
        }
    }
    for (const char *const *simple = simple_words; *simple != NULL; simple++) {
        if (strcmp(word, *simple) == 0) {
            return 1;
        }
    }
    return 0;
}

/* is_simple_statement(statement, start, /) -> bool */
static PyObject *
is_simple_statement(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    const char *at, *end, *semicolon;
    Py_ssize_t start;

    if (nargs != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "is_simple_statement takes bytes and a position");
        return NULL;
    }
    start = PyLong_AsSsize_t(args[1]);
    if (start == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (start < 0 || start > PyBytes_GET_SIZE(args[0])) {
        Py_RETURN_FALSE;
    }
    at = PyBytes_AS_STRING(args[0]) + start;
    end = PyBytes_AS_STRING(args[0]) + PyBytes_GET_SIZE(args[0]);
    if (!begins_simply(at, end)) {
        Py_RETURN_FALSE;
    }
    semicolon = memchr(at, ';', (size_t)(end - at));
    if (semicolon != NULL) {
        for (semicolon++; semicolon < end; semicolon++) {
            if (!is_sql_space((unsigned char)*semicolon)) {
                Py_RETURN_FALSE;
            }
        }
    }
    Py_RETURN_TRUE;
}

#endif
