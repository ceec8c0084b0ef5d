/* Writing an exposition. */
#ifndef SHMSTORE_BINDING_WRITE_H
#define SHMSTORE_BINDING_WRITE_H

#include "binding/metrics/metrics.h"

PyObject *metrics_write(PyObject *self, PyObject *arguments);

#endif
