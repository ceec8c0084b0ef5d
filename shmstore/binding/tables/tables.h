/* Columns as other programs take them: Arrow, NumPy, packed rows. */
#ifndef SHMSTORE_BINDING_TABLES_TABLES_H
#define SHMSTORE_BINDING_TABLES_TABLES_H

#include "binding/module.h"

extern PyType_Spec packed_spec;
PyObject *Columns_dictionary(PyObject *self, PyObject *field);
PyObject *Columns_ragged(PyObject *self, PyObject *field);
PyObject *core_pack_bits(PyObject *module, PyObject *object);
PyObject *core_pack_rows(PyObject *module, PyObject *arguments);

PyObject *core_arrow_schema(PyObject *module, PyObject *columns);
PyObject *core_arrow_array(PyObject *module, PyObject *arguments);
PyObject *core_arrow_stream(PyObject *module, PyObject *arguments);

#endif
