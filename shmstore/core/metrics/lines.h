/* Lines of an exposition in private memory that grows. Once there is no more memory, everything that is put is dropped. */
#ifndef SHMSTORE_LINES_H
#define SHMSTORE_LINES_H

#include "core/metrics/declaration.h"
#include "core/metrics/exemplars.h"

struct lines {
    char *text;
    size_t length, room;
    bool has_failed;
};

/* Nanoseconds as seconds, to the nearest double: through whole ones, as a double does not hold so many nanoseconds. */
static inline double seconds_of(int64_t ns) { return (double)(ns / 1000000000) + (double)(ns % 1000000000) / 1e9; }

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

/* Make room for so many bytes more; false: there is none. */
bool lines_reserve(struct lines *lines, size_t bytes);
void lines_free(struct lines *lines);

void lines_put(struct lines *lines, struct slice slice);

/* A label beside those of the series: its text is escaped; without a name there is none. */
struct label {
    struct slice name, text;
};

/* The parts of a sample's line. */
struct sample_line {
    struct slice name, suffix;
    struct slice labels; /* as `a="b",c="d"`, or empty */
    struct label last;
    double value;
};

void lines_put_sample(struct lines *lines, const struct sample_line *sample);

/* Put an exemplar at the end of the last line. */
void lines_put_exemplar(struct lines *lines, const struct exemplar_values *exemplar);

#endif
