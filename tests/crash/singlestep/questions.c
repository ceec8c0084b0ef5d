/* Asking, again and again: who asks first marks whole blocks, then summarises them, then believes their summaries. */
#include "operation.h"

enum { ASKED = 3 };

static atomic_u64 my_marks[BLOCKS]; /* the victim's */

static void have_asked(struct world *world) {
    be_attached(world);
    ask(&world->mine.ring, my_marks);
}

static void ask_again(struct world *world) { ask(&world->mine.ring, my_marks); }

/* Others that may write ask so often that they summarise what the victim does, or did. */
static void ask_as_others(struct world *world) {
    atomic_u64 marks[BLOCKS] = {0};
    for (int times = 0; times < ASKED; times++) ask_and_compare(world, &world->live[0].ring, marks);
    inspect(world);
}

static void verify_answers(struct world *world, bool ended) {
    (void)ended;
    ask_as_others(world);
}

/* As soon as the victim has written a word of a summary, others append a lap and summarise the same blocks. */
static bool outrun_asking(struct world *world) {
    const atomic_u64 *summaries = (const atomic_u64 *)(const void *)(world->memory + world->geometry.summaries_offset);
    bool begun = false;
    for (size_t word = 0; word < BLOCKS * sizeof(struct summary) / sizeof *summaries; word++)
        begun |= load_acquire(&summaries[word]) != 0;
    if (!begun) return false;
    append_many(world, SLOTS);
    ask_as_others(world);
    return true;
}

const struct operation question_operations[] = {
    {.name = "question",
     .prepare = begin_full,
     .ready = have_asked,
     .run = ask_again,
     .meanwhile = ask_as_others,
     .verify = verify_answers},
    {.name = "question-outrun",
     .prepare = begin_full,
     .ready = have_asked,
     .run = ask_again,
     .meddle = outrun_asking,
     .meanwhile = ask_as_others,
     .verify = verify_answers},
    {.name = NULL},
};
