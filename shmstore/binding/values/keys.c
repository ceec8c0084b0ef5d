/* Keys of records: texts to the ids that are stored, entered in the table when all else of a call is known to fit. */
#include "binding/appending/batch.h"
#include "binding/values/decode.h"
#include "binding/values/keys.h"
#include "binding/values/refuse.h"

#include <string.h>

/* Remember a text's id in this process: in the dict, and by the object's address for the next time. */
static int remember_key(Store *store, PyObject *text, uint32_t id) {
    PyObject *number = PyLong_FromUnsignedLong(id);
    int result = number ? PyDict_SetItem(store->key_ids, text, number) : -1;
    Py_XDECREF(number);
    return result;
}

/* The number of a key among the new ones of a call, as an id. */
static int note_new_key(PyObject **new_keys, PyObject *text, uint32_t *id) {
    if (!*new_keys && !(*new_keys = PyDict_New())) return -1;
    PyObject *number = PyDict_GetItemWithError(*new_keys, text);
    if (number) {
        *id = NEW_KEY | (uint32_t)PyLong_AsUnsignedLong(number);
        return 0;
    }
    if (PyErr_Occurred()) return -1;
    *id = NEW_KEY | (uint32_t)PyDict_Size(*new_keys);
    number = PyLong_FromUnsignedLong(*id & ~NEW_KEY);
    int result = number ? PyDict_SetItem(*new_keys, text, number) : -1;
    Py_XDECREF(number);
    return result;
}

/* Say that `count` new keys, of which `text` is one, do not fit. */
static int raise_full(Store *store, PyObject *text, Py_ssize_t count) {
    PyObject *key = shown(store->state, text);
    if (key && count == 1)
        raise_error(store->state, ERROR_KEY_TABLE_FULL,
                    "the key table is full: %U would be one more than the %u keys it was created for; known keys go on "
                    "working; create the store with a larger keys=",
                    key, store->handle.geometry.options.keys);
    else if (key)
        raise_error(store->state, ERROR_KEY_TABLE_FULL,
                    "the key table has no room for %zd new keys, %U and others, as it was created for %u; nothing of "
                    "the batch was written, and known keys go on working; create the store with a larger keys=",
                    count, key, store->handle.geometry.options.keys);
    Py_XDECREF(key);
    return -1;
}

/* Enter a key in the table, and remember its id. */
static int enter_key(Store *store, PyObject *text, const char *bytes, Py_ssize_t length, uint32_t *id) {
    enum table_status status;
    BEGIN_EXCLUSIVE(store); /* the table's spare cell belongs to one thread at a time */
    status = table_intern(&store->handle.table, bytes, (size_t)length, id);
    END_EXCLUSIVE();
    return status == TABLE_OK ? remember_key(store, text, *id) : raise_full(store, text, 1);
}

static int look_up_key(Store *store, uint32_t field, PyObject *text, uint32_t *id, struct staging *staging) {
    Py_ssize_t length, row = staging ? staging->row : -1;
    const char *bytes = utf8_of(store, field, text, &length, row);
    if (!bytes) return -1;
    uint32_t most = store->handle.geometry.fields[field].size;
    if (length > (Py_ssize_t)most) {
        raise_field(store, ERROR_FIELD, field, row,
                    "expected a key of at most %u bytes of UTF-8, found %zd; shorten it or declare Key[n]", most,
                    length);
        return -1;
    }
    PyObject *known = PyDict_GetItemWithError(store->key_ids, text);
    if (known) {
        *id = (uint32_t)PyLong_AsUnsignedLong(known);
        return 0;
    }
    if (PyErr_Occurred() || check_open(store)) return -1;
    enum table_status status = store->handle.ring.writable
                                   ? table_know(&store->handle.table, bytes, (size_t)length, id)
                                   : table_find(&store->handle.table, bytes, (size_t)length, id);
    if (status == TABLE_OK) return remember_key(store, text, *id);
    if (staging) return note_new_key(&staging->new_keys, text, id);
    if (store->handle.ring.writable) return enter_key(store, text, bytes, length, id);
    PyObject *key = shown(store->state, text);
    if (key)
        raise_error(
            store->state, ERROR_READ_ONLY_STORE,
            "key %U is not in this store, and a store attached for reading cannot add it; attach without read_only",
            key);
    Py_XDECREF(key);
    return -1;
}

int encode_key(Store *store, uint32_t field, PyObject *text, uint32_t *id, struct staging *staging) {
    if (recent_key(store, field, text, id)) return 0;
    PyObject *plain =
        PyUnicode_FromObject(text); /* the text itself, or a plain copy of a subclass: so dicts run none of its code */
    int failed = !plain || look_up_key(store, field, plain, id, staging);
    Py_XDECREF(plain);
    if (failed) return -1;
#ifndef Py_GIL_DISABLED
    if (*id & NEW_KEY) return 0;
    size_t at = recent_slot(text);
    PyObject *old = store->recent_keys[at].text;
    store->recent_keys[at].id = *id;
    store->recent_keys[at].text = Py_NewRef(text);
    Py_XDECREF(old);
#endif
    return 0;
}

