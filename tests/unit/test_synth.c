/* synth: the same bytes everywhere, balanced, and like digits. */
#include "unit.h"

#include "data/dataset.h"
#include "data/synth.h"
#include "scratch.h"

#define N_ROWS 1000

static void s_draw(uint64_t seed, uint64_t first_row, uint8_t **images, uint8_t **labels)
{
    *images = malloc(N_ROWS * SYNTH_PIXELS);
    *labels = malloc(N_ROWS);
    synth_draw(seed, first_row, N_ROWS, *images, *labels);
}

/* The bytes are a promise to every machine, compiler and optimisation level. */
static void test_golden_bytes(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, first_row;
        const char *digest;
    } cases[] = {
        {1, 0, "73a2adfa371f1d67f836b4eea0a14664"},
        {1, SYNTH_TEST_ROW, "5db23047365509926cb0d0a6cd29f512"},
        {UINT64_MAX, 12345, "9eec76c4d6c90db22f1579d4be0d90d2"},
    };
    for (int i = 0; i < 3; i++) {
        uint8_t *images;
        uint8_t *labels;
        s_draw(cases[i].seed, cases[i].first_row, &images, &labels);
        dataset_t *set = dataset_new(&images, &labels, N_ROWS, SYNTH_PIXELS);
        assert_string_equal(dataset_digest(set), cases[i].digest);
        dataset_destroy(&set);
    }
}

static void test_rows_do_not_depend_on_their_neighbours(void **state)
{
    (void)state;
    uint8_t *images;
    uint8_t *labels;
    uint8_t image[SYNTH_PIXELS];
    uint8_t label;
    s_draw(7, 50, &images, &labels);
    for (size_t i = 0; i < N_ROWS; i += 77) {
        synth_draw(7, 50 + i, 1, image, &label);
        assert_memory_equal(image, images + i * SYNTH_PIXELS, SYNTH_PIXELS);
        assert_int_equal(label, labels[i]);
    }
    synth_draw(8, 50, 1, image, &label);
    assert_memory_not_equal(image, images, SYNTH_PIXELS);
    free(images);
    free(labels);
}

static void test_balanced_and_like_mnist(void **state)
{
    (void)state;
    uint8_t *images;
    uint8_t *labels;
    int counts[10] = {0};
    size_t n_ink = 0;
    s_draw(3, 0, &images, &labels);
    for (size_t i = 0; i < N_ROWS; i++) {
        const uint8_t *image = images + i * SYNTH_PIXELS;
        size_t ink = 0;
        uint8_t brightest = 0;
        counts[labels[i]]++;
        for (size_t k = 0; k < SYNTH_PIXELS; k++) {
            ink += image[k] > 0;
            brightest = image[k] > brightest ? image[k] : brightest;
        }
        assert_in_range(ink, 25, 350);
        assert_in_range(brightest, 140, 255);
        assert_int_equal(image[0], 0); /* corners are paper */
        assert_int_equal(image[SYNTH_PIXELS - 1], 0);
        n_ink += ink;
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal(counts[i], N_ROWS / 10);
    assert_in_range(n_ink * 100 / (N_ROWS * SYNTH_PIXELS), 12, 25); /* MNIST: 19 % */
    free(images);
    free(labels);
}

/* The mean pictures of 900 rows tell most of 100 fresh ones apart: the digits look like digits. */
static void test_nearest_mean_classifies(void **state)
{
    (void)state;
    static double means[10][SYNTH_PIXELS];
    uint8_t *images;
    uint8_t *labels;
    int n_right = 0;
    s_draw(5, 0, &images, &labels);
    for (size_t i = 0; i < 900; i++)
        for (size_t k = 0; k < SYNTH_PIXELS; k++)
            means[labels[i]][k] += images[i * SYNTH_PIXELS + k] / 90.0;
    for (size_t i = 900; i < N_ROWS; i++) {
        double best = 0.0;
        int chosen = -1;
        for (int c = 0; c < 10; c++) {
            double distance = 0.0;
            for (size_t k = 0; k < SYNTH_PIXELS; k++) {
                double d = images[i * SYNTH_PIXELS + k] - means[c][k];
                distance += d * d;
            }
            if (chosen < 0 || distance < best) {
                best = distance;
                chosen = c;
            }
        }
        n_right += chosen == labels[i];
    }
    assert_in_range(n_right, 70, 99); /* recognisable, but not trivial */
    free(images);
    free(labels);
}

static void test_write_folder(void **state)
{
    err_t err = {{0}};
    char *folder = file_join(*state, "a/b");
    data_files_t files;
    assert_int_equal(synth_write_folder(folder, 25, 12, 9, &err), 0);
    assert_int_equal(data_files_find(folder, &files, &err), 0);
    dataset_t *train = dataset_load(files.train_images, files.train_labels, 0, &err);
    dataset_t *test = dataset_load(files.test_images, files.test_labels, 0, &err);
    assert_non_null(train);
    assert_non_null(test);
    assert_int_equal(dataset_rows(train), 25);
    assert_int_equal(dataset_rows(test), 12);
    uint8_t image[SYNTH_PIXELS];
    uint8_t label;
    synth_draw(9, SYNTH_TEST_ROW + 11, 1, image, &label);
    assert_memory_equal(dataset_images(test) + 11 * SYNTH_PIXELS, image, SYNTH_PIXELS);
    assert_int_equal(dataset_labels(test)[11], label);
    dataset_destroy(&train);
    dataset_destroy(&test);
    data_files_clear(&files);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_rows_do_not_depend_on_their_neighbours),
        cmocka_unit_test(test_balanced_and_like_mnist),
        cmocka_unit_test(test_nearest_mean_classifies),
        scratch_test(test_write_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
