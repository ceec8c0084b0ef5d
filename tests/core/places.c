/* Real processes and the kernel's byte locks: entering, leaving, dying, being reaped, at every point of process.c. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct identity ME = {.pid = 1, .start_time = 2, .pid_namespace = 3, .entered_ns = 4, .name = "a test"};

/* A store in shared memory, with a place for each of `processes` processes. */
static struct store *make_shared_store(uint32_t processes) {
    struct store *store = make_store((struct wish){.capacity = 3, .processes = processes});
    uint64_t bytes = store->handle.geometry.total_bytes;
    int fd = memfd_create("places", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)bytes)) fail("no shared memory");
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) fail("no mapping");
    memcpy(memory, store->handle.ring.memory, bytes);
    free(store->handle.ring.memory);
    handle_close(&store->handle);
    const struct opening opening = {.fd = fd, .writable = true};
    struct refusal why;
    if (handle_open(&store->handle, memory, bytes, &opening, &why) != OPEN_OK) fail("cannot be opened");
    return store;
}

static uint64_t place_of(const struct store *store, uint32_t index) {
    return load_acquire(&processes_place(&store->handle.ring, index)->word);
}

static uint32_t enter(struct store *store) {
    expect_equal(processes_enter(&store->handle.processes, &ME), ENTER_OK);
    return processes_owner(&store->handle.processes) & OWNER_MASK;
}

/* ---- children ---------------------------------------------------------------------------------------------------- */

static const char *signal_point; /* the point at which this child sends itself `signal_there` */
static int signal_there;

static void signal_myself(const char *name) {
    if (signal_point && !strcmp(name, signal_point)) raise(signal_there);
}

/* A process that does something, and is killed or stopped at a point on the way (NULL: nowhere). */
static pid_t child_that(void (*does)(struct store *store), struct store *store, const char *point, int signal) {
    pid_t child = fork();
    if (child < 0) fail("no process");
    if (child) return child;
    signal_point = point;
    signal_there = signal;
    at_point = signal_myself;
    does(store);
    _exit(0);
}

static void expect_end(pid_t child, int by_signal) {
    int status = 0;
    waitpid(child, &status, 0);
    if (by_signal) expect(WIFSIGNALED(status) && WTERMSIG(status) == by_signal);
    else expect_equal(status, 0);
}

static void expect_stop(pid_t child) {
    int status = 0;
    waitpid(child, &status, WUNTRACED);
    expect(WIFSTOPPED(status));
}

static void kill_and_wait(pid_t child) {
    kill(child, SIGKILL);
    expect_end(child, SIGKILL);
}

static void just_enter(struct store *store) { enter(store); }
static void enter_and_stop(struct store *store) {
    enter(store);
    raise(SIGSTOP);
}
static void enter_and_append(struct store *store) { append(store, enter(store)); }
static void enter_and_leave(struct store *store) {
    enter(store);
    processes_leave(&store->handle.processes);
}

static bool reap(struct store *store, uint32_t index, uint64_t *settled) {
    uint64_t pid = 0, voided = 0, released = 0;
    bool reaped = processes_reap(&store->handle.processes, index, &pid, &voided, &released);
    if (reaped) expect_equal(pid, ME.pid);
    *settled = voided + released;
    return reaped;
}

static void reap_first(struct store *store) {
    uint64_t settled;
    reap(store, 0, &settled);
}

static void die_in(void (*does)(struct store *store), struct store *store, const char *point) {
    expect_end(child_that(does, store, point, SIGKILL), SIGKILL);
}

/* ---- entering and leaving ---------------------------------------------------------------------------------------- */

