/* Groups in questions: their cells as columns of Python objects. */
#ifndef SHMSTORE_CELLS_H
#define SHMSTORE_CELLS_H

#include "binding/questions/run.h"

#include "core/questions/tallies/group.h"

PyObject *number_object(enum lane lane, union number number);

static inline uint64_t field_bit(int field) { return field == NO_FIELD ? 0 : UINT64_C(1) << field; }

enum told told_of(enum groups_status status);

/* A list of what `make` makes of each cell that holds a record, in the order of cells; NULL with an exception. */
typedef PyObject *cell_maker(const struct groups *groups, uint32_t cell, void *context);
PyObject *cells_column(const struct groups *groups, cell_maker *make, void *context);

/* The value of the groups' field in each such cell. */
PyObject *labels_column(Store *store, const struct groups *groups);

/* (labels, answers); takes both references, of which either may be NULL with an exception. */
PyObject *labelled(PyObject *labels, PyObject *answers);

#endif
