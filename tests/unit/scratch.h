/* A scratch folder for tests that need files: setup, teardown and small writers. */
#ifndef DROVER_TESTS_SCRATCH_H
#define DROVER_TESTS_SCRATCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

/* cmocka setup: *state becomes the path of a new folder. */
static inline int scratch_make(void **state)
{
    char template[] = "/tmp/drover-test-XXXXXX";
    char *folder = mkdtemp(template);
    *state = folder ? strdup(folder) : NULL;
    return *state ? 0 : -1;
}

/* cmocka teardown: removes the folder with all that is in it. */
static inline int scratch_remove(void **state)
{
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    int r = system(command);
    free(*state);
    return r;
}

#define scratch_test(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

/* Writes folder/name and returns its path, which the caller frees. */
static inline char *scratch_write(const char *folder, const char *name, const void *bytes,
                                  size_t size)
{
    err_t err = {{0}};
    char *path = file_join(folder, name);
    file_part_t part = {bytes, size};
    if (file_write_atomic(path, &part, 1, &err) != 0)
        fail_msg("%s", err.text);
    return path;
}

static inline char *scratch_write_text(const char *folder, const char *name, const char *text)
{
    return scratch_write(folder, name, text, strlen(text));
}

typedef struct {
    struct rlimit before;
    int taken[8];
} scratch_descriptors_t;

/* Until they are given back, with eight more open than before, there is no descriptor to be had. */
static inline void scratch_take_descriptors(scratch_descriptors_t *self)
{
    for (int i = 0; i < 8; i++)
        self->taken[i] = dup(STDERR_FILENO);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &self->before), 0);
    struct rlimit limit = {(rlim_t)self->taken[7] + 1, self->before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static inline void scratch_give_descriptors(const scratch_descriptors_t *self)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &self->before), 0);
    for (int i = 0; i < 8; i++)
        close(self->taken[i]);
}

/* `text` contains `part`; says both when it does not. */
static inline void scratch_assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("saw \"%s\", expected \"%s\" in it", text, part);
}

#endif
