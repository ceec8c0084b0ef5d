/* Bytes to Python values: fields, rows and keys. */
#include "binding/store/guard.h"
#include "binding/values/decode.h"

#include <string.h>

/* The text of an id as a new reference; NULL without an error when it has none. */
static PyObject *find_key_text(Store *store, uint32_t id) {
    PyObject *text = id < load_acquire(&store->keys_read) || (Py_ssize_t)id < PyList_Size(store->key_texts)
                         ? PyList_GetItem(store->key_texts, (Py_ssize_t)id)
                         : NULL;
    if (text && text != Py_None) return Py_NewRef(text);
    PyErr_Clear();
    if (load_keys(store)) return NULL;
    text = (Py_ssize_t)id < PyList_Size(store->key_texts) ? PyList_GetItem(store->key_texts, (Py_ssize_t)id) : NULL;
    return text && text != Py_None ? Py_NewRef(text) : NULL;
}

PyObject *key_text(Store *store, uint32_t id) {
    PyObject *text = find_key_text(store, id);
    if (text || PyErr_Occurred()) return text;
    return raise_error(store->state, ERROR_DAMAGED_SEGMENT,
                       "key id %u has no text in the key table: the segment was damaged; run 'shmstore-inspect check'",
                       id);
}

PyObject *key_or_none(Store *store, uint32_t id) {
    PyObject *text = find_key_text(store, id);
    return text || PyErr_Occurred() ? text : Py_NewRef(Py_None);
}

/* Put a text at the index that is its id. Other code has run since the caller looked, and may have loaded some texts
 * itself. */
static int list_key(Store *store, uint32_t id, PyObject *text) {
    int failed = 0;
    BEGIN_EXCLUSIVE(store);
    Py_ssize_t listed = PyList_Size(store->key_texts);
    if (listed == (Py_ssize_t)id) failed = PyList_Append(store->key_texts, text);
    else if (listed > (Py_ssize_t)id && text != Py_None)
        failed = PyList_SetItem(store->key_texts, (Py_ssize_t)id, Py_NewRef(text));
    END_EXCLUSIVE();
    return failed;
}

static int load_mapped_keys(Store *store) {
    char text[MAX_KEY_BYTES];
    uint32_t count = table_count(&store->handle.table);
    bool whole = true;
    for (uint32_t id = load_acquire(&store->keys_read); id < count; id++) {
        if ((Py_ssize_t)id >= PyList_Size(store->key_texts) ||
            PyList_GetItem(store->key_texts, (Py_ssize_t)id) == Py_None) {
            int64_t length = table_text(&store->handle.table, id, text);
            PyObject *value =
                length < 0 ? Py_NewRef(Py_None) : PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
            if (!value) return -1;
            if (length < 0) whole = false; /* reserved, not written yet (or never): look again next time */
            int failed = list_key(store, id, value);
            Py_DECREF(value);
            if (failed) return -1;
        }
        if (whole && load_relaxed(&store->keys_read) <= id) store_release(&store->keys_read, id + 1);
    }
    return 0;
}

/* Also for snapshots, which outlive the store: then there is nothing more to load. */
int load_keys(Store *store) {
    if (store->handle.geometry.key_field < 0) return 0;
    const uint32_t life = pin(store);
    int failed = life ? load_mapped_keys(store) : 0;
    unpin(store, life);
    return failed;
}

