/* What lending adds to the module: see lending.py. */
#ifndef AIOMYSQL_PROTOCOL_LENDING_H
#define AIOMYSQL_PROTOCOL_LENDING_H

#include "_loan.h"

static PyTypeObject *
lending_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, (PyObject *)base);

    if (type != NULL && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

static int
lending_exec(PyObject *module, State *state)
{
    Lending *lending = &state->lending;

    spare_open(&lending->turns);
    spare_open(&lending->loans);
    lending->rule_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &Rule_spec, NULL);
    lending->item_type = lending_type(module, &Item_spec, NULL);
    lending->turn_type = lending_type(module, &Turn_spec, state->waiter_type);
    lending->shelf_type = lending_type(module, &Shelf_spec, NULL);
    lending->loan_type = lending_type(module, &Loan_spec, NULL);
    lending->deque_type = import_name("collections", "deque");
    lending->monotonic = import_name("time", "monotonic");
    return lending->rule_type == NULL || lending->item_type == NULL || lending->turn_type == NULL ||
                   lending->shelf_type == NULL || lending->loan_type == NULL ||
                   lending->deque_type == NULL || lending->monotonic == NULL
               ? -1
               : 0;
}

static int
lending_traverse(Lending *lending, visitproc visit, void *arg)
{
    Py_VISIT(lending->rule_type);
    Py_VISIT(lending->item_type);
    Py_VISIT(lending->turn_type);
    Py_VISIT(lending->shelf_type);
    Py_VISIT(lending->loan_type);
    Py_VISIT(lending->deque_type);
    Py_VISIT(lending->monotonic);
    return 0;
}

static void
lending_clear(Lending *lending)
{
    spare_clear(&lending->turns);
    spare_clear(&lending->loans);
    Py_CLEAR(lending->rule_type);
    Py_CLEAR(lending->item_type);
    Py_CLEAR(lending->turn_type);
    Py_CLEAR(lending->shelf_type);
    Py_CLEAR(lending->loan_type);
    Py_CLEAR(lending->deque_type);
    Py_CLEAR(lending->monotonic);
}

#endif
