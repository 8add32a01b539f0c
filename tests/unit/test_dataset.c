/* dataset: one digest for one content, whatever its format; finding files; errors that name both.
 */
#include "unit.h"

#include <stdbool.h>
#include <sys/stat.h>

#include "data/csv_write.h"
#include "data/dataset.h"
#include "data/idx.h"
#include "data/synth.h"
#include "scratch.h"

#define N_ROWS 50

static uint8_t s_images[N_ROWS * SYNTH_PIXELS];
static uint8_t s_labels[N_ROWS];

/* How a pixel is printed. */
typedef enum {
    PRINT_WHOLE,
    PRINT_SAVETXT,
    PRINT_UNIT,
} print_t;

/* Writes the rows as text; with a label column if `labelled`. Returns the path. */
static char *s_write_csv(const char *folder, const char *name, print_t print, char separator,
                         bool labelled)
{
    char *path = file_join(folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < N_ROWS; i++) {
        if (labelled)
            fprintf(file, "%d%c", s_labels[i], separator);
        for (size_t k = 0; k < SYNTH_PIXELS; k++) {
            int byte = s_images[i * SYNTH_PIXELS + k];
            if (k > 0)
                fputc(separator, file);
            if (print == PRINT_WHOLE)
                fprintf(file, "%d", byte);
            else if (print == PRINT_SAVETXT)
                fprintf(file, "%.18e", (double)byte);
            else
                fprintf(file, "%.5f", byte / 255.0);
        }
        fputc('\n', file);
    }
    assert_int_equal(fclose(file), 0);
    return path;
}

static char *s_write_one_hot(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < N_ROWS; i++)
        for (int c = 0; c < 10; c++)
            fprintf(file, "%d%c", s_labels[i] == c, c < 9 ? ' ' : '\n');
    assert_int_equal(fclose(file), 0);
    return path;
}

static void s_gzip(const char *path)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "gzip -f '%s'", path);
    assert_int_equal(system(command), 0);
}

static void s_expect(const char *images, const char *labels, const char *digest)
{
    err_t err = {{0}};
    dataset_t *set = dataset_load(images, labels, 0, &err);
    if (!set)
        fail_msg("%s", err.text);
    assert_int_equal(dataset_rows(set), N_ROWS);
    assert_int_equal(dataset_inputs(set), SYNTH_PIXELS);
    assert_int_equal(dataset_classes(set), 10);
    assert_memory_equal(dataset_images(set), s_images, sizeof(s_images));
    assert_memory_equal(dataset_labels(set), s_labels, sizeof(s_labels));
    assert_string_equal(dataset_digest(set), digest);
    size_t n_not_zero = 0;
    for (size_t i = 0; i < sizeof(s_images); i++)
        n_not_zero += s_images[i] != 0;
    assert_true(dataset_density(set) == (double)n_not_zero / sizeof(s_images));
    dataset_destroy(&set);
    assert_null(set);
    dataset_destroy(&set);
}

static void test_every_format_has_the_same_digest(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    synth_draw(1, 0, N_ROWS, s_images, s_labels);
    char *idx_images = file_join(folder, "images");
    char *idx_labels = file_join(folder, "labels");
    assert_int_equal(idx_write_images(idx_images, s_images, N_ROWS, 28, 28, &err), 0);
    assert_int_equal(idx_write_labels(idx_labels, s_labels, N_ROWS, &err), 0);
    dataset_t *set = dataset_load(idx_images, idx_labels, 0, &err);
    assert_non_null(set);
    char digest[DATASET_DIGEST_HEX];
    strcpy(digest, dataset_digest(set));
    dataset_destroy(&set);
    s_expect(idx_images, idx_labels, digest);
    char *one_hot = s_write_one_hot(folder, "one_hot");
    char *whole = s_write_csv(folder, "whole", PRINT_WHOLE, ' ', false);
    char *savetxt = s_write_csv(folder, "savetxt", PRINT_SAVETXT, ' ', false);
    char *unit = s_write_csv(folder, "unit", PRINT_UNIT, ',', false);
    char *labelled = s_write_csv(folder, "labelled", PRINT_WHOLE, ',', true);
    char *labelled_unit = s_write_csv(folder, "labelled_unit", PRINT_UNIT, ',', true);
    s_expect(whole, one_hot, digest);
    s_expect(savetxt, idx_labels, digest);
    s_expect(unit, one_hot, digest);
    s_expect(idx_images, one_hot, digest);
    s_expect(labelled, NULL, digest);
    s_expect(labelled_unit, NULL, digest);
    char *plain[] = {idx_images, idx_labels, one_hot,  whole,
                     savetxt,    unit,       labelled, labelled_unit};
    char *packed[8];
    for (int i = 0; i < 8; i++) {
        s_gzip(plain[i]);
        assert_true(asprintf(&packed[i], "%s.gz", plain[i]) > 0);
    }
    s_expect(packed[0], packed[1], digest);
    s_expect(packed[3], packed[2], digest);
    s_expect(packed[6], NULL, digest);
    for (int i = 0; i < 8; i++) {
        free(plain[i]);
        free(packed[i]);
    }
}

