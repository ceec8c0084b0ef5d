/* Cells of groups as columns of Python objects. */
#include "binding/questions/cells.h"
#include "binding/values/decode.h"

PyObject *number_object(enum lane lane, union number number) {
    switch (lane) {
    case LANE_INT: return PyLong_FromLongLong(number.i);
    case LANE_UINT: return PyLong_FromUnsignedLongLong(number.u);
    default: return PyFloat_FromDouble(number.f);
    }
}

enum told told_of(enum groups_status status) {
    return status == GROUPS_OK ? TOLD_OK : status == GROUPS_NO_MEMORY ? TOLD_NO_MEMORY : TOLD_DAMAGED;
}

static PyObject *make_label(const struct groups *groups, uint32_t cell, void *context) {
    Store *store = context;
    const struct field *field = &store->handle.geometry.fields[groups->field];
    const uint64_t value = groups->cells[cell].value;
    if (field->summary < 0) return decode_value(store, (uint32_t)groups->field, groups->texts + value);
    if (field->kind == KIND_KEY) { /* a lost key is shown as None; an id that was never handed out is damage */
        bool listed = (Py_ssize_t)value < PyList_Size(store->key_texts);
        return listed ? key_or_none(store, (uint32_t)value) : key_text(store, (uint32_t)value);
    }
    if (field->kind == KIND_BOOL) return PyBool_FromLong(value != 0);
    return number_object(lane_of(field->kind), (union number){.u = value});
}

PyObject *cells_column(const struct groups *groups, cell_maker *make, void *context) {
    PyObject *list = PyList_New(0);
    for (uint32_t cell = 0; list && cell < groups->cell_count; cell++) {
        if (!groups->cells[cell].count) continue;
        PyObject *object = make(groups, cell, context);
        if (!object || PyList_Append(list, object)) Py_CLEAR(list);
        Py_XDECREF(object);
    }
    return list;
}

PyObject *labels_column(Store *store, const struct groups *groups) { return cells_column(groups, make_label, store); }

PyObject *labelled(PyObject *labels, PyObject *answers) {
    if (labels && answers) return Py_BuildValue("(NN)", labels, answers);
    Py_XDECREF(labels);
    Py_XDECREF(answers);
    return NULL;
}
