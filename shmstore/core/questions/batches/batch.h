/* A batch: up to BATCH_ROWS records as private, dense columns, which is what questions are answered from.
 *
 * A batch is private memory, copied from the live ring or a snapshot before anyone looks at it: so compilers may turn every
 * loop over it into vector instructions. */
#ifndef SHMSTORE_BATCH_H
#define SHMSTORE_BATCH_H

#include "core/base/layout.h"

enum { BATCH_ROWS = 1024 }; /* a few columns of it stay in the nearest cache */

struct batch {
    uint32_t rows;
    const unsigned char
        *columns[MAX_FIELDS]; /* value r of field f at columns[f] + r * fields[f].bytes; NULL: not read */
};

/* Numbers are worked on as 64-bit lanes: every signed kind, bool, Timestamp, the ids of Keys and unsigned kinds of up to 32
 * bits as int64_t, UINT64 as uint64_t, floats as double. */
enum lane { LANE_INT, LANE_UINT, LANE_FLOAT };

union lanes {
    int64_t i[BATCH_ROWS];
    uint64_t u[BATCH_ROWS];
    double f[BATCH_ROWS];
};

union number {
    int64_t i;
    uint64_t u;
    double f;
};

/* The lane of a kind that holds numbers (a Key is its id). */
static inline enum lane lane_of(uint32_t kind) {
    return kind == KIND_UINT64 ? LANE_UINT : kind == KIND_FLOAT64 || kind == KIND_FLOAT32 ? LANE_FLOAT : LANE_INT;
}

/* A column of numbers as lanes: where it lies if they have 64 bits, else widened into `room`. */
const union lanes *column_lanes(uint32_t kind, const void *column, uint32_t rows, union lanes *room);

/* The lanes whose mask is 1, next to one another. Returns how many. */
uint32_t lanes_keep(union lanes *kept, const union lanes *lanes, const uint8_t *mask, uint32_t rows);

#endif
