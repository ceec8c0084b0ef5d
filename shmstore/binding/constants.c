/* The numbers that the core owns and Python names: kinds, limits, layouts, rules, reasons. */
#include "binding/module.h"

#include "core/ring/ring.h"
#include "core/store/history.h"

static const struct {
    const char *name;
    long value;
} constants[] = {
    {"ABI_MAJOR", ABI_MAJOR},
    {"ABI_MINOR", ABI_MINOR},
    {"MAX_FIELDS", MAX_FIELDS},
    {"MAX_FIELD_NAME_BYTES", MAX_FIELD_NAME_BYTES},
    {"MAX_PROCESSES", MAX_PROCESSES},
    {"MAX_PARTITIONS", MAX_PARTITIONS},
    {"HISTORY_SAMPLES", HISTORY_SAMPLES},
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

int add_constants(PyObject *module) {
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value)) return -1;
    return 0;
}
