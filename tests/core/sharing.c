/* Threads that share keys, samples and news: one id for a key, whole samples only, no append missed by whoever sleeps. */
#include "harness.h"

#include "core/store/history.h"
#include "core/waiting/wait.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

enum { THREADS = 4 };

typedef void *thread_main(void *argument);

static void run_together(thread_main *const mains[THREADS], void *argument) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, mains[i], argument);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

enum { KEYS = 200 };

struct dictionary {
    struct store *store;
    atomic_u64 ids[KEYS]; /* id + 1, as told to whoever was first */
    atomic_u64 threads, interning;
};

static size_t spell(char text[24], uint64_t key) {
    return (size_t)snprintf(text, 24, "key %llu", (unsigned long long)key);
}

static void *intern_all(void *argument) {
    struct dictionary *dictionary = argument;
    atomic_u32 spare_cell = 0;
    struct table table = dictionary->store->handle.table; /* as a process of its own */
    table.spare = &spare_cell;
    seed_thread(add_relaxed(&dictionary->threads, 1));
    for (uint64_t i = 0, at = 0; i < 3 * KEYS; i++, at = (at + 67) % KEYS) { /* abreast, for the most part */
        char text[24], found[24];
        uint64_t key = random_number(10) ? at : random_number(KEYS), known = 0;
        size_t length = spell(text, key);
        uint32_t id = UINT32_MAX;
        expect_equal(table_intern(&table, text, length, &id), TABLE_OK);
        if (!cas_acq_rel(&dictionary->ids[key], &known, id + 1)) expect_equal(id + 1, known);
        expect_equal(table_text(&table, id, found), length);
        expect(!memcmp(found, text, length));
    }
    add_relaxed(&dictionary->interning, UINT64_MAX);
    return NULL;
}

/* From ids to texts: a text is there for good, or not yet. */
static void *spell_out(void *argument) {
    struct dictionary *dictionary = argument;
    const struct table *table = &dictionary->store->handle.table;
    int64_t lengths[KEYS + PLACES] = {0};
    char texts[KEYS + PLACES][24];
    while (load_acquire(&dictionary->interning))
        for (uint32_t id = 0, count = table_count(table); id < count; id++) {
            char text[24];
            uint32_t found = UINT32_MAX;
            int64_t length = table_text(table, id, text);
            if (length < 0) {
                expect(!lengths[id]);
                continue;
            }
            if (lengths[id]) expect(length == lengths[id] && !memcmp(text, texts[id], (size_t)length));
            lengths[id] = length;
            memcpy(texts[id], text, (size_t)length);
            expect_equal(table_find(table, text, (size_t)length, &found), TABLE_OK);
            expect_equal(found, id);
        }
    return NULL;
}

