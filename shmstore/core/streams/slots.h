/* The slots of a log: claiming them, filling them, reading them, freeing what the dead had. See log.h, sentences 1, 7 and
 * 10. */
#ifndef SHMSTORE_SLOTS_H
#define SHMSTORE_SLOTS_H

#include "core/streams/log.h"

#include <string.h>

/* Slots that this process has claimed and does not use, of one log. */
struct spares {
    uint32_t owner; /* whose they are: a forked child has another, and none of these */
    uint32_t count, room;
    uint32_t *slots;
    uint64_t freed; /* as it was when no slot was free */
    struct {
        uint32_t count, room;
        uint32_t *slots;
    } hints; /* what it has freed: that is free still, unless another was faster */
};

enum slot_status { SLOTS_OK, SLOTS_NO_MEMORY, SLOTS_HELD, SLOTS_DAMAGED };

/* Are there so many spares and free slots? Those that there are become spares: until slots_claim, or slots_keep_one. */
bool slots_are_free(const struct log_view *log, struct spares *spares, uint32_t owner, uint32_t count);
void slots_keep_one(const struct log_view *log, struct spares *spares, uint32_t owner);

/* Claim `count` slots: from the spares, or free ones, or else by taking the oldest events. What was claimed when that fails
 * is given back. SLOTS_HELD: others hold so many that there are not as many left. */
enum slot_status slots_claim(const struct log_view *log, struct spares *spares, uint32_t owner, uint32_t count,
                             uint64_t now_ns, uint32_t *claimed);

/* A slot that this owner has claimed and does not use becomes a spare where it has none, or else free for all, and a hint. */
void slots_give_back(const struct log_view *log, struct spares *spares, uint32_t owner, uint32_t slot);

/* These are free now: to be looked at first. One that is NO_SLOT is left out. */
void slots_remember(struct spares *spares, const uint32_t *slots, uint32_t count);

/* Free all spares of this process: it leaves. */
void slots_leave(const struct log_view *log, struct spares *spares, uint32_t owner);

/* [10] Free all that an owner which is gone had claimed. */
void slots_sweep(const struct log_view *log, uint32_t owner);

/* What an event is made of, as the caller has it: in this order, one after another. */
struct piece {
    const void *bytes;
    size_t count;
};
enum { PIECES = 4 /* type, id, metadata, data */ };

/* Each begins with a word. Bytes from one to the next: */
static inline size_t piece_room(size_t count) { return (count + 7) & ~(size_t)7; }

/* Its next bytes, of which there are `left`: little-endian, as all machines that cells are built for. */
static inline uint64_t piece_word(const unsigned char *from, size_t left) {
    uint64_t word = 0;
    if (left >= 8) memcpy(&word, from, 8);
    else
        while (left--) word = word << 8 | from[left];
    return word;
}

/* Write the text of a claimed slot. */
void slots_fill(struct event_slot *slot, const struct piece pieces[PIECES]);

/* A copy of the words that describe an event. */
struct event_facts {
    uint64_t word, origin, version, position, links, jump, jump_of_jump, time_ns, id_next, id_hash, sizes;
};

/* Copy what describes the event in a slot, and up to `room` bytes of its text. False when it changed meanwhile, or has no
 * event. */
bool slots_read(const struct log_view *log, uint32_t slot, struct event_facts *facts, void *text, size_t room);

/* Bytes of an event's text, as they are told by what describes it; at most what a slot holds. */
size_t slots_text_bytes(const struct log_view *log, const struct event_facts *facts);

#endif
