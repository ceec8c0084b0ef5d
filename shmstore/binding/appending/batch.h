/* Many records at once: where their checked values lie, and how they are appended. */
#ifndef SHMSTORE_BINDING_APPENDING_BATCH_H
#define SHMSTORE_BINDING_APPENDING_BATCH_H

#include "binding/values/encode.h"

/* Where the values of many records lie: field i of record r at base[i] + r * stride[i], in staged form. */
struct staged {
    Py_ssize_t count;
    const unsigned char *base[MAX_FIELDS];
    size_t stride[MAX_FIELDS];
    unsigned char *made[MAX_FIELDS]; /* the same as base, where the bytes are this call's own; else NULL */
};
/* Enter the new keys of what was staged and put their ids in their places. Returns 0, or -1 with an exception. */
int enter_new_keys(Store *store, PyObject *new_keys, const struct staged *batch);
/* Append checked values; returns how many as an int. `wish` is a partition or BY_RULE. */
PyObject *append_all(Store *store, struct staging *staging, const struct staged *batch, int64_t wish, int64_t now);

int raise_missing_column(Store *store, uint32_t field);

#endif
