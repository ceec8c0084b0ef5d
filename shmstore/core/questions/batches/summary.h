/* Block summaries: what the fields of a whole block of records were, so that questions about old data need not read it.
 *
 * The slots of a partition are cut in blocks of geometry->block_slots (the last may be shorter). A block is *whole* for lap
 * L when all its tickets of lap L are handed out and none is cleared. Summaries cost an append nothing: readers make them.
 *
 * 1. Whoever has read a whole block at lap L with every record PUBLISHED(L) and proved whole may summarise it: five words a field,
 *    `low, high, sum (two words), check`, written in any order. The check is a mix of the four words and of what they are
 *    about: the lap, the partition, the block and the field.
 * 2. Whoever wants to know a block at lap L loads the five words and takes them only if the check fits L. Otherwise there is no
 *    summary: whoever asked reads the records.
 *
 * So there is no state, no owner and no lock. Two that summarise the same lap write the same words. A process that stalls,
 * and writes for lap L while others write for a later lap, leaves a mixture; one that is killed leaves a part; a stray program
 * leaves noise. None of these fits (but for one in 2^64), so nothing has to be repaired. A summary that fits is right for ever: the
 * records of a lap do not change once they are all published. All accesses are relaxed: only the five words themselves count
 * (summary_read:word, summary_write:word). */
#ifndef SHMSTORE_SUMMARY_H
#define SHMSTORE_SUMMARY_H

#include "core/questions/batches/batch.h"
#include "core/questions/batches/sum.h"

/* One field over all records of a block. */
struct facts {
    bool known;   /* false: nobody has summarised it */
    bool has_nan; /* then low and high say nothing */
    union number low, high;
    union {
        struct int_sum integer;
        struct real_sum real;
    } sum;
};

/* Take the summary of a field (one that has summaries: field_has_summary) if there is one. */
void summary_read(const struct geometry *geometry, unsigned char *memory, uint32_t partition, uint64_t block,
                  uint64_t lap, uint32_t field, struct facts *facts);

void summary_write(const struct geometry *geometry, unsigned char *memory, uint32_t partition, uint64_t block,
                   uint64_t lap, uint32_t field, const struct facts *facts);

/* Facts of no record yet, and of `rows` more, whose values lie in a column of a batch. */
void facts_begin(struct facts *facts, enum lane lane);
void facts_add(struct facts *facts, const struct field *field, const unsigned char *column, uint32_t rows);

#endif
