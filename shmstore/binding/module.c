/* The module: its state, constants, named tuples and errors, and the functions that need no store. */
#include "binding/appending/append.h"
#include "binding/questions/questions.h"
#include "binding/reading/columns.h"
#include "binding/reading/cursor.h"
#include "binding/tables/tables.h"

#include "core/store/history.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* ---- errors and shapes -------------------------------------------------------------------------------------------- */

PyObject *raise_error(struct module_state *state, enum error error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    PyErr_FormatV(state->errors[error], format, arguments);
    va_end(arguments);
    return NULL;
}

bool drop_error(void) {
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) return false;
    PyErr_Clear();
    return true;
}

PyObject *raise_system_error(struct module_state *state, const char *what) {
    if (errno == EACCES || errno == EPERM)
        return raise_error(
            state, ERROR_ACCESS_DENIED,
            "uid %ld may not open the segment for writing, which %s needs; append once before rights are "
            "dropped, or create the store with another mode= or group=",
            (long)geteuid(), what);
    if (errno != EMFILE && errno != ENFILE)
        return raise_error(state, ERROR_SYSTEM_REFUSED,
                           "%s failed: %s; a store needs /proc (of this process), byte locks of descriptors (Linux 3.15) and "
                           "memory that a fork wipes (Linux 4.14); shmstore-inspect doctor says what is missing here",
                           what, strerror(errno));
    return raise_error(state, ERROR_TOO_MANY_FILES,
                       "too many open files: %s needs one more; close some, or raise the limit (ulimit -n)", what);
}

PyObject *new_shape(struct module_state *state, enum shape shape, PyObject *values) {
    if (!values) return NULL;
    PyObject *object = PyObject_CallObject(state->shapes[shape], values);
    Py_DECREF(values);
    return object;
}

PyObject *refuse_pickling(PyObject *self, PyObject *unused) {
    (void)unused;
    PyTypeObject *type = Py_TYPE(self);
    struct module_state *state = PyType_GetModuleState(type);
    if (!state) return NULL;
    const struct {
        PyTypeObject *type;
        const char *what, *send;
    } kinds[] = {{state->cursor_type, "a cursor",
                  "send cursor.positions, and let the receiver go on by store.cursor(start=positions)"},
                 {state->following_type, "an iterator over a cursor",
                  "send cursor.positions, and let the receiver go on by store.cursor(start=positions)"},
                 {state->rows_type, "an iterator over records", "send a list of them, or the snapshot"},
                 {state->appender_type, "an appender",
                  "send the store itself, by which the receiver attaches to it, and make the appender there"},
                 {state->columns_type, "the inside of a snapshot", "send the snapshot itself"},
                 {state->program_type, "a compiled expression", "send the expression itself"}};
    const char *what = "the inside of a store", *send = "send the store itself, by which the receiver attaches to it";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].type != type) continue;
        what = kinds[i].what;
        send = kinds[i].send;
    }
    return raise_error(state, ERROR_NOT_PICKLABLE, "%s lives in this process alone and cannot be pickled or copied; %s",
                       what, send);
}

static PyObject *fields_object(struct module_state *state, const struct field_spec *fields, uint32_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint32_t i = 0; list && i < count; i++) {
        PyObject *field = new_shape(state, SHAPE_FIELD_SPEC,
                                    Py_BuildValue("(sII)", fields[i].name, fields[i].kind, fields[i].size));
        if (!field) Py_CLEAR(list);
        else PyList_SetItem(list, (Py_ssize_t)i, field);
    }
    return list;
}

