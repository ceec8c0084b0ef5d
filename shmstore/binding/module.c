/* The module itself: its functions, its types and what else its state holds. */
#include "binding/appending/append.h"
#include "binding/questions/questions.h"
#include "binding/reading/columns.h"
#include "binding/cursors/cursor.h"
#include "binding/cursors/following.h"
#include "binding/metrics/series.h"
#include "binding/segment.h"
#include "binding/streams/event.h"
#include "binding/streams/follower.h"
#include "binding/streams/stream.h"
#include "binding/tables/tables.h"

static PyMethodDef functions[] = {
    {"plan", core_plan, METH_VARARGS, "plan(fields, options)\n--\n\nThe layout of a segment before it exists."},
    {"format", (PyCFunction)(void (*)(void))core_format, METH_VARARGS | METH_KEYWORDS,
     "format(buffer, fields, options, *, store_id, created_ns)\n--\n\nMake an empty store of a zeroed writable "
     "buffer."},
    {"read_header", (PyCFunction)(void (*)(void))core_read_header, METH_VARARGS | METH_KEYWORDS,
     "read_header(buffer, *, size=-1)\n--\n\nValidate a header and return what it says."},
    {"mark_unlinked", core_mark_unlinked, METH_O,
     "mark_unlinked(buffer)\n--\n\nTell every attached process that the name was removed."},
    {"arrow_schema", core_arrow_schema, METH_O, "arrow_schema(columns)\n--\n\nThe schema of a table, in a capsule."},
    {"arrow_array", core_arrow_array, METH_VARARGS,
     "arrow_array(columns, rows)\n--\n\nThe values of a table, in a capsule."},
    {"arrow_stream", core_arrow_stream, METH_VARARGS,
     "arrow_stream(columns, rows)\n--\n\nA table as a stream, in a capsule."},
    {"pack_bits", core_pack_bits, METH_O, "pack_bits(bytes)\n--\n\nOne bit for each byte, set where it is not zero."},
    {"pack_rows", core_pack_rows, METH_VARARGS,
     "pack_rows(format, rows, parts)\n--\n\nA read-only memoryview of packed rows."},
    {"rows", core_rows, METH_VARARGS, "rows(pieces, accept, limit=None)\n--\n\nIterate over the rows of many Columns."},
    {NULL, NULL, 0, NULL},
};

static int load_datetime(struct module_state *state) {
    PyObject *datetime = PyImport_ImportModule("datetime");
    PyObject *zone = datetime ? PyObject_GetAttrString(datetime, "timezone") : NULL;
    PyObject *utc = zone ? PyObject_GetAttrString(zone, "utc") : NULL;
    state->datetime_type = utc ? PyObject_GetAttrString(datetime, "datetime") : NULL;
    state->unix_epoch =
        state->datetime_type ? PyObject_CallMethod(state->datetime_type, "fromtimestamp", "iO", 0, utc) : NULL;
    Py_XDECREF(utc);
    Py_XDECREF(zone);
    Py_XDECREF(datetime);
    return state->unix_epoch ? 0 : -1;
}

static PyObject *imported(const char *module_name, const char *name) {
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    return found;
}

/* Stop at the first failure: an import with an error set might lose that error. */
static int load_helpers(struct module_state *state) {
    state->shown = imported("shmstore.arguments.shown", "shown");
    if (state->shown) state->near = imported("shmstore.arguments.shown", "near");
    if (state->near) state->moment_ns = imported("shmstore.arguments.moments", "moment_ns");
    return state->moment_ns ? 0 : -1;
}

static PyType_Spec *const specs[TYPE_COUNT] = {
    [TYPE_STORE] = &store_spec,       [TYPE_COLUMNS] = &columns_spec,   [TYPE_CURSOR] = &cursor_spec,
    [TYPE_PROGRAM] = &program_spec,   [TYPE_MAPPING] = &mapping_spec,   [TYPE_COLUMN] = &column_spec,
    [TYPE_APPENDER] = &appender_spec, [TYPE_ROWS] = &rows_spec,         [TYPE_FOLLOWING] = &following_spec,
    [TYPE_PACKED] = &packed_spec,     [TYPE_METRICS] = &metrics_spec,   [TYPE_SERIES] = &series_spec,
    [TYPE_COUNTER] = &counter_spec,   [TYPE_GAUGE] = &gauge_spec,       [TYPE_HISTOGRAM] = &histogram_spec,
    [TYPE_SUMMARY] = &summary_spec,   [TYPE_STREAMS] = &streams_spec,   [TYPE_STREAM] = &stream_spec,
    [TYPE_EVENT] = &event_spec,       [TYPE_FOLLOWER] = &follower_spec,
};

