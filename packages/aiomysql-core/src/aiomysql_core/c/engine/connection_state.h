/* The first base of connections: see connection_state.py. */
#ifndef AIOMYSQL_CORE_ENGINE_CONNECTION_STATE_H
#define AIOMYSQL_CORE_ENGINE_CONNECTION_STATE_H

#include "module.h"

/* Attributes of Connection. */
#define CONNECTION_OBJECTS(X)                                                                      \
    X(_asking_password) X(_auth_plugin_used) X(_channel) X(_echo) X(_given)                        \
    X(_last_command) X(_last_greeting) X(_literals) X(_loop) X(_opening) X(_options)               \
    X(_server_auth_plugin)                                                                         \
    X(autocommit_mode) X(cursorclass) X(decoders) X(get_warnings) X(host_info) X(init_command)     \
    X(row_factory) X(skip_idle_commits) X(sql_mode) X(use_unicode)                \
    X(warn_uncommitted)

/* Those of them that are for cursors. */
#define CONNECTION_PARTS(X) X(encoder) X(runner) X(session_charset) X(statements)

typedef struct {
    PyObject_HEAD
#define X(name) PyObject *name;
    CONNECTION_OBJECTS(X)
    CONNECTION_PARTS(X)
#undef X
    PyObject *own; /* the attributes that others have set, a dict; or NULL */
} ConnectionState;

extern PyType_Spec ConnectionState_spec;

#endif
