/* What every C test of the core stands on: cases, expectations, a store in plain memory, owners that stall and die.
 *
 * A case says in its name what must hold, and runs in a process of its own, so that one that crashes or hangs ends
 * alone. Nothing here depends on time: a writer stops at a named POINT of the core, and a flag says who is dead instead of
 * the kernel. A record's fields all follow from its writer and sequence, so a torn or foreign one shows itself. */
#ifndef SHMSTORE_TESTS_HARNESS_H
#define SHMSTORE_TESTS_HARNESS_H

#include "core/store/store.h"

#include <stdlib.h>
#include <string.h>

/* ---- cases and expectations -------------------------------------------------------------------------------------- */

struct test_case {
    const char *name, *file;
    void (*body)(void);
    struct test_case *next;
};
void add_case(struct test_case *test_case);

#define CASE(statement)                                                                                                \
    static void statement(void);                                                                                       \
    __attribute__((constructor)) static void add_##statement(void) {                                                   \
        static struct test_case test_case = {#statement, __FILE__, statement, NULL};                                   \
        add_case(&test_case);                                                                                          \
    }                                                                                                                  \
    static void statement(void)

__attribute__((noreturn, format(printf, 3, 4))) void fail_at(const char *file, int line, const char *format, ...);
void expect_equal_at(const char *file, int line, const char *what, uint64_t found, uint64_t expected);