static dataset_t *s_make(const char *images, const char *labels, size_t n_rows)
{
    size_t size = strlen(images);
    uint8_t *image_bytes = malloc(size);
    uint8_t *label_bytes = malloc(n_rows);
    memcpy(image_bytes, images, size);
    memcpy(label_bytes, labels, n_rows);
    dataset_t *set = dataset_new(&image_bytes, &label_bytes, n_rows, size / n_rows);
    assert_null(image_bytes);
    assert_null(label_bytes);
    return set;
}

static void test_written_csv_is_the_same_set(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    char *images = file_join(folder, "i.csv");
    char *labels = file_join(folder, "l.csv");
    for (int bits = 0; bits < 2; bits++) {
        synth_draw(1, 0, N_ROWS, s_images, s_labels);
        for (size_t i = 0; bits && i < sizeof(s_images); i++)
            s_images[i] = s_images[i] > 99; /* a set of 0 and 1 stays one */
        assert_int_equal(csv_write_images(images, s_images, N_ROWS, SYNTH_PIXELS, &err), 0);
        assert_int_equal(csv_write_labels(labels, s_labels, N_ROWS, 10, &err), 0);
        uint8_t *image_bytes = malloc(sizeof(s_images));
        uint8_t *label_bytes = malloc(sizeof(s_labels));
        memcpy(image_bytes, s_images, sizeof(s_images));
        memcpy(label_bytes, s_labels, sizeof(s_labels));
        dataset_t *set = dataset_new(&image_bytes, &label_bytes, N_ROWS, SYNTH_PIXELS);
        s_expect(images, labels, dataset_digest(set));
        dataset_destroy(&set);
    }
    char *nowhere = file_join(folder, "no/folder");
    assert_int_equal(csv_write_images(nowhere, s_images, N_ROWS, SYNTH_PIXELS, &err), -1);
    scratch_assert_contains(err.text, "no/folder: cannot create: No such file");
    free(nowhere);
    free(images);
    free(labels);
}

static void test_digest_tells_sets_apart(void **state)
{
    (void)state;
    dataset_t *sets[] = {
        s_make("abcdefgh", "\0\1", 2),         s_make("abcdefgi", "\0\1", 2),
        s_make("abcdefgh", "\0\2", 2),         s_make("abcdefgh", "\0\1\0\1", 4),
        s_make("abcdefgh", "\0\1\0\1efgh", 8), s_make("abcdefghabcdefgh", "\0\1", 2),
    };
    const int n = sizeof(sets) / sizeof(sets[0]);
    /* part of the wire protocol: XXH3-128 of u64 2, u64 4, "abcdefgh", 0, 1 */
    assert_string_equal(dataset_digest(sets[0]), "bff8e7c6d7eb1b312d612d701f2e24e1");
    for (int i = 0; i < n; i++) {
        assert_int_equal(strlen(dataset_digest(sets[i])), DATASET_DIGEST_HEX - 1);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(dataset_digest(sets[i]), dataset_digest(sets[k]));
    }
    assert_int_equal(dataset_classes(sets[2]), 3);
    for (int i = 0; i < n; i++)
        dataset_destroy(&sets[i]);
}

static void test_max_rows(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    char *images = scratch_write_text(folder, "images", "1 2\n3 4\n5 6\n");
    char *labels = scratch_write_text(folder, "labels", "0\n1\n2\n");
    dataset_t *first = dataset_load(images, labels, 2, &err);
    dataset_t *same = s_make("\1\2\3\4", "\0\1", 2);
    assert_string_equal(dataset_digest(first), dataset_digest(same));
    dataset_t *all = dataset_load(images, labels, 99, &err);
    assert_int_equal(dataset_rows(all), 3);
    dataset_destroy(&first);
    dataset_destroy(&same);
    dataset_destroy(&all);
    uint8_t *pixels = NULL;
    size_t n_rows = 0, n_inputs = 0;
    assert_int_equal(dataset_load_images(images, 2, &pixels, &n_rows, &n_inputs, &err), 0);
    assert_int_equal(n_rows, 2);
    assert_int_equal(n_inputs, 2);
    assert_memory_equal(pixels, "\1\2\3\4", 4);
    free(pixels);
    free(images);
    free(labels);
}

