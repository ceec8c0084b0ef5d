/* From bytes to Python's values and records. */
#ifndef SHMSTORE_BINDING_VALUES_DECODE_H
#define SHMSTORE_BINDING_VALUES_DECODE_H

#include "binding/store/store.h"

PyObject *decode_value(Store *store, uint32_t field, const unsigned char *from);
/* One row of columns (each at base[i] + row * fields[i].bytes) as the store's record type or as a plain tuple. */
PyObject *decode_row(Store *store, unsigned char *const *base, uint64_t row, bool plain);
/* Fill a tuple that only the caller refers to with the values of a row. Returns 0, or -1 with an exception. */
int fill_row(Store *store, unsigned char *const *base, uint64_t row, PyObject *values);
PyObject *decode_staged(Store *store, const unsigned char *record);
enum made { MADE, MADE_NOT /* this time */, REFUSED };
/* `make` has just failed. It may have been a signal handler that raised, so `make` is called again, and only a second
 * failure counts as REFUSED; then the exception that is set is about the record. Never returns MADE. */
enum made make_again(PyObject *(*make)(void *context), void *context);
/* Read the texts of all keys interned so far into store->key_texts. */
int load_keys(Store *store);
PyObject *key_text(Store *store, uint32_t id);    /* DamagedSegment when it has none */
PyObject *key_or_none(Store *store, uint32_t id); /* for records: one without a readable key must not cost the others */

#endif
