/* The numbers that the core owns and Python names: kinds, limits, layouts, rules, reasons. */
#include "binding/module.h"

#include "core/questions/order/quantile.h"
#include "core/questions/programs/program.h"
#include "core/questions/tallies/tally.h"
#include "core/ring/ring.h"
#include "core/store/history.h"

static const struct {
    const char *name;
    long value;
} constants[] = {{"ABI_MAJOR", ABI_MAJOR},
                 {"ABI_MINOR", ABI_MINOR},
                 {"MAX_FIELDS", MAX_FIELDS},
                 {"MAX_FIELD_NAME_BYTES", MAX_FIELD_NAME_BYTES},
                 {"MAX_KEY_BYTES", MAX_KEY_BYTES},
                 {"MAX_TEXT_BYTES", MAX_TEXT_BYTES},
                 {"MAX_PROCESSES", MAX_PROCESSES},
                 {"MAX_PARTITIONS", MAX_PARTITIONS},
                 {"MAX_SERIES", MAX_SERIES},
                 {"MAX_EXEMPLARS", MAX_EXEMPLARS},
                 {"HISTORY_SAMPLES", HISTORY_SAMPLES},
                 {"MAX_REGISTERS", MAX_REGISTERS},
                 {"MAX_VALUES", MAX_VALUES},
                 {"MAX_QUANTILES", MAX_QUANTILES},
                 {"TALLY_SUM", TALLY_SUM},
                 {"TALLY_BOUNDS", TALLY_BOUNDS},
                 {"TALLY_MOMENTS", TALLY_MOMENTS},
                 {"INT8", KIND_INT8},
                 {"INT16", KIND_INT16},
                 {"INT32", KIND_INT32},
                 {"INT64", KIND_INT64},
                 {"UINT8", KIND_UINT8},
                 {"UINT16", KIND_UINT16},
                 {"UINT32", KIND_UINT32},
                 {"UINT64", KIND_UINT64},
                 {"FLOAT32", KIND_FLOAT32},
                 {"FLOAT64", KIND_FLOAT64},
                 {"BOOL", KIND_BOOL},
                 {"TEXT", KIND_TEXT},
                 {"BYTES", KIND_BYTES},
                 {"TIMESTAMP", KIND_TIMESTAMP},
                 {"KEY", KIND_KEY},
                 {"LAYOUT_ROWS", LAYOUT_ROWS},
                 {"LAYOUT_COLUMNS", LAYOUT_COLUMNS},
                 {"BY_KEY", RULE_KEY},
                 {"BY_PROCESS", RULE_PROCESS},
                 {"BY_TURN", RULE_TURN},
                 {"EXPLICIT", RULE_EXPLICIT},
                 {"GAP_LAPPED", GAP_LAPPED},
                 {"GAP_VOIDED", GAP_VOIDED},
                 {"GAP_SKIPPED", GAP_SKIPPED},
                 {"GAP_CLEARED", GAP_CLEARED},
                 {"GAP_IN_FLIGHT", GAP_IN_FLIGHT},
                 {"GAP_REFUSED", GAP_REFUSED},
                 {"GAP_DAMAGED", GAP_DAMAGED}};

/* KIND_RANGES: kind -> (least, most), of those that are integers. */
static int add_ranges(PyObject *module) {
    PyObject *ranges = PyDict_New();
    for (uint32_t kind = 0; ranges && kind < KIND_END; kind++) {
        const struct kind_range *all = &kind_ranges[kind];
        if (!all->most) continue;
        PyObject *key = PyLong_FromUnsignedLong(kind);
        PyObject *range = Py_BuildValue("(LK)", (long long)all->least, (number)all->most);
        if (!key || !range || PyDict_SetItem(ranges, key, range)) Py_CLEAR(ranges);
        Py_XDECREF(key);
        Py_XDECREF(range);
    }
    int failed = ranges ? PyModule_AddObjectRef(module, "KIND_RANGES", ranges) : -1;
    Py_XDECREF(ranges);
    return failed;
}

int add_constants(PyObject *module) {
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value)) return -1;
    return add_ranges(module);
}