/* Images are looked at while more are read, and move when there are more than room was made for. */
static void test_a_large_set(void **state)
{
    enum {
        ROWS = 66000,
        SIDE = 32
    };
    err_t err = {{0}};
    size_t size = (size_t)ROWS * SIDE * SIDE;
    char *images_path = file_join(*state, "images"), *labels_path = file_join(*state, "labels");
    uint8_t *images = calloc(size, 1), *labels = calloc(ROWS, 1);
    for (size_t i = 0; i < size; i += 5)
        images[i] = (uint8_t)(i >> 7);
    assert_int_equal(idx_write_images(images_path, images, ROWS, SIDE, SIDE, &err), 0);
    assert_int_equal(idx_write_labels(labels_path, labels, ROWS, &err), 0);
    dataset_t *made = dataset_new(&images, &labels, ROWS, SIDE * SIDE);
    dataset_t *read = dataset_load(images_path, labels_path, 0, &err);
    assert_non_null(read);
    assert_string_equal(dataset_digest(read), dataset_digest(made));
    assert_true(dataset_density(read) == dataset_density(made));
    assert_memory_equal(dataset_images(read), dataset_images(made), size);
    dataset_destroy(&made);
    dataset_destroy(&read);
    free(images_path);
    free(labels_path);
}

static void test_bad_sets(void **state)
{
    const char *folder = *state;
    char *missing = file_join(folder, "missing");
    char *empty = scratch_write_text(folder, "empty", "");
    char *three = scratch_write_text(folder, "three", "1 2\n3 4\n5 6\n");
    char *two_labels = scratch_write_text(folder, "two_labels", "0\n1\n");
    char *large_label = scratch_write_text(folder, "large_label", "0\n1\n256\n");
    char *idx_two = scratch_write(folder, "idx_two", "\0\0\x08\x01\0\0\0\2\0\1", 10);
    char *idx_images =
        scratch_write(folder, "idx_images", "\0\0\x08\x03\0\0\0\1\0\0\0\1\0\0\0\1\7", 17);
    char *zeros = scratch_write(folder, "zeros", "\0\0\0\0\0\0\0\0", 8);
    char *foreign = scratch_write_text(folder, "foreign",
                                       "\x7f"
                                       "ELF....................");
    char *packed = scratch_write_text(folder, "packed", "\x1f\x8b\x08 and nothing more of it");
    const struct {
        const char *images, *labels, *expected;
    } cases[] = {
        {missing, two_labels, "missing: cannot open: No such file"},
        {three, missing, "missing: cannot open: No such file"},
        {folder, two_labels, ": cannot read: Is a directory"},
        {empty, two_labels, "empty: empty, expected IDX or CSV data"},
        {three, empty, "empty: empty, expected IDX or CSV data"},
        {three, two_labels, "two_labels: 2 labels, expected 3 as there are images in "},
        {three, two_labels, "three"},
        {three, idx_two, "idx_two: 2 labels, expected 3 as there are images in "},
        {three, large_label, "large_label: line 3, column 1: saw '256', expected a label"},
        {three, NULL, "three: no file of labels for it"},
        {idx_images, NULL, "idx_images: no file of labels for these images"},
        {idx_images, idx_two, "idx_two: 2 labels, expected 1 as there are images in "},
        {idx_two, idx_two, "idx_two: magic 0x00000801 (IDX labels), expected 0x00000803"},
        {idx_images, idx_images, "idx_images: magic 0x00000803 (IDX images), expected 0x00000801"},
        {zeros, two_labels, "zeros: magic 0x00000000, expected 0x00000803"},
        {foreign, two_labels, "foreign: magic 0x7f454c46, expected 0x00000803 (IDX images)"},
        {packed, two_labels, "packed: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        dataset_t *set = dataset_load(cases[i].images, cases[i].labels, i % 2, &err);
        if (set)
            fail_msg("case %zu was loaded", i);
        scratch_assert_contains(err.text, cases[i].expected);
    }
    char *paths[] = {missing, empty,      three, two_labels, large_label,
                     idx_two, idx_images, zeros, foreign,    packed};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        free(paths[i]);
}

/* Makes the files (empty) in a new folder and looks for the four. Returns data_files_find's. */
static int s_find(const char *root, const char *const *names, data_files_t *files, err_t *err)
{
    static int s_n_folders;
    char folder[300];
    (void)snprintf(folder, sizeof(folder), "%s/%d", root, s_n_folders++);
    assert_int_equal(mkdir(folder, 0777), 0);
    for (; *names; names++)
        free(scratch_write_text(folder, *names, ""));
    return data_files_find(folder, files, err);
}

static void test_find_files(void **state)
{
    const char *folder = *state;
    err_t err = {{0}};
    data_files_t files;
    const char *const mixed[] = {"train-images.idx3-ubyte", "train-labels-idx1-ubyte.gz",
                                 "t10k-images-idx3-ubyte.gz", "t10k-labels.idx1-ubyte", NULL};
    assert_int_equal(s_find(folder, mixed, &files, &err), 0);
    scratch_assert_contains(files.train_images, "/train-images.idx3-ubyte");
    scratch_assert_contains(files.train_labels, "/train-labels-idx1-ubyte.gz");
    scratch_assert_contains(files.test_images, "/t10k-images-idx3-ubyte.gz");
    scratch_assert_contains(files.test_labels, "/t10k-labels.idx1-ubyte");
    data_files_clear(&files);
    assert_null(files.train_images);
    const char *const csv[] = {"train_images.csv", "train_labels.csv",       "test_images.csv.gz",
                               "test_labels.csv",  "t10k-labels.idx1-ubyte", NULL};
    assert_int_equal(s_find(folder, csv, &files, &err), 0);
    scratch_assert_contains(files.test_images, "/test_images.csv.gz");
    scratch_assert_contains(files.test_labels, "/test_labels.csv");
    data_files_clear(&files);
    const char *const none[] = {NULL};
    assert_int_equal(s_find(folder, none, &files, &err), -1);
    scratch_assert_contains(err.text, ": train-images-idx3-ubyte is missing");
    assert_null(files.train_images);
    const char *const three[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                 "t10k-images-idx3-ubyte", "train_images.csv", NULL};
    assert_int_equal(s_find(folder, three, &files, &err), -1);
    scratch_assert_contains(err.text, ": t10k-labels-idx1-ubyte is missing");
    const char *const one_csv[] = {"train_images.csv", NULL};
    assert_int_equal(s_find(folder, one_csv, &files, &err), -1);
    scratch_assert_contains(err.text, ": train_labels.csv is missing");
    assert_int_equal(data_files_find("/nowhere/at/all", &files, &err), -1);
    scratch_assert_contains(err.text, "/nowhere/at/all: no such folder");
}

static void test_mnist_itself(void **state)
{
    (void)state;
    err_t err = {{0}};
    data_files_t files;
    const char *folder = getenv("DROVER_DATA");
    if (!folder || data_files_find(folder, &files, &err) != 0) {
        fprintf(stderr, "SKIPPED: test_mnist_itself: DROVER_DATA names no folder with MNIST\n");
        skip();
        return;
    }
    dataset_t *train = dataset_load(files.train_images, files.train_labels, 0, &err);
    dataset_t *test = dataset_load(files.test_images, files.test_labels, 0, &err);
    if (!train || !test)
        fail_msg("%s", err.text);
    assert_int_equal(dataset_rows(train), 60000);
    assert_int_equal(dataset_rows(test), 10000);
    assert_int_equal(dataset_inputs(train), 784);
    assert_int_equal(dataset_classes(train), 10);
    assert_memory_equal(dataset_labels(train), "\5\0\4\1\x09\2\1\3", 8);
    assert_memory_equal(dataset_labels(test), "\7\2\1\0\4\1\4\x09", 8);
    dataset_destroy(&train);
    dataset_destroy(&test);
    data_files_clear(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_every_format_has_the_same_digest),
        scratch_test(test_written_csv_is_the_same_set),
        cmocka_unit_test(test_digest_tells_sets_apart),
        scratch_test(test_max_rows),
        scratch_test(test_a_large_set),
        scratch_test(test_bad_sets),
        scratch_test(test_find_files),
        cmocka_unit_test(test_mnist_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
