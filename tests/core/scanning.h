/* Questions in the tests of the core: processes that ask with marks and summaries of their own, and what they find. */
#ifndef SHMSTORE_TESTS_SCANNING_H
#define SHMSTORE_TESTS_SCANNING_H

#include "core/questions/scan.h"
#include "harness.h"

/* A process that asks: what it has marked, and where the records of its last question came from. */
struct asker {
    struct store *store;
    atomic_u64 *sealed;
    bool summarises;
    uint64_t needs;         /* bit f: field f is asked about; all at first, and then each record must be whole */
    struct program program; /* which records it asks about; all at first */
    bool is_noise;          /* the payloads are: no record can be whole */
    uint64_t read;          /* records that were looked at; the others were told by summaries */
};
struct asker make_asker(struct store *store, bool summarises);
void free_asker(struct asker *asker);

/* How many records, and what their fields add up to. */
struct answer {
    uint64_t count;
    struct facts facts[MAX_FIELDS];
    struct asker *asker;
};

/* Ask about these tickets, whenever they were there; or about all of partition 0 that are there now. */
struct answer ask_about(struct asker *asker, struct range range);
struct answer ask_about_all(struct asker *asker, struct range *ranges, uint32_t count); /* one after the other */
struct answer ask(struct asker *asker);

#define expect_equal_answers(found, expected) expect_equal_answers_at(__FILE__, __LINE__, found, expected)
void expect_equal_answers_at(const char *file, int line, const struct answer *found, const struct answer *expected);

/* Two that believe in summaries, one of them just come, find thrice what one finds that does not: so many records. */
#define expect_agreement(asker, count) expect_agreement_at(__FILE__, __LINE__, asker, count)
void expect_agreement_at(const char *file, int line, struct asker *asker, uint64_t count);

#endif
