#include "compat/hooks.h"

#include "engine/connection_state.h"

/* What `ask` says of `type`.  -1: an exception is set. */
static int
asked_flags(PyObject *ask, PyObject *of)
{
    PyObject *found = PyObject_CallOneArg(ask, of);
    long flags = found == NULL ? -1 : PyLong_AsLong(found);

    Py_XDECREF(found);
    return (int)flags;
}

static int
class_flags(PyObject *ask, ClassFlags *known, PyTypeObject *type, PyObject *any_name)
{
    unsigned int version = type->tp_version_tag;
    ClassFlags *entry = &known[version % CLASS_FLAGS];
    int flags;

    if (version != 0 && entry->version == version) {
        return entry->flags;
    }
    Py_INCREF(type); /* its last object may change its class meanwhile */
    if (version == 0) { /* it gets one when something is looked up in it, unless there are no more */
        PyObject *found = PyObject_GetAttr((PyObject *)type, any_name);
        if (found == NULL) {
            Py_DECREF(type);
            return -1;
        }
        Py_DECREF(found);
        version = type->tp_version_tag;
    }
    flags = asked_flags(ask, (PyObject *)type);
    if (flags >= 0 && version != 0 && type->tp_version_tag == version) {
        known[version % CLASS_FLAGS] = (ClassFlags){version, flags};
    }
    Py_DECREF(type);
    return flags;
}

int
cursor_class_flags(State *state, PyTypeObject *type)
{
    if (find_late_objects(state) < 0) {
        return -1;
    }
    return class_flags(state->cursor_hooks, state->cursor_classes, type, state->names.mogrify);
}

/* Whether others have set one of `names`, a tuple, on an object; own: what they have set on it.  -1:
 * an exception is set. */
static int
has_own_hooks(PyObject *own, PyObject *names)
{
    int found = 0;

    if (own == NULL || PyDict_GET_SIZE(own) == 0) {
        return 0;
    }
    Py_INCREF(own);
    for (Py_ssize_t i = 0; found == 0 && i < PyTuple_GET_SIZE(names); i++) {
        found = PyDict_Contains(own, PyTuple_GET_ITEM(names, i));
    }
    Py_DECREF(own);
    return found;
}

int
cursor_flags(State *state, CursorState *cursor)
{
    int has_hooks = find_late_objects(state) < 0
                        ? -1
                        : has_own_hooks(cursor->own, state->cursor_attributes);
    int flags;

    if (has_hooks != 0) {
        return has_hooks < 0 ? -1 : asked_flags(state->cursor_hooks_of, (PyObject *)cursor);
    }
    flags = cursor_class_flags(state, Py_TYPE(cursor));
    return flags < 0 ? -1 : flags | cursor->_row_flags;
}

int
connection_flags(State *state, PyObject *connection)
{
    int has_hooks = 0;

    if (find_late_objects(state) < 0) {
        return -1;
    }
    if (PyObject_TypeCheck(connection, state->connection_state_type)) {
        has_hooks = has_own_hooks(((ConnectionState *)connection)->own,
                                  state->connection_attributes);
    }
    if (has_hooks != 0) {
        return has_hooks < 0 ? -1 : asked_flags(state->connection_hooks_of, connection);
    }
    return class_flags(state->connection_hooks, state->connection_classes, Py_TYPE(connection),
                       state->names.escape);
}
