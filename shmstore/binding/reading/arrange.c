/* Columns of other rows, or in another order: rows picked by number or by a mask, or sorted by a field. */
#include "binding/reading/columns.h"

#include <stdlib.h>
#include <string.h>

PyObject *Columns_take(PyObject *self, PyObject *rows) {
    Columns *columns = (Columns *)self;
    PyObject *list = PySequence_List(rows);
    if (!list) return NULL;
    Py_ssize_t count = PyList_Size(list);
    Columns *taken = new_columns(columns->store, (uint64_t)count);
    for (Py_ssize_t i = 0; taken && i < count; i++) {
        Py_ssize_t row = PyNumber_AsSsize_t(PyList_GetItem(list, i), PyExc_IndexError);
        if (row < 0 || (uint64_t)row >= columns->rows) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_IndexError, "row %zd of %llu", row, (unsigned long long)columns->rows);
            Py_CLEAR(taken);
            break;
        }
        move_row(&columns->store->handle.geometry, taken->base, (uint64_t)i, columns->base, (uint64_t)row);
        taken->rows = (uint64_t)i + 1;
    }
    Py_DECREF(list);
    return (PyObject *)taken;
}

enum { CHUNK_ROWS = 1024 };

/* Copy chosen rows of a field, one behind the other. */
static inline void gather_field(const unsigned char *from, unsigned char *to, size_t bytes, const uint16_t *chosen,
                                uint32_t count) {
    for (uint32_t i = 0; i < count; i++) memcpy(to + i * bytes, from + chosen[i] * bytes, bytes);
}

/* Append the rows of [first, end) that a mask keeps: listed without a branch, which a processor could not predict. */
static void keep_chunk(const Columns *columns, Columns *kept, const unsigned char *mask, uint64_t first, uint64_t end) {
    const struct geometry *g = &columns->store->handle.geometry;
    uint16_t chosen[CHUNK_ROWS];
    uint32_t count = 0;
    for (uint64_t row = first; row < end; row++) {
        chosen[count] = (uint16_t)(row - first);
        count += mask[row] != 0;
    }
    for (uint32_t f = 0; f < g->options.field_count; f++) {
        size_t bytes = g->fields[f].bytes;
        const unsigned char *from = columns->base[f] + first * bytes;
        unsigned char *to = kept->base[f] + kept->rows * bytes;
        if (bytes == 8) gather_field(from, to, 8, chosen, count); /* constant sizes become single moves */
        else if (bytes == 4) gather_field(from, to, 4, chosen, count);
        else gather_field(from, to, bytes, chosen, count);
    }
    kept->rows += count;
}

PyObject *Columns_keep(PyObject *self, PyObject *given) {
    Columns *columns = (Columns *)self;
    const uint64_t rows = columns->rows;
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(given, &bytes, &length)) return NULL; /* nobody changes it meanwhile */
    const unsigned char *mask = (const unsigned char *)bytes;
    Columns *kept = NULL;
    uint64_t count = 0;
    if ((uint64_t)length == rows) {
        for (uint64_t row = 0; row < rows; row++) count += mask[row] != 0;
        kept = new_columns(columns->store, count);
    } else {
        PyErr_Format(PyExc_ValueError, "a mask of %zd bytes for %llu rows", length, (unsigned long long)rows);
    }
    if (kept) {
        Py_BEGIN_ALLOW_THREADS;
        for (uint64_t row = 0; row < rows; row += CHUNK_ROWS)
            keep_chunk(columns, kept, mask, row, rows - row < CHUNK_ROWS ? rows : row + CHUNK_ROWS);
        Py_END_ALLOW_THREADS;
    }
    return (PyObject *)kept;
}

struct ranked {
    uint64_t rank, row;
};

/* A number's rank: unsigned integers in the numbers' own order; NaN last. */
static uint64_t rank_of(const struct field *field, const unsigned char *from) {
    const uint64_t sign = UINT64_C(1) << 63;
    uint64_t bits = 0;
    double real;
    float narrow;
    switch (field->kind) {
    case KIND_FLOAT64:
    case KIND_FLOAT32:
        if (field->kind == KIND_FLOAT32) {
            memcpy(&narrow, from, 4);
            real = (double)narrow;
        } else {
            memcpy(&real, from, 8);
        }
        if (real != real) return UINT64_MAX;
        real += 0.0; /* -0.0 and 0.0 are equal */
        memcpy(&bits, &real, 8);
        return bits & sign ? ~bits : bits | sign;
    case KIND_INT8: return (uint64_t)(int64_t) * (const int8_t *)from ^ sign;
    case KIND_INT16: {
        int16_t v;
        memcpy(&v, from, 2);
        return (uint64_t)(int64_t)v ^ sign;
    }
    case KIND_INT32: {
        int32_t v;
        memcpy(&v, from, 4);
        return (uint64_t)(int64_t)v ^ sign;
    }
    case KIND_INT64:
    case KIND_TIMESTAMP: memcpy(&bits, from, 8); return bits ^ sign;
    default: memcpy(&bits, from, field->bytes); return bits;
    }
}

/* Stable bottom-up merge sort; returns whichever of the two arrays holds the result. */
static struct ranked *sort_ranked(struct ranked *from, struct ranked *to, uint64_t count) {
    for (uint64_t width = 1; width < count; width *= 2) {
        for (uint64_t low = 0; low < count; low += 2 * width) {
            uint64_t middle = low + width < count ? low + width : count,
                     high = low + 2 * width < count ? low + 2 * width : count;
            uint64_t a = low, b = middle;
            for (uint64_t at = low; at < high; at++)
                to[at] = a < middle && (b >= high || from[a].rank <= from[b].rank) ? from[a++] : from[b++];
        }
        struct ranked *swapped = from;
        from = to;
        to = swapped;
    }
    return from;
}

PyObject *Columns_order_by(PyObject *self, PyObject *argument) {
    Columns *columns = (Columns *)self;
    const struct geometry *g = &columns->store->handle.geometry;
    uint32_t index;
    if (field_argument(columns->store, argument, &index)) return NULL;
    const struct field *field = &g->fields[index];
    if (field->kind == KIND_TEXT || field->kind == KIND_BYTES || field->kind == KIND_KEY)
        return PyErr_Format(PyExc_TypeError, "field %u is not a number to order by", index);
    struct ranked *ranked = malloc((2 * columns->rows + 1) * sizeof *ranked);
    Columns *ordered = ranked ? new_columns(columns->store, columns->rows) : NULL;
    if (ordered) {
        Py_BEGIN_ALLOW_THREADS;
        for (uint64_t row = 0; row < columns->rows; row++)
            ranked[row] = (struct ranked){rank_of(field, columns->base[index] + row * field->bytes), row};
        const struct ranked *sorted = sort_ranked(ranked, ranked + columns->rows, columns->rows);
        for (uint64_t row = 0; row < columns->rows; row++)
            move_row(g, ordered->base, row, columns->base, sorted[row].row);
        Py_END_ALLOW_THREADS;
        ordered->rows = columns->rows;
        for (size_t i = 0; i < columns->gaps.count; i++) {
            const struct gap *gap = &columns->gaps.gaps[i];
            if (gap_list_report(&ordered->gaps, gap->partition, gap->first, gap->end, gap->reason)) continue;
            PyErr_NoMemory();
            Py_CLEAR(ordered);
            break;
        }
    }
    if (!ranked) PyErr_NoMemory();
    free(ranked);
    return (PyObject *)ordered;
}
