/* Taking and giving large private memory; see buffer.h. */
#define _GNU_SOURCE
#include "core/base/buffer.h"

#include "core/base/atomics.h"

#include <stdlib.h>
#include <sys/mman.h>

/* A kept buffer in one word: its address, a multiple of BUFFER_UNIT, plus its size in these units. 0: none. */
static atomic_u64 kept[BUFFERS_KEPT];
static atomic_u32 gives;

static size_t size_of(uint64_t word) { return (size_t)(word % BUFFER_UNIT) * BUFFER_UNIT; }
static void *address_of(uint64_t word) { return (void *)(uintptr_t)(word - word % BUFFER_UNIT); }

static void unmap(uint64_t word) {
    if (word) munmap(address_of(word), size_of(word));
}

/* Whole huge pages, aligned as such, so that the kernel can use them. */
static void *map(size_t bytes) {
    const size_t more = bytes + BUFFER_UNIT;
    unsigned char *memory = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    const size_t before = (BUFFER_UNIT - (uintptr_t)memory % BUFFER_UNIT) % BUFFER_UNIT;
    if (before) munmap(memory, before);
    if (more - before - bytes) munmap(memory + before + bytes, more - before - bytes);
    madvise(memory + before, bytes, MADV_HUGEPAGE);
    return memory + before;
}

void *buffer_take(size_t *bytes) {
    if (*bytes < LARGE_BYTES) return malloc(*bytes + 1);
    if (*bytes > SIZE_MAX / 2) return NULL;
    *bytes = (*bytes + BUFFER_UNIT - 1) / BUFFER_UNIT * BUFFER_UNIT;
    for (int i = 0; i < BUFFERS_KEPT; i++) {
        uint64_t word = load_acquire(&kept[i]);
        if (size_of(word) < *bytes || size_of(word) / 2 > *bytes || !cas_acq_rel(&kept[i], &word, 0)) continue;
        if (madvise(address_of(word), size_of(word), MADV_KEEPONFORK)) {
            unmap(word);
            continue;
        }
        *bytes = size_of(word);
        return address_of(word);
    }
    return map(*bytes);
}

void buffer_give(void *memory, size_t bytes) {
    if (bytes < LARGE_BYTES) {
        free(memory);
        return;
    }
    if (!memory) return;
    uint64_t word = (uint64_t)(uintptr_t)memory + bytes / BUFFER_UNIT;
    if (bytes > MOST_KEPT_BYTES || madvise(memory, bytes, MADV_WIPEONFORK) || madvise(memory, bytes, MADV_FREE)) {
        unmap(word);
        return;
    }
    for (int i = 0; i < BUFFERS_KEPT; i++) {
        uint64_t none = 0;
        if (cas_acq_rel(&kept[i], &none, word)) return;
    }
    /* All places are taken: this one takes the place of another, each in turn, so that one of no use goes sooner or later. */
    unmap(exchange_acq_rel(&kept[add_relaxed(&gives, 1) % BUFFERS_KEPT], word));
}

void buffer_give_back(void) {
    for (int i = 0; i < BUFFERS_KEPT; i++) unmap(exchange_acq_rel(&kept[i], 0));
}