CASE(a_process_enters_once_and_says_who_it_is) {
    struct store *store = make_shared_store(3);
    expect_equal(processes_owner(&store->handle.processes), 0);
    uint32_t owner = enter(store);
    expect_equal(owner, 1 << 12 | 0);
    expect_equal(enter(store), owner);
    const struct place *place = processes_place(&store->handle.ring, 0);
    expect(place->pid == ME.pid && place->start_time == ME.start_time && place->pid_namespace == ME.pid_namespace);
    expect(place->entered_ns == ME.entered_ns && !memcmp((const void *)place->name, ME.name, sizeof ME.name));
    expect(processes_is_locked(&store->handle.processes, 0) && !processes_is_locked(&store->handle.processes, 1));
    expect(!processes_is_dead(&store->handle.processes, owner));
    expect_sound(store);
}

CASE(whoever_leaves_frees_its_place_and_may_come_again) {
    struct store *store = make_shared_store(1);
    uint32_t before = enter(store);
    processes_leave(&store->handle.processes);
    expect_equal(processes_owner(&store->handle.processes), 0);
    expect_equal(place_of(store, 0), 1 << 8 | PLACE_FREE);
    expect(!processes_is_locked(&store->handle.processes, 0) && processes_is_dead(&store->handle.processes, before));
    expect_equal(enter(store), 2 << 12);
    processes_close(&store->handle.processes);
    expect_equal(place_of(store, 0), 2 << 8 | PLACE_FREE);
}

CASE(at_its_end_a_process_leaves_every_table_in_which_it_appends_nothing) {
    struct store *idle = make_shared_store(2), *busy = make_shared_store(2);
    enter(idle);
    uint32_t owner = enter(busy);
    add_relaxed(&busy->handle.processes.own->appending, 1);
    processes_leave_all();
    expect_equal(place_of(idle, 0), 1 << 8 | PLACE_FREE);
    expect(!processes_is_locked(&idle->handle.processes, 0) && !processes_owner(&idle->handle.processes));
    expect_equal(place_of(busy, 0), 1 << 8 | PLACE_USED);
    expect(!processes_is_dead(&busy->handle.processes, owner));
    add_acq_rel(&busy->handle.processes.own->appending, UINT32_MAX);
    processes_leave_all();
    expect_equal(place_of(busy, 0), 1 << 8 | PLACE_FREE);
}

CASE(a_full_table_refuses_until_somebody_dies) {
    struct store *store = make_shared_store(2);
    pid_t first = child_that(enter_and_stop, store, NULL, 0), second = child_that(enter_and_stop, store, NULL, 0);
    expect_stop(first);
    expect_stop(second);
    expect_equal(processes_enter(&store->handle.processes, &ME), ENTER_FULL);
    expect_equal(processes_owner(&store->handle.processes), 0);
    kill_and_wait(second);
    enter(store);
    kill_and_wait(first);
}

CASE(free_places_are_taken_before_those_of_the_dead) {
    struct store *store = make_shared_store(3);
    die_in(enter_and_append, store, "tail moved");
    expect_equal(enter(store) & 0xfff, 1);
    expect_equal(place_of(store, 0) & 0xff, PLACE_USED);
}

static int asks[2], answers[2];

static void have_it_freed(const char *name) {
    char byte = 0;
    if (strcmp(name, "places looked at")) return;
    at_point = NULL;
    expect(write(asks[1], &byte, 1) == 1 && read(answers[0], &byte, 1) == 1);
}

CASE(a_place_that_is_freed_while_they_are_looked_at_is_taken) {
    struct store *store = make_shared_store(1);
    char byte;
    die_in(enter_and_append, store, "tail moved");
    expect(!pipe(asks) && !pipe(answers));
    const pid_t child = fork();
    if (!child) {
        if (read(asks[0], &byte, 1) != 1) _exit(1);
        reap_first(store);
        _exit(write(answers[1], &byte, 1) != 1);
    }
    at_point = have_it_freed;
    expect_equal(enter(store) & 0xfff, 0);
    at_point = NULL;
    expect_end(child, 0);
    for (int end = 0; end < 2; end++) expect(!close(asks[end]) && !close(answers[end]));
}