PyObject *header_object(struct module_state *state, const struct header *h, const struct geometry *g, bool unlinked) {
    const struct options *o = &h->options;
    PyObject *options = Py_BuildValue("{sKsIsIsIsIsI}", "capacity", (unsigned long long)o->capacity, "partitions",
                                      o->partitions, "layout", o->layout, "rule", o->rule, "keys", o->keys, "processes",
                                      o->processes);
    PyObject *fields = options ? fields_object(state, h->fields, o->field_count) : NULL;
    if (!fields) {
        Py_XDECREF(options);
        return NULL;
    }
    return new_shape(state, SHAPE_HEADER,
                     Py_BuildValue("((HH)y#LNNKN)", h->abi_major, h->abi_minor, h->store_id,
                                   (Py_ssize_t)sizeof h->store_id, (long long)h->created_ns, fields, options,
                                   (unsigned long long)g->total_bytes, PyBool_FromLong(unlinked)));
}

PyObject *plan_object(struct module_state *state, const struct geometry *g) {
    const struct {
        const char *name;
        uint64_t first;
    } begins[] = {{"header and board", 0},
                  {"history", g->history_offset},
                  {"processes", g->processes_offset},
                  {"key buckets", g->buckets_offset},
                  {"key cells", g->cells_offset},
                  {"partitions", g->partitions_offset},
                  {"summaries", g->summaries_offset},
                  {"slots", g->slots_offset},
                  {NULL, g->total_bytes}};
    PyObject *regions = PyList_New(0);
    for (int i = 0; regions && begins[i].name; i++) {
        PyObject *region = Py_BuildValue("(sKK)", begins[i].name, (number)begins[i].first,
                                         (number)(begins[i + 1].first - begins[i].first));
        if (!region || PyList_Append(regions, region)) Py_CLEAR(regions);
        Py_XDECREF(region);
    }
    if (!regions) return NULL;
    return new_shape(state, SHAPE_PLAN,
                     Py_BuildValue("(KKKKN)", (number)g->total_bytes, (number)g->slots,
                                   (number)(g->slots * g->options.partitions), (number)g->record_bytes, regions));
}

/* ---- fields and options from Python -------------------------------------------------------------------------------- */

static int parse_fields(struct module_state *state, PyObject *argument, struct field_spec *specs, uint32_t *count) {
    PyObject *list = PySequence_List(argument);
    if (!list) return -1;
    Py_ssize_t length = PyList_Size(list);
    int failed = length < 1 || length > MAX_FIELDS;
    if (failed) raise_error(state, ERROR_INVALID_SCHEMA, "a record has 1 to %d fields, found %zd", MAX_FIELDS, length);
    memset(specs, 0, MAX_FIELDS * sizeof *specs);
    for (Py_ssize_t i = 0; !failed && i < length; i++) {
        const char *name;
        Py_ssize_t bytes;
        PyObject *tuple = PySequence_Tuple(PyList_GetItem(list, i));
        failed = !tuple || !PyArg_ParseTuple(tuple, "s#II;a field is (name, kind, size)", &name, &bytes, &specs[i].kind,
                                             &specs[i].size);
        if (!failed && (bytes < 1 || bytes > MAX_FIELD_NAME_BYTES || strlen(name) != (size_t)bytes)) {
            PyObject *text = shown(state, PyTuple_GetItem(tuple, 0));
            if (text)
                raise_error(state, ERROR_INVALID_SCHEMA, "field %zd: a name has 1 to %d bytes and no NUL, found %U", i,
                            MAX_FIELD_NAME_BYTES, text);
            Py_XDECREF(text);
            failed = 1;
        }
        if (!failed) memcpy(specs[i].name, name, (size_t)bytes);
        Py_XDECREF(tuple);
    }
    Py_DECREF(list);
    *count = (uint32_t)length;
    return failed ? -1 : 0;
}

