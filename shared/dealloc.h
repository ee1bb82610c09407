/* What every deallocator of an object that the garbage collector knows does first and last.
 *
 * Every C module includes this file.
 */
#ifndef AIOMYSQL_DEALLOC_H
#define AIOMYSQL_DEALLOC_H

#include "exceptions.h"

/* Around the body of `dealloc`, which lets go of all that `self` refers to and frees it.
 *
 * An object may go while an exception is under way, and what it refers to may run anybody's code
 * when it goes with it: that code must neither meet the exception nor end it.  Objects that are
 * nested deeply are freed one after the other, not each within the one around it.  The body must
 * do without the module's state, which may be gone by then. */
#define BEGIN_DEALLOC(self, dealloc)                                                               \
    Raised raised = set_aside();                                                                   \
                                                                                                   \
    PyObject_GC_UnTrack(self);                                                                     \
    Py_TRASHCAN_BEGIN(self, dealloc)

#define END_DEALLOC                                                                                \
    Py_TRASHCAN_END                                                                                \
    put_back(raised);

#define DEALLOC_VISIT(name) Py_VISIT(self->name);
#define DEALLOC_CLEAR(name) Py_CLEAR(self->name);

/* Defines the functions type_traverse, type_clear and type_dealloc of a heap type whose objects have
 * the fields that OBJECTS(X) lists, by X(name). */
#define DEFINE_TRAVERSE_CLEAR_DEALLOC(type, OBJECTS)                                               \
    static int                                                                                     \
    type##_traverse(type *self, visitproc visit, void *arg)                                        \
    {                                                                                              \
        Py_VISIT(Py_TYPE(self));                                                                   \
        OBJECTS(DEALLOC_VISIT)                                                                     \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    static int                                                                                     \
    type##_clear(type *self)                                                                       \
    {                                                                                              \
        OBJECTS(DEALLOC_CLEAR)                                                                     \
        return 0;                                                                                  \
    }                                                                                              \
                                                                                                   \
    static void                                                                                    \
    type##_dealloc(type *self)                                                                     \
    {                                                                                              \
        PyTypeObject *cls = Py_TYPE(self);                                                         \
                                                                                                   \
        BEGIN_DEALLOC(self, type##_dealloc)                                                        \
        (void)type##_clear(self);                                                                  \
        cls->tp_free(self);                                                                        \
        Py_DECREF(cls);                                                                            \
        END_DEALLOC                                                                                \
    }

#endif