CASE(a_place_is_reused_without_end_and_its_generation_wraps) {
    struct store *store = make_shared_store(1);
    uint32_t before = 0;
    for (uint32_t generation = 1; generation < 1100; generation++) {
        if (!(generation & 511)) continue; /* owner 0 is nobody */
        uint32_t owner = enter(store);
        expect_equal(owner, (generation & 511) << 12);
        expect(before == owner || processes_is_dead(&store->handle.processes, before));
        expect(!processes_is_dead(&store->handle.processes, owner));
        append(store, owner);
        processes_leave(&store->handle.processes);
        before = owner;
    }
    expect_equal(place_of(store, 0) >> 8, 1099);
    expect_sound(store);
}

CASE(claims_of_the_dead_are_settled_across_the_wrap_of_a_generation) {
    struct store *store = make_shared_store(2);
    store_relaxed(&processes_place(&store->handle.ring, 0)->word, UINT64_C(509) << 8 | PLACE_FREE);
    for (uint64_t i = 0; i < 5; i++) {
        die_in(enter_and_append, store, "tail moved");
        const uint32_t generation = i < 2 ? 510 + (uint32_t)i : (uint32_t)i - 1; /* 512 would be owner 0: nobody */
        expect_equal(word_of(store, i), word_for(store, i, generation << 12, WRITING));
        uint32_t held = word_owner(word_of(store, i));
        expect(processes_is_dead(&store->handle.processes, held));
        uint64_t settled;
        expect(reap(store, 0, &settled));
        expect_equal(settled, 1);
        expect_sound(store);
    }
}

/* ---- dying on the way -------------------------------------------------------------------------------------------- */

CASE(whoever_dies_while_entering_leaves_a_place_for_the_next) {
    static const char *const points[] = {"place swept", "entering", "entered"};
    for_each(point, points) for (int dirty = 0; dirty < 2; dirty++) {
        struct store *store = make_shared_store(1);
        if (dirty) die_in(enter_and_append, store, "payload written");
        die_in(just_enter, store, point);
        die_in(just_enter, store, point);
        expect_sound(store);
        expect(!processes_is_locked(&store->handle.processes, 0));
        uint32_t owner = enter(store);
        append(store, owner);
        expect_tickets(store, dirty ? "vr" : "r");
        expect_sound(store);
    }
}

CASE(whoever_dies_while_entering_can_be_reaped) {
    static const char *const points[] = {"entering", "entered"};
    for_each(point, points) {
        struct store *store = make_shared_store(1);
        uint64_t pid, voided, released;
        die_in(just_enter, store, point);
        expect(processes_reap(&store->handle.processes, 0, &pid, &voided, &released));
        expect_equal(place_of(store, 0) & 0xff, PLACE_FREE);
        enter(store);
    }
}

CASE(whoever_dies_while_leaving_leaves_a_free_place) {
    struct store *store = make_shared_store(1);
    die_in(enter_and_leave, store, "left");
    expect_equal(place_of(store, 0), 1 << 8 | PLACE_FREE);
    expect(!processes_is_locked(&store->handle.processes, 0));
    enter(store);
}

CASE(whoever_is_killed_while_appending_is_reaped) {
    static const char *const points[] = {"before claim", "claimed", "tail moved", "payload written"};
    for_each(point, points) {
        struct store *store = make_shared_store(2);
        uint64_t settled;
        die_in(enter_and_append, store, point);
        expect(reap(store, 0, &settled));
        expect_equal(settled, point_at > 0);
        expect(!reap(store, 0, &settled));
        append_many(store, enter(store), 5);
        expect_equal(totals_of(store).voided, point_at > 0);
        expect_sound(store);
    }
}

CASE(a_reaper_may_die_and_another_reaps_again) {
    static const char *const points[] = {"sweep", "settle begun", "reap swept"};
    for_each(point, points) {
        struct store *store = make_shared_store(2);
        uint64_t settled;
        die_in(enter_and_append, store, "tail moved");
        die_in(reap_first, store, point);
        expect(reap(store, 0, &settled));
        expect_equal(settled, point_at < 2);
        append_many(store, enter(store), 5);
        expect_equal(totals_of(store).voided, 1);
        expect_sound(store);
    }
}

