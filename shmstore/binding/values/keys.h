/* Keys: from texts to the ids that are stored, and what a call is about to enter in the table. */
#ifndef SHMSTORE_BINDING_VALUES_KEYS_H
#define SHMSTORE_BINDING_VALUES_KEYS_H

#include "binding/store/guard.h"

/* What a call is about to append, while it is checked. A key that the table does not have is entered when all else is
 * known to fit; until then its id is NEW_KEY and its number among the new ones. */
#define NEW_KEY (UINT32_C(1) << 30)
_Static_assert(NEW_KEY > (uint32_t)MAX_KEYS + MAX_PROCESSES, "no id of the table looks like a new key's");
struct staging {
    Py_ssize_t row;     /* of the batch, for errors; -1 for a single append */
    PyObject *new_keys; /* dict: text -> number, in the order met; NULL while there is none */
};

/* The id of a key. Without `staging` a new one is entered in the table at once. */
int encode_key(Store *store, uint32_t field, PyObject *text, uint32_t *id, struct staging *staging);
int encode_key_value(Store *store, uint32_t field, PyObject *value, unsigned char *to, struct staging *staging);

/* The id of a key that this process met lately: the very same text object is found by its address. */
static inline size_t recent_slot(const PyObject *text) {
    return ((uintptr_t)text >> 4 ^ (uintptr_t)text >> 10) % RECENT_KEYS;
}
static inline bool recent_key(const Store *store, uint32_t field, const PyObject *text, uint32_t *id) {
    size_t at = recent_slot(text);
    *id = store->recent_keys[at].id;
    return store->recent_keys[at].text == text &&
           store->handle.geometry.fields[field].size == store->handle.geometry.key_bytes;
}

#define KEY_METHODS(METHOD)                                                                                            \
    METHOD("key", Store_key, O, "key($self, text)\n--\n\nThe id of a key, interning it when it is new.")               \
    METHOD("key_text", Store_key_text, O, "key_text($self, key_id)\n--\n\nThe text of an id.")                         \
    METHOD("keys", Store_keys, NOARGS, "keys($self)\n--\n\nEvery interned key; the index is its id.")
KEY_METHODS(DECLARE_METHOD)

#endif
