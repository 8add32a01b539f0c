/* err, file, follower, library and pool. */
#include "unit.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/follower.h"
#include "base/library.h"
#include "base/pool.h"
#include "scratch.h"

static void test_err_is_one_clean_line(void **state)
{
    (void)state;
    err_t err;
    assert_int_equal(err_set(&err, "file %s: line %d\nsecond", "a\tb", 3), -1);
    assert_string_equal(err.text, "file a?b: line 3?second");
    assert_int_equal(err_prefix(&err, "job %d", 7), -1);
    assert_string_equal(err.text, "job 7: file a?b: line 3?second");
    assert_int_equal(err_set(NULL, "ignored"), -1);
}

static void test_err_prefix_of_a_full_text_stays_inside(void **state)
{
    (void)state;
    err_t err;
    memset(err.text, 'x', sizeof(err.text) - 1);
    err.text[sizeof(err.text) - 1] = '\0';
    err_prefix(&err, "front");
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_memory_equal(err.text, "front: xxx", 10);
}

static void test_write_atomic_and_read_back(void **state)
{
    err_t err = {{0}};
    char *path = file_join(*state, "f");
    file_part_t parts[] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    assert_int_equal(file_write_atomic(path, parts, 3, &err), 0);
    char *data;
    size_t size;
    assert_int_equal(file_read(path, 5, &data, &size, &err), 0);
    assert_int_equal(size, 5);
    assert_string_equal(data, "abcde");
    free(data);
    assert_int_equal(file_read(path, 4, &data, &size, &err), -1);
    assert_non_null(strstr(err.text, "larger than 4 bytes"));
    free(path);
}

static void test_failed_write_leaves_nothing(void **state)
{
    err_t err = {{0}};
    char *folder = file_join(*state, "target");
    assert_int_equal(mkdir(folder, 0777), 0);
    /* renaming a file over a folder fails after the temporary file was written */
    file_part_t part = {"x", 1};
    assert_int_equal(file_write_atomic(folder, &part, 1, &err), -1);
    assert_non_null(strstr(err.text, "target: cannot write"));
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(rmdir(*state), 0); /* empty: no temporary file is left */
    assert_int_equal(mkdir(*state, 0777), 0);
    free(folder);
}

/* Else a root's `--onnx /dev/stdout` would make a file of the machine's /dev/stdout. */
static void test_write_through_links_and_to_streams(void **state)
{
    err_t err = {{0}};
    char text[4] = "";
    struct stat st;
    char *data;
    size_t size;
    char *file = file_join(*state, "file");
    char *link = file_join(*state, "link");
    char *pipe = file_join(*state, "pipe");
    file_part_t old = {"old", 3}, new = {"new", 3};
    assert_int_equal(file_write_atomic(file, &old, 1, &err), 0);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(file_write_atomic(link, &new, 1, &err), 0);
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    assert_int_equal(file_read(file, 3, &data, &size, &err), 0);
    assert_string_equal(data, "new");
    free(data);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    int fd = open(pipe, O_RDWR | O_NONBLOCK);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("pipe", link), 0);
    assert_int_equal(file_write_atomic(link, &new, 1, &err), 0);
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    assert_int_equal(read(fd, text, 4), 3);
    assert_string_equal(text, "new");
    close(fd);
    unlink(link);
    assert_int_equal(symlink("/dev/full", link), 0);
    assert_int_equal(file_write_atomic(link, &new, 1, &err), -1);
    assert_non_null(strstr(err.text, "link: cannot write: No space left on device"));
    unlink(link);
    unlink(pipe);
    unlink(file);
    free(file);
    free(link);
    free(pipe);
}

/* As of a server whose connections have taken all that there were. */
static void test_write_without_descriptors(void **state)
{
    err_t err = {{0}};
    scratch_descriptors_t descriptors;
    char *data;
    size_t size;
    char *path = file_join(*state, "file");
    char *nowhere = file_join(*state, "none/file");
    file_part_t part = {"new", 3};
    scratch_take_descriptors(&descriptors);
    int written = file_write_atomic(path, &part, 1, &err);
    int failed = file_write_atomic(nowhere, &part, 1, &err);
    scratch_give_descriptors(&descriptors);
    assert_int_equal(written, 0);
    assert_int_equal(failed, -1);
    scratch_assert_contains(err.text, "none/file: cannot create: No such file or directory");
    assert_int_equal(file_read(path, 3, &data, &size, &err), 0);
    assert_string_equal(data, "new");
    free(data);
    free(nowhere);
    free(path);
}

