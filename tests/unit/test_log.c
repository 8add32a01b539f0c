/* Log lines: whole, and of warnings that peers cause only some. */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "scratch.h"

static void test_one_line_a_second(void **state)
{
    (void)state;
    log_limit_t limit = {0};
    uint64_t n_held = 99;
    assert_true(log_limit_pass(&limit, 5000, &n_held)); /* the first, at any time */
    assert_int_equal(n_held, 0);
    assert_false(log_limit_pass(&limit, 5000, &n_held));
    assert_false(log_limit_pass(&limit, 5999, &n_held));
    assert_true(log_limit_pass(&limit, 6000, &n_held));
    assert_int_equal(n_held, 2);
    assert_false(log_limit_pass(&limit, 6001, &n_held));
    assert_true(log_limit_pass(&limit, 60000, &n_held));
    assert_int_equal(n_held, 1);
    assert_true(log_limit_pass(&limit, 61000, &n_held));
    assert_int_equal(n_held, 0);
}

/* What is written to stderr from s_catch to s_caught, which the caller frees. */
static int s_stderr = -1;

static void s_catch(const char *path)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
    assert_true(fd >= 0);
    s_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
}

static char *s_caught(const char *path)
{
    char *text;
    size_t size;
    err_t err;
    dup2(s_stderr, STDERR_FILENO);
    close(s_stderr);
    assert_int_equal(file_read(path, 10000000, &text, &size, &err), 0);
    return text;
}

/* The lines of an event, and how many they speak of. */
static void s_count(const char *text, const char *event, int *n_lines, int *n_said)
{
    *n_lines = *n_said = 0;
    char *copy = strdup(text);
    char *rest = copy;
    char *line;
    while ((line = strsep(&rest, "\n"))) {
        const char *held = strstr(line, " suppressed=");
        if (!strstr(line, event))
            continue;
        *n_lines += 1;
        *n_said += held ? (int)strtol(held + strlen(" suppressed="), NULL, 10) : 0;
        *n_said += strstr(line, "number=") != NULL; /* not one that only counts others */
    }
    free(copy);
}

#define N_LINES 20000

static void *s_flood(void *argument)
{
    for (int i = 0; i < N_LINES; i++)
        log_warn_limited("test.flood", argument, "peer=%s number=%d", (const char *)argument, i);
    return NULL;
}

static void test_a_flood_is_counted_and_not_written(void **state)
{
    char *path = file_join(*state, "log");
    pthread_t threads[2];
    s_catch(path);
    int64_t begun_ms = clock_ms();
    pthread_create(&threads[0], NULL, s_flood, (void *)"one");
    pthread_create(&threads[1], NULL, s_flood, (void *)"two");
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    for (int i = 0; i < N_LINES; i++) { /* of names that somebody makes up */
        char name[32];
        (void)snprintf(name, sizeof(name), "name-%d", i);
        log_warn_limited("test.names", name, "peer=%s number=%d", name, i);
    }
    log_warn_limited("test.other", "one", "number=1"); /* another event is not held back */
    log_limit_flush();
    log_limit_flush(); /* says nothing twice */
    int64_t seconds = (clock_ms() - begun_ms) / 1000 + 1;
    char *text = s_caught(path);
    int n_lines, n_said, n_names, n_names_said;
    s_count(text, " test.flood ", &n_lines, &n_said);
    s_count(text, " test.names ", &n_names, &n_names_said);
    assert_in_range(n_lines, 2, 4 * seconds);
    assert_in_range(n_names, 32, 2 * 32 * seconds);
    for (int i = 0; i < 32; i++) { /* no name is held back for another one's lines */
        char line[64];
        (void)snprintf(line, sizeof(line), " test.names peer=name-%d number=%d\n", i, i);
        assert_non_null(strstr(text, line));
    }
    assert_int_equal(n_said, 2 * N_LINES);
    assert_int_equal(n_names_said, N_LINES);
    assert_non_null(strstr(text, " warn  test.flood peer=one number=0\n"));
    assert_non_null(strstr(text, " test.flood peer=two number=0\n"));
    assert_non_null(strstr(text, " test.other number=1\n"));
    free(text);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_line_a_second),
        scratch_test(test_a_flood_is_counted_and_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
