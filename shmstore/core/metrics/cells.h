/* Cells: the shared numbers of a series. Each is two words that change as one, so that an update has happened or has not,
 * whoever is killed, and no two parts of it need to be made to agree again.
 *
 *   tag (64 bits)                                  number (64 bits)
 *   low 12 bits of the generation of the node,     bits of a double
 *   or part, in which it lies | 52 bits that
 *   depend on what the cell is for
 *
 *   what it is for                    the 52 bits                             the number
 *   counter                           0                                       its value
 *   summary, bucket of a histogram    observations                            their sum
 *   latest value of all processes     when it was set, in us since the Unix epoch  the value
 *   a process's own value             mark of its incarnation, 0: none        the value
 *   values of the dead, beside it     mark of the last one that is in it      their sum, or least, or greatest
 *   or the pid, beside it             mark of the incarnation                 its pid
 *   counted by whoever looks          incarnation (20 bits) | its count (32)  what all incarnations counted
 *
 * 1. Update: load the cell, then the node's word. If it is not the one that was found, the series was removed: nothing is done.
 *    Else one wide CAS. The tag changes before a cell is used again, so a late update of an older series fails (unless that was
 *    used again a multiple of 4096 times between the load and the CAS, and is as it was).
 * 2. A histogram has no count and no sum of its own: they are those of its buckets, each of which is whole.
 * 3. A series that each process has for itself belongs to a place of the process table (nodes.h), and only the place's holder
 *    writes it. Whoever finds another mark than its own there comes after a dead holder: it adds the value to those of the dead,
 *    with the mark of what it adds; then it takes the mark and the value away, and puts its own mark there. Where the pid is
 *    wanted, that is written before, with the mark. It may die on the way: the next one sees by the marks what is in already, and
 *    threads of one process help each other. [own_take]
 * 4. Whoever reads such a series reads the own value first: if those of the dead bear its mark, it is in them already. Where the
 *    pid is kept, it counts only with the same mark.
 * 5. What the kernel counts of a process, anybody may bring here while the process lives, and it once more when it ends. The cell
 *    says how far the count of which incarnation of the place is in the number; one CAS adds what is new, so that nothing is added
 *    twice and the number never falls. What is late, of an incarnation or a count of before, is known already. [cell_raise]
 *
 * Pairs: cell_swap:cell (acquire and release) with cell_read:tag and cell_load:tag (whoever sees a cell that is used again sees
 * that its series was removed), and with cell_read:number and own_read:again (the dead hold a value whose mark has gone). */
#ifndef SHMSTORE_CELLS_H
#define SHMSTORE_CELLS_H

#include "core/metrics/nodes.h"

/* A cell of a node that was found. */
struct cell_at {
    const atomic_u64 *word; /* of the node */
    uint64_t live;          /* what it was */
    struct wide *cell;
};

static inline double number_of(uint64_t bits) {
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}
static inline uint64_t bits_of(double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* What a cell holds. */
struct cell_value {
    uint64_t bits; /* the 52 */
    double number;
};

/* Load a cell for an update; false: its series was removed [1]. */
static inline bool cell_load(const struct cell_at *at, struct halves *found) {
    found->low = load_acquire(&at->cell->low); /* cell_load:tag */
    found->high = load_relaxed(&at->cell->high);
    return load_relaxed(at->word) == at->live;
}

static inline bool cell_swap(const struct cell_at *at, struct halves before, uint64_t bits, double number) {
    const struct halves after = {(before.low & ~CELL_MASK) | (bits & CELL_MASK), bits_of(number)};
    return cas_acq_rel_wide(at->cell, before, after); /* cell_swap:cell */
}

/* All updates: false, and nothing is done, when the series was removed. */

/* Add to the number, and to the 52 bits. */
static inline bool cell_add(const struct cell_at *at, double amount, uint64_t count) {
    struct halves before;
    __builtin_prefetch((const void *)at->cell, 1);
    do
        if (!cell_load(at, &before)) return false;
    while (!cell_swap(at, before, before.low + count, number_of(before.high) + amount));
    return true;
}

static inline bool cell_set(const struct cell_at *at, double number, uint64_t bits) {
    struct halves before;
    do
        if (!cell_load(at, &before)) return false;
    while (!cell_swap(at, before, bits, number));
    return true;
}

/* Set it unless it was set later than at `time_us`. */
static inline bool cell_set_latest(const struct cell_at *at, double number, uint64_t time_us) {
    struct halves before;
    do {
        if (!cell_load(at, &before)) return false;
        if ((before.low & CELL_MASK) > time_us) return true;
    } while (!cell_swap(at, before, time_us, number));
    return true;
}

/* Bring the number up to a count, in units, of an incarnation of a place [5]. Both are told apart from what was by their low
 * bits: from one half of their range to the other is before, or after. */
bool cell_raise(const struct cell_at *at, uint64_t incarnation, uint64_t count, double unit);

/* Read a cell, both halves of one moment; whether it is still of the series, the caller asks afterwards. False: it changes
 * all the time, or is damaged. */
bool cell_read(const struct wide *cell, struct cell_value *value);

/* ---- what each process has for itself [3, 4] ---------------------------------------------------------------------- */

/* How the values of dead processes are kept in cell 1; FOLD_PID: they are not, and the pid of the own value lies there. With
 * FOLD_NOTHING that cell is left alone. */
enum fold { FOLD_NOTHING, FOLD_SUM, FOLD_LEAST, FOLD_GREATEST, FOLD_PID };

/* The mark of an incarnation of a place: never 0. */
static inline uint64_t mark_of(uint64_t place_generation) { return place_generation & CELL_MASK; }

/* Make the own series of this process's place its own, if it is not yet. `own` and `dead` are its cells 0 and 1. False: it was
 * removed. */
bool own_take(const struct cell_at *own, const struct cell_at *dead, uint64_t mark, uint64_t pid, enum fold fold);

struct own_values {
    bool has_own, has_dead;
    uint64_t mark, pid; /* pid: with FOLD_PID */
    double own, dead;
};

/* Read such a series [4]; false: as cell_read. */
bool own_read(const struct wide *own, const struct wide *dead, enum fold fold, struct own_values *values);

#endif
