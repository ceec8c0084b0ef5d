/* The functions of the module that work on a segment's bytes and need no open store. */
#ifndef SHMSTORE_BINDING_SEGMENT_H
#define SHMSTORE_BINDING_SEGMENT_H

#include "binding/module.h"

PyObject *core_plan(PyObject *module, PyObject *arguments);
PyObject *core_format(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *core_read_header(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *core_mark_unlinked(PyObject *module, PyObject *object);

#endif
