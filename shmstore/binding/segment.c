/* The functions that need no store: planning, formatting, looking at and marking a segment's bytes. */
#include "binding/segment.h"

#include "core/waiting/wait.h"

#include <string.h>

/* ---- fields and options from Python -------------------------------------------------------------------------------- */

static int parse_fields(struct module_state *state, PyObject *argument, enum segment_kind kind,
                        struct field_spec *specs, uint16_t *count) {
    PyObject *list = PySequence_List(argument);
    if (!list) return -1;
    Py_ssize_t length = PyList_Size(list);
    const bool has_none = kind != SEGMENT_EVENTS;
    int failed = has_none ? length > 0 : length < 1 || length > MAX_FIELDS;
    if (failed && has_none)
        raise_error(state, ERROR_INVALID_SCHEMA, "%s have no fields, found %zd", kind_names[kind], length);
    else if (failed)
        raise_error(state, ERROR_INVALID_SCHEMA, "a record has 1 to %d fields, found %zd", MAX_FIELDS, length);
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
    *count = (uint16_t)length;
    return failed ? -1 : 0;
}

/* The kind of the segment: events when nothing is said. */
static int parse_kind(struct module_state *state, PyObject *options, uint16_t *kind) {
    PyObject *key = PyUnicode_FromString("kind"), *item = key ? PyObject_GetItem(options, key) : NULL;
    Py_XDECREF(key);
    *kind = SEGMENT_EVENTS;
    if (!item && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
        return 0;
    }
    if (!item) return -1;
    const bool is_text = PyUnicode_Check(item);
    while (is_text && *kind < SEGMENT_KIND_END && PyUnicode_CompareWithASCIIString(item, kind_names[*kind])) ++*kind;
    const int failed = !is_text || *kind == SEGMENT_KIND_END;
    PyObject *text = failed ? shown(state, item) : NULL;
    if (text)
        raise_error(state, ERROR_INVALID_OPTION, "kind is %U; it must be '%s', '%s' or '%s'", text,
                    kind_names[SEGMENT_EVENTS], kind_names[SEGMENT_METRICS], kind_names[SEGMENT_STREAMS]);
    Py_XDECREF(text);
    Py_DECREF(item);
    return failed ? -1 : 0;
}

/* One option as an int in [0, most]; what is beyond is refused as what it is `called`. (Which of these are taken is said by
 * the layout.) */
static int parse_option(struct module_state *state, PyObject *options, const char *name, const char *called,
                        uint64_t most, uint64_t *value) {
    PyObject *key = PyUnicode_FromString(name), *item = key ? PyObject_GetItem(options, key) : NULL;
    Py_XDECREF(key);
    if (!item) return -1;
    PyObject *number = PyBool_Check(item) ? NULL : PyNumber_Index(item), *cause = NULL, *text = NULL;
    int beyond = 0;
    const long long found = number ? PyLong_AsLongLongAndOverflow(number, &beyond) : -1;
    const bool is_large = beyond > 0 || (found >= 0 && (uint64_t)found > most);
    const int failed = found < 0 || is_large;
    *value = failed ? 0 : (uint64_t)found;
    if (failed && (!PyErr_Occurred() || take_error(&cause)) && (text = shown(state, item)))
        raise_error(state, ERROR_INVALID_CAPACITY, "%s is %U; %s", called, text,
                    is_large ? "no segment takes so much" : "it must be an int that is not negative");
    Py_XDECREF(cause);
    Py_XDECREF(text);
    Py_XDECREF(number);
    Py_DECREF(item);
    return failed ? -1 : 0;
}

static int parse_geometry(struct module_state *state, PyObject *fields, PyObject *mapping, struct field_spec *specs,
                          struct geometry *g) {
    enum { EVENTS = 1 << SEGMENT_EVENTS, METRICS = 1 << SEGMENT_METRICS, STREAMS = 1 << SEGMENT_STREAMS };
    static const struct {
        const char *name;
        size_t offset;
        unsigned kinds;
    } narrow[] = {{"partitions", offsetof(struct options, partitions), EVENTS},
                  {"partitions", offsetof(struct options, logs), STREAMS},
                  {"layout", offsetof(struct options, layout), EVENTS},
                  {"rule", offsetof(struct options, rule), EVENTS},
                  {"keys", offsetof(struct options, keys), EVENTS},
                  {"exemplars", offsetof(struct options, exemplars), METRICS},
                  {"data_bytes", offsetof(struct options, data_bytes), STREAMS},
                  {"streams", offsetof(struct options, streams), STREAMS},
                  {"processes", offsetof(struct options, processes), EVENTS | METRICS | STREAMS}};
    struct options options = {0};
    if (parse_kind(state, mapping, &options.kind)) return -1;
    const char *capacity = options.kind == SEGMENT_METRICS ? "series" : "capacity";
    if (parse_fields(state, fields, options.kind, specs, &options.field_count) ||
        parse_option(state, mapping, "capacity", capacity, INT64_MAX, &options.capacity))
        return -1;
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++) {
        uint64_t value;
        if (!(narrow[i].kinds & 1u << options.kind)) continue;
        if (parse_option(state, mapping, narrow[i].name, narrow[i].name, UINT32_MAX, &value)) return -1;
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

PyObject *core_plan(PyObject *module, PyObject *arguments) {
    struct module_state *state = PyModule_GetState(module);
    PyObject *fields, *options;
    struct field_spec specs[MAX_FIELDS];
    struct geometry geometry;
    if (!PyArg_ParseTuple(arguments, "OO:plan", &fields, &options) ||
        parse_geometry(state, fields, options, specs, &geometry))
        return NULL;
    return plan_object(state, &geometry);
}

PyObject *core_format(PyObject *module, PyObject *arguments, PyObject *keywords) {
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
        raise_error(state, ERROR_NOT_A_STORE,
                    "these bytes are not a shmstore segment: %s; it belongs to another program", why.text);
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

PyObject *core_read_header(PyObject *module, PyObject *arguments, PyObject *keywords) {
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

PyObject *core_mark_unlinked(PyObject *module, PyObject *object) {
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
