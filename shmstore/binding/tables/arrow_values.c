/* Values of Arrow columns to staged bytes: numbers widened and narrowed, times to nanoseconds, text interned or copied.
 *
 * As the interface demands, the producer's pointers, lengths and offsets are trusted; its values are not. They may change
 * while they are read, so what is checked is the copy that is stored. */
#include "binding/tables/arrow_in.h"
#include "binding/values/refuse.h"

#include "core/base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef __int128 wide; /* holds every int64 and uint64, and their products with the nanoseconds of a unit */

struct span {
    const char *bytes;
    Py_ssize_t length;
};

/* ---- types ------------------------------------------------------------------------------------------------------- */

enum nature { UNKNOWN, MISSING, TRUTH, INTEGER, REAL, TIME, STRING, BINARY };

struct form {
    enum nature nature;
    char code;      /* how it is stored: the letter of Arrow's plain type, v for views, w for one size */
    int64_t factor; /* nanoseconds of a unit; for w the size */
};

static struct form form_of(const char *format) {
    static const struct {
        const char *format;
        struct form form;
    } known[] = {{"n", {MISSING, 'n', 0}},
                 {"b", {TRUTH, 'b', 0}},
                 {"c", {INTEGER, 'c', 1}},
                 {"C", {INTEGER, 'C', 1}},
                 {"s", {INTEGER, 's', 1}},
                 {"S", {INTEGER, 'S', 1}},
                 {"i", {INTEGER, 'i', 1}},
                 {"I", {INTEGER, 'I', 1}},
                 {"l", {INTEGER, 'l', 1}},
                 {"L", {INTEGER, 'L', 1}},
                 {"f", {REAL, 'f', 1}},
                 {"g", {REAL, 'g', 1}},
                 {"u", {STRING, 'u', 0}},
                 {"U", {STRING, 'U', 0}},
                 {"vu", {STRING, 'v', 0}},
                 {"z", {BINARY, 'u', 0}},
                 {"Z", {BINARY, 'U', 0}},
                 {"vz", {BINARY, 'v', 0}},
                 {"tdD", {TIME, 'i', INT64_C(86400000000000)}},
                 {"tdm", {TIME, 'l', 1000000}}};
    static const char units[] = "smun"; /* each a thousandth of the one before */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(format, known[i].format)) return known[i].form;
    if (!strncmp(format, "w:", 2)) return (struct form){BINARY, 'w', strtoll(format + 2, NULL, 10)};
    const char *unit = !strncmp(format, "ts", 2) && format[2] ? strchr(units, format[2]) : NULL;
    if (!unit || format[3] != ':') return (struct form){UNKNOWN, 0, 0};
    struct form time = {TIME, 'l', 1};
    for (const char *u = unit; *u != 'n'; u++) time.factor *= 1000;
    return time;
}

static const struct {
    uint32_t natures;  /* bit n: values of nature n are accepted */
    const char *exact; /* codes whose values are laid out as staged ones */
    const char *words;
} takes[KIND_END] = {
    [KIND_INT8] = {1 << INTEGER, "c", "integers"},
    [KIND_INT16] = {1 << INTEGER, "s", "integers"},
    [KIND_INT32] = {1 << INTEGER, "i", "integers"},
    [KIND_INT64] = {1 << INTEGER, "l", "integers"},
    [KIND_UINT8] = {1 << INTEGER, "C", "integers"},
    [KIND_UINT16] = {1 << INTEGER, "S", "integers"},
    [KIND_UINT32] = {1 << INTEGER, "I", "integers"},
    [KIND_UINT64] = {1 << INTEGER, "L", "integers"},
    [KIND_FLOAT32] = {1 << REAL | 1 << INTEGER, "f", "floats of 32 or 64 bits, or integers"},
    [KIND_FLOAT64] = {1 << REAL | 1 << INTEGER, "g", "floats of 32 or 64 bits, or integers"},
    [KIND_BOOL] = {1 << TRUTH, "", "bool"},
    [KIND_TIMESTAMP] = {1 << TIME | 1 << INTEGER, "l", "timestamps, dates, or integers of ns since the Unix epoch"},
    [KIND_TEXT] = {1 << STRING, "", "text"},
    [KIND_BYTES] = {1 << BINARY, "", "binary values"},
    [KIND_KEY] = {1 << STRING, "", "text, dictionary-encoded or plain"},
};