#define fail(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define expect(condition) ((condition) ? (void)0 : fail("not so: %s", #condition))
#define expect_equal(found, expected)                                                                                  \
    expect_equal_at(__FILE__, __LINE__, #found, (uint64_t)(found), (uint64_t)(expected))

uint64_t random_number(uint64_t below); /* from the seed of the run, the case and the thread */
void seed_thread(uint64_t number);      /* for every thread but the first of a case, before its first random number */
uint64_t mixed(uint64_t number);        /* a number that looks random and follows from `number` */
extern uint64_t effort;                 /* percent of the usual amount of work: less under a slow sanitizer */

static const uint64_t SMALL_CAPACITIES[] = {1, 2, 3, 7};
static const uint32_t BOTH_LAYOUTS[] = {LAYOUT_ROWS, LAYOUT_COLUMNS};
#define for_each(variable, array)                                                                                      \
    for (size_t variable##_at = 0; variable##_at < sizeof(array) / sizeof *(array); variable##_at++)                   \
        for (__typeof__(*(array)) variable = (array)[variable##_at], *once_##variable = &variable; once_##variable;    \
             once_##variable = NULL)

/* ---- a store ----------------------------------------------------------------------------------------------------- */

enum { PLACES = 16, REMEMBERED = 1 << 16, STAGED_BYTES = 256 };

/* What a test sets is what it is about; 0 stands for the usual. */
struct wish {
    uint64_t capacity;                                  /* 7 */
    uint32_t layout, partitions, keys, processes, rule; /* rows, 1, 4, PLACES, explicit */
};

struct store {
    struct handle handle;      /* that no process has entered through; tests append as whichever owner they want */
    _Atomic bool dead[PLACES]; /* what the kernel says of the holder of each place */

    /* What must have become of partition 0, as far as the test's own appends tell. */
    uint64_t first;                 /* ticket of the first append */
    uint64_t acknowledged;          /* appends that returned */
    uint32_t counted_before;        /* losses that the ledgers began with */
    uint64_t sequences[REMEMBERED]; /* by ticket: sequence + 1 of the record that is, or was, readable */
    uint64_t next_sequence;
};

struct store *make_store(struct wish wish);
void free_store(struct store *store);
/* As if `ticket` appends had been made and then cleared. */
void start_at(struct store *store, uint64_t ticket);
/* ... of which so many were skipped, and as many voided. */
void counted_before(struct store *store, uint32_t count);

/* All fields of a record: the first two are its writer and its sequence, every other byte follows from them. */
void stage(const struct geometry *geometry, uint64_t writer, uint64_t sequence, unsigned char record[STAGED_BYTES]);
void unstage(const struct geometry *geometry, const unsigned char record[STAGED_BYTES], uint64_t *writer,
             uint64_t *sequence); /* expects that it is whole */

struct destination make_destination(const struct geometry *geometry, uint64_t room);
void free_destination(const struct geometry *geometry, struct destination *to);
/* Expect that the record in `row` is whole; say whose it is. */
void expect_whole(const struct geometry *geometry, const struct destination *to, uint64_t row, uint64_t *writer,
                  uint64_t *sequence);

/* Of partition 0. */
static inline uint64_t tail_of(const struct store *store) {
    return load_acquire(&ring_partition(&store->handle.ring, 0)->tail);
}
static inline uint64_t floor_of(const struct store *store) {
    return load_acquire(&ring_partition(&store->handle.ring, 0)->floor);
}
static inline uint64_t word_at(const struct store *store, uint64_t slot) {
    return load_acquire(ring_word(&store->handle.ring, 0, slot));
}
static inline uint64_t word_of(const struct store *store, uint64_t ticket) {
    return word_at(store, ticket % store->handle.geometry.slots);
}
/* The slot word of a ticket, told by plain division. */
static inline uint64_t word_for(const struct store *store, uint64_t ticket, uint32_t owner, enum state state) {
    return slot_word(ticket / store->handle.geometry.slots + 1, owner, state);
}
static inline uint64_t published(const struct store *store, uint64_t ticket) {
    return word_for(store, ticket, 0, PUBLISHED);
}

/* ---- owners ------------------------------------------------------------------------------------------------------ */

/* Take a place, as a process does that enters: what a dead holder left is swept. Returns the owner. */
uint32_t join(struct store *store, uint32_t place);
/* From now on the kernel says that this owner is gone. */
void die(struct store *store, uint32_t owner);
/* What processes_reap does for a dead owner: sweep its claims, free its place. Returns how many claims were settled. */
uint64_t repair(struct store *store, uint32_t owner);

/* Operations for leaves_at() and start(): a sweep, and a cursor that follows the whole ring and settles the dead. */
struct sweeping {
    struct store *store;
    uint32_t owner;
    uint64_t voided, released;
};
void sweep(void *sweeping);
void follow(void *store);

/* ---- appending, with every answer of the core held against what the test knows ----------------------------------- */

enum append_status try_append(struct store *store, uint32_t owner, struct appended *out);
uint64_t append(struct store *store, uint32_t owner); /* must succeed; returns the ticket */
void append_many(struct store *store, uint32_t owner, uint64_t count);

/* ---- stopping at a point ----------------------------------------------------------------------------------------- */

/* Run an operation and leave it for ever, as SIGKILL would, where it comes by a point after so many passes. Returns
 * whether it came there. */
bool leaves_at(const char *point, int passes, void (*operation)(void *argument), void *argument);

/* Run an operation in a thread of its own up to a point, where it waits, or to its end. */
struct stalled *start(void (*operation)(void *argument), void *argument, const char *point);
void move_on(struct stalled *stalled, const char *point);
bool has_returned(const struct stalled *stalled);
void finish(struct stalled *stalled); /* let it go on to its end */

/* The same three for an append. Its owner is alive until die(). */
void abandon(struct store *store, uint32_t owner, const char *point);           /* the point must be reached */
struct stopping *stall(struct store *store, uint32_t owner, const char *point); /* the point must be reached */
struct stopping *start_append(struct store *store, uint32_t owner, const char *point);
bool is_stopped(const struct stopping *append);               /* else it has returned */
bool stops_again(struct stopping *append, const char *point); /* else it returns */
enum append_status wake(struct stopping *append);             /* let it go on to its end */

/* For threads that a test runs by itself: called at every point that the calling thread comes by. */
extern _Thread_local void (*at_point)(const char *name);
void reached_point(const char *name);

/* ---- looking ----------------------------------------------------------------------------------------------------- */

/* What a snapshot that may not write gets of partition 0 from the first ticket on, one letter for each ticket: r read,
 * l lapped, v voided, s skipped, c cleared, i in flight. Each record must be whole, and the one acknowledged. */
const char *tickets(struct store *store);
#define expect_tickets(store, letters) expect_text_at(__FILE__, __LINE__, tickets(store), letters)
void expect_text_at(const char *file, int line, const char *found, const char *expected);

/* check_store reports nothing, and letters, totals and the test's own count agree on every ticket. */
#define expect_sound(store) expect_sound_at(store, __FILE__, __LINE__)
void expect_sound_at(struct store *store, const char *file, int line);
struct totals totals_of(struct store *store);

uint64_t violations_of(const struct store *store); /* how many check_store finds */

#endif
