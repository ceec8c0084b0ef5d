/* Stores past the caches, for large copies into private memory that nobody looks at soon: the memory is not read before it is
 * written, and what others have in the caches stays there. */
#ifndef SHMSTORE_STREAM_H
#define SHMSTORE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

enum { LINE_WORDS = 8 }; /* whole cache lines go best */

static inline bool stream_begins_line(const uint64_t *to) { return !((uintptr_t)to & (LINE_WORDS * 8 - 1)); }

#ifdef __x86_64__
#include <emmintrin.h>
static inline void stream_word(uint64_t *to, uint64_t value) {
    _mm_stream_si64((long long *)(void *)to, (long long)value);
}
static inline void stream_line(uint64_t *to, const uint64_t value[LINE_WORDS]) {
    for (int i = 0; i < LINE_WORDS; i += 2)
        _mm_stream_si128((__m128i *)(void *)(to + i), _mm_set_epi64x((long long)value[i + 1], (long long)value[i]));
}
static inline void stream_end(void) { _mm_sfence(); } /* then other threads may be told of what was written */
#else
static inline void stream_word(uint64_t *to, uint64_t value) { *to = value; }
static inline void stream_line(uint64_t *to, const uint64_t value[LINE_WORDS]) {
    for (int i = 0; i < LINE_WORDS; i++) to[i] = value[i];
}
static inline void stream_end(void) {}
#endif

#endif
