/* augment: against an implementation in double by its definition, and its bits on every path. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "math/augment.h"
#include "math/digest.h"
#include "math/rng.h"
#include "math/simd.h"

#define SIDE   28
#define PIXELS (SIDE * SIDE)
#define SEED   0x0123456789abcdefu
#define PI     3.14159265358979323846

static const augment_map_t s_nothing = {.scale_x = 1, .scale_y = 1};

/* No pixel of it is black, so that what comes in from outside shows. */
static uint8_t *s_image(uint32_t side, uint32_t channels)
{
    uint8_t *image = malloc((size_t)side * side * channels);
    for (uint32_t y = 0, i = 0; y < side; y++)
        for (uint32_t x = 0; x < side; x++)
            for (uint32_t c = 0; c < channels; c++)
                image[i++] = (uint8_t)(20 + abs((int)(37 * x + 23 * y + 50 * c) % 400 - 200));
    return image;
}

static uint8_t *s_warped(const augment_map_t *map, const float *x, const float *y, uint32_t side,
                         uint32_t channels)
{
    static const augment_t none = {0};
    uint32_t n = side * side * channels;
    uint8_t *from = s_image(side, channels), *to = malloc(n);
    augmenter_t *augmenter = augmenter_new(&none, SEED, n);
    augmenter_warp(augmenter, map, x, y, from, to);
    augmenter_destroy(&augmenter);
    free(from);
    return to;
}

static void test_nothing_is_the_same_image(void **state)
{
    (void)state;
    static const struct {
        uint32_t side, channels;
    } sizes[] = {{28, 1}, {2, 1}, {2, 3}, {9, 3}, {33, 1}, {256, 1}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        static const augment_t none = {0};
        uint32_t n = sizes[i].side * sizes[i].side * sizes[i].channels;
        uint8_t *from = s_image(sizes[i].side, sizes[i].channels);
        uint8_t *to = s_warped(&s_nothing, NULL, NULL, sizes[i].side, sizes[i].channels);
        assert_memory_equal(to, from, n);
        memset(to, 0, n);
        augmenter_t *augmenter = augmenter_new(&none, SEED, n);
        augmenter_row(augmenter, 1, 2, from, to);
        augmenter_destroy(&augmenter);
        augmenter_destroy(&augmenter);
        assert_memory_equal(to, from, n);
        free(from);
        free(to);
    }
    assert_false(augment_any(&(augment_t){.sigma = 4}));
}

/* What was at (x, y) is at (x + dx, y + dy), and zeros come in. */
static void s_assert_shifted(const uint8_t *to, int side, int channels, int dx, int dy)
{
    uint8_t *from = s_image((uint32_t)side, (uint32_t)channels);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (int c = 0; c < channels; c++) {
                bool inside = x - dx >= 0 && x - dx < side && y - dy >= 0 && y - dy < side;
                int expected = inside ? from[((y - dy) * side + x - dx) * channels + c] : 0;
                assert_int_equal(to[(y * side + x) * channels + c], expected);
            }
    free(from);
}

static void test_a_shift_moves_pixels(void **state)
{
    (void)state;
    static const int shifts[][2] = {{1, 0}, {0, 1}, {-3, 5}, {8, -8}, {27, 27}, {-28, 0}, {99, 99}};
    for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
        augment_map_t map = s_nothing;
        map.shift_x = shifts[i][0];
        map.shift_y = shifts[i][1];
        for (int channels = 1; channels <= 3; channels += 2) {
            uint8_t *to = s_warped(&map, NULL, NULL, SIDE, (uint32_t)channels);
            s_assert_shifted(to, SIDE, channels, shifts[i][0], shifts[i][1]);
            free(to);
        }
    }
    /* displacements say where a pixel comes from */
    float x[PIXELS], y[PIXELS];
    for (int i = 0; i < PIXELS; i++) {
        x[i] = 2;
        y[i] = -1;
    }
    uint8_t *to = s_warped(&s_nothing, x, y, SIDE, 1);
    s_assert_shifted(to, SIDE, 1, -2, 1);
    free(to);
}

static void test_quarter_turns(void **state)
{
    (void)state;
    uint8_t *from = s_image(SIDE, 1);
    for (int turns = -2; turns <= 2; turns++) {
        augment_map_t map = s_nothing;
        map.angle = 90 * turns;
        uint8_t *to = s_warped(&map, NULL, NULL, SIDE, 1);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int at_x = x, at_y = y;
                for (int i = 0; i < (turns + 4) % 4; i++) { /* clockwise: the top to the right */
                    int swap = at_x;
                    at_x = SIDE - 1 - at_y;
                    at_y = swap;
                }
                assert_int_equal(to[at_y * SIDE + at_x], from[y * SIDE + x]);
            }
        free(to);
    }
    free(from);
}

