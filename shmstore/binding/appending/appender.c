/* The appender: a callable made for certain fields, which takes their values by position. */
#include "binding/store/guard.h"
#include "binding/appending/append.h"
#include "binding/values/refuse.h"

#include <string.h>

typedef struct {
    PyObject_HEAD Store *store;
    int64_t partition;
    uint32_t count,
        least; /* how many values a call takes: at most, and at least (those at the end may have defaults) */
    uint32_t time_count, default_count; /* fields that every call leaves out: now, or as declared */
    struct taken {
        uint32_t field, kind, offset;
    } taken[MAX_FIELDS];        /* what is taken, in the order of the values */
    uint32_t times[MAX_FIELDS]; /* where the timestamps go that are left out */
    uint32_t defaults[MAX_FIELDS];
} Appender;

/* Fill in the fields that a call leaves out. */
static int stage_left_out(Appender *appender, Py_ssize_t count, unsigned char *record, int64_t now,
                          struct staging *staging) {
    Store *store = appender->store;
    for (uint32_t i = 0; i < appender->time_count; i++) memcpy(record + appender->times[i], &now, 8);
    for (uint32_t i = 0; i < appender->default_count; i++) {
        uint32_t field = appender->defaults[i];
        if (put_default(store, field, record + store->handle.geometry.fields[field].offset, staging)) return -1;
    }
    for (uint32_t i = (uint32_t)count; i < appender->count; i++) {
        const struct taken *taken = &appender->taken[i];
        if (left_out(store, taken->field) == LEFT_NOW) memcpy(record + taken->offset, &now, 8);
        else if (put_default(store, taken->field, record + taken->offset, staging)) return -1;
    }
    return 0;
}

static PyObject *appender_call(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    Appender *appender = (Appender *)self;
    Store *store = appender->store;
    if (names) {
        raise_record(store, "this appender takes its values by position, found also %R", names);
        return NULL;
    }
    if (count > (Py_ssize_t)appender->count || count < (Py_ssize_t)appender->least) {
        if (appender->least == appender->count)
            raise_record(store, "this appender takes %u values, found %zd", appender->count, count);
        else
            raise_record(store, "this appender takes %u to %u values, found %zd", appender->least, appender->count,
                         count);
        return NULL;
    }
    uint64_t stack[STAGE_WORDS];
    unsigned char *record = stage(store, stack);
    if (!record) return PyErr_NoMemory();
    int64_t now = now_ns();
    struct staging staging = {-1, NULL};
    PyObject *position = NULL;
    uint32_t key;
    if (stage_left_out(appender, count, record, now, &staging)) goto done;
    for (Py_ssize_t i = 0; i < count; i++) {
        const struct taken *taken = &appender->taken[i];
        unsigned char *to = record + taken->offset;
        if (taken->kind == KIND_FLOAT64 && PyFloat_CheckExact(values[i])) { /* the most common kinds, without a call */
            double number = PyFloat_AsDouble(values[i]);
            memcpy(to, &number, 8);
        } else if (taken->kind == KIND_KEY && recent_key(store, taken->field, values[i], &key)) {
            memcpy(to, &key, 4);
        } else if (encode_value(store, taken->field, values[i], to, &staging)) {
            goto done;
        }
    }
    position = append_staged(store, record, staging.new_keys, appender->partition, now);
done:
    Py_XDECREF(staging.new_keys);
    unstage(record, stack);
    return position;
}

#define STORE_OF(self) (((Appender *)(self))->store)
GUARD(appender_call, FASTCALL_KEYWORDS)

static PyMethodDef appender_method[] = {METHOD_ROW(
    "append", appender_call, FASTCALL_KEYWORDS,
    "Append one record of the fields that the appender was made for, in their order. Returns its position.")};

static void appender_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)((Appender *)self)->store);
    free_object(self);
}

static int appender_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Appender *)self)->store);
    return 0;
}

static PyMethodDef appender_methods[] = {NOT_PICKLED, {NULL, NULL, 0, NULL}};

PyType_Spec appender_spec = {
    .name = "shmstore._core.Appender",
    .basicsize = sizeof(Appender),
    .flags = RESULT_FLAGS_GC,
    .slots = (PyType_Slot[]){{Py_tp_dealloc, appender_dealloc},
                             {Py_tp_traverse, appender_traverse},
                             {Py_tp_methods, appender_methods},
                             {0, NULL}},
};

static int fill_appender(Appender *appender, Store *store, PyObject *names) {
    bool given[MAX_FIELDS] = {false};
    Py_ssize_t count = PySequence_Size(names);
    if (count < 0) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PySequence_GetItem(names, i);
        if (!name) return -1;
        int field = field_index(store, name);
        if (field < 0) raise_unknown_field(store, name);
        else if (given[field]) raise_field(store, ERROR_FIELD_TYPE, (uint32_t)field, -1, "it is named twice");
        Py_DECREF(name);
        if (PyErr_Occurred()) return -1;
        given[field] = true;
        appender->taken[i] = (struct taken){(uint32_t)field, store->handle.geometry.fields[field].kind,
                                            store->handle.geometry.fields[field].offset};
        if (left_out(store, (uint32_t)field) == LEFT_REFUSED) appender->least = (uint32_t)i + 1;
    }
    appender->count = (uint32_t)count;
    for (uint32_t i = 0; i < store->handle.geometry.options.field_count; i++) {
        if (given[i]) continue;
        switch (left_out(store, i)) {
        case LEFT_NOW: appender->times[appender->time_count++] = store->handle.geometry.fields[i].offset; break;
        case LEFT_DEFAULT: appender->defaults[appender->default_count++] = i; break;
        default:
            raise_field(store, ERROR_FIELD_TYPE, i, -1,
                        "the appender must take it; only a Timestamp, or what is declared with a default, may be left "
                        "out");
            return -1;
        }
    }
    return 0;
}

PyObject *Store_appender(PyObject *self, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"names", "partition", NULL};
    Store *store = (Store *)self;
    PyObject *names, *partition = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:appender", (char **)(uintptr_t)known, &names,
                                     &partition))
        return NULL;
    if (check_appendable(store)) return NULL;
    Appender *appender = (Appender *)PyType_GenericAlloc(store->state->types[TYPE_APPENDER], 0);
    if (!appender) return NULL;
    appender->store = (Store *)Py_NewRef(self);
    PyObject *method = NULL;
    if (!partition_argument(store, partition, &appender->partition) && !fill_appender(appender, store, names))
        method = PyCFunction_NewEx(appender_method, (PyObject *)appender, NULL);
    Py_DECREF(appender);
    return method;
}
