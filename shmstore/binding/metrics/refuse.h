/* Refusing a metric or a series: an error where that is wanted, else a warning, once for each reason. */
#ifndef SHMSTORE_BINDING_METRICS_REFUSE_H
#define SHMSTORE_BINDING_METRICS_REFUSE_H

#include "binding/metrics/metrics.h"

/* For want of room, and because it takes more than a node and its parts hold. Say FULL, and TOO_LONG; DAMAGED comes with an
 * exception. */
enum node_status refuse_full(Metrics *metrics, const struct node_wish *wish);
enum node_status refuse_too_long(Metrics *metrics, const struct node_wish *wish);

/* Count an update, or a series, that was refused, and why where it is not for want of room. */
void count_refusal(const Metrics *metrics, bool is_too_long, bool is_placeless);

#endif