CASE(a_key_that_many_threads_intern_has_one_id) {
    for (uint64_t round = 0; round < effort; round++) {
        struct dictionary dictionary = {.store = make_store((struct wish){.keys = KEYS}), .interning = THREADS - 1};
        run_together((thread_main *[]){intern_all, intern_all, intern_all, spell_out}, &dictionary);
        bool taken[KEYS + PLACES] = {false};
        for (uint64_t key = 0; key < KEYS; key++) {
            uint64_t id = dictionary.ids[key] - 1;
            expect(id < table_count(&dictionary.store->handle.table) && !taken[id]);
            taken[id] = true;
        }
        expect_sound(dictionary.store);
        free_store(dictionary.store);
    }
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

struct chronicle {
    struct store *store;
    atomic_u64 threads;
    uint64_t samples;
};

static void *write_samples(void *argument) {
    struct chronicle *chronicle = argument;
    for (uint64_t n = 0; n < chronicle->samples; n++) {
        uint64_t m = mixed(n);
        struct sample_values values = {n, m, m + 1, m + 2, m + 3, m + 4, m + 5, m + 6, m + 7};
        history_write(&chronicle->store->handle.ring, &values);
    }
    return NULL;
}

static void *read_samples(void *argument) {
    struct chronicle *chronicle = argument;
    uint64_t next = 0, found = 0;
    seed_thread(add_relaxed(&chronicle->threads, 1));
    while ((next = history_next(&chronicle->store->handle.ring)) < chronicle->samples || found < 100) {
        uint64_t back = random_number(2) ? HISTORY_SAMPLES - random_number(3) : 1 + random_number(20);
        struct sample_values values;
        if (next < back || !history_read(&chronicle->store->handle.ring, next - back, &values)) continue;
        uint64_t m = mixed(next - back);
        const struct sample_values whole = {next - back, m, m + 1, m + 2, m + 3, m + 4, m + 5, m + 6, m + 7};
        expect(!memcmp(&values, &whole, sizeof whole));
        found++;
    }
    return NULL;
}

CASE(a_sample_that_is_read_is_whole) {
    struct chronicle chronicle = {.store = make_store((struct wish){0}), .samples = 5000 * effort};
    run_together((thread_main *[]){write_samples, read_samples, read_samples, read_samples}, &chronicle);
}

/* ---- news -------------------------------------------------------------------------------------------------------- */

static atomic_u32 *news_of(const struct store *store) {
    return &((struct board *)(void *)(store->handle.ring.memory + store->handle.geometry.board_offset))->news;
}

struct line {
    struct store *store;
    atomic_u32 *news;
    bool registered;
    uint64_t appends;
    atomic_u64 arrived[THREADS]; /* the ticket that each waiter waits for */
    atomic_u64 waiters;
};

/* Sleeps for good: a wake-up that got lost is told by the limit of the case. */
static void *wait_for_each(void *argument) {
    struct line *line = argument;
    uint64_t me = add_relaxed(&line->waiters, 1);
    for (uint64_t next = 0; next < line->appends;) {
        uint32_t kept = 0;
        for (int look = 0; look < 2 && word_of(line->store, next) != published(line->store, next); look++)
            if (!look) kept = wait_announce(line->news, line->registered);
            else wait_sleep(line->news, kept, line->registered ? INT64_C(600) * 1000000000 : WAIT_NAP_NS);
        if (word_of(line->store, next) == published(line->store, next)) store_release(&line->arrived[me], ++next);
    }
    return NULL;
}

/* Append only when everybody waits for the next record, or is about to. */
static void *append_each(void *argument) {
    struct line *line = argument;
    uint32_t owner = join(line->store, 0);
    seed_thread(0);
    for (uint64_t next = 0; next < line->appends; next++) {
        for (int waiter = 0; waiter < THREADS - 1; waiter++)
            while (load_acquire(&line->arrived[waiter]) < next) sched_yield();
        for (uint64_t pause = random_number(2000); pause; pause--) cpu_relax();
        append(line->store, owner);
        wait_notify(line->news);
    }
    return NULL;
}

CASE(no_append_is_missed_by_whoever_sleeps) {
    struct line line = {.store = make_store((struct wish){0}), .registered = wait_register(), .appends = 50 * effort};
    line.news = news_of(line.store);
    run_together((thread_main *[]){append_each, wait_for_each, wait_for_each, wait_for_each}, &line);
}

struct sleeper {
    atomic_u32 *news;
    uint32_t kept;
};

static void sleep_for_good(void *argument) {
    const struct sleeper *sleeper = argument;
    wait_sleep(sleeper->news, sleeper->kept, INT64_C(600) * 1000000000);
}

CASE(a_waiter_that_is_about_to_sleep_is_woken_though_another_waiter_comes) {
    for (int others = 0; others < 2; others++) {
        struct store *store = make_store((struct wish){0});
        struct sleeper sleeper = {.news = news_of(store)};
        sleeper.kept = wait_announce(sleeper.news, false);
        expect(sleeper.kept & NEWS_WAITERS);
        struct stalled *stalled = start(sleep_for_good, &sleeper, "going to sleep");
        wait_notify(sleeper.news);
        expect(!(load_relaxed(sleeper.news) & NEWS_WAITERS));
        if (others) expect(wait_announce(sleeper.news, false) != sleeper.kept);
        finish(stalled);
    }
}

static void notify(void *news) { wait_notify(news); }

CASE(whoever_dies_while_waking_keeps_no_later_waiter_asleep) {
    struct store *store = make_store((struct wish){0});
    struct sleeper sleeper = {.news = news_of(store)};
    sleeper.kept = wait_announce(sleeper.news, false);
    expect(leaves_at("waking", 0, notify, (void *)(uintptr_t)sleeper.news));
    sleep_for_good(&sleeper);
    expect(!(load_relaxed(sleeper.news) & NEWS_WAITERS));
}
