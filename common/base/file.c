/* See file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int s_write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

/* A rename is durable once the folder that holds the name is on disk. */
static int s_sync_folder_of(const char *path)
{
    char *folder = strdup(path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return -1;
    int r = fsync(fd);
    if (r != 0 && errno == EINVAL) /* file systems without fsync on folders */
        r = 0;
    close(fd);
    return r;
}

char *file_target(const char *path, bool *stream)
{
    struct stat st;
    bool there = stat(path, &st) == 0;
    *stream = there && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
    char *target = there && !*stream ? realpath(path, NULL) : NULL;
    if (!target && !(target = strdup(path)))
        abort();
    return target;
}

static int s_write_parts(int fd, const file_part_t *parts, int n_parts)
{
    for (int i = 0; i < n_parts; i++)
        if (s_write_all(fd, parts[i].data, parts[i].size) != 0)
            return -1;
    return 0;
}

static int s_write_stream(const char *path, const file_part_t *parts, int n_parts, err_t *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "%s: cannot open", path);
    int r = s_write_parts(fd, parts, n_parts);
    if (r != 0)
        err_set_errno(err, "%s: cannot write", path);
    close(fd);
    return r;
}

int file_apart(int (*work)(const void *context), const void *context)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        (void)close_range(STDERR_FILENO + 1, ~0U, 0);
        _exit(work(context));
    }
    if (child < 0)
        return errno;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECANCELED;
}

typedef struct {
    const char *target;
    const file_part_t *parts;
    int n_parts;
    const char **what; /* what failed */
} replace_t;

/* Returns 0 or an errno. */
static int s_replace(const void *context)
{
    const replace_t *self = context;
    int error = 0;
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", self->target) < 0)
        abort();
    *self->what = "create";
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        error = errno;
        free(temporary);
        return error;
    }
    *self->what = "write";
    mode_t mask = umask(0);
    umask(mask);
    bool there = fchmod(fd, 0666 & ~mask) == 0 &&
                 s_write_parts(fd, self->parts, self->n_parts) == 0 && fsync(fd) == 0 &&
                 rename(temporary, self->target) == 0;
    if (!there || s_sync_folder_of(self->target) != 0)
        error = errno;
    close(fd);
    if (!there)
        unlink(temporary);
    free(temporary);
    return error;
}

int file_write_atomic(const char *path, const file_part_t *parts, int n_parts, err_t *err)
{
    bool stream;
    const char *what = "";
    char *target = file_target(path, &stream);
    replace_t replace = {target, parts, n_parts, &what};
    int r = 0;
    if (stream) {
        r = s_write_stream(path, parts, n_parts, err);
    } else {
        errno = s_replace(&replace);
        if (errno == EMFILE)
            errno = file_apart(s_replace, &replace);
        if (errno != 0)
            r = err_set_errno(err, "%s: cannot %s", path, what);
    }
    free(target);
    return r;
}

int file_read(const char *path, size_t max_bytes, char **data, size_t *size, err_t *err)
{
    int r = -1;
    char *bytes = NULL;
    size_t used = 0;
    size_t room = (size_t)64 * 1024;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "%s: cannot open", path);
    bytes = malloc(room + 1);
    for (;;) {
        if (!bytes) {
            err_set(err, "%s: out of memory after %zu bytes", path, used);
            goto out;
        }
        ssize_t n = read(fd, bytes + used, room - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_set_errno(err, "%s: cannot read", path);
            goto out;
        }
        if (n == 0)
            break;
        used += (size_t)n;
        if (used > max_bytes) {
            err_set(err, "%s: larger than %zu bytes, the most that is expected here", path,
                    max_bytes);
            goto out;
        }
        if (used == room) {
            room *= 2;
            char *grown = realloc(bytes, room + 1);
            if (!grown)
                free(bytes);
            bytes = grown;
        }
    }
    bytes[used] = '\0';
    *data = bytes;
    *size = used;
    bytes = NULL;
    r = 0;
out:
    free(bytes);
    close(fd);
    return r;
}

int file_make_folder(const char *path, err_t *err)
{
    char *copy = strdup(path);
    int r = 0;
    for (char *p = copy + 1; r == 0 && p[-1]; p++) {
        char at = *p;
        if (at != '/' && at != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && !(errno == EEXIST && file_is_folder(copy)))
            r = err_set_errno(err, "%s: cannot make the folder", path);
        *p = at;
    }
    free(copy);
    return r;
}

int file_lock_folder(const char *path, err_t *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "%s: cannot open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(fd);
        return err_set(err, "%s: another run writes there, expected a folder of its own", path);
    }
    return fd;
}

bool file_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *file_join(const char *folder, const char *name)
{
    size_t n = strlen(folder);
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", folder, n > 0 && folder[n - 1] == '/' ? "" : "/", name) < 0)
        abort();
    return path;
}
