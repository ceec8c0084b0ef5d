/* Sorting words, and pairs of words, by radix. */
#ifndef SHMSTORE_SORT_H
#define SHMSTORE_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Sort ascending; `spare` has room for as many words. */
void sort_words(uint64_t *words, uint64_t *spare, size_t count);

/* The same for numbers of 128 bits, each as two words, the lower one first. */
void sort_pairs(uint64_t (*pairs)[2], uint64_t (*spare)[2], size_t count);

#endif
