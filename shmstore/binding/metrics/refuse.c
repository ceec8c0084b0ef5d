/* Refusing a metric or a series; see refuse.h. */
#include "binding/metrics/refuse.h"

#define REFUSED "is refused, and counts into nothing: "

typedef unsigned long long number;

/* Takes the reason. */
static enum node_status refuse(Metrics *metrics, PyObject *why, bool *warned, enum node_status status) {
    int failed = !why;
    if (why && metrics->strict) {
        raise_error(metrics->state, ERROR_SERIES_TABLE_FULL, "%U", why);
        failed = 1;
    } else if (why && !*warned) {
        *warned = true;
        failed = PyErr_WarnFormat(PyExc_RuntimeWarning, 2, "%U", why);
    }
    Py_XDECREF(why);
    return failed ? NODES_DAMAGED : status;
}

enum node_status refuse_full(Metrics *metrics, const struct node_wish *wish) {
    if (metrics->warned && !metrics->strict) return NODES_FULL;
    PyObject *why = PyUnicode_FromFormat(
        "%s " REFUSED
        "there is no room in the table, which was made for at least %llu series; remove some, or configure "
        "the metrics with a larger series=",
        wish->key.family == NO_FAMILY ? "a metric" : "a series", (number)nodes_of(metrics)->geometry->options.capacity);
    return refuse(metrics, why, &metrics->warned, NODES_FULL);
}

static PyObject *too_long(const struct node_wish *wish) {
    const number most = nodes_most_bytes(), of_cells = nodes_bytes(wish) - wish->text_bytes;
    if (wish->key.family == NO_FAMILY)
        return PyUnicode_FromFormat(
            "a metric " REFUSED "it is too long: its name, help text, labels, buckets and states take %llu bytes, and "
            "%llu fit; shorten the help text, or declare fewer buckets or states",
            (number)wish->text_bytes, most);
    return PyUnicode_FromFormat("a series " REFUSED "it is too long: its labels take %llu bytes, and %llu fit; shorten "
                                "the label values",
                                (number)wish->text_bytes, of_cells < most ? most - of_cells : 0);
}

void count_refusal(const Metrics *metrics, bool is_too_long, bool is_placeless) {
    add_relaxed(&room_of(metrics)->refused, 1);
    if (is_too_long) add_relaxed(&room_of(metrics)->too_long, 1);
    if (is_placeless) add_relaxed(&room_of(metrics)->placeless, 1);
}

enum node_status refuse_too_long(Metrics *metrics, const struct node_wish *wish) {
    count_refusal(metrics, true, false);
    if (metrics->warned_too_long && !metrics->strict) return NODES_TOO_LONG;
    return refuse(metrics, too_long(wish), &metrics->warned_too_long, NODES_TOO_LONG);
}
