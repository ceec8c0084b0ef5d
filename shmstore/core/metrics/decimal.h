/* Doubles as text: the fewest digits that read back as the same double, of these the nearest. No locale, no allocation. */
#ifndef SHMSTORE_DECIMAL_H
#define SHMSTORE_DECIMAL_H

#include <stddef.h>

enum { DECIMAL_BYTES = 32 /* more than any takes */ };

/* A value as Prometheus's client for Python prints it: like repr, but +Inf, -Inf, NaN, and what is a million or more has an
 * exponent. Returns how many bytes were written; no NUL follows. */
size_t decimal_value(char to[DECIMAL_BYTES], double value);

/* The time of an exemplar in seconds, as repr prints it. */
size_t decimal_seconds(char to[DECIMAL_BYTES], double seconds);

#endif
