/* Private memory that is kept for the next copy: each taker has it alone, in threads, and in children of a fork. */
#define _GNU_SOURCE
#include "core/base/buffer.h"

#include "harness.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 400, PAGE = 4096 };

static void mark(unsigned char *memory, size_t bytes, uint64_t owner) {
    for (size_t at = 0; at < bytes; at += 64 * PAGE) memcpy(memory + at, &owner, sizeof owner);
}

static void expect_marks(const unsigned char *memory, size_t bytes, uint64_t owner) {
    for (size_t at = 0; at < bytes; at += 64 * PAGE) {
        uint64_t found;
        memcpy(&found, memory + at, sizeof found);
        expect_equal(found, owner);
    }
}

/* Hold two at a time, of any sizes. */
static void *take_and_give(void *argument) {
    const uint64_t number = (uint64_t)(uintptr_t)argument;
    unsigned char *held[2] = {NULL, NULL};
    size_t bytes[2] = {0, 0};
    seed_thread(number);
    for (uint64_t round = 0; round < ROUNDS * effort / 100 + 2; round++) {
        const int which = (int)(round % 2);
        if (held[which]) expect_marks(held[which], bytes[which], number << 32 | (round - 2));
        buffer_give(held[which], bytes[which]);
        const size_t wanted = (size_t)(1 + random_number(16 << 20));
        bytes[which] = wanted;
        held[which] = buffer_take(&bytes[which]);
        expect(held[which] && bytes[which] >= wanted);
        mark(held[which], wanted, number << 32 | round);
        bytes[which] = bytes[which] < LARGE_BYTES ? wanted : bytes[which];
        mark(held[which], bytes[which], number << 32 | round);
        if (!random_number(50)) buffer_give_back();
    }
    for (int i = 0; i < 2; i++) buffer_give(held[i], bytes[i]);
    return NULL;
}

CASE(threads_that_take_and_give_buffers_have_each_alone) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) expect(!pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)));
    for (int i = 0; i < THREADS; i++) expect(!pthread_join(threads[i], NULL));
    buffer_give_back();
}

CASE(a_child_of_a_fork_finds_zeros_in_what_is_kept_and_its_own_in_what_is_held) {
    size_t bytes = 2 * LARGE_BYTES, again = bytes;
    unsigned char *kept = buffer_take(&bytes), *held = buffer_take(&again);
    expect(kept && held && kept != held);
    mark(kept, bytes, 1);
    mark(held, again, 2);
    buffer_give(kept, bytes);
    unsigned char *probe = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(probe != MAP_FAILED);
    *probe = 1;
    madvise(probe, PAGE, MADV_WIPEONFORK); /* emulators say yes and do nothing */
    pid_t child = fork();
    if (!child) {
        size_t of_child = bytes;
        unsigned char *taken = buffer_take(&of_child);
        if (taken == kept && !*probe) expect_marks(taken, bytes, 0);
        expect_marks(held, again, 2);
        mark(taken, of_child, 3);
        buffer_give(held, again);
        buffer_give(taken, of_child);
        _exit(0);
    }
    int status;
    expect_equal(waitpid(child, &status, 0), child);
    expect_equal(status, 0);
    expect_marks(held, again, 2);
    buffer_give(held, again);
    buffer_give_back();
}

CASE(what_is_far_too_large_for_a_copy_is_not_taken_for_it) {
    size_t bytes = 16 * LARGE_BYTES, fitting = 2 * LARGE_BYTES;
    unsigned char *large = buffer_take(&bytes);
    buffer_give(large, bytes);
    unsigned char *taken = buffer_take(&fitting);
    expect(taken && fitting == 2 * LARGE_BYTES);
    buffer_give(taken, fitting);
    buffer_give_back();
    size_t absurd = SIZE_MAX - 1;
    expect(!buffer_take(&absurd));
}
