/* Opening, closing and keeping a store in order; see store.h. */
#include "core/store/store.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

static enum open_status read_header(struct handle *handle, const void *memory, uint64_t length, bool writable,
                                    struct refusal *why) {
    static const enum open_status statuses[] = {[HEADER_OK] = OPEN_OK,
                                                [HEADER_FOREIGN] = OPEN_FOREIGN,
                                                [HEADER_OTHER_ABI] = OPEN_OTHER_ABI,
                                                [HEADER_DAMAGED] = OPEN_DAMAGED};
    enum header_status status = layout_open(memory, length, &handle->header, &handle->geometry, why);
    if (status != HEADER_OK || !writable || !handle->header.read_compatible) return statuses[status];
    snprintf(why->text, sizeof why->text,
             "the segment uses features %llx that this package may read but not write; attach read-only, or use the "
             "shmstore that made it",
             (unsigned long long)handle->header.read_compatible);
    return OPEN_READ_ONLY;
}

enum open_status handle_open(struct handle *handle, void *memory, uint64_t length, const struct opening *opening,
                             struct refusal *why) {
    memset(handle, 0, sizeof *handle);
    enum open_status status = read_header(handle, memory, length, opening->writable, why);
    if (status != OPEN_OK) return status;
    const struct liveness kernel = {processes_is_dead, &handle->processes};
    const uint32_t partitions = handle->geometry.options.partitions;
    handle->ring = (struct ring){.geometry = &handle->geometry,
                                 .memory = memory,
                                 .writable = opening->writable,
                                 .liveness = opening->liveness.is_dead ? opening->liveness : kernel};
    handle->has_threads = opening->has_threads;
    handle->board = (struct board *)(void *)(handle->ring.memory + handle->geometry.board_offset);
    handle->barriers = wait_register();
    handle->tails_left = calloc(partitions + 1, sizeof *handle->tails_left); /* of metrics, which have none: not NULL */
    handle->decided = calloc(partitions + 1, sizeof *handle->decided);
    status = handle->tails_left && handle->decided ? OPEN_OK : OPEN_NO_MEMORY;
    if (status == OPEN_OK && !processes_open(&handle->processes, &handle->ring, opening->fd, opening->path))
        status = OPEN_FAILED;
    if (status == OPEN_OK) {
        handle->table = (struct table){&handle->geometry, memory, &handle->processes.own->spare_cell};
        return OPEN_OK;
    }
    free((void *)handle->tails_left);
    free((void *)handle->decided);
    handle->tails_left = handle->decided = NULL;
    return status;
}

void handle_leave(struct handle *handle) {
    processes_unlock_coordinator(&handle->processes);
    processes_leave(&handle->processes);
}

void handle_close(struct handle *handle) {
    processes_close(&handle->processes);
    free((void *)handle->tails_left);
    free((void *)handle->decided);
    handle->tails_left = handle->decided = NULL;
}

bool handle_is_unlinked(struct handle *handle) {
    if (load_relaxed(&handle->board->news) & NEWS_UNLINKED || load_relaxed(&handle->nameless)) return true;
    if (!processes_lost_name(&handle->processes)) return false;
    store_relaxed(&handle->nameless, 1);
    if (handle->ring.writable) { /* tell all */
        or_acq_rel(&handle->board->news, NEWS_UNLINKED);
        wait_wake(&handle->board->news);
    }
    return true;
}

/* ---- upkeep ------------------------------------------------------------------------------------------------------ */

static uint64_t tail_of(const struct ring *ring, uint32_t partition) {
    return load_acquire(&ring_partition(ring, partition)->tail);
}

void handle_clear(const struct handle *handle) {
    for (uint32_t p = 0; p < handle->geometry.options.partitions; p++)
        ring_raise_floor(&handle->ring, p, tail_of(&handle->ring, p));
}

/* One beyond the last record of a partition before the first that is not older than `before_ns`. What is still being written
 * between older ones is passed: it was begun before they were, and may belong to a process that is stopped for ever. */
static uint64_t first_kept(const struct ring *ring, uint32_t partition, uint64_t oldest, uint64_t tail,
                           int64_t before_ns, unsigned char *row) {
    const struct geometry *g = ring->geometry;
    uint64_t next = oldest, kept = oldest;
    while (next < tail) {
        struct destination to = {.room = 1};
        for (uint32_t i = 0; i < g->options.field_count; i++) to.columns[i] = row + g->fields[i].offset;
        if (ring_read(ring, partition, &next, next + 1, false, &to, &no_gaps) == READ_DAMAGED) break;
        if (!to.row) continue;
        int64_t time;
        memcpy(&time, row + g->fields[g->time_field].offset, 8);
        if (time >= before_ns) break;
        kept = next;
    }
    return kept;
}

bool handle_purge(const struct handle *handle, int64_t before_ns, uint64_t *passed) {
    const struct ring *ring = &handle->ring;
    unsigned char *row = malloc(handle->geometry.record_bytes);
    *passed = 0;
    if (!row) return false;
    for (uint32_t p = 0; p < handle->geometry.options.partitions; p++) {
        uint64_t tail = tail_of(ring, p), oldest = ring_oldest(ring, p, tail);
        uint64_t kept = first_kept(ring, p, oldest, tail, before_ns, row);
        if (kept <= oldest) continue;
        ring_raise_floor(ring, p, kept);
        *passed += kept - oldest;
    }
    free(row);
    return true;
}

void handle_sample(struct handle *handle, int64_t time_ns, struct sample_values *values) {
    const struct options *options = &handle->geometry.options;
    *values = (struct sample_values){.time_ns = (uint64_t)time_ns, .lapped = load_relaxed(&handle->board->lapped)};
    for (uint32_t p = 0; p < options->partitions; p++) {
        struct totals t;
        handle_totals(handle, p, &t);
        values->appended += t.tail - t.skipped - t.voided - t.in_flight;
        values->length += t.length;
        values->skipped += t.skipped;
        values->voided += t.voided;
    }
    values->discarded = values->appended > values->length ? values->appended - values->length : 0;
    for (uint32_t index = 0; index < options->processes; index++)
        values->processes += place_state(load_relaxed(&processes_place(&handle->ring, index)->word)) == PLACE_USED;
    history_write(&handle->ring, values);
}

bool handle_reap(const struct handle *handle, uint32_t *index, uint64_t *pid, uint64_t *voided, uint64_t *released) {
    for (; *index < handle->geometry.options.processes; ++*index) {
        if (!processes_reap(&handle->processes, *index, pid, voided, released)) continue;
        if (*voided || *released) wait_notify(&handle->board->news); /* a cursor may have stopped there */
        return true;
    }
    return false;
}