CASE(two_reapers_exclude_each_other) {
    struct store *store = make_shared_store(2);
    uint64_t settled;
    die_in(enter_and_append, store, "tail moved");
    pid_t reaper = child_that(reap_first, store, "sweep", SIGSTOP);
    expect_stop(reaper);
    expect(!reap(store, 0, &settled));
    expect_equal(enter(store) & 0xfff, 1);
    kill(reaper, SIGCONT);
    expect_end(reaper, 0);
    expect_equal(place_of(store, 0) & 0xff, PLACE_FREE);
    expect_equal(word_of(store, 0), word_for(store, 0, 0, VOID));
}

CASE(the_living_and_the_free_are_not_reaped) {
    struct store *store = make_shared_store(2);
    uint64_t settled;
    enter(store);
    expect(!reap(store, 0, &settled));
    expect(!reap(store, 1, &settled));
}

/* ---- who is dead ------------------------------------------------------------------------------------------------- */

CASE(nobody_is_an_owner_that_never_was) {
    struct store *store = make_shared_store(2);
    const uint32_t nobody[] = {0, 1, 2, 0xfff, 1 << 12, OWNER_MASK};
    for_each(owner, nobody) expect(processes_is_dead(&store->handle.processes, owner));
}

CASE(a_stopped_process_is_not_dead_and_releases_its_slot_late) {
    struct store *store = make_shared_store(2);
    uint32_t writer = enter(store);
    pid_t slow = child_that(enter_and_append, store, "tail moved", SIGSTOP);
    expect_stop(slow);
    uint32_t owner = word_owner(word_of(store, 0));
    expect(!processes_is_dead(&store->handle.processes, owner));
    append_many(store, writer, 4);
    expect_equal(word_at(store, 0), word_for(store, 3, owner, STALLED));
    expect_equal(totals_of(store).skipped, 1);
    kill(slow, SIGCONT);
    expect_end(slow, 0);
    expect_equal(word_at(store, 0), word_for(store, 3, 0, SKIPPED));
    expect(processes_is_dead(&store->handle.processes, owner));
}

static int case_ends[2]; /* a pipe that nobody writes to: whoever reads from it waits until the case ends */

static void append_beside_a_child(struct store *store) {
    uint32_t owner = enter(store);
    if (!fork()) {
        close(case_ends[1]);
        expect_equal(processes_owner(&store->handle.processes), 0); /* the child is not its parent */
        expect(!processes_is_dead(&store->handle.processes, owner));
        expect_equal(enter(store) & 0xfff, 1);
        _exit((int)read(case_ends[0], &owner, 1));
    }
    while ((place_of(store, 1) & 0xff) != PLACE_USED) usleep(100);
    append(store, owner);
}

CASE(a_forked_child_keeps_no_dead_parent_alive) {
    struct store *store = make_shared_store(3);
    uint64_t settled;
    expect(!pipe(case_ends));
    pid_t parent = child_that(append_beside_a_child, store, "tail moved", SIGKILL);
    expect_end(parent, SIGKILL);
    expect(processes_is_dead(&store->handle.processes, 1 << 12 | 0));
    expect(!processes_is_dead(&store->handle.processes, 1 << 12 | 1));
    expect(reap(store, 0, &settled));
    expect_equal(settled, 1);
    expect(!reap(store, 1, &settled));
    append(store, enter(store));
    expect_tickets(store, "vr");
}

CASE(the_end_of_a_forked_child_takes_nothing_from_its_parent) {
    struct store *store = make_shared_store(2);
    uint32_t owner = enter(store);
    expect_end(child_that(enter_and_append, store, NULL, 0), 0);
    die_in(enter_and_append, store, "claimed");
    expect(!processes_is_dead(&store->handle.processes, owner));
    append(store, owner);
    expect_equal(processes_owner(&store->handle.processes) & OWNER_MASK, owner);
}