/* The value of a key of a schema's metadata, as (bytes, length); bytes is NULL where there is none. The metadata is a
 * list: how many pairs, then each text after its length, all of them int32. */
static struct span metadata_of(const struct ArrowSchema *schema, const char *key) {
    const char *at = schema->metadata;
    int32_t pairs, lengths[2];
    if (!at) return (struct span){NULL, 0};
    memcpy(&pairs, at, 4);
    for (at += 4; pairs > 0; pairs--) {
        memcpy(&lengths[0], at, 4);
        const char *name = at + 4;
        memcpy(&lengths[1], name + lengths[0], 4);
        at = name + lengths[0] + 4;
        if ((size_t)lengths[0] == strlen(key) && !memcmp(name, key, (size_t)lengths[0]))
            return (struct span){at, lengths[1]};
        at += lengths[1];
    }
    return (struct span){NULL, 0};
}

/* An extension type means something else than its storage: a period of pandas' is stored as a number of months. */
static int check_extension(Store *store, uint32_t field, const struct ArrowSchema *schema) {
    static const char *const as_stored[] = {"arrow.uuid", "arrow.json"};
    struct span name = metadata_of(schema, "ARROW:extension:name");
    if (!name.bytes) return 0;
    for (size_t i = 0; i < sizeof as_stored / sizeof *as_stored; i++)
        if ((size_t)name.length == strlen(as_stored[i]) && !memcmp(name.bytes, as_stored[i], (size_t)name.length))
            return 0;
    PyObject *text = PyUnicode_DecodeUTF8(name.bytes, name.length, "replace");
    PyObject *words = text ? shown(store->state, text) : NULL;
    if (words)
        raise_field(store, ERROR_FIELD_TYPE, field, -1,
                    "its column has the extension type %U, of which only the storage ('%s') is known here; cast it to "
                    "what is meant, or to its storage type",
                    words, schema->format);
    Py_XDECREF(words);
    Py_XDECREF(text);
    return -1;
}

int arrow_check_type(Store *store, uint32_t field, const struct ArrowSchema *schema) {
    uint32_t kind = store->handle.geometry.fields[field].kind;
    struct form form = form_of(schema->format);
    const char *of = "", *format = schema->format;
    if (check_extension(store, field, schema) ||
        (schema->dictionary && check_extension(store, field, schema->dictionary)))
        return -1;
    if (schema->dictionary && form.nature == INTEGER) {
        of = "a dictionary of ";
        format = schema->dictionary->format;
        form = form_of(format);
    }
    if (form.nature == MISSING || takes[kind].natures >> form.nature & 1) return 0;
    raise_field(store, ERROR_FIELD_TYPE, field, -1, "expected a column of %s, found %sArrow type '%s'; cast it first",
                takes[kind].words, of, format);
    return -1;
}

const unsigned char *arrow_ready(const Store *store, uint32_t field, const struct chunk *chunk) {
    const struct field *f = &store->handle.geometry.fields[field];
    struct form form = form_of(chunk->schema->format);
    const struct ArrowArray *array = chunk->array;
    if (chunk->schema->dictionary || form.factor != 1 || !strchr(takes[f->kind].exact, form.code) ||
        (array->null_count && array->buffers[0]))
        return NULL;
    return (const unsigned char *)array->buffers[1] + (size_t)chunk->first * f->bytes;
}

/* ---- one value --------------------------------------------------------------------------------------------------- */

static bool bit(const void *bits, int64_t at) { return ((const uint8_t *)bits)[at / 8] >> at % 8 & 1; }

static bool is_missing(const struct ArrowArray *array, enum nature nature, int64_t at) {
    if (nature == MISSING) return true;
    return array->null_count && array->buffers[0] && !bit(array->buffers[0], at);
}

static wide integer_at(char code, const void *values, int64_t at) {
    switch (code) {
    case 'c': return ((const int8_t *)values)[at];
    case 'C': return ((const uint8_t *)values)[at];
    case 's': return ((const int16_t *)values)[at];
    case 'S': return ((const uint16_t *)values)[at];
    case 'i': return ((const int32_t *)values)[at];
    case 'I': return ((const uint32_t *)values)[at];
    case 'L': return ((const uint64_t *)values)[at];
    default: return ((const int64_t *)values)[at];
    }
}

