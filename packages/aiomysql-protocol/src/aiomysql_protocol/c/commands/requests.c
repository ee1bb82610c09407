#include "commands/requests.h"

#include "commands/exchange_state.h"
#include "module.h"
#include "session_state.h"
#include "sql/statements.h"
#include "values/parameters.h"
#include "wire/frame.h"

enum { COM_QUERY = 0x03 };

/* An object of `type`, a Query or Execute, with its request, to which it takes over the reference
 * (NULL: an exception is set).  NULL: an exception is set. */
static ExchangeState *
new_exchange(PyTypeObject *type, PyObject *request, int streamed, int as_dicts)
{
    PyObject *results = request == NULL ? NULL : PyList_New(0);
    ExchangeState *exchange = results == NULL ? NULL : (ExchangeState *)new_state((PyObject *)type);

    if (exchange == NULL) {
        Py_XDECREF(results);
        Py_XDECREF(request);
        return NULL;
    }
    exchange->reading = RESPONSE;
    Py_XSETREF(exchange->results, results);
    Py_XSETREF(exchange->request, request);
    Py_XSETREF(exchange->streamed, PyBool_FromLong(streamed));
    Py_XSETREF(exchange->as_dicts, PyBool_FromLong(as_dicts));
    return exchange;
}

/* ---- Text ---- */

/* The request for `statement`, bytes. */
static PyObject *
query_request(PyObject *statement)
{
    Py_ssize_t size = PyBytes_GET_SIZE(statement);
    PyObject *request = PyBytes_FromStringAndSize(NULL, 1 + size);

    if (request != NULL) {
        char *to = PyBytes_AS_STRING(request);
        *to = COM_QUERY;
        memcpy(to + 1, PyBytes_AS_STRING(statement), (size_t)size);
    }
    return request;
}

/* Whether the statement that `text`, a str, is in UTF-8 is simple.  -1: an exception is set. */
static int
is_simple_str(PyObject *text)
{
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);
    PyObject *replaced;
    int simple;

    if (bytes != NULL) {
        return is_simple_text(bytes, size);
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        return -1;
    }
    PyErr_Clear(); /* a lone surrogate changes nothing of the answer */
    replaced = PyUnicode_AsEncodedString(text, "utf-8", "replace");
    if (replaced == NULL) {
        return -1;
    }
    simple = is_simple_text(PyBytes_AS_STRING(replaced), PyBytes_GET_SIZE(replaced));
    Py_DECREF(replaced);
    return simple;
}

PyObject *
encode_query(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    int streamed, as_dicts, simple;
    ExchangeState *query;

    if (nargs != 4 || !PyBytes_Check(args[0]) ||
        !(args[1] == Py_None || PyUnicode_Check(args[1]))) {
        PyErr_SetString(PyExc_TypeError,
                        "encode_query takes bytes, a str or None, streamed and as_dicts");
        return NULL;
    }
    if ((streamed = PyObject_IsTrue(args[2])) < 0 || (as_dicts = PyObject_IsTrue(args[3])) < 0 ||
        find_slots(state) < 0) {
        return NULL;
    }
    simple = args[1] == Py_None
                 ? is_simple_text(PyBytes_AS_STRING(args[0]), PyBytes_GET_SIZE(args[0]))
                 : is_simple_str(args[1]);
    query = simple < 0 ? NULL
                       : new_exchange(state->owners.query, query_request(args[0]), streamed,
                                      as_dicts);
    if (query != NULL) {
        Py_XSETREF(query->is_simple, PyBool_FromLong(simple));
    }
    return (PyObject *)query;
}

/* ---- Prepared statements ---- */

/* The request that executes `prepared` with `values`, a tuple.  NULL without an exception: some of
 * them are not of the usual types, or not of those accepted last. */
