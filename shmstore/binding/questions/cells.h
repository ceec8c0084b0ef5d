/* Groups in questions: which fields, which keys, and their cells as columns of Python objects. */
#ifndef SHMSTORE_CELLS_H
#define SHMSTORE_CELLS_H

#include "binding/questions/run.h"

#include "core/questions/tallies/group.h"

PyObject *number_object(enum lane lane, union number number);

/* A field's number as an argument, where it is optional -1 for none. Returns -2 with an exception. */
int group_field(Store *store, int field, bool optional);
static inline uint64_t field_bit(int field) { return field < 0 ? 0 : UINT64_C(1) << field; }

enum told told_of(enum groups_status status);

/* A list of what `make` makes of each cell that holds a record, in the order of cells; NULL with an exception. */
typedef PyObject *cell_maker(Store *store, const struct groups *groups, uint32_t cell, uint32_t value, int answer);
PyObject *cells_column(Store *store, const struct groups *groups, uint32_t value, int answer, cell_maker *make);

/* The value of the groups' field in each such cell. */
PyObject *labels_column(Store *store, const struct groups *groups);

#endif
