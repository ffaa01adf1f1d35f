/* Loaded into the real command (LD_PRELOAD): counts its system calls on one folder, and does harm at a chosen one.

   Counted are calls on files below `root` only. The counter is shared by all processes of the command, so that one
   number names one moment of its life. The layout of `struct plan` is that of tests/faults/injector.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPEN, READ, WRITE, LINK, UNLINK, MKDIR, SYNC, KINDS };
enum { AREAS = 4, WHOSE = 2 };
enum { NOTHING, FAIL, SIGNAL_SELF, SIGNAL_FLOW, SHIFT_CLOCK, KILL_OTHER };

struct plan {
    uint64_t kinds, areas, whose;   /* bit masks: which calls are counted */
    uint64_t from, until;           /* struck when from <= count <= until */
    uint64_t action;
    int64_t value;                  /* errno, signal or seconds */
    uint64_t after;                 /* the call takes place first */
    uint64_t other;                 /* process to kill */
    uint64_t flow;                  /* process of the command itself */
    uint64_t seen, struck;
    int64_t clock;                  /* seconds added to the clock */
    uint64_t counts[KINDS][AREAS][WHOSE];
    char root[512];
};

static const char *const areas[AREAS] = {"source", "results", "runs", "tmp"};
static struct plan *plan;
static __thread int inside;

/* Called again by a process that was forked before its plan was known. */
__attribute__((constructor)) void deidflow_attach(void) {
    const char *path = getenv("DEIDFLOW_FAULT_PLAN");
    int descriptor = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0) return;
    void *memory = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (memory == MAP_FAILED) return;
    struct plan *shared = memory;
    uint64_t nobody = 0;
    __atomic_compare_exchange_n(&shared->flow, &nobody, (uint64_t)getpid(), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    plan = shared;
}

static int area_of(const char *path) {
    size_t length = strlen(plan->root);
    if (strncmp(path, plan->root, length) || path[length] != '/') return -1;
    path += length + 1;
    for (int area = 0; area < AREAS; area++) {
        size_t size = strlen(areas[area]);
        if (!strncmp(path, areas[area], size) && (path[size] == '/' || path[size] == 0)) return area;
    }
    return -1;
}

static int area_of_path(int folder, const char *path) {
    char full[PATH_MAX];
    if (!path) return -1;
    if (path[0] == '/') return area_of(path);
    if (folder == AT_FDCWD) {
        if (!getcwd(full, sizeof full)) return -1;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t size = readlink(link, full, sizeof full - 1);
        if (size < 0) return -1;
        full[size] = 0;
    }
    size_t size = strlen(full);
    if (size + strlen(path) + 2 > sizeof full) return -1;
    full[size] = '/';
    strcpy(full + size + 1, path);
    return area_of(full);
}

static int area_of_file(int descriptor) {
    char link[64], full[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, full, sizeof full - 1);
    if (size < 0) return -1;
    full[size] = 0;
    return area_of(full);
}

static void harm(void) {
    switch (plan->action) {
    case SIGNAL_SELF: kill(getpid(), (int)plan->value); break;
    case SIGNAL_FLOW: kill((pid_t)plan->flow, (int)plan->value); break;
    case KILL_OTHER: kill((pid_t)plan->other, SIGKILL); break;
    case SHIFT_CLOCK: __atomic_store_n(&plan->clock, (int64_t)plan->value, __ATOMIC_SEQ_CST); break;
    }
}

/* Returns 1 when the call is to fail, 2 when harm comes after it, 0 else. */
static int before(int kind, int area) {
    if (!plan || inside || area < 0) return 0;
    int who = (uint64_t)getpid() != plan->flow;
    __atomic_add_fetch(&plan->counts[kind][area][who], 1, __ATOMIC_SEQ_CST);
    if (!(plan->kinds >> kind & 1) || !(plan->areas >> area & 1) || !(plan->whose >> who & 1)) return 0;
    uint64_t count = __atomic_add_fetch(&plan->seen, 1, __ATOMIC_SEQ_CST);
    if (plan->action == NOTHING || count < plan->from || count > plan->until) return 0;
    __atomic_add_fetch(&plan->struck, 1, __ATOMIC_SEQ_CST);
    if (plan->action == FAIL) {
        errno = (int)plan->value;
        return 1;
    }
    if (plan->after) return 2;
    inside = 1;
    harm();
    inside = 0;
    return 0;
}

static void after(int what) {
    if (what != 2) return;
    int kept = errno;
    inside = 1;
    harm();
    inside = 0;
    errno = kept;
}

#define REAL(type, name, ...)                                                  \
    static type (*real)(__VA_ARGS__);                                          \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define INJECT(kind, area, type, call)                                         \
    do {                                                                       \
        int what = plan && !inside ? before(kind, area) : 0;                   \
        if (what == 1) return -1;                                              \
        type result = call;                                                    \
        after(what);                                                           \
        return result;                                                         \
    } while (0)

