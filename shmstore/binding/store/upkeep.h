/* The methods of a store that tell of it and keep it in order. */
#ifndef SHMSTORE_BINDING_UPKEEP_H
#define SHMSTORE_BINDING_UPKEEP_H

#include "binding/store/store.h"

PyObject *Store_header(PyObject *self, PyObject *unused);
PyObject *Store_plan(PyObject *self, PyObject *unused);
PyObject *Store_totals(PyObject *self, PyObject *unused);
PyObject *Store_places(PyObject *self, PyObject *unused);
PyObject *Store_check(PyObject *self, PyObject *unused);
PyObject *Store_metrics_room(PyObject *self, PyObject *unused);
PyObject *Store_sample(PyObject *self, PyObject *argument);
PyObject *Store_history(PyObject *self, PyObject *const *arguments, Py_ssize_t given);

PyObject *Store_clear_records(PyObject *self, PyObject *unused);
PyObject *Store_purge(PyObject *self, PyObject *argument);
PyObject *Store_enter(PyObject *self, PyObject *unused);
PyObject *Store_reap(PyObject *self, PyObject *unused);
PyObject *Store_lock_coordinator(PyObject *self, PyObject *unused);
PyObject *Store_unlock_coordinator(PyObject *self, PyObject *unused);
PyObject *Store_coordinator_alive(PyObject *self, PyObject *unused);

#endif
