/* The methods of a store that tell of it and keep it in order. */
#ifndef SHMSTORE_BINDING_UPKEEP_H
#define SHMSTORE_BINDING_UPKEEP_H

#include "binding/store/guard.h"

/* What only events have. */
#define RECORD_UPKEEP_METHODS(METHOD)                                                                                  \
    METHOD("clear", Store_clear_records, NOARGS,                                                                       \
           "clear($self)\n--\n\nMake every record handed out so far unreadable.")                                      \
    METHOD("purge", Store_purge, O,                                                                                    \
           "purge($self, before_ns)\n--\n\nMake the oldest records before this time unreadable.")                      \
    METHOD("totals", Store_totals, NOARGS, "totals($self)\n--\n\nCounts, one tuple per partition.")
RECORD_UPKEEP_METHODS(DECLARE_METHOD)

/* What only metrics have. */
#define METRICS_UPKEEP_METHODS(METHOD)                                                                                 \
    METHOD("metrics_room", Store_metrics_room, NOARGS,                                                                 \
           "metrics_room($self)\n--\n\nWhat a metrics segment holds, and has room for.")
METRICS_UPKEEP_METHODS(DECLARE_METHOD)

/* What only streams have. */
#define STREAMS_UPKEEP_METHODS(METHOD)                                                                                 \
    METHOD("streams_room", Store_streams_room, NOARGS, "streams_room($self)\n--\n\nWhat a streams segment holds.")
STREAMS_UPKEEP_METHODS(DECLARE_METHOD)

/* What a segment of any kind has. */
#define UPKEEP_METHODS(METHOD)                                                                                         \
    METHOD("header", Store_header, NOARGS, "header($self)\n--\n\nWhat the segment's header says.")                     \
    METHOD("plan", Store_plan, NOARGS, "plan($self)\n--\n\nWhere everything lies in the segment.")                     \
    METHOD("places", Store_places, NOARGS, "places($self)\n--\n\nPlaces of the process table that are not free.")      \
    METHOD("check", Store_check, NOARGS, "check($self)\n--\n\nInvariants that do not hold, in words.")                 \
    METHOD("enter", Store_enter, NOARGS, "enter($self)\n--\n\nTake a place in the process table.")                     \
    METHOD("reap", Store_reap, NOARGS, "reap($self)\n--\n\nRepair every dead process and free its place.")             \
    METHOD("lock_coordinator", Store_lock_coordinator, NOARGS,                                                         \
           "lock_coordinator($self)\n--\n\nBecome the coordinator, if nobody is.")                                     \
    METHOD("unlock_coordinator", Store_unlock_coordinator, NOARGS,                                                     \
           "unlock_coordinator($self)\n--\n\nGive the role up.")                                                       \
    METHOD("coordinator_alive", Store_coordinator_alive, NOARGS,                                                       \
           "coordinator_alive($self)\n--\n\nWhether some process is the coordinator.")                                 \
    METHOD("sample", Store_sample, O, "sample($self, now_ns)\n--\n\nWrite one sample to the history ring.")            \
    METHOD("history", Store_history, FASTCALL, "history($self, count=3600, /)\n--\n\nThe newest samples, oldest first.")
UPKEEP_METHODS(DECLARE_METHOD)

#endif