static double s_pixel(const uint8_t *image, int x, int y)
{
    return x >= 0 && x < SIDE && y >= 0 && y < SIDE ? image[y * SIDE + x] : 0;
}

/* Pixel i by the definition in augment.h, with the C library's functions: the matrix of what
 * happens to the image, solved for q. */
static double s_expected(const augment_map_t *map, const uint8_t *from, int i, double dx, double dy)
{
    double a = map->angle * PI / 180, middle = (SIDE - 1) / 2.0;
    double scaled[2][2] = {{map->scale_x, map->shear * map->scale_y}, {0, map->scale_y}};
    double m[2][2];
    for (int j = 0; j < 2; j++) {
        m[0][j] = cos(a) * scaled[0][j] - sin(a) * scaled[1][j];
        m[1][j] = sin(a) * scaled[0][j] + cos(a) * scaled[1][j];
    }
    int column = i % SIDE, row = i / SIDE;
    double x = column - middle - map->shift_x, y = row - middle - map->shift_y;
    double det = m[0][0] * m[1][1] - m[0][1] * m[1][0];
    double from_x = (x * m[1][1] - y * m[0][1]) / det + middle + dx;
    double from_y = (y * m[0][0] - x * m[1][0]) / det + middle + dy;
    int left = (int)floor(from_x), top = (int)floor(from_y);
    double fx = from_x - left, fy = from_y - top;
    return (1 - fy) * ((1 - fx) * s_pixel(from, left, top) + fx * s_pixel(from, left + 1, top)) +
           fy * ((1 - fx) * s_pixel(from, left, top + 1) + fx * s_pixel(from, left + 1, top + 1));
}

static void test_any_map_is_its_definition(void **state)
{
    (void)state;
    static const augment_map_t maps[] = {
        {.angle = 23.5, .scale_x = 1, .scale_y = 1}, {.angle = -140, .scale_x = 1, .scale_y = 1},
        {.scale_x = 1.25, .scale_y = 0.6},           {.scale_x = 1, .scale_y = 1, .shear = 0.3},
        {2.25, -3.75, 12, 0.9, 1.2, -0.4},           {-1.5, 0.5, 175, 0.1, 1.9, 2},
    };
    uint8_t *from = s_image(SIDE, 1);
    float x[PIXELS], y[PIXELS];
    for (int i = 0; i < PIXELS; i++) {
        x[i] = 3.0F * (float)sin(i);
        y[i] = 3.0F * (float)cos(2 * i);
    }
    for (size_t m = 0; m < sizeof(maps) / sizeof(maps[0]); m++) {
        for (int bent = 0; bent < 2; bent++) {
            uint8_t *to = s_warped(&maps[m], bent ? x : NULL, bent ? y : NULL, SIDE, 1);
            for (int i = 0; i < PIXELS; i++) {
                double expected =
                    s_expected(&maps[m], from, i, bent ? (double)x[i] : 0, bent ? (double)y[i] : 0);
                /* half is of the rounding to bytes, the rest float's */
                assert_true(fabs(to[i] - expected) < 0.505);
            }
            free(to);
        }
    }
    free(from);
}