/* One option as an int in [0, most]; what is beyond is refused by its name. */
static int parse_option(struct module_state *state, PyObject *options, const char *name, uint64_t most,
                        uint64_t *value) {
    PyObject *key = PyUnicode_FromString(name), *item = key ? PyObject_GetItem(options, key) : NULL;
    Py_XDECREF(key);
    if (!item) return -1;
    PyObject *number = PyBool_Check(item) ? NULL : PyNumber_Index(item), *cause = NULL, *text = NULL;
    *value = number ? PyLong_AsUnsignedLongLong(number) : 0;
    int failed = !number || (*value == UINT64_MAX && PyErr_Occurred()) || *value > most;
    if (failed && (!PyErr_Occurred() || take_error(&cause)) && (text = shown(state, item)))
        raise_error(state, ERROR_INVALID_CAPACITY, "%s is %U; it must be an int between 0 and %llu", name, text,
                    (unsigned long long)most);
    Py_XDECREF(cause);
    Py_XDECREF(text);
    Py_XDECREF(number);
    Py_DECREF(item);
    return failed ? -1 : 0;
}

static int parse_geometry(struct module_state *state, PyObject *fields, PyObject *mapping, struct field_spec *specs,
                          struct geometry *g) {
    static const struct {
        const char *name;
        size_t offset;
    } narrow[] = {{"partitions", offsetof(struct options, partitions)},
                  {"layout", offsetof(struct options, layout)},
                  {"rule", offsetof(struct options, rule)},
                  {"keys", offsetof(struct options, keys)},
                  {"processes", offsetof(struct options, processes)}};
    struct options options = {0};
    if (parse_fields(state, fields, specs, &options.field_count) ||
        parse_option(state, mapping, "capacity", UINT64_MAX - 1, &options.capacity))
        return -1;
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++) {
        uint64_t value;
        if (parse_option(state, mapping, narrow[i].name, UINT32_MAX, &value)) return -1;
        uint32_t small = (uint32_t)value;
        memcpy((char *)&options + narrow[i].offset, &small, sizeof small);
    }
    struct refusal why;
    enum plan_status status = layout_plan(&options, specs, g, &why);
    if (status == PLAN_OK) return 0;
    raise_error(state, status == PLAN_BAD_FIELD ? ERROR_INVALID_SCHEMA : ERROR_INVALID_CAPACITY, "%s", why.text);
    return -1;
}

/* ---- functions ---------------------------------------------------------------------------------------------------- */

static PyObject *core_plan(PyObject *module, PyObject *arguments) {
    struct module_state *state = PyModule_GetState(module);
    PyObject *fields, *options;
    struct field_spec specs[MAX_FIELDS];
    struct geometry geometry;
    if (!PyArg_ParseTuple(arguments, "OO:plan", &fields, &options) ||
        parse_geometry(state, fields, options, specs, &geometry))
        return NULL;
    return plan_object(state, &geometry);
}

static PyObject *core_format(PyObject *module, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"buffer", "fields", "options", "store_id", "created_ns", NULL};
    struct module_state *state = PyModule_GetState(module);
    PyObject *fields, *options, *result = NULL;
    Py_buffer buffer, id;
    long long created_ns;
    struct field_spec specs[MAX_FIELDS];
    struct geometry geometry;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "w*OO$y*L:format", (char **)(uintptr_t)known, &buffer,
                                     &fields, &options, &id, &created_ns))
        return NULL;
    if (!parse_geometry(state, fields, options, specs, &geometry)) {
        if ((uint64_t)buffer.len != geometry.total_bytes || id.len != 16) {
            PyErr_Format(PyExc_ValueError, "expected a buffer of %llu bytes and an id of 16, found %zd and %zd",
                         (unsigned long long)geometry.total_bytes, buffer.len, id.len);
        } else {
            layout_format(buffer.buf, &geometry, specs, id.buf, created_ns);
            result = Py_NewRef(Py_None);
        }
    }
    PyBuffer_Release(&buffer);
    PyBuffer_Release(&id);
    return result;
}

