/* Records copied out of a store: the Columns object, its gaps, and what is made of it. */
#ifndef SHMSTORE_BINDING_READING_COLUMNS_H
#define SHMSTORE_BINDING_READING_COLUMNS_H

#include "binding/reading/gaps.h"
#include "binding/store/store.h"

extern PyType_Spec columns_spec;
/* Records copied out of a store. */
typedef struct {
    PyObject_HEAD Store *store; /* for names, kinds and keys; its bytes may be gone */
    uint64_t rows;
    unsigned char *memory;
    size_t bytes;
    unsigned char *base[MAX_FIELDS];
    struct gap_list gaps;
} Columns;

Columns *new_columns(Store *store, uint64_t room);
void move_row(const struct geometry *g, unsigned char *const *to_base, uint64_t to, unsigned char *const *from_base,
              uint64_t from);
/* An argument that must be the number of a field. 0, or -1 with an exception. */
int field_argument(const Store *store, PyObject *argument, uint32_t *field);

extern PyType_Spec column_spec;
PyObject *Columns_column(PyObject *self, PyObject *field);

PyObject *Columns_take(PyObject *self, PyObject *rows);
PyObject *Columns_order_by(PyObject *self, PyObject *field);

/* A new Columns of the rows whose byte in `mask` is not 0. */
PyObject *Columns_keep(PyObject *self, PyObject *mask);

extern PyType_Spec rows_spec;
PyObject *columns_iterate(Columns *columns, bool plain);
PyObject *core_rows(PyObject *module, PyObject *arguments);

#endif
