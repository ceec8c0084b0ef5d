/* Refusing to pickle what lives in one process alone, with an error that says what to send instead. */
#include "binding/module.h"

static const struct {
    const char *what, *send;
} kinds[TYPE_COUNT] = {
    [TYPE_CURSOR] = {"a cursor", "send cursor.positions, and let the receiver go on by store.cursor(start=positions)"},
    [TYPE_FOLLOWING] = {"an iterator over a cursor",
                        "send cursor.positions, and let the receiver go on by store.cursor(start=positions)"},
    [TYPE_FOLLOWER] = {"an iterator over events",
                       "send its position, and let the receiver go on by follow(from_=position)"},
    [TYPE_ROWS] = {"an iterator over records", "send a list of them, or the snapshot"},
    [TYPE_APPENDER] = {"an appender",
                       "send the store itself, by which the receiver attaches to it, and make the appender there"},
    [TYPE_COLUMNS] = {"the inside of a snapshot", "send the snapshot itself"},
    [TYPE_SERIES] = {"a metric", "declare it alike in the receiver, and share both by metrics.configure"},
    [TYPE_PROGRAM] = {"a compiled expression", "send the expression itself"},
};

PyObject *refuse_pickling(PyObject *self, PyObject *unused) {
    (void)unused;
    PyTypeObject *of = Py_TYPE(self);
    struct module_state *state;
    while (!(state = PyType_GetModuleState(of))) { /* a subclass that Python code has made */
        PyErr_Clear();
        of = PyType_GetSlot(of, Py_tp_base);
    }
    const char *what = "the inside of a store", *send = "send the store itself, by which the receiver attaches to it";
    for (enum type type = 0; type < TYPE_COUNT; type++) {
        if (state->types[type] != of || !kinds[type].what) continue;
        what = kinds[type].what;
        send = kinds[type].send;
    }
    return raise_error(state, ERROR_NOT_PICKLABLE, "%s lives in this process alone and cannot be pickled or copied; %s",
                       what, send);
}
