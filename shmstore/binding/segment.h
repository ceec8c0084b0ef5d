/* The functions of the module that are about a segment's bytes, of which no store is open. */
#ifndef SHMSTORE_BINDING_SEGMENT_H
#define SHMSTORE_BINDING_SEGMENT_H

#include "binding/module.h"

PyObject *core_plan(PyObject *module, PyObject *arguments);
PyObject *core_format(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *core_read_header(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *core_mark_unlinked(PyObject *module, PyObject *object);

#endif
