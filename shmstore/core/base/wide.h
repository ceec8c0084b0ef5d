/* Two words that change as one: a compare-and-swap of 16 bytes, which x86-64 (cx16) and AArch64 have.
 *
 * Only the swap is as wide. Readers load the halves one by one, in the order in which they can tell that both are of one
 * moment; a swap whose expectation was put together from two moments fails. */
#ifndef SHMSTORE_WIDE_H
#define SHMSTORE_WIDE_H

#include <string.h>

#include "core/base/atomics.h"

#if !defined(__SIZEOF_INT128__) || !(defined(__x86_64__) || defined(__aarch64__))
#error "cells need a compare-and-swap of 16 bytes: build for x86-64 or AArch64"
#endif

struct wide {
    _Alignas(16) atomic_u64 low;
    atomic_u64 high;
};

_Static_assert(sizeof(struct wide) == 16, "two words lie side by side");

/* The halves as plain numbers. */
struct halves {
    uint64_t low, high;
};

/* Not always inlined, as not every x86-64 has it by default; clang would inline it all the same, and then call a library for it.
 * Acquire and release. */
#if defined(__x86_64__) && defined(__clang__)
__attribute__((target("cx16"), noinline))
#elif defined(__x86_64__)
__attribute__((target("cx16")))
#endif
static inline bool
cas_acq_rel_wide(struct wide *p, struct halves expected, struct halves desired) {
    unsigned __int128 before, after;
    memcpy(&before, &expected, sizeof before);
    memcpy(&after, &desired, sizeof after);
    return __sync_bool_compare_and_swap((unsigned __int128 *)(void *)p, before, after);
}

#endif
