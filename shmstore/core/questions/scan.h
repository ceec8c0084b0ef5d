/* Scanning: the records of ticket ranges as batches, without stopping a writer, and without reading what need not be read.
 *
 * 1. The ranges are fixed when a scan begins: from the oldest readable ticket of each partition to its tail.
 * 2. When the summaries of a whole block (summary.h) fit, the program judges the block by their bounds. If no record matches,
 *    it is passed over. If all match, and the summaries can answer what is asked, they answer. Otherwise its records are
 *    read, without the fields of which the bounds say enough (program_narrow).
 * 3. A scan that has seen every record of a whole block remembers, privately, "sealed at lap L". A sealed block is read
 *    without its slot words (ring_copy_published): one look at the tail proves a batch.
 * 4. A whole block that is met sealed and without summaries is summarised. So the first question leaves nothing but the mark, and
 *    records that are overwritten before a second question cost no summary. */
#ifndef SHMSTORE_SCAN_H
#define SHMSTORE_SCAN_H

#include "core/questions/programs/program.h"
#include "core/ring/ring.h"
#include "core/questions/tallies/tally.h"

struct range {
    uint32_t partition;
    uint64_t next, end; /* tickets */
};

/* Asked of a block of which all records match: do the facts answer? Then it has taken them. */
struct block_taker {
    bool (*take)(void *context, const struct block *block);
    void *context;
};

enum scan_status { SCAN_BATCH, SCAN_END, SCAN_DAMAGED };

struct scan {
    const struct ring *ring;
    const struct program *program;
    uint64_t needs; /* bit f: field f is copied; those of the program, and */
    uint64_t kept;  /* what is asked of every record, whatever the program needs */
    struct range *ranges;
    uint32_t range_count, at;
    atomic_u64 *sealed; /* one a block of the store, 0 at first: 1 + the lap at which it was seen all PUBLISHED */
    bool summarises;    /* use summaries, and make them where the memory is writable */
    struct block_taker taker;

    /* in use during the scan */
    const uint8_t *modes; /* what is left of the program for the records of this batch; NULL: everything */
    uint64_t less_until;  /* with modes: the end of the block that they are for */
    uint8_t *room;        /* for modes: a byte a step */
    struct destination to;
    unsigned char *columns[MAX_FIELDS]; /* where all that is needed is copied to */
    struct facts facts[MAX_FIELDS];
    uint64_t whole_from; /* all tickets from here to range->next were there; UINT64_MAX: none */
    struct {
        bool making;
        uint32_t partition;
        uint64_t block, lap, end;
    } summary;
};

/* Bytes of memory, aligned to CACHE_LINE, that a scan copies its batches to. */
size_t scan_buffer_bytes(const struct geometry *geometry, uint64_t needs);

/* Give the scan its memory (`room` has a byte for each step of the program), when all members above are set. */
void scan_begin(struct scan *scan, unsigned char *buffer, uint8_t *room);

/* The next batch; it is valid until the next call. It may be empty. */
enum scan_status scan_next(struct scan *scan, struct batch *batch);

/* All readable tickets of a partition now. */
struct range scan_range(const struct ring *ring, uint32_t partition);

/* [2] Move range->next over whole blocks of which no record matches, as their summaries tell; for callers that read on.
 * Returns the ticket up to which to read before asking again. */
uint64_t scan_pass_over(const struct ring *ring, const struct program *program, struct range *range);

#endif