static double real_at(char code, const void *values, int64_t at) {
    if (code == 'g') return ((const double *)values)[at];
    return code == 'f' ? (double)((const float *)values)[at] : (double)integer_at(code, values, at);
}

static struct span span_at(const struct form *form, const struct ArrowArray *array, int64_t at) {
    const void *values = array->buffers[1];
    if (form->code == 'w') return (struct span){(const char *)values + at * form->factor, (Py_ssize_t)form->factor};
    if (form->code == 'u') {
        const int32_t *ends = values;
        return (struct span){(const char *)array->buffers[2] + ends[at], ends[at + 1] - ends[at]};
    }
    if (form->code == 'U') {
        const int64_t *ends = values;
        return (struct span){(const char *)array->buffers[2] + ends[at], (Py_ssize_t)(ends[at + 1] - ends[at])};
    }
    const int32_t *view = (const int32_t *)values + 4 * at; /* length, then the bytes or: prefix, buffer, offset */
    const int32_t length = view[0];
    if (length <= 12) return (struct span){(const char *)(view + 1), length};
    return (struct span){(const char *)array->buffers[2 + view[2]] + view[3], length};
}

/* Refuse a number that does not fit, in the words that are used for Python values. Takes over the reference. */
static int refuse(Store *store, uint32_t field, PyObject *value, unsigned char *to, Py_ssize_t row) {
    struct staging staging = {row, NULL};
    int result = value ? encode_value(store, field, value, to, &staging) : -1;
    Py_XDECREF(value);
    return result;
}

static int put_integer(Store *store, uint32_t field, wide value, unsigned char *to, Py_ssize_t row) {
    const struct field *f = &store->handle.geometry.fields[field];
    bool is_unsigned = f->kind >= KIND_UINT8 && f->kind <= KIND_UINT64;
    wide end = (wide)1 << (8 * f->bytes - !is_unsigned);
    if (value < (is_unsigned ? 0 : -end) || value >= end)
        return refuse(store, field,
                      value < 0 ? PyLong_FromLongLong((long long)value)
                                : PyLong_FromUnsignedLongLong((unsigned long long)value),
                      to, row);
    memcpy(to, &value, f->bytes); /* little end first: checked in encode.c */
    return 0;
}

static int put_time(Store *store, uint32_t field, wide value, int64_t factor, unsigned char *to, Py_ssize_t row) {
    wide ns = value * factor;
    if (ns >= INT64_MIN && ns <= INT64_MAX) {
        int64_t stored = (int64_t)ns;
        memcpy(to, &stored, 8);
        return 0;
    }
    raise_field(store, ERROR_FIELD, field, row,
                "expected a time from 1677-09-21 to 2262-04-11, found %lld times %lld ns", (long long)value,
                (long long)factor);
    return -1;
}

static int put_real(Store *store, uint32_t field, double value, unsigned char *to, Py_ssize_t row) {
    if (store->handle.geometry.fields[field].kind == KIND_FLOAT64) {
        memcpy(to, &value, 8);
        return 0;
    }
    float narrow = (float)value;
    if (__builtin_isinf(narrow) && !__builtin_isinf(value))
        return refuse(store, field, PyFloat_FromDouble(value), to, row);
    memcpy(to, &narrow, 4);
    return 0;
}

static int check_utf8(Store *store, uint32_t field, const void *bytes, Py_ssize_t length, Py_ssize_t row) {
    if (is_utf8(bytes, (size_t)length)) return 0;
    raise_field(store, ERROR_FIELD, field, row, "its text is not UTF-8");
    return -1;
}

static int put_key(Store *store, uint32_t field, struct span text, uint32_t *id, struct staging *staging) {
    char copy[MAX_KEY_BYTES];
    if (text.length <= (Py_ssize_t)store->handle.geometry.fields[field].size) {
        memcpy(copy, text.bytes, (size_t)text.length);
        text.bytes = copy;
        if (table_know(&store->handle.table, copy, (size_t)text.length, id) == TABLE_OK) return 0;
    }
    if (check_utf8(store, field, text.bytes, text.length, staging->row)) return -1;
    PyObject *key = PyUnicode_DecodeUTF8(text.bytes, text.length, NULL);
    int failed = !key || encode_key(store, field, key, id, staging);
    Py_XDECREF(key);
    return failed ? -1 : 0;
}

