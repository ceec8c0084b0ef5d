/* Programs and questions: the Program object, and the methods of a store and of Columns that ask. */
#ifndef SHMSTORE_BINDING_QUESTIONS_QUESTIONS_H
#define SHMSTORE_BINDING_QUESTIONS_QUESTIONS_H

#include "binding/store/guard.h"

extern PyType_Spec program_spec;
struct program;
/* The core's program in a Program object. NULL with an exception when the object is something else, or was compiled for
 * other fields. */
const struct program *program_argument(struct module_state *state, PyObject *object, const struct geometry *geometry);
/* The error of PROGRAM_OVERFLOW, which names what the Program was compiled from. */
PyObject *raise_overflow(struct module_state *state, PyObject *object);

/* Methods of a Store, about its live records, and of Columns, about theirs. */
#define QUESTION_METHODS(METHOD)                                                                                       \
    METHOD("tally", ask_tally, KEYWORDS,                                                                               \
           "tally($self, program, what, **chosen)\n--\n\nCount records; add up and compare their numbers.")            \
    METHOD("group_tallies", ask_group_tallies, KEYWORDS,                                                               \
           "group_tallies($self, program, what, by, **chosen)\n--\n\nThe same, by the values of a field.")             \
    METHOD("window_tallies", ask_window_tallies, KEYWORDS,                                                             \
           "window_tallies($self, program, what, **windows_and_chosen)\n--\n\nThe same, by windows of time.")          \
    METHOD("edge", ask_edge, KEYWORDS,                                                                                 \
           "edge($self, program, field, latest, **chosen)\n--\n\nA field of the earliest or latest record.")           \
    METHOD("group_edges", ask_group_edges, KEYWORDS,                                                                   \
           "group_edges($self, program, field, latest, by, **chosen)\n--\n\nThe same, by the values of a field.")      \
    METHOD("quantiles", ask_quantiles, KEYWORDS,                                                                       \
           "quantiles($self, program, wanted, **chosen)\n--\n\nQuantiles of a number.")                                \
    METHOD("group_quantiles", ask_group_quantiles, KEYWORDS,                                                           \
           "group_quantiles($self, program, wanted, by, **chosen)\n--\n\nThe same, by the values of a field.")         \
    METHOD("distinct", ask_distinct, KEYWORDS,                                                                         \
           "distinct($self, program, field, **chosen)\n--\n\nHow many different values a field has.")                  \
    METHOD("group_distinct", ask_group_distinct, KEYWORDS,                                                             \
           "group_distinct($self, program, field, by, **chosen)\n--\n\nThe same, by the values of a field.")
QUESTION_METHODS(DECLARE_METHOD)

#endif
