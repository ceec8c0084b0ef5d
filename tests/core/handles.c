/* The handle: opening, appending by each rule, counting, purging and sampling. */
#include "harness.h"

enum { PARTITIONS = 3, NOW = 1 << 20 };

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static enum open_status open_with(struct store *store, bool writable, struct refusal *why) {
    static struct handle other;
    const struct opening opening = {.fd = NO_FILE, .writable = writable};
    why->text[0] = 0;
    enum open_status status =
        handle_open(&other, store->handle.ring.memory, store->handle.geometry.total_bytes, &opening, why);
    if (status == OPEN_OK) handle_close(&other);
    return status;
}

static void seal_header(struct header *header) { header->checksum = fnv1a(header, offsetof(struct header, checksum)); }

CASE(what_is_no_store_is_refused_in_words_and_leaves_nothing_to_close) {
    struct store *store = make_store((struct wish){0});
    struct header *header = (struct header *)(void *)store->handle.ring.memory;
    struct refusal why;
    expect_equal(open_with(store, true, &why), OPEN_OK);
    header->read_compatible = 1;
    seal_header(header);
    expect_equal(open_with(store, false, &why), OPEN_OK);
    expect_equal(open_with(store, true, &why), OPEN_READ_ONLY);
    expect(strstr(why.text, "may read but not write"));
    header->abi_major++;
    seal_header(header);
    expect_equal(open_with(store, false, &why), OPEN_OTHER_ABI);
    expect(why.text[0]);
    header->abi_major--;
    expect_equal(open_with(store, false, &why), OPEN_DAMAGED);
    expect(why.text[0]);
    header->magic[0] = 0;
    expect_equal(open_with(store, false, &why), OPEN_FOREIGN);
    expect(why.text[0]);
    free_store(store);
}

CASE(nobody_enters_plain_memory_and_nobody_in_it_is_dead) {
    struct store *store = make_store((struct wish){0});
    const struct opening opening = {.fd = NO_FILE, .writable = true};
    struct handle handle;
    struct refusal why;
    uint32_t owner = join(store, 0);
    die(store, owner);
    expect_equal(handle_open(&handle, store->handle.ring.memory, store->handle.geometry.total_bytes, &opening, &why),
                 OPEN_OK);
    expect_equal(processes_enter(&handle.processes, &(struct identity){.pid = 1}), ENTER_FAILED);
    expect(!processes_join(&handle.processes) && !handle_takes_appends(&handle));
    expect(!processes_is_dead(&handle.processes, owner));
    expect(!handle_is_unlinked(&handle));
    handle_leave(&handle);
    handle_close(&handle);
    free_store(store);
}

/* ---- appending --------------------------------------------------------------------------------------------------- */

/* From now on, what is appended through the handle is this owner's. */
static uint32_t append_as(struct store *store, uint32_t place) {
    uint32_t owner = join(store, place);
    store_release(&store->handle.processes.own->owner, owner | OWNER_ENTERED);
    return owner;
}

static void put(const struct store *store, unsigned char *record, int field, const void *value, size_t bytes) {
    memcpy(record + store->handle.geometry.fields[field].offset, value, bytes);
}

/* Append a record with this key and time; returns its partition. */
static uint32_t append_one(struct store *store, uint32_t key, int64_t time, int64_t wish) {
    unsigned char record[STAGED_BYTES] = {0};
    struct appended out;
    uint32_t partition = UINT32_MAX;
    put(store, record, store->handle.geometry.key_field, &key, sizeof key);
    put(store, record, store->handle.geometry.time_field, &time, sizeof time);
    expect_equal(handle_append(&store->handle, record, wish, NOW, NULL, &partition, &out), APPEND_DONE);
    expect_equal(load_relaxed(&store->handle.tails_left[partition]), out.ticket + 1);
    return partition;
}

CASE(a_record_goes_where_the_rule_of_the_store_says) {
    static const uint32_t rules[] = {RULE_KEY, RULE_PROCESS, RULE_TURN};
    for_each(rule, rules) {
        struct store *store = make_store((struct wish){.partitions = PARTITIONS, .rule = rule});
        expect(handle_has_rule(&store->handle));
        append_as(store, 4);
        for (uint32_t key = 0; key < 3 * PARTITIONS; key++) {
            uint32_t expected = rule == RULE_PROCESS ? 4 % PARTITIONS : key % PARTITIONS;
            expect_equal(append_one(store, key, 0, BY_RULE), expected);
        }
        for (uint32_t wish = PARTITIONS; wish--;) expect_equal(append_one(store, 0, 0, wish), wish);
        free_store(store);
    }
    struct store *store = make_store((struct wish){.partitions = PARTITIONS});
    expect(!handle_has_rule(&store->handle));
    free_store(store);
}