/* Open the header of a buffer, or raise what is wrong with it. */
static int open_header(struct module_state *state, const Py_buffer *buffer, struct header *header,
                       struct geometry *geometry) {
    struct refusal why;
    switch (layout_open(buffer->buf, (uint64_t)buffer->len, header, geometry, &why)) {
    case HEADER_OK: return 0;
    case HEADER_FOREIGN:
        raise_error(state, ERROR_NOT_A_STORE, "these bytes are no shmstore segment: %s; it belongs to another program",
                    why.text);
        break;
    case HEADER_OTHER_ABI:
        raise_error(state, ERROR_ABI_MISMATCH,
                    "the segment was made by another version or machine: %s; use the shmstore that made it, or create "
                    "a new store",
                    why.text);
        break;
    case HEADER_DAMAGED:
        raise_error(state, ERROR_DAMAGED_SEGMENT,
                    "the segment is damaged: %s; remove it with 'shmstore-inspect rm' and create the store again",
                    why.text);
        break;
    }
    return -1;
}

static struct board *board_of(const Py_buffer *buffer, const struct geometry *geometry) {
    return (struct board *)(void *)((char *)buffer->buf + geometry->board_offset);
}

static PyObject *core_read_header(PyObject *module, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"buffer", "size", NULL};
    struct module_state *state = PyModule_GetState(module);
    Py_buffer buffer;
    Py_ssize_t size = -1;
    struct header header;
    struct geometry geometry;
    PyObject *result = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "y*|$n:read_header", (char **)(uintptr_t)known, &buffer,
                                     &size))
        return NULL;
    Py_ssize_t there = buffer.len;
    if (size >= 0 && there >= (Py_ssize_t)sizeof header)
        buffer.len = size; /* the first bytes of a segment of this size */
    if (!open_header(state, &buffer, &header, &geometry)) {
        bool has_board = (uint64_t)there >= geometry.board_offset + sizeof(struct board);
        bool unlinked = has_board && load_relaxed(&board_of(&buffer, &geometry)->news) & NEWS_UNLINKED;
        result = header_object(state, &header, &geometry, unlinked);
    }
    buffer.len = there;
    PyBuffer_Release(&buffer);
    return result;
}

