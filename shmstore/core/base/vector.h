/* How loops over the rows of a batch are written, so that gcc and clang turn them into vector instructions.
 *
 * VECTORISED: a function that is compiled once for every x86-64 processor and once for those with AVX2, and chosen when
 * the library is loaded. Elsewhere it means nothing: other processors have one kind of vectors, and loaders other than
 * glibc's and the sanitizers do not know functions that are chosen late. Such functions are static: clang before 16
 * gives others a name that no other file finds. */
#ifndef SHMSTORE_VECTOR_H
#define SHMSTORE_VECTOR_H

#include <stdint.h> /* says whether the library is glibc */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer) ||          \
    __has_feature(undefined_behavior_sanitizer)
#define CODE_IS_WATCHED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CODE_IS_WATCHED
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(CODE_IS_WATCHED)
#define VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define VECTORISED
#endif

/* No row depends on another, also where the result takes the place of an operand. */
#ifdef __clang__
#define SIDE_BY_SIDE _Pragma("clang loop vectorize(assume_safety)")
#define WIDE_SIDE_BY_SIDE                                                                                              \
    _Pragma("clang loop vectorize(assume_safety) vectorize_width(32)") /* left alone, clang avoids narrowing */
#else
#define SIDE_BY_SIDE _Pragma("GCC ivdep")
#define WIDE_SIDE_BY_SIDE SIDE_BY_SIDE
#endif
#define EACH_ROW SIDE_BY_SIDE for (uint32_t r = 0; r < rows; r++)
#define EACH_ROW_TO_MASK WIDE_SIDE_BY_SIDE for (uint32_t r = 0; r < rows; r++)

#define INLINE static inline __attribute__((always_inline)) /* into what is chosen at load time */

#endif