CASE(what_a_process_appends_is_counted_in_its_place_and_in_no_other) {
    for (int threads = 0; threads < 2; threads++) {
        struct store *store = make_store((struct wish){.rule = RULE_TURN});
        struct place *places = processes_place(&store->handle.ring, 0);
        store->handle.has_threads = threads;
        append_as(store, 2);
        for (int i = 0; i < 5; i++) append_one(store, 0, 0, BY_RULE);
        expect_equal(places[2].appended, 5);
        expect_equal(places[2].last_append_ns, NOW);
        handle_count(&store->handle, 7, NOW + 1);
        expect_equal(places[2].appended, 12);
        expect_equal(places[2].last_append_ns, NOW + 1);
        for (int other = 0; other < PLACES; other++) expect(other == 2 || !places[other].appended);
        free_store(store);
    }
}

CASE(whoever_has_no_place_or_no_name_takes_no_append) {
    struct store *store = make_store((struct wish){0});
    expect(!handle_takes_appends(&store->handle));
    append_as(store, 0);
    expect(handle_takes_appends(&store->handle));
    store_relaxed(&store->handle.board->news, NEWS_UNLINKED);
    expect(!handle_takes_appends(&store->handle) && handle_is_unlinked(&store->handle));
    free_store(store);
}

CASE(a_handle_is_in_a_hot_loop_while_its_appends_follow_each_other) {
    struct store *store = make_store((struct wish){0});
    append_as(store, 0);
    handle_count(&store->handle, 1, NOW);
    expect(handle_is_hot(&store->handle, NOW + HOT_NS - 1));
    expect(handle_is_hot(&store->handle, NOW + HOT_FOR_NS)); /* one slow append among others */
    expect(!handle_is_hot(&store->handle, NOW + HOT_NS + HOT_FOR_NS));
    free_store(store);
}

/* ---- upkeep ------------------------------------------------------------------------------------------------------ */

CASE(a_purge_takes_what_is_older_up_to_the_first_that_is_not) {
    static const int64_t times[] = {10, 30, 20, 50, 40, 60, 5};
    struct store *store = make_store((struct wish){.capacity = 2 * 7, .partitions = 2});
    uint64_t passed;
    append_as(store, 0);
    for_each(time, times) append_one(store, 0, time, 0);
    append_one(store, 0, 100, 1);
    expect(handle_purge(&store->handle, 10, &passed));
    expect_equal(passed, 0);
    expect(handle_purge(&store->handle, 45, &passed));
    expect_equal(passed, 3); /* 50 keeps the older ones behind it */
    expect_equal(floor_of(store), 3);
    expect(handle_purge(&store->handle, 100, &passed));
    expect_equal(passed, 4);
    struct totals totals;
    handle_totals(&store->handle, 1, &totals);
    expect_equal(totals.length, 1);
    handle_clear(&store->handle);
    handle_totals(&store->handle, 1, &totals);
    expect_equal(totals.length, 0);
    expect_equal(totals.oldest, 1);
    free_store(store);
}

CASE(a_purge_passes_what_is_still_being_written_between_older_records) {
    struct store *store = make_store((struct wish){0});
    uint64_t passed;
    uint32_t slow = join(store, 1);
    append_as(store, 0);
    append_one(store, 0, 10, 0);
    struct stopping *stalled = stall(store, slow, "tail moved");
    append_one(store, 0, 20, 0);
    expect(handle_purge(&store->handle, 30, &passed));
    expect_equal(passed, 3);
    expect_equal(wake(stalled), APPEND_DONE);
}

CASE(a_sample_adds_up_all_partitions_and_places) {
    struct store *store = make_store((struct wish){.capacity = 2 * 3, .partitions = 2});
    struct sample_values values, read;
    append_as(store, 0);
    join(store, 1);
    for (int i = 0; i < 4; i++) append_one(store, 0, 0, 0);
    append_one(store, 0, 0, 1);
    store_relaxed(&store->handle.board->lapped, 9);
    handle_sample(&store->handle, 77, &values);
    expect(history_read(&store->handle.ring, 0, &read) && !memcmp(&read, &values, sizeof read));
    expect_equal(values.time_ns, 77);
    expect_equal(values.appended, 5);
    expect_equal(values.length, 4);
    expect_equal(values.discarded, 1);
    expect_equal(values.lapped, 9);
    expect_equal(values.processes, 2);
    free_store(store);
}
