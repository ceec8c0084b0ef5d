/* The guard around every function of a store that Python calls: while it runs, the bytes stay mapped.
 *
 * Almost every step of a function may run other Python code: a method of an argument, a callback, a finalizer inside an
 * allocation, a signal handler, another thread. Each of them may close the store. So no function decides for itself where
 * it is safe. Methods are listed once, as METHOD(name, function, how it is called, doc), and from the list come the guards
 * and a table that names nothing but guards. A function finds a closed store still mapped; the last one out of it leaves.
 *
 * A fork in the middle: in the child, the functions on the stack of its one thread go on, and those of other threads never
 * end. Neither is counted there, for pins belong to the life of one process; what they look at is released only with the
 * object. */
#ifndef SHMSTORE_GUARD_H
#define SHMSTORE_GUARD_H

#include "binding/store/store.h"

/* Begin to count pins in this process: see own_page. */
uint32_t begin_life(Store *store);

/* Keep the bytes mapped. Returns the life that the pin belongs to, or 0 when the bytes are gone. */
static inline uint32_t pin(Store *store) {
    uint32_t life = 0;
    BEGIN_EXCLUSIVE(store);
    if (store->mapped) {
        life = load_relaxed(&store->handle.processes.own->life);
        if (!life) life = begin_life(store);
        store->pins++;
    }
    END_EXCLUSIVE();
    return life;
}
static inline void unpin(Store *store, uint32_t life) {
    if (!life) return;
    BEGIN_EXCLUSIVE(store);
    if (load_relaxed(&store->handle.processes.own->life) == life && !--store->pins && store->closed) leave_store(store);
    END_EXCLUSIVE();
}

/* How a function is called, in the words of METH_. */
#define PARAMETERS_NOARGS (PyObject * self, PyObject * unused)
#define ARGUMENTS_NOARGS (self, unused)
#define PARAMETERS_O (PyObject * self, PyObject * argument)
#define ARGUMENTS_O (self, argument)
#define PARAMETERS_VARARGS (PyObject * self, PyObject * arguments)
#define ARGUMENTS_VARARGS (self, arguments)
#define PARAMETERS_KEYWORDS (PyObject * self, PyObject * arguments, PyObject * keywords)
#define ARGUMENTS_KEYWORDS (self, arguments, keywords)
#define FLAGS_KEYWORDS (METH_VARARGS | METH_KEYWORDS)
#define FLAGS_NOARGS METH_NOARGS
#define FLAGS_O METH_O
#define FLAGS_VARARGS METH_VARARGS
#define PARAMETERS_FASTCALL (PyObject * self, PyObject *const *values, Py_ssize_t count)
#define ARGUMENTS_FASTCALL (self, values, count)
#define FLAGS_FASTCALL METH_FASTCALL
#define PARAMETERS_FASTCALL_KEYWORDS (PyObject * self, PyObject *const *values, Py_ssize_t count, PyObject *names)
#define ARGUMENTS_FASTCALL_KEYWORDS (self, values, count, names)
#define FLAGS_FASTCALL_KEYWORDS (METH_FASTCALL | METH_KEYWORDS)
#define PARAMETERS_SLOT (PyObject * self)
#define ARGUMENTS_SLOT (self)
#define PARAMETERS_GETTER (PyObject * self, void *unused)
#define ARGUMENTS_GETTER (self, unused)

/* guarded_FUNCTION, which begins with `look`. Each file that has such functions says by STORE_OF(self) which store an object of its
 * type belongs to. */
#define GUARD_AFTER(look, function, how)                                                                               \
    static PyObject *guarded_##function PARAMETERS_##how {                                                             \
        Store *store = STORE_OF(self);                                                                                 \
        look;                                                                                                          \
        const uint32_t life = pin(store);                                                                              \
        PyObject *result = function ARGUMENTS_##how;                                                                   \
        unpin(store, life);                                                                                            \
        return result;                                                                                                 \
    }
#define GUARD(function, how) GUARD_AFTER((void)0, function, how)
#define GUARD_METHOD(name, function, how, doc) GUARD(function, how)
#define GUARD_PROPERTY(name, function, doc) GUARD(function, GETTER)

/* Each room lists its methods of a Store, and so declares them. */
#define DECLARE_METHOD(name, function, how, doc) PyObject *function PARAMETERS_##how;

/* Rows of the tables that Python reads, and the tables of a type that lists its METHODS and PROPERTIES. FUNCTION_ROW is
 * for functions that need no guard. */
#define METHOD_ROW(name, function, how, doc) {name, (PyCFunction)(void (*)(void))guarded_##function, FLAGS_##how, doc},
#define FUNCTION_ROW(name, function, how, doc) {name, (PyCFunction)(void (*)(void))function, FLAGS_##how, doc},
#define PROPERTY_ROW(name, function, doc) {name, guarded_##function, NULL, doc, NULL},
#define METHOD_TABLE(methods)                                                                                          \
    {                                                                                                                  \
        methods(METHOD_ROW) NOT_PICKLED, { NULL, NULL, 0, NULL }                                                       \
    }
#define PROPERTY_TABLE(properties)                                                                                     \
    {                                                                                                                  \
        properties(PROPERTY_ROW) { NULL, NULL, NULL, NULL, NULL }                                                      \
    }

#endif