CASE(an_owner_that_has_not_entered_appends_nothing) {
    struct store *store = make_shared_store(2);
    uint64_t record[8] = {0};
    struct appended appended;
    expect_equal(ring_append(&store->handle.ring, 0, 0, record, NULL, &appended), APPEND_NOT_ENTERED);
    expect_equal(totals_of(store).tail, 0);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

/* What a daemonizer does, and what comes after it: all descriptors are other files'. Returns how many. */
static int reuse_descriptors(int others[64]) {
    int count = 0;
    for (int fd = 3; fd < 64; fd++) close(fd);
    while (count < 32) others[count++] = open("/dev/null", O_RDWR | O_CLOEXEC);
    return count;
}

static void expect_untouched(const int *others, int count) {
    struct stat null, status;
    expect(!stat("/dev/null", &null));
    for (int i = 0; i < count; i++) expect(!fstat(others[i], &status) && status.st_rdev == null.st_rdev);
}

static void lose_descriptors_and_go_on(struct store *store) {
    uint32_t owner = enter(store);
    int others[64], count = reuse_descriptors(others);
    expect(processes_is_locked(&store->handle.processes, owner & 0xfff));
    expect(!processes_is_dead(&store->handle.processes, 1 << 12 | 0)); /* its parent lives, and cannot be asked about */
    uint64_t settled;
    expect(!reap(store, 0, &settled));
    append(store, owner);
    raise(SIGSTOP);
    processes_close(&store->handle.processes);
    expect_untouched(others, count);
}

CASE(a_process_that_lost_its_descriptors_lives_on_and_takes_nobody_for_dead) {
    struct store *store = make_shared_store(3);
    append(store, enter(store));
    pid_t child = child_that(lose_descriptors_and_go_on, store, NULL, 0);
    expect_stop(child);
    expect(!processes_is_dead(&store->handle.processes, 1 << 12 | 1));
    uint64_t settled;
    expect(!reap(store, 1, &settled));
    kill(child, SIGCONT);
    expect_end(child, 0);
    expect_equal(place_of(store, 1) & 0xff, PLACE_FREE);
    expect_equal(totals_of(store).length, 2);
}

static void lose_descriptors_and_ask(struct store *store) {
    int others[64], count = reuse_descriptors(others);
    expect(processes_is_dead(&store->handle.processes, 1 << 12 | 1)); /* found by the name */
    expect(!processes_is_dead(&store->handle.processes, 1 << 12 | 0));
    uint64_t settled;
    expect(reap(store, 1, &settled) && settled == 1);
    append(store, enter(store));
    processes_close(&store->handle.processes);
    expect_untouched(others, count);
}

CASE(whoever_lost_its_descriptors_finds_the_segment_by_its_name) {
    struct store *store = make_shared_store(3);
    snprintf(store->handle.processes.path, sizeof store->handle.processes.path, "/proc/%d/fd/%d", getpid(),
             load_relaxed(&store->handle.processes.fd));
    append(store, enter(store));
    die_in(enter_and_append, store, "tail moved");
    expect_end(child_that(lose_descriptors_and_ask, store, NULL, 0), 0);
}

static void lose_the_file_and_ask(struct store *store) {
    int other = open("/dev/null", O_RDWR | O_CLOEXEC);
    expect(dup2(other, load_relaxed(&store->handle.processes.fd)) >= 0);
    expect(!processes_is_dead(&store->handle.processes, 1 << 12 | 0)); /* nobody can say */
    expect_equal(processes_enter(&store->handle.processes, &ME), ENTER_FAILED);
    processes_close(&store->handle.processes);
    expect(fcntl(other, F_GETFD) >= 0);
}

CASE(where_the_kernel_cannot_be_asked_nobody_is_dead) {
    struct store *store = make_shared_store(2);
    die_in(enter_and_append, store, "tail moved");
    expect(processes_is_dead(&store->handle.processes, 1 << 12 | 0));
    expect_end(child_that(lose_the_file_and_ask, store, NULL, 0), 0);
}

static void ask_through_a_path(struct store *store) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", load_relaxed(&store->handle.processes.fd));
    int deaf = open(link, O_PATH | O_CLOEXEC); /* the same file, but no lock can be asked about through it */
    expect(deaf >= 0 && dup2(deaf, load_relaxed(&store->handle.processes.fd)) >= 0);
    expect(!processes_is_dead(&store->handle.processes, 1 << 12 | 0));
    expect(processes_coordinator_alive(&store->handle.processes));
}

