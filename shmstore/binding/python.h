/* Python.h as the whole binding sees it: the limited API, and one thread at a time without the GIL. */
#ifndef SHMSTORE_BINDING_PYTHON_H
#define SHMSTORE_BINDING_PYTHON_H

#include <pyconfig.h>
#ifndef Py_GIL_DISABLED /* free-threaded builds have no limited API */
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

/* One thread at a time, as under the GIL. */
#ifdef Py_GIL_DISABLED
#define FREE_THREADED 1
#define BEGIN_EXCLUSIVE(object) Py_BEGIN_CRITICAL_SECTION(object)
#define END_EXCLUSIVE() Py_END_CRITICAL_SECTION()
#else
#define FREE_THREADED 0
#define BEGIN_EXCLUSIVE(object) ((void)(object))
#define END_EXCLUSIVE() ((void)0)
#endif

typedef unsigned long long number; /* what the format unit K takes */

#endif