static void test_make_folder_makes_parents(void **state)
{
    err_t err = {{0}};
    char *deep = file_join(*state, "a/b//c");
    assert_int_equal(file_make_folder(deep, &err), 0);
    assert_int_equal(file_make_folder(deep, &err), 0);
    assert_true(file_is_folder(deep));
    char *file = file_join(*state, "a/file");
    file_part_t part = {"x", 1};
    assert_int_equal(file_write_atomic(file, &part, 1, &err), 0);
    char *below = file_join(file, "d");
    assert_int_equal(file_make_folder(below, &err), -1);
    free(below);
    free(file);
    free(deep);
}

static void test_pool_reuses_and_outlives(void **state)
{
    (void)state;
    pool_t *pool = pool_new(100);
    float *a = pool_take(pool);
    assert_int_equal((uintptr_t)a % 64, 0);
    pool_give(a);
    float *b = pool_take(pool);
    assert_ptr_equal(a, b);
    float *c = pool_take(pool);
    assert_ptr_not_equal(b, c);
    pool_destroy(&pool);
    assert_null(pool);
    pool_destroy(&pool);
    c[0] = 1.0f; /* still ours */
    pool_give(b);
    pool_give(c); /* frees the pool; the sanitizer build watches */
    pool_give(NULL);
}

static void test_pool_shared_buffers_come_back_last(void **state)
{
    (void)state;
    pool_t *pool = pool_new(8);
    char *a = pool_take(pool);
    assert_ptr_equal(pool_share(a), a);
    pool_give(a);
    char *b = pool_take(pool);
    assert_ptr_not_equal(a, b); /* a still has an owner */
    pool_give(a);
    assert_ptr_equal(pool_take(pool), a);
    pool_give(a);
    pool_give(b);
    pool_destroy(&pool);
}

/* Sums the bytes that it gets, and notes where they ended. */
typedef struct {
    const uint8_t *bytes;
    size_t n_seen;
    uint64_t sum;
    bool in_order;
} followed_t;

static void s_follow(void *context, size_t first, size_t end)
{
    followed_t *self = context;
    self->in_order &= first == self->n_seen && end > first;
    for (size_t i = first; i < end; i++)
        self->sum += self->bytes[i] * (i + 1);
    self->n_seen = end;
}

static void test_a_follower_sees_each_byte_once(void **state)
{
    (void)state;
    enum {
        N = 100000
    };
    uint8_t *bytes = calloc(N, 1);
    followed_t followed = {bytes, 0, 0, true};
    follower_t *follower = follower_new(s_follow, &followed);
    uint64_t sum = 0;
    follower_wait(follower); /* for nothing */
    assert_int_equal(followed.n_seen, 0);
    for (size_t at = 0; at < N;) {
        size_t end = at + 1 + at / 7 < N ? at + 1 + at / 7 : N;
        for (; at < end; at++) {
            bytes[at] = (uint8_t)(at * 31 >> 3);
            sum += bytes[at] * (at + 1);
        }
        follower_tell(follower, end);
        if (end % 3 == 0) {
            follower_wait(follower);
            assert_int_equal(followed.n_seen, end);
            assert_true(followed.sum == sum);
        }
    }
    follower_destroy(&follower); /* waits as well */
    follower_destroy(&follower);
    assert_int_equal(followed.n_seen, N);
    assert_true(followed.in_order && followed.sum == sum);
    free(bytes);
}

static void test_libraries_are_opened_when_asked_for(void **state)
{
    (void)state;
    err_t err;
    double (*root)(double) = NULL, (*none)(double) = NULL;
    const library_function_t functions[] = {{"sqrt", &root}, {"no_such_function", &none}};
    assert_int_equal(library_open("the math", "libm.so.6", functions, 1, &err), 0);
    assert_true(root(9) == 3);
    assert_int_equal(library_open("the math", "libm.so.6", functions, 2, &err), -1);
    scratch_assert_contains(err.text, "the math: no function no_such_function in libm.so.6: ");
    assert_int_equal(library_open("nothing", "libnothing-at-all.so", functions, 1, &err), -1);
    scratch_assert_contains(err.text, "nothing: cannot open libnothing-at-all.so: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_is_one_clean_line),
        cmocka_unit_test(test_err_prefix_of_a_full_text_stays_inside),
        cmocka_unit_test_setup_teardown(test_write_atomic_and_read_back, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_write_through_links_and_to_streams, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_write_without_descriptors, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_failed_write_leaves_nothing, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_make_folder_makes_parents, scratch_make,
                                        scratch_remove),
        cmocka_unit_test(test_a_follower_sees_each_byte_once),
        cmocka_unit_test(test_libraries_are_opened_when_asked_for),
        cmocka_unit_test(test_pool_reuses_and_outlives),
        cmocka_unit_test(test_pool_shared_buffers_come_back_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