CASE(a_question_that_fails_is_answered_with_alive) {
    struct store *store = make_shared_store(2);
    die_in(enter_and_append, store, "tail moved");
    expect(processes_is_dead(&store->handle.processes, 1 << 12 | 0));
    expect_end(child_that(ask_through_a_path, store, NULL, 0), 0);
}

/* ---- repairers that stand still ---------------------------------------------------------------------------------- */

static void reap_and_stop(struct store *store) { reap_first(store); }

CASE(a_repairer_that_is_stopped_makes_nobody_look_alive) {
    struct store *store = make_shared_store(3);
    die_in(enter_and_append, store, "tail moved");
    pid_t repairer = child_that(reap_and_stop, store, "reap swept", SIGSTOP);
    expect_stop(repairer);
    expect(processes_is_dead(&store->handle.processes, 1 << 12 | 0));
    uint64_t settled;
    expect(!reap(store, 0, &settled)); /* it has the turn */
    expect_equal(enter(store) & 0xfff, 1);
    append(store, processes_owner(&store->handle.processes) & OWNER_MASK);
    kill_and_wait(repairer);
    expect(reap(store, 0, &settled));
    expect_tickets(store, "vr");
}

/* ---- forks in the middle of a reap ------------------------------------------------------------------------------- */

enum { FORK_MS = 100 }; /* longer than a fork takes when it need not wait */

static atomic_u32 is_at_the_point, has_forked;

/* Stay where the lock is held by a descriptor, which a child would have too, until somebody forks, or waits in vain to. */
static void await_a_fork(const char *name) {
    if (strcmp(name, "byte locked")) return;
    store_release(&is_at_the_point, 1);
    for (int passed = 0; passed < FORK_MS && !load_acquire(&has_forked); passed++) usleep(1000);
}

static void *reap_slowly(void *store) {
    at_point = await_a_fork;
    reap_first(store);
    return NULL;
}

/* A child whose emulator honours no MADV_DONTFORK lets go of the turn as its first deed: to stand here is to have done it. */
static void stop_as_a_child(struct store *store) {
    (void)store;
    raise(SIGSTOP);
}

CASE(a_child_that_was_forked_in_the_middle_of_a_reap_does_not_keep_its_turn) {
    struct store *store = make_shared_store(2);
    pthread_t reaper;
    uint64_t settled;
    die_in(enter_and_append, store, "tail moved");
    expect(!pthread_create(&reaper, NULL, reap_slowly, store));
    while (!load_acquire(&is_at_the_point)) usleep(100);
    pid_t child = child_that(stop_as_a_child, store, NULL, 0);
    store_release(&has_forked, 1);
    expect_stop(child);
    expect(!pthread_join(reaper, NULL));
    die_in(enter_and_append, store, "tail moved");
    expect(reap(store, 0, &settled));
    kill_and_wait(child);
}

/* ---- several tables of one process ------------------------------------------------------------------------------- */

