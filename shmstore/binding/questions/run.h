/* A question in progress: where its batches come from, and what hears of them. */
#ifndef SHMSTORE_RUN_H
#define SHMSTORE_RUN_H

#include "binding/questions/questions.h"
#include "binding/reading/columns.h"

#include "core/questions/scan.h"

enum told { TOLD_OK, TOLD_NO_MEMORY, TOLD_DAMAGED };

struct listener {
    enum told (*hear)(void *context, const struct batch *batch, const struct found *found); /* without the GIL */
    void *context;
    bool (*take)(
        void *context,
        const struct block *block); /* a whole block by its summary, if it can; NULL: only records are wanted */
    /* The question begins anew, before any record was heard, and keys now have ids below this. False: no memory. NULL:
     * nothing to prepare. */
    bool (*renew)(void *context, uint32_t keys);
};

/* The source of the records, and which of them are asked about. */
struct source {
    Store *store;
    Columns *columns; /* the records of a snapshot; NULL: those of the live store */
    PyObject *program;
    PyObject *partitions, *ends; /* None or NULL: all, as they are now */
    int summaries;
    uint64_t needs; /* fields besides those of the program */
};

/* All records of the object whose method was called, a Store or Columns. */
struct source source_of(PyObject *self);

struct run {
    Store *store;
    const struct source *source;
    const Columns *columns;
    PyObject *held;
    const struct program *program;
    struct scan scan;
    struct range *ranges; /* as the run began, or was renewed */
    void *memory, *buffer, *scratch, *room;
};

/* Fix which tickets are asked about. `source` stays the caller's and must outlive the run. 0, or -1 with an exception;
 * then run_end is not called. */
int run_begin(struct run *run, const struct source *source);

/* How many keys there are; the ids in all records that are asked about are below. 0, or -1 with an exception. */
int count_keys(const struct run *run, uint32_t *keys);

/* Read all of them once. 0, or -1 with an exception: also when Ctrl-C was pressed. */
int run_pass(struct run *run, const struct listener *listener);

/* Whether more than one in `part` of the tickets of the last pass was overwritten meanwhile, or with 0 any at all. If
 * none was, all were read, and another pass meets the same ones. */
bool run_has_lost(const struct run *run, uint64_t part);

/* Begin anew, about what is readable now. 0, or -1 with an exception. */
int run_renew(struct run *run);

void run_end(struct run *run);

#endif
