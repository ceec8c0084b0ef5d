/* Columns of every numeric kind as 64-bit lanes. */
#include "core/questions/batches/batch.h"

#include "core/base/vector.h"

#define WIDEN(type, member)                                                                                            \
    do {                                                                                                               \
        const type *values = from;                                                                                     \
        EACH_ROW to->member[r] = values[r];                                                                            \
    } while (0)

VECTORISED static void widen(uint32_t kind, const void *from, uint32_t rows, union lanes *to) {
    switch (kind) {
    case KIND_INT8: WIDEN(int8_t, i); break;
    case KIND_INT16: WIDEN(int16_t, i); break;
    case KIND_INT32: WIDEN(int32_t, i); break;
    case KIND_UINT8: WIDEN(uint8_t, i); break;
    case KIND_UINT16: WIDEN(uint16_t, i); break;
    case KIND_UINT32:
    case KIND_KEY: WIDEN(uint32_t, i); break;
    case KIND_FLOAT32: {
        const float *values = from;
        EACH_ROW to->f[r] = (double)values[r];
        break;
    }
    default: {
        const uint8_t *flags = from;
        EACH_ROW to->i[r] = flags[r] != 0;
    }
    }
}

const union lanes *column_lanes(uint32_t kind, const void *column, uint32_t rows, union lanes *room) {
    if (kind == KIND_INT64 || kind == KIND_UINT64 || kind == KIND_FLOAT64 || kind == KIND_TIMESTAMP) return column;
    widen(kind, column, rows, room);
    return room;
}

/* Without a branch: the processor can seldom foresee which records match. */
uint32_t lanes_keep(union lanes *kept, const union lanes *lanes, const uint8_t *mask, uint32_t rows) {
    uint32_t count = 0;
    for (uint32_t row = 0; row < rows; row++) {
        kept->u[count] = lanes->u[row];
        count += mask[row];
    }
    return count;
}