/* The types on top of Series, which comes before them. */
static bool is_update(enum type type) { return type > TYPE_SERIES && type <= TYPE_SUMMARY; }

static int add_types(PyObject *module, struct module_state *state) {
    for (enum type type = 0; type < TYPE_COUNT; type++) {
        PyObject *base = is_update(type) ? (PyObject *)state->types[TYPE_SERIES] : NULL;
        state->types[type] = (PyTypeObject *)PyType_FromModuleAndSpec(module, specs[type], base);
        if (!state->types[type]) return -1;
        if (type <= LAST_PUBLIC_TYPE && PyModule_AddType(module, state->types[type])) return -1;
    }
    return 0;
}

/* A handle that nobody closed serves every exit handler, finalizer and thread until the interpreter is gone: what they
 * append arrives. Only then does the process leave the tables in order. Threads that the interpreter left behind hold no
 * GIL by then, so they are at most in the middle of a batch. Without a GIL they may be anywhere, and others repair what
 * is left. */
static bool watched;
static void leave_at_end(void) {
    watched = false;
    if (!FREE_THREADED) processes_leave_all();
}

static int load_names(struct module_state *state) {
    static const char *const names[APPEND_ARGUMENTS] = {"data", "type", "expected_version", "event_id", "metadata"};
    for (int i = 0; i < APPEND_ARGUMENTS; i++)
        if (!(state->append_names[i] = PyUnicode_InternFromString(names[i]))) return -1;
    return 0;
}

static int core_exec(PyObject *module) {
    if (!watched) watched = !Py_AtExit(leave_at_end); /* refused: others find us dead */
    struct module_state *state = PyModule_GetState(module);
    if (add_constants(module)) return -1;
    /* Type checkers see a TypedDict (_core.pyi), which at run time is a dict. */
    if (PyModule_AddObjectRef(module, "Options", (PyObject *)&PyDict_Type)) return -1;
    bool failed = load_errors(state) || add_shapes(module, state) || load_datetime(state) || load_helpers(state) ||
                  load_names(state) || add_types(module, state);
    return failed ? -1 : 0;
}

#define EACH_REFERENCE(state, DO)                                                                                      \
    for (int i = 0; i < ERROR_COUNT; i++) DO((state)->errors[i]);                                                      \
    for (int i = 0; i < SHAPE_COUNT; i++) DO((state)->shapes[i]);                                                      \
    for (int i = 0; i < TYPE_COUNT; i++) DO((state)->types[i]);                                                        \
    for (int i = 0; i < APPEND_ARGUMENTS; i++) DO((state)->append_names[i]);                                           \
    DO((state)->datetime_type);                                                                                        \
    DO((state)->unix_epoch);                                                                                           \
    DO((state)->shown);                                                                                                \
    DO((state)->json_loads);                                                                                           \
    DO((state)->json_scan);                                                                                            \
    DO((state)->near);                                                                                                 \
    DO((state)->moment_ns)

static int core_traverse(PyObject *module, visitproc visit, void *arg) {
    struct module_state *state = PyModule_GetState(module);
    EACH_REFERENCE(state, Py_VISIT);
    return 0;
}

static int core_clear(PyObject *module) {
    struct module_state *state = PyModule_GetState(module);
    EACH_REFERENCE(state, Py_CLEAR);
    return 0;
}

static void core_free(void *module) { core_clear(module); }

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, core_exec},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

PyModuleDef shmstore_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "shmstore._core",
    .m_doc = "The store's hot path: the shared bytes, and what many processes do with them at once.",
    .m_size = sizeof(struct module_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = core_traverse,
    .m_clear = core_clear,
    .m_free = core_free,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&shmstore_module); }
