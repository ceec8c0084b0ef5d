/* Gaps: the list of them that grows while tickets are read, and as Python objects. */
#include "binding/reading/gaps.h"

#include <stdlib.h>

bool gap_list_report(void *context, uint32_t partition, uint64_t first, uint64_t end, enum gap_reason reason) {
    struct gap_list *list = context;
    struct gap *last = list->count ? &list->gaps[list->count - 1] : NULL;
    if (last && last->partition == partition && last->end == first && last->reason == reason) {
        last->end = end;
    } else {
        if (list->count == list->room) {
            size_t room = list->room ? 2 * list->room : 16;
            struct gap *gaps = realloc(list->gaps, room * sizeof *gaps); /* called without the GIL */
            if (!gaps) return false;
            list->gaps = gaps;
            list->room = room;
        }
        list->gaps[list->count++] = (struct gap){partition, reason, first, end};
    }
    list->lost += end - first;
    if (reason == GAP_LAPPED) list->lapped += end - first;
    return true;
}

PyObject *gap_list_objects(struct module_state *state, const struct gap_list *list) {
    PyObject *objects = PyList_New((Py_ssize_t)list->count);
    for (size_t i = 0; objects && i < list->count; i++) {
        const struct gap *gap = &list->gaps[i];
        PyObject *object = new_shape(state, SHAPE_GAP,
                                     Py_BuildValue("(IKKi)", gap->partition, (unsigned long long)gap->first,
                                                   (unsigned long long)gap->end, (int)gap->reason));
        if (!object) Py_CLEAR(objects);
        else PyList_SetItem(objects, (Py_ssize_t)i, object);
    }
    return objects;
}
