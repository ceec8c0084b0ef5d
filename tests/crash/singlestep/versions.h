/* The events of the streams world, and what the others and the victim do with them. */
#ifndef SHMSTORE_TESTS_VERSIONS_H
#define SHMSTORE_TESTS_VERSIONS_H

#include "operation.h"

/* The stream whose events the others give up as soon as they are there, and that of the victim. */
enum { GIVEN_UP, VICTIMS };
enum { DOOMED = VICTIM + 1 /* a writer: one that died after it had announced its append */ };
enum { MOST_WISHES = 4 };
#define NOWHERE UINT64_MAX
#define ANY_NUMBER UINT32_MAX

/* Whoever appends an event of this writer and number makes the same bytes; those of odd numbers have an id. */
struct wished {
    struct record records[MOST_WISHES];
    uint64_t ids[MOST_WISHES];
    struct event_wish events[MOST_WISHES];
};
void make_wishes(struct wished *wished, uint32_t writer, const uint32_t *numbers, uint32_t count);

/* Append events to the victim's stream by one of the others, and note them. */
void append_noted(struct world *world, const struct handle *who, uint32_t writer, const uint32_t *numbers,
                  uint32_t count);
/* One of the others appends what of the victim's append has an id, as if it had been told to do so as well. */
void repeat_append(struct world *world);
void append_to_given_up(struct world *world, struct handle *who, uint32_t count);

/* Copy an event of a stream: its place and its bytes; a record of no writer when it is torn. */
enum find_status read_version(const struct streams *streams, uint32_t stream, uint64_t version, struct record *record,
                              uint64_t *position);
/* ... and what has a ticket. */
enum ticket_status read_ticket(const struct streams *streams, uint64_t ticket, struct event_facts *facts,
                               struct record *record);

#endif