/* 0 when the table has room for new keys, of which others may have entered some meanwhile. */
static int check_room(Store *store, PyObject *new_keys) {
    Py_ssize_t missing = 0, at = 0, length;
    PyObject *text, *first = NULL;
    uint32_t room = table_room(&store->handle.table), id;
    if (PyDict_Size(new_keys) <= (Py_ssize_t)room) return 0;
    while (PyDict_Next(new_keys, &at, &text, NULL)) {
        const char *bytes = PyUnicode_AsUTF8AndSize(text, &length);
        if (!bytes) return -1;
        if (table_find(&store->handle.table, bytes, (size_t)length, &id) == TABLE_OK) continue;
        if (!missing++) first = text;
    }
    return missing <= (Py_ssize_t)room ? 0 : raise_full(store, first, missing);
}

int enter_new_keys(Store *store, PyObject *new_keys, const struct staged *batch) {
    Py_ssize_t at = 0, length;
    PyObject *text;
    if (check_room(store, new_keys)) return -1;
    uint32_t *ids = PyMem_Malloc((size_t)PyDict_Size(new_keys) * sizeof *ids), *next = ids;
    if (!ids) PyErr_NoMemory();
    int failed = !ids;
    while (!failed && PyDict_Next(new_keys, &at, &text, NULL)) {
        const char *bytes = PyUnicode_AsUTF8AndSize(text, &length);
        failed = !bytes || enter_key(store, text, bytes, length, next++);
    }
    for (uint32_t field = 0; !failed && field < store->handle.geometry.options.field_count; field++) {
        if (store->handle.geometry.fields[field].kind != KIND_KEY || !batch->made[field]) continue;
        unsigned char *to = batch->made[field];
        for (Py_ssize_t row = 0; row < batch->count; row++, to += batch->stride[field]) {
            uint32_t id;
            memcpy(&id, to, 4);
            if (id & NEW_KEY) memcpy(to, &ids[id & ~NEW_KEY], 4);
        }
    }
    PyMem_Free(ids);
    return failed ? -1 : 0;
}

int encode_key_value(Store *store, uint32_t field, PyObject *value, unsigned char *to, struct staging *staging) {
    static const char expected[] = "a str, or an id from store.key(text)";
    uint32_t id;
    if (PyUnicode_Check(value)) {
        if (encode_key(store, field, value, &id, staging)) return -1;
    } else if (PyLong_Check(value) && !PyBool_Check(value)) {
        if (check_open(store)) return -1;
        uint32_t count = table_count(&store->handle.table);
        uint64_t number = PyLong_AsUnsignedLongLong(value);
        bool known = number < count && table_names(&store->handle.table, (uint32_t)number);
        if ((number == UINT64_MAX && PyErr_Occurred()) || !known) {
            PyErr_Clear();
            PyObject *text = shown(store->state, value);
            if (text)
                raise_field(store, ERROR_FIELD, field, staging->row,
                            "%U is not a key id; this store has ids below %u%s: take them from store.key(text)", text,
                            count, number < count ? ", and this one has no text" : "");
            Py_XDECREF(text);
            return -1;
        }
        id = (uint32_t)number;
    } else {
        if (PyBool_Check(value)) return wrong_type(store, field, value, staging->row, expected);
        if (check_foreign(store, field, value, staging->row, "iu", expected)) return -1;
        PyObject *number = PyNumber_Index(value); /* NumPy's integers */
        if (!number) return refuse_raised(store, field, value, staging->row, expected);
        int result = encode_key_value(store, field, number, to, staging);
        Py_DECREF(number);
        return result;
    }
    memcpy(to, &id, 4);
    return 0;
}

/* ---- methods of a store -------------------------------------------------------------------------------------------- */

static int check_keyed(Store *store) {
    if (check_open(store)) return -1;
    if (store->handle.geometry.key_field >= 0) return 0;
    raise_error(store->state, ERROR_INVALID_OPTION, "this store has no keys: its schema has no field of kind Key");
    return -1;
}

PyObject *Store_key(PyObject *self, PyObject *text) {
    Store *store = (Store *)self;
    uint32_t id;
    if (check_keyed(store)) return NULL;
    uint32_t field = (uint32_t)store->handle.geometry.key_field;
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count;
         i++) /* the key field that takes the longest keys */
        if (store->handle.geometry.fields[i].kind == KIND_KEY &&
            store->handle.geometry.fields[i].size == store->handle.geometry.key_bytes)
            field = i;
    if (!PyUnicode_Check(text)) {
        wrong_type(store, field, text, -1, "a str");
        return NULL;
    }
    return encode_key(store, field, text, &id, NULL) ? NULL : PyLong_FromUnsignedLong(id);
}

PyObject *Store_key_text(PyObject *self, PyObject *argument) {
    Store *store = (Store *)self;
    if (check_keyed(store)) return NULL;
    unsigned long id = PyLong_AsUnsignedLong(argument);
    if (id == (unsigned long)-1 && PyErr_Occurred()) return NULL;
    uint32_t count = table_count(&store->handle.table);
    if (id >= count)
        return PyErr_Format(PyExc_IndexError, "%R is not a key id; this store has ids below %u", argument, count);
    return key_text(store, (uint32_t)id);
}

PyObject *Store_keys(PyObject *self, PyObject *unused) {
    (void)unused;
    Store *store = (Store *)self;
    if (check_open(store) || load_keys(store)) return NULL;
    Py_ssize_t count = PyList_Size(store->key_texts);
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *text = PyList_GetItem(store->key_texts, i);
        PyList_SetItem(list, i, text == Py_None ? PyUnicode_FromString("") : Py_NewRef(text));
    }
    return list;
}