CASE(the_tables_of_a_process_share_a_place_until_the_last_has_left) {
    struct store *store = make_shared_store(1);
    struct processes other, third;
    expect(!processes_join(&store->handle.processes));
    uint32_t owner = enter(store);
    const int fd = load_relaxed(&store->handle.processes.fd);
    expect(processes_open(&other, &store->handle.ring, fd, NULL) && processes_join(&other));
    expect(processes_open(&third, &store->handle.ring, fd, NULL) && processes_join(&third));
    expect_equal(processes_owner(&other) & OWNER_MASK, owner);
    processes_leave(&store->handle.processes);
    expect(!processes_is_dead(&third, owner) && processes_is_locked(&third, 0));
    processes_close(&other);
    expect(!processes_is_dead(&third, owner));
    processes_close(&third);
    expect(!processes_is_locked(&store->handle.processes, 0));
    expect_equal(place_of(store, 0), 1 << 8 | PLACE_FREE);
    expect(!processes_join(&store->handle.processes));
}

CASE(a_table_that_finds_another_one_entered_meanwhile_shares_its_place) {
    struct store *store = make_shared_store(1);
    struct processes other;
    expect(processes_open(&other, &store->handle.ring, load_relaxed(&store->handle.processes.fd), NULL));
    /* two threads look, and then both enter */
    expect(!processes_join(&store->handle.processes) && !processes_join(&other));
    uint32_t owner = enter(store);
    expect_equal(processes_join_or_enter(&other, &ME), ENTER_OK);
    expect_equal(processes_owner(&other) & OWNER_MASK, owner);
    processes_leave(&store->handle.processes);
    expect(processes_is_locked(&other, 0));
    processes_close(&other);
    expect_equal(place_of(store, 0), 1 << 8 | PLACE_FREE);
}

CASE(locks_of_another_file_hide_no_death) {
    struct store *store = make_shared_store(2);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char link[40];
    die_in(just_enter, store, "entered");
    struct processes *processes = &store->handle.processes;
    int kept = fcntl(load_relaxed(&processes->fd), F_DUPFD_CLOEXEC, 0), log = memfd_create("a log", MFD_CLOEXEC);
    snprintf(processes->path, sizeof processes->path, "/proc/self/fd/%d", kept); /* stands for its name */
    snprintf(link, sizeof link, "/proc/self/fd/%d", log);
    expect(!fcntl(open(link, O_RDWR | O_CLOEXEC), F_OFD_SETLK, &whole));
    expect(dup2(log, load_relaxed(&store->handle.processes.fd)) >= 0);
    expect(processes_is_dead(&store->handle.processes, 1 << 12 | 0));
}

/* ---- the coordinator's lock -------------------------------------------------------------------------------------- */

static void coordinate_and_stop(struct store *store) {
    expect(processes_lock_coordinator(&store->handle.processes));
    raise(SIGSTOP);
}

CASE(there_is_one_coordinator_until_it_dies) {
    struct store *store = make_shared_store(2);
    expect(!processes_coordinator_alive(&store->handle.processes));
    pid_t coordinator = child_that(coordinate_and_stop, store, NULL, 0);
    expect_stop(coordinator);
    expect(processes_coordinator_alive(&store->handle.processes));
    expect(!processes_lock_coordinator(&store->handle.processes));
    kill_and_wait(coordinator);
    expect(!processes_coordinator_alive(&store->handle.processes));
    expect(processes_lock_coordinator(&store->handle.processes));
    expect(processes_coordinator_alive(&store->handle.processes));
    processes_unlock_coordinator(&store->handle.processes);
    expect(!processes_coordinator_alive(&store->handle.processes));
}

CASE(the_coordinators_lock_is_that_of_no_place) {
    struct store *store = make_shared_store(MAX_PROCESSES);
    expect(processes_lock_coordinator(&store->handle.processes));
    for (uint32_t index = 0; index < MAX_PROCESSES; index++)
        expect(!processes_is_locked(&store->handle.processes, index));
    uint64_t settled;
    die_in(enter_and_append, store, "tail moved");
    expect(reap(store, 0, &settled));
    processes_unlock_coordinator(&store->handle.processes);
    expect(!processes_coordinator_alive(&store->handle.processes));
}
