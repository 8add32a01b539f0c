/* fetch: mirrors in order, checked contents, nothing wrong ever in the folder. All over file://. */
#include "unit.h"

#include <dirent.h>
#include <stdbool.h>

#include "data/fetch.h"
#include "scratch.h"

/* sha256 of "hello\n", and that text gzipped. */
#define HELLO_SHA256 "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
static const uint8_t s_hello_gz[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
                                     0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 0x02, 0x00,
                                     0x20, 0x30, 0x3a, 0x36, 0x06, 0x00, 0x00, 0x00};
static const fetch_file_t s_file = {"hello.gz", HELLO_SHA256};

typedef struct {
    char root[64];
    char urls[2][128]; /* of two mirrors: root/m0, root/m1 */
    const char *mirrors[2];
    char *folder; /* where things are fetched to */
    char *path;   /* of hello.gz there */
    int n_events[FETCH_FAILED + 1];
} fixture_t;

static void s_on_progress(void *context, fetch_event_t event, const char *name, const char *text,
                          int64_t n_bytes, int64_t n_total)
{
    fixture_t *fixture = context;
    assert_string_equal(name, "hello.gz");
    assert_non_null(text);
    assert_true(n_bytes >= 0 && n_total >= 0);
    fixture->n_events[event]++;
}

static void s_begin(fixture_t *fixture, const char *root)
{
    err_t err = {{0}};
    *fixture = (fixture_t){.folder = file_join(root, "cache/deep")};
    (void)snprintf(fixture->root, sizeof(fixture->root), "%s", root);
    fixture->path = file_join(fixture->folder, "hello.gz");
    for (int i = 0; i < 2; i++) {
        char folder[100];
        (void)snprintf(folder, sizeof(folder), "%s/m%d", root, i);
        assert_int_equal(file_make_folder(folder, &err), 0);
        (void)snprintf(fixture->urls[i], sizeof(fixture->urls[i]), "file://%s%s", folder,
                       i ? "/" : "");
        fixture->mirrors[i] = fixture->urls[i];
    }
}

static void s_put(const fixture_t *fixture, const char *name, const void *bytes, size_t size)
{
    free(scratch_write(fixture->root, name, bytes, size));
}

static int s_fetch(fixture_t *fixture, err_t *err)
{
    memset(fixture->n_events, 0, sizeof(fixture->n_events));
    return fetch_files(fixture->folder, &s_file, 1, fixture->mirrors, 2, s_on_progress, fixture,
                       err);
}

static void s_end(fixture_t *fixture)
{
    free(fixture->path);
    free(fixture->folder);
}

static int s_count_files(const char *folder)
{
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void test_fetch_then_keep(void **state)
{
    err_t err = {{0}};
    fixture_t fixture;
    s_begin(&fixture, *state);
    s_put(&fixture, "m0/hello.gz", s_hello_gz, sizeof(s_hello_gz));
    if (s_fetch(&fixture, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(fixture.n_events[FETCH_DONE], 1);
    assert_int_equal(fixture.n_events[FETCH_FAILED], 0);
    char *bytes;
    size_t size;
    assert_int_equal(file_read(fixture.path, 1000, &bytes, &size, &err), 0);
    assert_int_equal(size, sizeof(s_hello_gz));
    assert_memory_equal(bytes, s_hello_gz, size);
    free(bytes);
    /* a second time nothing is loaded, even without a mirror */
    fixture.mirrors[0] = fixture.mirrors[1] = "file:///nowhere";
    assert_int_equal(s_fetch(&fixture, &err), 0);
    assert_int_equal(fixture.n_events[FETCH_KEPT], 1);
    assert_int_equal(fixture.n_events[FETCH_DONE], 0);
    assert_int_equal(s_count_files(fixture.folder), 1);
    s_end(&fixture);
}

static void test_next_mirror(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } wrong[] = {
        {NULL, 0},                              /* no such file */
        {"", 0},                                /* empty */
        {"other\n", 6},                         /* another content */
        {(const char *)s_hello_gz, 20},         /* truncated */
        {"\x1f\x8b\x08nothing of the kind", 22} /* corrupt */
    };
    err_t err = {{0}};
    fixture_t fixture;
    s_begin(&fixture, *state);
    s_put(&fixture, "m1/hello.gz", "hello\n", 6); /* not packed: the unzipped bytes count */
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)remove(fixture.path);
        if (wrong[i].bytes)
            s_put(&fixture, "m0/hello.gz", wrong[i].bytes, wrong[i].size);
        if (s_fetch(&fixture, &err) != 0)
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(fixture.n_events[FETCH_FAILED], 1);
        assert_int_equal(fixture.n_events[FETCH_DONE], 1);
        assert_int_equal(s_count_files(fixture.folder), 1);
    }
    s_end(&fixture);
}