PyObject *decode_value(Store *store, uint32_t index, const unsigned char *from) {
    const struct field *field = &store->handle.geometry.fields[index];
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        float f32;
        double f64;
    } v;
    if (field->units == 1) memcpy(&v, from, field->unit);
    switch (field->kind) {
    case KIND_FLOAT64: return PyFloat_FromDouble(v.f64);
    case KIND_INT64:
    case KIND_TIMESTAMP: return PyLong_FromLongLong(v.i64);
    case KIND_KEY:
        if (v.u32 < load_acquire(&store->keys_read))
            return Py_NewRef(PyList_GetItem(store->key_texts, (Py_ssize_t)v.u32));
        return key_or_none(store, v.u32);
    case KIND_INT8: return PyLong_FromLong(v.i8);
    case KIND_INT16: return PyLong_FromLong(v.i16);
    case KIND_INT32: return PyLong_FromLong(v.i32);
    case KIND_UINT8: return PyLong_FromLong(v.u8);
    case KIND_UINT16: return PyLong_FromLong(v.u16);
    case KIND_UINT32: return PyLong_FromUnsignedLong(v.u32);
    case KIND_UINT64: return PyLong_FromUnsignedLongLong(v.u64);
    case KIND_FLOAT32: return PyFloat_FromDouble((double)v.f32);
    case KIND_BOOL: return PyBool_FromLong(v.u8 != 0);
    default: break;
    }
    uint16_t length;
    memcpy(&length, from + field->bytes - 2, 2);
    if (length > field->size) length = (uint16_t)field->size;
    return field->kind == KIND_TEXT ? PyUnicode_DecodeUTF8((const char *)from, length, "replace")
                                    : PyBytes_FromStringAndSize((const char *)from, length);
}

/* An empty record of the store's tuple subclass, to be filled: cheaper than building a tuple and copying it. From CPython
 * 3.14 on, a tuple caches its hash in a field that only its own constructor sets, so there the long way is taken. */
static PyObject *new_record(Store *store, Py_ssize_t count, bool plain) {
    if (plain || !store->record_type || Py_Version >= 0x030E0000) return PyTuple_New(count);
    return PyType_GenericAlloc((PyTypeObject *)store->record_type, count);
}

static PyObject *finish_record(Store *store, PyObject *values, bool plain) {
    if (plain || (!store->make && (!store->record_type || Py_Version < 0x030E0000))) return values;
    if (!store->make) return new_tuple((PyTypeObject *)store->record_type, values);
    PyObject *make = Py_NewRef(store->make), *record = PyObject_CallObject(make, values); /* it may set another */
    Py_DECREF(make);
    Py_DECREF(values);
    return record;
}

int fill_row(Store *store, unsigned char *const *base, uint64_t row, PyObject *values) {
    const uint32_t count = store->handle.geometry.options.field_count;
    for (uint32_t i = 0; i < count; i++) {
        PyObject *value = decode_value(store, i, base[i] + row * store->handle.geometry.fields[i].bytes);
        if (!value || PyTuple_SetItem(values, (Py_ssize_t)i, value)) return -1;
    }
    return 0;
}

PyObject *decode_row(Store *store, unsigned char *const *base, uint64_t row, bool plain) {
    PyObject *values = new_record(store, (Py_ssize_t)store->handle.geometry.options.field_count, plain);
    if (!values) return NULL;
    if (fill_row(store, base, row, values)) {
        Py_DECREF(values);
        return NULL;
    }
    /* Numbers and texts can be in no cycle: the collector need not look at a record again and again, nor at a million of
     * them. */
    if (plain || store->is_leaf) PyObject_GC_UnTrack(values);
    return finish_record(store, values, plain);
}

static bool is_refusal(void) {
    return PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(PyExc_MemoryError);
}

enum made make_again(PyObject *(*make)(void *context), void *context) {
    PyObject *type, *value, *trace;
    if (!is_refusal()) return MADE_NOT;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *again = make(context);
    if (again) {
        Py_DECREF(again);
        PyErr_Restore(type, value, trace);
        return MADE_NOT;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return is_refusal() ? REFUSED : MADE_NOT;
}

PyObject *decode_staged(Store *store, const unsigned char *record) {
    unsigned char *base[MAX_FIELDS];
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count; i++)
        base[i] = (unsigned char *)(uintptr_t)record + store->handle.geometry.fields[i].offset;
    return decode_row(store, base, 0, false);
}
