/* MappedFile: a whole file mapped into this process, with no descriptor of its own.
 *
 * The mmap module keeps a copy of the descriptor and closes that number when the mapping ends, whatever file it has become
 * meanwhile. This one keeps nothing but the memory. */
#include "binding/module.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

typedef struct {
    PyObject_HEAD void *memory; /* NULL once it was closed */
    size_t bytes;
    Py_ssize_t exports;
    bool writable;
} Mapping;

static PyObject *mapping_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"fd", "writable", NULL};
    int fd, writable;
    struct stat status;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "i$p:MappedFile", (char **)(uintptr_t)known, &fd, &writable))
        return NULL;
    if (fstat(fd, &status)) return PyErr_SetFromErrno(PyExc_OSError);
    Mapping *mapping = (Mapping *)PyType_GenericAlloc(type, 0);
    if (!mapping) return NULL;
    mapping->writable = writable != 0;
    mapping->bytes = (size_t)status.st_size;
    mapping->memory = mmap(NULL, mapping->bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (mapping->memory == MAP_FAILED) {
        mapping->memory = NULL;
        PyErr_SetFromErrno(PyExc_OSError);
        Py_CLEAR(mapping);
    }
    return (PyObject *)mapping;
}

static void unmap(Mapping *mapping) {
    if (mapping->memory) munmap(mapping->memory, mapping->bytes);
    mapping->memory = NULL;
}

static void mapping_dealloc(PyObject *self) {
    unmap((Mapping *)self);
    free_object(self);
}

static PyObject *raise_closed(void) {
    PyErr_SetString(PyExc_ValueError, "the mapping was closed");
    return NULL;
}

static int mapping_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    Mapping *mapping = (Mapping *)self;
    int result = -1;
    BEGIN_EXCLUSIVE(self);
    if (!mapping->memory) raise_closed();
    else result = PyBuffer_FillInfo(view, self, mapping->memory, (Py_ssize_t)mapping->bytes, !mapping->writable, flags);
    if (!result) mapping->exports++;
    END_EXCLUSIVE();
    return result;
}

static void mapping_releasebuffer(PyObject *self, Py_buffer *view) {
    (void)view;
    BEGIN_EXCLUSIVE(self);
    ((Mapping *)self)->exports--;
    END_EXCLUSIVE();
}

static PyObject *mapping_advise(PyObject *self, PyObject *arguments) {
    Mapping *mapping = (Mapping *)self;
    int advice, failed = 0;
    Py_ssize_t start, length;
    if (!PyArg_ParseTuple(arguments, "inn:advise", &advice, &start, &length)) return NULL;
    Py_buffer held; /* while other threads run, nobody can unmap it */
    if (PyObject_GetBuffer(self, &held, PyBUF_SIMPLE)) return NULL;
    if (start < 0 || length < 0 || start > held.len || length > held.len - start) {
        PyErr_SetString(PyExc_ValueError, "outside of the mapping");
    } else {
        Py_BEGIN_ALLOW_THREADS;
        failed = madvise((char *)mapping->memory + start, (size_t)length, advice);
        Py_END_ALLOW_THREADS;
        if (failed) PyErr_SetFromErrno(PyExc_OSError);
    }
    PyBuffer_Release(&held);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

static PyObject *mapping_close(PyObject *self, PyObject *unused) {
    (void)unused;
    Mapping *mapping = (Mapping *)self;
    bool closed;
    BEGIN_EXCLUSIVE(self);
    closed = !mapping->exports;
    if (closed) unmap(mapping);
    END_EXCLUSIVE();
    if (closed) Py_RETURN_NONE;
    PyErr_SetString(PyExc_BufferError, "somebody still looks at the mapping");
    return NULL;
}

static Py_ssize_t mapping_length(PyObject *self) { return (Py_ssize_t)((Mapping *)self)->bytes; }

static PyMethodDef mapping_methods[] = {
    {"advise", mapping_advise, METH_VARARGS,
     "advise($self, advice, start, length, /)\n--\n\nmadvise(2) of a part. Raises OSError, ValueError."},
    {"close", mapping_close, METH_NOARGS,
     "close($self)\n--\n\nUnmap it. Idempotent. Raises BufferError while somebody exports its buffer."},
    {NULL, NULL, 0, NULL},
};

PyType_Spec mapping_spec = {
    .name = "shmstore._core.MappedFile",
    .basicsize = sizeof(Mapping),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = (PyType_Slot[]){{Py_tp_new, mapping_new},
                             {Py_tp_dealloc, mapping_dealloc},
                             {Py_bf_getbuffer, mapping_getbuffer},
                             {Py_bf_releasebuffer, mapping_releasebuffer},
                             {Py_sq_length, mapping_length},
                             {Py_tp_methods, mapping_methods},
                             {Py_tp_doc, "A whole file mapped into this process, with no descriptor of its own."},
                             {0, NULL}},
};
