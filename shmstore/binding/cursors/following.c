/* Reading on in `async for`; see following.h. */
#include "binding/cursors/following.h"

#include "binding/store/guard.h"

#include <string.h>

enum { AT_ONCE = 256 /* records that `async for` takes before other tasks get their turn */ };

bool is_over(const struct module_state *state) {
    return PyErr_ExceptionMatches(state->errors[ERROR_STORE_CLOSED]) ||
           PyErr_ExceptionMatches(state->errors[ERROR_STORE_UNLINKED]);
}

/* The iterator is also what its __anext__ returns to be awaited, so that a record that is ready needs no further object. */
typedef struct {
    PyObject_HEAD PyObject *source;
    Store *store; /* of the source */
    const struct async_source *how;
    PyObject *later;      /* called for a coroutine: is it only others' turn, or is there no record now? */
    PyObject *failure[3]; /* an error of __anext__, kept until it is awaited, because `async for` would hide it */
    int64_t turn_ns;      /* by a coarse clock: since when other tasks have had no turn */
    int left;             /* records before they get one; 0: they have just had one */
} Following;

static int64_t coarse_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

PyObject *new_following(PyObject *source, Store *store, const struct async_source *how, PyObject *later) {
    Following *following = (Following *)PyType_GenericAlloc(store->state->types[TYPE_FOLLOWING], 0);
    if (!following) return NULL;
    following->source = Py_NewRef(source);
    following->store = (Store *)Py_NewRef((PyObject *)store);
    following->how = how;
    following->later = Py_NewRef(later);
    return (PyObject *)following;
}

static void forget_failure(Following *following) {
    for (int i = 0; i < 3; i++) Py_CLEAR(following->failure[i]);
}

static PyObject *fail_later(Following *following) {
    forget_failure(following);
    PyErr_Fetch(&following->failure[0], &following->failure[1], &following->failure[2]);
    return Py_NewRef((PyObject *)following);
}

/* Have other tasks waited for long enough? */
static bool is_turn(Following *following) {
    const int64_t now = coarse_ns();
    if (!following->left) {
        following->left = AT_ONCE + 1;
        following->turn_ns = now;
    }
    return !--following->left || now != following->turn_ns;
}

static PyObject *following_await(PyObject *self) {
    Following *following = (Following *)self;
    PyObject *source = following->source;
    int ready = 0;
    if (!following->store->closed) {
        BEGIN_EXCLUSIVE(source);
        ready = following->how->prepare(source);
        END_EXCLUSIVE();
        if (ready > 0 && !is_turn(following)) return Py_NewRef(self);
        if (ready < 0 && !is_over(following->store->state)) return fail_later(following);
        PyErr_Clear();
    }
    following->left = 0;
    PyObject *coroutine = PyObject_CallFunctionObjArgs(following->later, ready > 0 ? Py_True : Py_False, NULL);
    PyObject *steps = coroutine ? PyObject_CallMethod(coroutine, "__await__", NULL) : NULL;
    Py_XDECREF(coroutine);
    return steps ? steps : fail_later(following);
}

/* One step: PYGEN_RETURN with the record; or PYGEN_NEXT with None when another thread was faster. */
static PySendResult following_send(PyObject *self, PyObject *sent, PyObject **result) {
    (void)sent;
    Following *following = (Following *)self;
    if (following->failure[0]) {
        PyErr_Restore(following->failure[0], following->failure[1], following->failure[2]);
        memset(following->failure, 0, sizeof following->failure);
        return PYGEN_ERROR;
    }
    BEGIN_EXCLUSIVE(following->source);
    *result = following->how->take(following->source);
    END_EXCLUSIVE();
    if (*result) return PYGEN_RETURN;
    if (PyErr_Occurred()) {
        if (is_over(following->store->state)) PyErr_SetNone(PyExc_StopAsyncIteration);
        return PYGEN_ERROR;
    }
    *result = Py_NewRef(Py_None);
    return PYGEN_NEXT;
}

static PyObject *following_next(PyObject *self) {
    PyObject *result = NULL;
    const PySendResult step = following_send(self, Py_None, &result);
    if (step != PYGEN_RETURN) return result;
    PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, result, NULL); /* a record may be a tuple */
    if (stop) PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    Py_DECREF(result);
    return NULL;
}

static int following_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Following *)self)->source);
    Py_VISIT((PyObject *)((Following *)self)->store);
    Py_VISIT(((Following *)self)->later);
    for (int i = 0; i < 3; i++) Py_VISIT(((Following *)self)->failure[i]);
    return 0;
}

static int following_clear(PyObject *self) {
    Py_CLEAR(((Following *)self)->later);
    forget_failure((Following *)self);
    return 0;
}

static void following_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    following_clear(self);
    Py_XDECREF(((Following *)self)->source);
    Py_XDECREF((PyObject *)((Following *)self)->store);
    free_object(self);
}

#define STORE_OF(self) (((Following *)(self))->store)
GUARD(following_await, SLOT)
GUARD(following_next, SLOT)

static PySendResult guarded_following_send(PyObject *self, PyObject *sent, PyObject **result) {
    Store *store = STORE_OF(self);
    const uint32_t life = pin(store);
    const PySendResult step = following_send(self, sent, result);
    unpin(store, life);
    return step;
}

static PyMethodDef following_methods[] = {NOT_PICKLED, {NULL, NULL, 0, NULL}};

PyType_Spec following_spec = {
    .name = "shmstore._core.Following",
    .basicsize = sizeof(Following),
    .flags = RESULT_FLAGS_GC,
    .slots =
        (PyType_Slot[]){{Py_tp_dealloc, following_dealloc},
                        {Py_tp_traverse, following_traverse},
                        {Py_tp_clear, following_clear},
                        {Py_tp_iter, PyObject_SelfIter},
                        {Py_tp_iternext, guarded_following_next},
                        {Py_tp_methods, following_methods},
                        {Py_am_aiter, PyObject_SelfIter},
                        {Py_am_anext, PyObject_SelfIter},
                        {Py_am_await, guarded_following_await},
                        {Py_am_send, guarded_following_send},
                        {Py_tp_doc, "What is read for `async for`. Made by Cursor.following and Follower.following."},
                        {0, NULL}},
};
