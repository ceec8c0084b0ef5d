/* Named points of an operation, where a test build may kill or freeze the process; nothing at all in any other build. */
#ifndef SHMSTORE_POINT_H
#define SHMSTORE_POINT_H

#ifdef SHMSTORE_POINTS
void reached_point(const char *name);
#define POINT(name) reached_point(name)
#else
#define POINT(name) ((void)0)
#endif

#endif
