/* Private memory for copies of records. What is large is kept for the next copy: to fault in fresh memory takes as long as
 * to copy into it.
 *
 * At most BUFFERS_KEPT buffers of at most MOST_KEPT_BYTES are kept. While one is kept it costs nobody anything: the kernel
 * takes its pages as soon as somebody needs memory (MADV_FREE), and a child of a fork gets none of them, but zeros
 * (MADV_WIPEONFORK), so that neither its parent nor the child copies them. Any threads may take and give at once, also in
 * finalizers and signal handlers: there is no lock that a fork could leave locked in the child. Where the kernel does not
 * know these kinds of advice, nothing is kept. Closing a store lets go of all that is kept. */
#ifndef SHMSTORE_BUFFER_H
#define SHMSTORE_BUFFER_H

#include <stddef.h>

enum { BUFFERS_KEPT = 4, BUFFER_UNIT = 2 << 20 /* a huge page of most systems */ };
#define LARGE_BYTES ((size_t)4 << 20) /* from here on */
#define MOST_KEPT_BYTES ((size_t)256 << 20)

/* Memory of at least `*bytes`, with anything in it; sets `*bytes` to its size, which buffer_give needs. NULL: there is none. */
void *buffer_take(size_t *bytes);
void buffer_give(void *memory, size_t bytes); /* nothing when NULL */
void buffer_give_back(void);                  /* let go of all that is kept */

#endif
