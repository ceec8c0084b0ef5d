/* Where series live: the memory of this process alone, or a metrics segment that many share. */
#ifndef SHMSTORE_BINDING_METRICS_H
#define SHMSTORE_BINDING_METRICS_H

#include "binding/store/guard.h"

#include "core/metrics/metrics.h"

typedef struct {
    PyObject_HEAD struct module_state *state;
    PyObject *module; /* keeps the state alive */
    Store *store;     /* of the segment, or NULL: private memory */
    struct metrics *metrics;
    bool strict; /* a series that there is no room for is an error */
    bool warned; /* that there is no room */
    bool warned_too_long;
    struct {
        uint64_t freed;
        uint32_t bytes;
        bool is_full;
    } last; /* how much was freed when there was no room for so many bytes: until more is, nobody need look again */
    struct {
        struct handle handle;
        struct metrics metrics;
        void *memory;
        size_t bytes;
        uint32_t inherited_nodes; /* how many nodes a forked child found, and what they were: see inherited_cell */
        unsigned char *inherited;
    } own; /* of private memory */
} Metrics;

static inline const struct nodes *nodes_of(const Metrics *metrics) { return &metrics->metrics->nodes; }
static inline struct changes *room_of(const Metrics *metrics) {
    return (struct changes *)(void *)(nodes_of(metrics)->memory + nodes_of(metrics)->geometry->changes_offset);
}

/* Keep the bytes mapped, as pin does of a store. */
static inline uint32_t pin_metrics(const Metrics *metrics) { return metrics->store ? pin(metrics->store) : 0; }
static inline void unpin_metrics(const Metrics *metrics, uint32_t life) {
    if (metrics->store) unpin(metrics->store, life);
}

/* May it be used? 0, or -1 with StoreClosed. */
static inline int check_metrics(const Metrics *metrics) { return metrics->store ? check_open(metrics->store) : 0; }

/* The owner that this process claims nodes as; it enters the process table for that. 0, with an exception: it cannot. */
uint32_t owner_of(const Metrics *metrics);

/* Find or insert a node. Says OK, or FULL or TOO_LONG when it was refused: it is counted, and warned of once, unless that is an
 * error. Any other status comes with an exception. No Python code runs before it is OK. */
enum node_status insert_node(Metrics *metrics, uint32_t owner, const struct node_wish *wish, struct node_at *at,
                             bool *inserted);

/* What a cell of private memory held when this process was forked; zeros: it was not there. */
struct cell_value inherited_cell(const Metrics *metrics, struct node_at at, const struct wide *cell);

/* Remove all series of a declaration. */
void remove_family(const Metrics *metrics, uint32_t family);

extern PyType_Spec metrics_spec;

#endif