static PyObject *
execution_request(const State *state, PyObject *writer, PyObject *prepared, PyObject *values)
{
    PyObject *head = SLOT(state, prepared, prepared_head);
    PyObject *accepted = SLOT(state, prepared, prepared_accepted_last);
    PyObject *wanted = SLOT(state, prepared, prepared_parameter_count);
    Py_ssize_t count = PyTuple_GET_SIZE(values), nulls = (count + 7) / 8, length, size;
    PyObject *request;
    char *to;

    if (head == NULL || !PyBytes_Check(head) || accepted == NULL || !PyBytes_Check(accepted) ||
        PyBytes_GET_SIZE(accepted) != 2 * count || wanted == NULL || !PyLong_Check(wanted) ||
        PyLong_AsSsize_t(wanted) != count) {
        return NULL;
    }
    size = parameters_size(state, values, SLOT(state, writer, writer_as_is));
    if (size < 0 || size >= FULL_FRAME || count >= FULL_FRAME / 4) {
        return NULL;
    }
    length = PyBytes_GET_SIZE(head) + (count > 0 ? nulls + 1 + 2 * count + size : 0);
    request = length < FULL_FRAME ? PyBytes_FromStringAndSize(NULL, length) : NULL;
    if (request == NULL) {
        return NULL;
    }
    to = PyBytes_AS_STRING(request);
    memcpy(to, PyBytes_AS_STRING(head), (size_t)PyBytes_GET_SIZE(head));
    to += PyBytes_GET_SIZE(head);
    if (count > 0) {
        char *types = to + nulls + 1;
        to[nulls] = 1; /* types follow */
        if (!put_parameters(state, values, to, types, types + 2 * count) ||
            memcmp(types, PyBytes_AS_STRING(accepted), 2 * (size_t)count) != 0) {
            Py_CLEAR(request);
        }
    }
    return request;
}

/* The Execute that sends `request`, to which it takes over the reference. */
static ExchangeState *
new_execution(const State *state, PyObject *prepared, PyObject *request, int streamed,
              int as_dicts)
{
    ExchangeState *execution = new_exchange(state->owners.execute, request, streamed, as_dicts);
    PyObject *is_simple = SLOT(state, prepared, prepared_is_simple);

    if (execution != NULL) {
        Py_XSETREF(execution->binary, Py_NewRef(Py_True));
        Py_XSETREF(execution->is_simple, Py_NewRef(is_simple == Py_True ? Py_True : Py_False));
        Py_XSETREF(execution->own_prepared, Py_NewRef(prepared));
    }
    return execution;
}

PyObject *
encode_execution(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyModule_GetState(module);
    PyObject *request;
    int streamed, as_dicts;

    if (nargs != 6) {
        PyErr_Format(PyExc_TypeError, "encode_execution takes 6 positional arguments, not %zd",
                     nargs);
        return NULL;
    }
    if (find_slots(state) < 0) {
        return NULL;
    }
    if (!IS_OWNED(state, args[0], writer) || !IS_OWNED(state, args[1], prepared)) {
        PyErr_SetString(PyExc_TypeError,
                        "encode_execution takes a ParameterWriter and a ServerStatement");
        return NULL;
    }
    if ((streamed = PyObject_IsTrue(args[3])) < 0 || (as_dicts = PyObject_IsTrue(args[4])) < 0) {
        return NULL;
    }
    if (PyTuple_CheckExact(args[2]) && SLOT(state, args[0], writer_is_usual) == Py_True) {
        request = execution_request(state, args[0], args[1], args[2]);
        if (request != NULL) {
            return (PyObject *)new_execution(state, args[1], request, streamed, as_dicts);
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    if (state->general_execution == NULL) { /* its module takes `encode_execution` from this one */
        state->general_execution =
            import_name("aiomysql_protocol.commands.prepared", "general_execution");
        if (state->general_execution == NULL) {
            return NULL;
        }
    }
    return PyObject_Vectorcall(state->general_execution, args, (size_t)nargs, NULL);
}