/* The draws of rows: within their range, spread as uniform ones are, and of (step, row) alone. */
static void test_maps_are_uniform(void **state)
{
    (void)state;
    enum {
        N = 20000,
        FIELDS = 6
    };
    static const augment_t augment = {.shift = 2, .rotation = 15, .scale = 0.2, .shear = 0.5};
    static const double middle[FIELDS] = {0, 0, 0, 1, 1, 0};
    static const double most[FIELDS] = {2, 2, 15, 0.2, 0.2, 0.5};
    double sum[FIELDS] = {0}, squares[FIELDS] = {0}, products = 0;
    const float *x, *y;
    augmenter_t *augmenter = augmenter_new(&augment, SEED, PIXELS);
    for (uint32_t row = 0; row < N; row++) {
        augment_map_t map = augmenter_draw(augmenter, 3, row, &x, &y);
        const double drawn[FIELDS] = {map.shift_x, map.shift_y, map.angle,
                                      map.scale_x, map.scale_y, map.shear};
        assert_null(x);
        assert_null(y);
        for (int i = 0; i < FIELDS; i++) {
            double part = (drawn[i] - middle[i]) / most[i];
            assert_true(part >= -1 - 1e-12 && part <= 1);
            sum[i] += part;
            squares[i] += part * part;
        }
        products += map.shift_x * map.shift_y / 4;
    }
    for (int i = 0; i < FIELDS; i++) { /* 5 sigma of means of N */
        assert_true(fabs(sum[i] / N) < 5 * sqrt(1.0 / 3 / N));
        assert_true(fabs(squares[i] / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    }
    assert_true(fabs(products / N) < 5 * sqrt(1.0 / 9 / N));
    augment_map_t one = augmenter_draw(augmenter, 3, 7, &x, &y);
    augment_map_t other = augmenter_draw(augmenter, 4, 7, &x, &y);
    augment_map_t again = augmenter_draw(augmenter, 3, 7, &x, &y);
    assert_memory_equal(&one, &again, sizeof(one));
    assert_true(one.shift_x != other.shift_x && one.shift_y != other.shift_y);
    augmenter_destroy(&augmenter);
}

/* alpha times a field's draws, smoothed, in double: from the draws as docs/determinism.md says. */
static void s_expected_field(const augment_t *augment, uint32_t step, uint32_t row, int shift,
                             double *field)
{
    double sum = 0, wide = 2 * augment->sigma * augment->sigma;
    int radius = (int)(3 * augment->sigma + 0.5);
    uint32_t bits[PIXELS];
    rng_fill(SEED, RNG_AUGMENT, step, ((uint64_t)row << 32) + 8, PIXELS, bits);
    for (int k = -radius; k <= radius; k++)
        sum += exp(-k * k / wide);
    for (int i = 0; i < PIXELS; i++) {
        field[i] = 0;
        for (int j = 0; j < PIXELS; j++) {
            int dx = j % SIDE - i % SIDE, dy = j / SIDE - i / SIDE;
            int draw = (int)(bits[j] >> shift & 0xffff);
            if (abs(dx) <= radius && abs(dy) <= radius)
                field[i] += exp(-(dx * dx + dy * dy) / wide) / (sum * sum) *
                            (draw < 32768 ? draw : draw - 65536) / 32768;
        }
        field[i] *= augment->alpha;
    }
}

static void test_fields_are_their_definition(void **state)
{
    (void)state;
    static const augment_t cases[] = {
        {.alpha = 34, .sigma = 4},    {.alpha = 8, .sigma = 1},    {.alpha = 1, .sigma = 0.5},
        {.alpha = 300, .sigma = 9.7}, {.alpha = 100, .sigma = 32},
    };
    double expected[PIXELS];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        augmenter_t *augmenter = augmenter_new(&cases[i], SEED, PIXELS);
        for (uint32_t row = 5; row < 8; row++) { /* nothing of the row before is left */
            const float *fields[2];
            (void)augmenter_draw(augmenter, 2, row, &fields[0], &fields[1]);
            for (int f = 0; f < 2; f++) {
                s_expected_field(&cases[i], 2, row, 16 * f, expected);
                for (int p = 0; p < PIXELS; p++)
                    assert_true(fabs((double)fields[f][p] - expected[p]) < 2e-6 * cases[i].alpha);
            }
        }
        augmenter_destroy(&augmenter);
    }
}

/* In the middle of the image: variance alpha^2 / 3 (sum of the kernel's squares)^2, neighbours as
 * the kernel overlaps itself. */
static void test_statistics_of_fields(void **state)
{
    (void)state;
    enum {
        N = 4000,
        MIDDLE = SIDE / 2 * SIDE + SIDE / 2
    };
    const augment_t augment = {.alpha = 34, .sigma = 4};
    double kernel[26] = {0}, sum = 0, square = 0, overlap = 0;
    for (int k = 0; k < 25; k++)
        sum += kernel[k] = exp(-(k - 12) * (k - 12) / 32.0);
    for (int k = 0; k < 25; k++) {
        square += kernel[k] * kernel[k] / (sum * sum);
        overlap += kernel[k] * kernel[k + 1] / (sum * sum);
    }
    double variance = 34 * 34 / 3.0 * square * square;
    double mean = 0, squares = 0, neighbours = 0, others = 0;
    augmenter_t *augmenter = augmenter_new(&augment, SEED, PIXELS);
    for (uint32_t row = 0; row < N; row++) {
        const float *x, *y;
        (void)augmenter_draw(augmenter, 1, row, &x, &y);
        double here = (double)x[MIDDLE];
        mean += here;
        squares += here * here;
        neighbours += here * (double)x[MIDDLE + 1];
        others += here * (double)y[MIDDLE];
    }
    augmenter_destroy(&augmenter);
    assert_true(fabs(mean / N) < 5 * sqrt(variance / N));
    assert_true(fabs(squares / N / variance - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(neighbours / squares - overlap / square) < 0.02);
    assert_true(fabs(others / squares) < 5 * sqrt(1.0 / N));
}

/* The bytes of some rows are those of all times, on each path. */
static void test_bits_are_fixed(void **state)
{
    (void)state;
    static const augment_t all = {2, 15, 0.1, 0.2, 34, 4};
    static const augment_t affine = {.shift = 3, .rotation = 180, .scale = 0.5, .shear = 1};
    static const struct {
        const augment_t *augment;
        uint32_t side, channels;
        uint64_t digest;
    } known[] = {
        {&all, 28, 1, 0x152eb73fc365b52f},
        {&affine, 28, 1, 0x8bdbc12a0b95779d},
        {&all, 9, 3, 0x5af97e9a363872cb},
        {&affine, 131, 1, 0xafa841434059ca49},
    };
    enum {
        ROWS = 20
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        for (simd_path_t path = SIMD_C; path <= SIMD_AVX512; path++) {
            uint32_t n = known[i].side * known[i].side * known[i].channels;
            uint8_t *from = s_image(known[i].side, known[i].channels);
            uint8_t *to = malloc((size_t)ROWS * n);
            simd_limit(path);
            augmenter_t *augmenter = augmenter_new(known[i].augment, SEED, n);
            for (uint32_t row = 0; row < ROWS; row++)
                augmenter_row(augmenter, 10, 1000000007u * row, from, to + (size_t)row * n);
            augmenter_destroy(&augmenter);
            uint64_t digest = digest_bytes(to, (size_t)ROWS * n);
            if (digest != known[i].digest)
                print_error("case %zu, path %d: 0x%016llx\n", i, (int)path,
                            (unsigned long long)digest);
            assert_true(digest == known[i].digest);
            free(from);
            free(to);
        }
    }
}

static void s_refused(augment_t augment, uint32_t n_inputs, const char *text)
{
    err_t err;
    assert_int_equal(augment_check(&augment, n_inputs, &err), -1);
    assert_string_equal(err.text, text);
}

static void test_checks(void **state)
{
    (void)state;
    static const augment_t most = {256, 180, 0.9, 2, 10000, 32};
    static const uint32_t sizes[] = {1, 3, 13, 783};
    assert_int_equal(augment_check(&most, 784, NULL), 0);
    assert_int_equal(augment_check(&most, 12, NULL), 0);
    assert_int_equal(augment_check(&(augment_t){0}, 13, NULL), 0);
    s_refused((augment_t){.shift = 257}, 784, "augmentation.shift: 257, expected 0 to 256");
    s_refused((augment_t){.rotation = -1}, 784, "augmentation.rotation: -1, expected 0 to 180");
    s_refused((augment_t){.scale = 1}, 784, "augmentation.scale: 1, expected 0 to 0.9");
    s_refused((augment_t){.shear = (double)NAN}, 784, "augmentation.shear: nan, expected 0 to 2");
    s_refused((augment_t){.alpha = 1}, 784,
              "augmentation.elastic.sigma: 0, expected 0.5 or more with an alpha");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char text[160];
        (void)snprintf(text, sizeof(text),
                       "augmentation: rows of %u bytes are no images; expected square ones of 1 or "
                       "3 channels, such as 784 = 28 x 28",
                       sizes[i]);
        s_refused((augment_t){.shift = 1}, sizes[i], text);
    }
}

static void test_fields_by_number(void **state)
{
    (void)state;
    augment_t a = {1, 2, 0.3, 0.4, 5, 6}, b = {0};
    for (int i = 0; i < AUGMENT_N_FIELDS; i++) {
        assert_string_equal(augment_difference(&a, &b), augment_key(i));
        augment_set(&b, i, augment_get(&a, i));
    }
    assert_null(augment_difference(&a, &b));
    assert_memory_equal(&a, &b, sizeof(a));
    assert_string_equal(augment_key(4), "augmentation.elastic.alpha");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_the_same_image),
        cmocka_unit_test(test_a_shift_moves_pixels),
        cmocka_unit_test(test_quarter_turns),
        cmocka_unit_test(test_any_map_is_its_definition),
        cmocka_unit_test(test_maps_are_uniform),
        cmocka_unit_test(test_fields_are_their_definition),
        cmocka_unit_test(test_statistics_of_fields),
        cmocka_unit_test(test_bits_are_fixed),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_fields_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