static int put_value(Store *store, uint32_t field, const struct form *form, const struct ArrowArray *array, int64_t at,
                     unsigned char *to, struct staging *staging) {
    const Py_ssize_t row = staging->row;
    struct span text;
    switch (store->handle.geometry.fields[field].kind) {
    case KIND_FLOAT32:
    case KIND_FLOAT64: return put_real(store, field, real_at(form->code, array->buffers[1], at), to, row);
    case KIND_TIMESTAMP:
        return put_time(store, field, integer_at(form->code, array->buffers[1], at), form->factor, to, row);
    case KIND_BOOL: *to = bit(array->buffers[1], at); return 0;
    case KIND_KEY: {
        uint32_t id;
        if (put_key(store, field, span_at(form, array, at), &id, staging)) return -1;
        memcpy(to, &id, 4);
        return 0;
    }
    case KIND_TEXT:
        text = span_at(form, array, at);
        if (put_bytes(store, field, text.bytes, text.length, to, row)) return -1;
        return check_utf8(store, field, to, text.length, row);
    case KIND_BYTES: text = span_at(form, array, at); return put_bytes(store, field, text.bytes, text.length, to, row);
    default: return put_integer(store, field, integer_at(form->code, array->buffers[1], at), to, row);
    }
}

/* ---- all values -------------------------------------------------------------------------------------------------- */

static int raise_missing(Store *store, uint32_t field, Py_ssize_t row) {
    raise_field(store, ERROR_FIELD, field, row, "its value is missing (null); every field needs one, so fill it in");
    return -1;
}

static int stage_plain(Store *store, uint32_t field, const struct chunk *chunk, unsigned char *to) {
    const struct form form = form_of(chunk->schema->format);
    const size_t bytes = store->handle.geometry.fields[field].bytes;
    for (int64_t i = 0; i < chunk->rows; i++, to += bytes) {
        chunk->staging->row = (Py_ssize_t)(chunk->number + i);
        if (is_missing(chunk->array, form.nature, chunk->first + i)) {
            if (!chunk->nan) return raise_missing(store, field, chunk->staging->row);
            put_real(store, field, (double)NAN, to, chunk->staging->row);
        } else if (put_value(store, field, &form, chunk->array, chunk->first + i, to, chunk->staging)) {
            return -1;
        }
    }
    return 0;
}

/* Each value of the dictionary is translated when the first row wants it, so that no unused key is interned. */
static int stage_dictionary(Store *store, uint32_t field, const struct chunk *chunk, unsigned char *to) {
    const struct form form = form_of(chunk->schema->format), value_form = form_of(chunk->schema->dictionary->format);
    const struct ArrowArray *dictionary = chunk->array->dictionary;
    const size_t bytes = store->handle.geometry.fields[field].bytes;
    unsigned char **known = PyMem_Calloc((size_t)dictionary->length + 1, sizeof *known);
    int failed = known ? 0 : -1;
    if (failed) PyErr_NoMemory();
    for (int64_t i = 0; !failed && i < chunk->rows; i++, to += bytes) {
        const Py_ssize_t row = chunk->staging->row = (Py_ssize_t)(chunk->number + i);
        if (is_missing(chunk->array, form.nature, chunk->first + i)) {
            failed = raise_missing(store, field, row);
            break;
        }
        wide index = integer_at(form.code, chunk->array->buffers[1], chunk->first + i);
        if (index < 0 || index >= dictionary->length) {
            raise_field(store, ERROR_FIELD, field, row, "it names value %lld of a dictionary of %lld", (long long)index,
                        (long long)dictionary->length);
            failed = -1;
        } else if (known[index]) {
            memcpy(to, known[index], bytes);
        } else {
            int64_t at = dictionary->offset + (int64_t)index;
            failed = is_missing(dictionary, value_form.nature, at)
                         ? raise_missing(store, field, row)
                         : put_value(store, field, &value_form, dictionary, at, to, chunk->staging);
            known[index] = to;
        }
    }
    PyMem_Free(known);
    return failed;
}

int arrow_stage(Store *store, uint32_t field, const struct chunk *chunk, unsigned char *to) {
    return chunk->schema->dictionary ? stage_dictionary(store, field, chunk, to) : stage_plain(store, field, chunk, to);
}
