/* All values of a question in private memory, gathered in one pass and sorted: for groups, and for what was overwritten
 * between two passes. */
#ifndef SHMSTORE_BINDING_QUESTIONS_GATHERED_H
#define SHMSTORE_BINDING_QUESTIONS_GATHERED_H

#include "binding/questions/cells.h"

#include "core/questions/order/group_values.h"

struct gathered {
    struct groups groups;
    struct pairs pairs;
    bool together;             /* all are in cell 0, and there are no groups */
    uint32_t index;            /* of the field */
    const struct field *field; /* whose different values are counted; NULL: quantiles of the program's numbers */
    enum lane lane;
};

/* When the first pass already gave the answer, it stands although up to one in so many records was overwritten
 * meanwhile. */
enum { TOLERABLE_PART = 8 };

/* What is to be gathered: the program's numbers, or the values of a field. */
void gathered_numbers(struct gathered *gathered, const struct run *run);
void gathered_field(struct gathered *gathered, const struct run *run, uint32_t index);

/* Gather what is there now. 0, or -1 with an exception. */
int gather_all(struct run *run, struct gathered *gathered);
/* Gather by the values of a field. 0, or -1 with an exception. */
int gather_groups(struct run *run, struct gathered *gathered, uint32_t by);

static inline struct pairs_span gathered_span(const struct gathered *gathered) {
    return (struct pairs_span){0, gathered->pairs.count};
}

void gathered_free(struct gathered *gathered);

#endif
