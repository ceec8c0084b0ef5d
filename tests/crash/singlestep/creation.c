/* Creating a store by name. */
#define _GNU_SOURCE
#include "operation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Make a whole store in a file without a name, then give it its name. Returns 0 or an errno. */
static int create_store(const struct world *world) {
    const uint64_t bytes = world->geometry.total_bytes;
    char unnamed[32];
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, (off_t)bytes)) return errno;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return errno;
    layout_format(memory, &world->geometry, world->fields, (const uint8_t[16]){2}, 2);
    snprintf(unnamed, sizeof unnamed, "/proc/self/fd/%d", fd);
    int failure = linkat(AT_FDCWD, unnamed, AT_FDCWD, world->path, AT_SYMLINK_FOLLOW) ? errno : 0;
    munmap(memory, bytes);
    close(fd);
    return failure;
}

static void create(struct world *world) {
    int failure = create_store(world);
    end_with(world, (uint32_t)failure, failure && failure != EEXIST);
}

static void create_the_same(struct world *world) {
    int failure = create_store(world);
    if (failure && failure != EEXIST) violation("others cannot create: %s", strerror(failure));
}

/* Whatever bears the name is a whole store, which can be entered and appended to. */
static void verify_named(const struct world *world) {
    const uint64_t bytes = world->geometry.total_bytes;
    struct handle here;
    struct refusal why;
    struct stat status;
    int fd = open(world->path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) {
        violation("the created store cannot be opened: %s", strerror(errno));
        return;
    }
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    const struct opening opening = {.fd = fd, .writable = true};
    if ((uint64_t)status.st_size != bytes || handle_open(&here, memory, bytes, &opening, &why) != OPEN_OK) {
        violation("a half-made store bears the name");
    } else {
        const struct identity identity = {.pid = (uint64_t)getpid()};
        const struct record record = make_record(OTHERS, 0);
        struct appended appended;
        if (processes_enter(&here.processes, &identity) != ENTER_OK ||
            append_once(&here, &record, NULL, &appended) != APPEND_DONE)
            violation("the created store cannot be used");
        handle_close(&here);
    }
    munmap(memory, bytes);
    close(fd);
}

static void verify_create(struct world *world, bool ended) {
    bool there = !access(world->path, F_OK);
    if (ended && !there) violation("creation returned %u, and nothing is there", load_relaxed(&world->report->result));
    if (!there) create_the_same(world);
    verify_named(world);
    if (!there) unlink(world->path);
}

const struct operation creation_operations[] = {
    {.name = "create",
     .prepare = begin_half_full,
     .run = create,
     .meanwhile = create_the_same,
     .verify = verify_create},
    {.name = NULL},
};
