/* Programs and questions: the Program object, and the methods of a store and of Columns that ask. */
#ifndef SHMSTORE_BINDING_QUESTIONS_QUESTIONS_H
#define SHMSTORE_BINDING_QUESTIONS_QUESTIONS_H

#include "binding/store/store.h"

extern PyType_Spec program_spec;
struct program;
/* The program of a Program that was compiled for these fields, or NULL with an exception. */
const struct program *program_argument(struct module_state *state, PyObject *object, const struct geometry *geometry);
/* The error of PROGRAM_OVERFLOW, which names what the Program was compiled from. */
PyObject *raise_overflow(struct module_state *state, PyObject *object);

PyObject *Store_tally(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Columns_tally(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_edge(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Columns_edge(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_quantiles(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Columns_quantiles(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Store_distinct(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *Columns_distinct(PyObject *self, PyObject *arguments, PyObject *keywords);

#endif
