/* A cursor in `for` and `async for`: records one after the other, and waiting in between. */
#include "binding/cursors/cursor.h"
#include "binding/cursors/following.h"

/* ---- for ---------------------------------------------------------------------------------------------------------- */

PyObject *cursor_next(PyObject *self) {
    Cursor *cursor = (Cursor *)self;
    PyObject *record = NULL;
    int waited = 1;
    while (!record && waited > 0 && !load_relaxed(&cursor->waiter.closed)) {
        BEGIN_EXCLUSIVE(self);
        record = cursor_take(cursor);
        END_EXCLUSIVE();
        if (record) break;
        waited = PyErr_Occurred() ? -1 : cursor_await(cursor, -1);
    }
    if (!record && PyErr_Occurred() && is_over(cursor->store->state)) PyErr_Clear(); /* StopIteration */
    return record;
}

/* ---- async for ---------------------------------------------------------------------------------------------------- */

static int prepare(PyObject *self) {
    Cursor *cursor = (Cursor *)self;
    return load_relaxed(&cursor->waiter.closed) ? 0 : cursor_prepare(cursor);
}

static PyObject *take(PyObject *self) { return cursor_take((Cursor *)self); }

PyObject *cursor_following(PyObject *self, PyObject *later) {
    static const struct async_source how = {prepare, take};
    return new_following(self, ((Cursor *)self)->store, &how, later);
}