static PyObject *core_mark_unlinked(PyObject *module, PyObject *object) {
    struct module_state *state = PyModule_GetState(module);
    Py_buffer buffer;
    struct header header;
    struct geometry geometry;
    if (PyObject_GetBuffer(object, &buffer, PyBUF_WRITABLE)) return NULL;
    int failed = open_header(state, &buffer, &header, &geometry);
    if (!failed) {
        atomic_u32 *news = &board_of(&buffer, &geometry)->news;
        or_acq_rel(news, NEWS_UNLINKED);
        wait_wake(news);
    }
    PyBuffer_Release(&buffer);
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef functions[] = {
    {"plan", core_plan, METH_VARARGS, "plan(fields, options)\n--\n\nThe layout of a segment before it exists."},
    {"format", (PyCFunction)(void (*)(void))core_format, METH_VARARGS | METH_KEYWORDS,
     "format(buffer, fields, options, *, store_id, created_ns)\n--\n\nMake an empty store of a zeroed writable "
     "buffer."},
    {"read_header", (PyCFunction)(void (*)(void))core_read_header, METH_VARARGS | METH_KEYWORDS,
     "read_header(buffer, *, size=-1)\n--\n\nValidate a header and return what it says."},
    {"mark_unlinked", core_mark_unlinked, METH_O,
     "mark_unlinked(buffer)\n--\n\nTell every attached process that the name was removed."},
    {"arrow_schema", core_arrow_schema, METH_O,
     "arrow_schema(columns)\n--\n\nThe schema of a table, in a capsule."},
    {"arrow_array", core_arrow_array, METH_VARARGS,
     "arrow_array(columns, rows)\n--\n\nThe values of a table, in a capsule."},
    {"arrow_stream", core_arrow_stream, METH_VARARGS,
     "arrow_stream(columns, rows)\n--\n\nA table as a stream, in a capsule."},
    {"pack_bits", core_pack_bits, METH_O, "pack_bits(bytes)\n--\n\nOne bit for each byte, set where it is not zero."},
    {"pack_rows", core_pack_rows, METH_VARARGS,
     "pack_rows(format, rows, parts)\n--\n\nA read-only memoryview of packed rows."},
    {"rows", core_rows, METH_VARARGS, "rows(pieces, accept, limit)\n--\n\nIterate over the rows of many Columns."},
    {NULL, NULL, 0, NULL},
};

/* ---- the module itself -------------------------------------------------------------------------------------------- */

static const char *const error_names[ERROR_COUNT] = {
    "InvalidSchema", "InvalidOption",  "InvalidCapacity", "NotAStore",        "AbiMismatch",      "DamagedSegment",
    "FieldError",    "FieldTypeError", "KeyTableFull",    "ProcessTableFull", "PartitionStalled", "ReadOnlyStore",
    "StoreClosed",   "StoreUnlinked",  "TooManyFiles",    "SystemRefused",
    "AccessDenied",  "NotPicklable"};

static const char *const shape_names[SHAPE_COUNT][2] = {
    {"FieldSpec", "name kind size"},
    {"Plan", "size slots capacity record_bytes regions"},
    {"Header", "abi store_id created_ns fields options size unlinked"},
    {"Totals", "tail oldest length skipped voided in_flight"},
    {"Place", "place generation state pid start_time pid_namespace entered_ns name appended last_append_ns lapped"},
    {"Sample", "number time_ns appended discarded skipped voided lapped length processes"},
    {"Reaped", "place pid voided released"},
    {"Gap", "partition first end reason"}};

static const struct {
    const char *name;
    long value;
} constants[] = {{"ABI_MAJOR", ABI_MAJOR},
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

static int load_errors(struct module_state *state) {
    PyObject *errors = PyImport_ImportModule("shmstore.errors");
    for (int i = 0; errors && i < ERROR_COUNT; i++) {
        state->errors[i] = PyObject_GetAttrString(errors, error_names[i]);
        if (!state->errors[i]) Py_CLEAR(errors);
    }
    Py_XDECREF(errors);
    return errors ? 0 : -1;
}

static int make_shapes(PyObject *module, struct module_state *state) {
    PyObject *collections = PyImport_ImportModule("collections");
    PyObject *namedtuple = collections ? PyObject_GetAttrString(collections, "namedtuple") : NULL;
    PyObject *options = Py_BuildValue("{ss}", "module", "shmstore._core");
    for (int i = 0; namedtuple && options && i < SHAPE_COUNT; i++) {
        PyObject *arguments = Py_BuildValue("(ss)", shape_names[i][0], shape_names[i][1]);
        state->shapes[i] = arguments ? PyObject_Call(namedtuple, arguments, options) : NULL;
        Py_XDECREF(arguments);
        if (!state->shapes[i] || PyModule_AddObjectRef(module, shape_names[i][0], state->shapes[i]))
            Py_CLEAR(namedtuple);
    }
    Py_XDECREF(options);
    Py_XDECREF(collections);
    Py_XDECREF(namedtuple);
    return namedtuple && options ? 0 : -1;
}

static int load_datetime(struct module_state *state) {
    PyObject *datetime = PyImport_ImportModule("datetime");
    PyObject *zone = datetime ? PyObject_GetAttrString(datetime, "timezone") : NULL;
    PyObject *utc = zone ? PyObject_GetAttrString(zone, "utc") : NULL;
    state->datetime_type = utc ? PyObject_GetAttrString(datetime, "datetime") : NULL;
    state->unix_epoch = state->datetime_type ? PyObject_CallMethod(state->datetime_type, "fromtimestamp", "iO", 0, utc)
                                             : NULL;
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

/* One after the other: whoever goes on with an error set may lose it. */
static int load_helpers(struct module_state *state) {
    state->shown = imported("shmstore.arguments.shown", "shown");
    if (state->shown) state->near = imported("shmstore.arguments.shown", "near");
    if (state->near) state->moment_ns = imported("shmstore.arguments.moments", "moment_ns");
    return state->moment_ns ? 0 : -1;
}

static int make_types(PyObject *module, struct module_state *state) {
    struct {
        PyTypeObject **type;
        PyType_Spec *spec;
        bool public;
    } const types[] = {{&state->store_type, &store_spec, true},        {&state->columns_type, &columns_spec, true},
                       {&state->cursor_type, &cursor_spec, true},      {&state->column_type, &column_spec, false},
                       {&state->appender_type, &appender_spec, false}, {&state->rows_type, &rows_spec, false},
                       {&state->following_type, &following_spec, false},
                       {&state->packed_type, &packed_spec, false},
                       {&state->program_type, &program_spec, true},    {&state->mapping_type, &mapping_spec, true}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        *types[i].type = (PyTypeObject *)PyType_FromModuleAndSpec(module, types[i].spec, NULL);
        if (!*types[i].type || (types[i].public && PyModule_AddType(module, *types[i].type))) return -1;
    }
    return 0;
}

/* A handle that nobody closed serves every exit handler, finalizer and thread until the interpreter is gone: what they append
 * arrives. Only then does the process leave the tables in order. Threads that the interpreter left behind hold no GIL by
 * then, so they are at most in the middle of a batch. Without a GIL they may be anywhere, and others repair what is left. */
static bool watched;
static void leave_at_end(void) {
    watched = false;
    if (!FREE_THREADED) processes_leave_all();
}

static int core_exec(PyObject *module) {
    if (!watched) watched = !Py_AtExit(leave_at_end); /* refused: others find us dead */
    struct module_state *state = PyModule_GetState(module);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value)) return -1;
    /* To type checkers a TypedDict (_core.pyi), and those are dicts. */
    if (PyModule_AddObjectRef(module, "Options", (PyObject *)&PyDict_Type)) return -1;
    bool failed = load_errors(state) || make_shapes(module, state) || load_datetime(state) || load_helpers(state) ||
                  make_types(module, state);
    return failed ? -1 : 0;
}

static int core_traverse(PyObject *module, visitproc visit, void *arg) {
    struct module_state *state = PyModule_GetState(module);
    for (int i = 0; i < ERROR_COUNT; i++) Py_VISIT(state->errors[i]);
    for (int i = 0; i < SHAPE_COUNT; i++) Py_VISIT(state->shapes[i]);
    Py_VISIT(state->datetime_type);
    Py_VISIT(state->unix_epoch);
    Py_VISIT(state->shown);
    Py_VISIT(state->near);
    Py_VISIT(state->moment_ns);
    Py_VISIT(state->store_type);
    Py_VISIT(state->columns_type);
    Py_VISIT(state->column_type);
    Py_VISIT(state->cursor_type);
    Py_VISIT(state->appender_type);
    Py_VISIT(state->rows_type);
    Py_VISIT(state->following_type);
    Py_VISIT(state->packed_type);
    Py_VISIT(state->program_type);
    Py_VISIT(state->mapping_type);
    return 0;
}

static int core_clear(PyObject *module) {
    struct module_state *state = PyModule_GetState(module);
    for (int i = 0; i < ERROR_COUNT; i++) Py_CLEAR(state->errors[i]);
    for (int i = 0; i < SHAPE_COUNT; i++) Py_CLEAR(state->shapes[i]);
    Py_CLEAR(state->datetime_type);
    Py_CLEAR(state->unix_epoch);
    Py_CLEAR(state->shown);
    Py_CLEAR(state->near);
    Py_CLEAR(state->moment_ns);
    Py_CLEAR(state->store_type);
    Py_CLEAR(state->columns_type);
    Py_CLEAR(state->column_type);
    Py_CLEAR(state->cursor_type);
    Py_CLEAR(state->appender_type);
    Py_CLEAR(state->rows_type);
    Py_CLEAR(state->following_type);
    Py_CLEAR(state->packed_type);
    Py_CLEAR(state->program_type);
    Py_CLEAR(state->mapping_type);
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