#define MODE                                                                   \
    mode_t mode = 0;                                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                                       \
        va_list list;                                                          \
        va_start(list, flags);                                                 \
        mode = va_arg(list, mode_t);                                           \
        va_end(list);                                                          \
    }

int open(const char *path, int flags, ...) {
    MODE REAL(int, "open", const char *, int, ...);
    INJECT(OPEN, area_of_path(AT_FDCWD, path), int, real(path, flags, mode));
}
int open64(const char *path, int flags, ...) {
    MODE REAL(int, "open64", const char *, int, ...);
    INJECT(OPEN, area_of_path(AT_FDCWD, path), int, real(path, flags, mode));
}
int openat(int folder, const char *path, int flags, ...) {
    MODE REAL(int, "openat", int, const char *, int, ...);
    INJECT(OPEN, area_of_path(folder, path), int, real(folder, path, flags, mode));
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE REAL(int, "openat64", int, const char *, int, ...);
    INJECT(OPEN, area_of_path(folder, path), int, real(folder, path, flags, mode));
}
ssize_t read(int file, void *data, size_t size) {
    REAL(ssize_t, "read", int, void *, size_t);
    INJECT(READ, area_of_file(file), ssize_t, real(file, data, size));
}
ssize_t pread(int file, void *data, size_t size, off_t at) {
    REAL(ssize_t, "pread", int, void *, size_t, off_t);
    INJECT(READ, area_of_file(file), ssize_t, real(file, data, size, at));
}
ssize_t pread64(int file, void *data, size_t size, off64_t at) {
    REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
    INJECT(READ, area_of_file(file), ssize_t, real(file, data, size, at));
}
ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    INJECT(WRITE, area_of_file(file), ssize_t, real(file, data, size));
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    INJECT(WRITE, area_of_file(file), ssize_t, real(file, parts, count));
}
ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    INJECT(WRITE, area_of_file(file), ssize_t, real(file, data, size, at));
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    INJECT(WRITE, area_of_file(file), ssize_t, real(file, data, size, at));
}
ssize_t sendfile(int out, int in, off_t *at, size_t size) {
    REAL(ssize_t, "sendfile", int, int, off_t *, size_t);
    INJECT(WRITE, area_of_file(out), ssize_t, real(out, in, at, size));
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    INJECT(WRITE, area_of_file(out), ssize_t, real(out, in, at, size));
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    INJECT(WRITE, area_of_file(out), ssize_t, real(in, from, out, to, size, flags));
}
int ftruncate(int file, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    INJECT(WRITE, area_of_file(file), int, real(file, size));
}
int ftruncate64(int file, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    INJECT(WRITE, area_of_file(file), int, real(file, size));
}
int link(const char *from, const char *to) {
    REAL(int, "link", const char *, const char *);
    INJECT(LINK, area_of_path(AT_FDCWD, to), int, real(from, to));
}
int linkat(int here, const char *from, int there, const char *to, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    INJECT(LINK, area_of_path(there, to), int, real(here, from, there, to, flags));
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    INJECT(LINK, area_of_path(AT_FDCWD, to), int, real(from, to));
}
int renameat(int here, const char *from, int there, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    INJECT(LINK, area_of_path(there, to), int, real(here, from, there, to));
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    INJECT(UNLINK, area_of_path(AT_FDCWD, path), int, real(path));
}
int unlinkat(int folder, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    INJECT(UNLINK, area_of_path(folder, path), int, real(folder, path, flags));
}
int rmdir(const char *path) {
    REAL(int, "rmdir", const char *);
    INJECT(UNLINK, area_of_path(AT_FDCWD, path), int, real(path));
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    INJECT(MKDIR, area_of_path(AT_FDCWD, path), int, real(path, mode));
}
int fsync(int file) {
    REAL(int, "fsync", int);
    INJECT(SYNC, area_of_file(file), int, real(file));
}
int fdatasync(int file) {
    REAL(int, "fdatasync", int);
    INJECT(SYNC, area_of_file(file), int, real(file));
}
int syncfs(int file) {
    REAL(int, "syncfs", int);
    INJECT(SYNC, area_of_file(file), int, real(file));
}

/* The clock of the calendar only: time-outs live by the monotonic one. */
static int64_t shift(void) { return plan ? __atomic_load_n(&plan->clock, __ATOMIC_SEQ_CST) : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int result = real(clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL(int, "gettimeofday", struct timeval *, void *);
    int result = real(now, zone);
    if (!result) now->tv_sec += shift();
    return result;
}
time_t time(time_t *now) {
    REAL(time_t, "time", time_t *);
    time_t result = real(NULL) + shift();
    if (now) *now = result;
    return result;
}
