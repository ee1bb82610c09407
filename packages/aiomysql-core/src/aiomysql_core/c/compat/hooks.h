/* What is to be known of a class of cursors or connections: see hooks.py.  It is asked again whenever
 * the class, or one above it, was changed: by the version tag that CPython gives classes for its
 * own caches. */
#ifndef AIOMYSQL_CORE_COMPAT_HOOKS_H
#define AIOMYSQL_CORE_COMPAT_HOOKS_H

#include "engine/cursor_state.h"

/* As in hooks.py. */
enum {
    HOOK_MOGRIFY = 1,
    HOOK_QUERY = 2,
    HOOK_TAKE_RESULT = 4,
    HOOK_FORGET_RESULT = 8,
    HOOK_CREATION = 16,
    CURSOR_UNBUFFERED = 32,
    CURSOR_CONVERTS_ROWS = 64,
    CURSOR_DICT_ROWS = 128,
};
enum { LITERALS_REPLACED = 1, TEXT_REPLACED = 2, QUERY_REPLACED = 4 };

/* The flags of a class of cursors, or of one cursor.  -1: an exception is set. */
int cursor_class_flags(State *state, PyTypeObject *type);
int cursor_flags(State *state, CursorState *cursor);

/* The flags of a connection.  -1: an exception is set. */
int connection_flags(State *state, PyObject *connection);

#endif
