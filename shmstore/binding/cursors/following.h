/* What is read on, in `async for`: a cursor, or a follower of streams. */
#ifndef SHMSTORE_FOLLOWING_H
#define SHMSTORE_FOLLOWING_H

#include "binding/store/store.h"

/* How a source gives what it has. Both are called in its critical section. */
struct async_source {
    int (*prepare)(PyObject *source); /* 1: something is there; 0: nothing now, or it is closed; -1 with an exception */
    PyObject *(*take)(PyObject *source); /* the next; NULL with an exception, or without one when there is none now */
};

/* An async iterator; `later` is called for a coroutine, which is awaited: with True when other tasks are to have a turn
 * before the next, which is there; with False when nothing is there. */
PyObject *new_following(PyObject *source, Store *store, const struct async_source *how, PyObject *later);

/* Does the exception that is set end an iteration: was the store closed, or its name removed? */
bool is_over(const struct module_state *state);

extern PyType_Spec following_spec;

#endif
