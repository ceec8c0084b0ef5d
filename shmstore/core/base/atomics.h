/* Atomic operations named by their order: the only file, beside wide.h, that spells a memory order.
 *
 * Everything that several processes touch goes through these names, so a reader of the protocol sees the order in the
 * word itself, and a weaker or stronger one is a visible change. They work on _Atomic objects in any memory. */
#ifndef SHMSTORE_ATOMICS_H
#define SHMSTORE_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint64_t atomic_u64;
typedef _Atomic uint32_t atomic_u32;
typedef _Atomic uint16_t atomic_u16;
typedef _Atomic uint8_t atomic_u8;

_Static_assert(sizeof(atomic_u64) == 8 && ATOMIC_LLONG_LOCK_FREE == 2, "slot words are lock-free 64-bit integers");
_Static_assert(sizeof(atomic_u32) == 4 && sizeof(atomic_u16) == 2 && sizeof(atomic_u8) == 1,
               "payload units have the size of their values");

#define load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define exchange_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define or_acq_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)

static inline bool cas_release(atomic_u64 *p, uint64_t *expected, uint64_t desired) {
    return atomic_compare_exchange_strong_explicit(p, expected, desired, memory_order_release, memory_order_relaxed);
}

static inline bool cas_acq_rel(atomic_u64 *p, uint64_t *expected, uint64_t desired) {
    return atomic_compare_exchange_strong_explicit(p, expected, desired, memory_order_acq_rel, memory_order_acquire);
}

static inline void fence_acquire(void) { atomic_thread_fence(memory_order_acquire); }
static inline void fence_release(void) { atomic_thread_fence(memory_order_release); }

static inline bool cas_acq_rel_u32(atomic_u32 *p, uint32_t *expected, uint32_t desired) {
    return atomic_compare_exchange_strong_explicit(p, expected, desired, memory_order_acq_rel, memory_order_acquire);
}

/* Tell the processor that this is a spin loop. */
static inline void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