static void test_all_mirrors_fail(void **state)
{
    err_t err = {{0}};
    fixture_t fixture;
    s_begin(&fixture, *state);
    assert_int_equal(s_fetch(&fixture, &err), -1);
    scratch_assert_contains(err.text, "cannot fetch hello.gz: file://");
    scratch_assert_contains(err.text, "m1/hello.gz: Couldn't open file");
    assert_int_equal(s_count_files(fixture.folder), 0);
    s_put(&fixture, "m1/hello.gz", "other\n", 6);
    assert_int_equal(s_fetch(&fixture, &err), -1);
    scratch_assert_contains(err.text, "sha256 of the unzipped bytes is ");
    scratch_assert_contains(err.text, ", expected " HELLO_SHA256);
    assert_int_equal(s_count_files(fixture.folder), 0);
    s_end(&fixture);
}

/* A wrong file in the folder is replaced by a right one, and kept if there is none. */
static void test_wrong_file_in_the_folder(void **state)
{
    err_t err = {{0}};
    fixture_t fixture;
    s_begin(&fixture, *state);
    assert_int_equal(file_make_folder(fixture.folder, &err), 0);
    free(scratch_write_text(fixture.folder, "hello.gz", "damaged"));
    assert_int_equal(s_fetch(&fixture, &err), -1);
    assert_true(file_exists(fixture.path));
    s_put(&fixture, "m0/hello.gz", s_hello_gz, sizeof(s_hello_gz));
    assert_int_equal(s_fetch(&fixture, &err), 0);
    assert_int_equal(fixture.n_events[FETCH_DONE], 1);
    assert_int_equal(s_fetch(&fixture, &err), 0);
    assert_int_equal(fixture.n_events[FETCH_KEPT], 1);
    s_end(&fixture);
}

static void test_bad_places(void **state)
{
    err_t err = {{0}};
    fixture_t fixture;
    s_begin(&fixture, *state);
    s_put(&fixture, "file", "x", 1);
    char *below = file_join(fixture.root, "file/folder");
    assert_int_equal(fetch_mnist(below, fixture.urls[0], NULL, NULL, &err), -1);
    scratch_assert_contains(err.text, "file/folder: cannot make the folder");
    free(below);
    assert_int_equal(fetch_mnist(fixture.folder, fixture.urls[0], NULL, NULL, &err), -1);
    scratch_assert_contains(err.text, "cannot fetch train-images-idx3-ubyte.gz: ");
    static const char *const refused[] = {"ftp://localhost/x", "gopher://localhost/x"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fetch_mnist(fixture.folder, refused[i], NULL, NULL, &err), -1);
        scratch_assert_contains(err.text, "Protocol");
    }
    s_end(&fixture);
}

static void test_mnist_itself(void **state)
{
    err_t err = {{0}};
    char url[400];
    const char *data = getenv("DROVER_DATA");
    char *path = data ? file_join(data, "train-images-idx3-ubyte.gz") : NULL;
    char *whole = data ? realpath(data, NULL) : NULL;
    bool there = path && whole && file_exists(path);
    free(path);
    if (!there) {
        free(whole);
        fprintf(stderr, "SKIPPED: test_mnist_itself: DROVER_DATA names no folder with MNIST\n");
        skip();
        return;
    }
    (void)snprintf(url, sizeof(url), "file://%s", whole);
    free(whole);
    char *folder = file_join(*state, "mnist");
    if (fetch_mnist(folder, url, NULL, NULL, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(s_count_files(folder), 4);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_fetch_then_keep),          scratch_test(test_next_mirror),
        scratch_test(test_all_mirrors_fail),         scratch_test(test_bad_places),
        scratch_test(test_wrong_file_in_the_folder), scratch_test(test_mnist_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
