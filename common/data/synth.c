/* See synth.h. A digit is a few strokes through control points in a box of 100 x 100; they are
 * jittered, made into short segments, placed by a random affine map, and drawn with a round pen. */
#include "data/synth.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/file.h"
#include "data/idx.h"

typedef enum {
    STROKE_NONE,
    STROKE_LINE,   /* straight from point to point */
    STROKE_CURVE,  /* a Catmull-Rom spline through the points */
    STROKE_CLOSED, /* the same, back to the first point */
} stroke_kind_t;

#define MAX_POINTS   12
#define MAX_STROKES  3
#define CURVE_STEPS  8 /* segments between two control points */
#define MAX_SEGMENTS (MAX_STROKES * MAX_POINTS * CURVE_STEPS)

/* Points are x, y in percent of the box, y down. A stroke whose first point is where the last one
 * ended is joined to it. */
typedef struct {
    stroke_kind_t kind;
    uint8_t n_points;
    uint8_t points[MAX_POINTS][2];
} stroke_t;

typedef struct {
    uint8_t digit;
    stroke_t strokes[MAX_STROKES];
} glyph_t;

static const glyph_t s_glyphs[] = {
    {0,
     {{STROKE_CLOSED,
       8,
       {{50, 0}, {78, 14}, {88, 50}, {78, 86}, {50, 100}, {22, 86}, {12, 50}, {22, 14}}}}},
    {0,
     {{STROKE_CURVE,
       9,
       {{60, 4}, {30, 8}, {12, 45}, {22, 86}, {52, 100}, {84, 76}, {86, 34}, {66, 6}, {44, 10}}}}},
    {1, {{STROKE_LINE, 2, {{50, 0}, {50, 100}}}}},
    {1, {{STROKE_LINE, 3, {{34, 20}, {54, 0}, {54, 100}}}}},
    {2,
     {{STROKE_CURVE, 7, {{16, 25}, {30, 5}, {56, 0}, {80, 17}, {74, 42}, {48, 70}, {14, 98}}},
      {STROKE_LINE, 3, {{14, 98}, {50, 97}, {90, 98}}}}},
    {2,
     {{STROKE_CURVE,
       10,
       {{18, 20},
        {44, 0},
        {78, 14},
        {72, 46},
        {42, 82},
        {20, 97},
        {12, 84},
        {28, 77},
        {56, 90},
        {92, 98}}}}},
    {3,
     {{STROKE_CURVE, 5, {{16, 12}, {46, 0}, {76, 14}, {70, 37}, {40, 47}}},
      {STROKE_CURVE, 5, {{40, 47}, {74, 54}, {84, 77}, {56, 100}, {14, 89}}}}},
    {4, {{STROKE_LINE, 3, {{26, 0}, {12, 56}, {90, 54}}}, {STROKE_LINE, 2, {{74, 8}, {66, 100}}}}},
    {4, {{STROKE_LINE, 3, {{68, 0}, {10, 64}, {92, 64}}}, {STROKE_LINE, 2, {{68, 0}, {68, 100}}}}},
    {5,
     {{STROKE_LINE, 3, {{84, 2}, {30, 2}, {24, 42}}},
      {STROKE_CURVE, 6, {{24, 42}, {54, 35}, {84, 54}, {82, 82}, {50, 100}, {14, 90}}}}},
    {6,
     {{STROKE_CURVE,
       10,
       {{72, 2},
        {40, 14},
        {18, 48},
        {18, 80},
        {46, 100},
        {78, 89},
        {80, 67},
        {54, 52},
        {28, 61},
        {18, 80}}}}},
    {7, {{STROKE_LINE, 3, {{12, 4}, {86, 3}, {42, 100}}}}},
    {7, {{STROKE_LINE, 3, {{12, 4}, {86, 3}, {44, 100}}}, {STROKE_LINE, 2, {{36, 52}, {80, 48}}}}},
    {7,
     {{STROKE_LINE, 2, {{12, 14}, {20, 3}}},
      {STROKE_CURVE, 4, {{20, 3}, {50, 6}, {84, 3}, {84, 3}}},
      {STROKE_CURVE, 4, {{84, 3}, {62, 36}, {48, 66}, {44, 100}}}}},
    {8,
     {{STROKE_CLOSED,
       12,
       {{50, 47},
        {24, 29},
        {28, 7},
        {50, 0},
        {73, 7},
        {76, 29},
        {50, 47},
        {20, 69},
        {22, 92},
        {50, 100},
        {79, 92},
        {80, 69}}}}},
    {9,
     {{STROKE_CLOSED, 7, {{80, 26}, {62, 3}, {34, 5}, {17, 25}, {26, 47}, {52, 51}, {74, 42}}},
      {STROKE_CURVE, 4, {{80, 26}, {79, 54}, {72, 78}, {60, 100}}}}},
    {9,
     {{STROKE_CLOSED, 7, {{80, 20}, {62, 2}, {34, 4}, {17, 24}, {26, 46}, {54, 49}, {76, 38}}},
      {STROKE_LINE, 2, {{80, 20}, {76, 100}}}}},
};
#define N_GLYPHS ARRAY_COUNT(s_glyphs)

/* A counter-based generator: the n-th draw of a key is a hash of both (splitmix64, Steele et al.
 * 2014). */
typedef struct {
    uint64_t key;
    uint64_t n_draws;
} dice_t;

static uint64_t s_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static dice_t s_dice(uint64_t seed, uint64_t purpose, uint64_t index)
{
    uint64_t key = s_mix(seed + 0x9e3779b97f4a7c15ull);
    key = s_mix(key ^ (purpose + 1) * 0x9e3779b97f4a7c15ull);
    return (dice_t){.key = s_mix(key ^ index * 0xd1342543de82ef95ull)};
}

static uint64_t s_draw(dice_t *dice)
{
    return s_mix(dice->key + ++dice->n_draws * 0x9e3779b97f4a7c15ull);
}

/* Uniform in [low, high). */
static double s_uniform(dice_t *dice, double low, double high)
{
    return low + (high - low) * ((double)(s_draw(dice) >> 11) * 0x1p-53);
}

/* Below n. The bias of 2^-60 and less does not matter here. */
static size_t s_below(dice_t *dice, size_t n)
{
    return (size_t)(s_draw(dice) % n);
}

typedef struct {
    double x, y;
} point_t;

typedef struct {
    point_t from, to;
} segment_t;

typedef struct {
    segment_t segments[MAX_SEGMENTS];
    size_t n_segments;
} path_t;

static void s_add_segment(path_t *path, point_t from, point_t to)
{
    assert(path->n_segments < MAX_SEGMENTS);
    path->segments[path->n_segments++] = (segment_t){from, to};
}

/* Between b and c of the Catmull-Rom spline through a, b, c, d, at t in [0, 1]. */
static double s_spline(double a, double b, double c, double d, double t)
{
    return 0.5 *
           (2.0 * b +
            t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a))));
}

static void s_add_curve(path_t *path, const point_t *points, size_t n, bool closed)
{
    size_t n_spans = closed ? n : n - 1;
    for (size_t i = 0; i < n_spans; i++) {
        point_t a = points[i > 0 ? i - 1 : closed ? n - 1 : 0];
        point_t b = points[i];
        point_t c = points[(i + 1) % n];
        point_t d = points[i + 2 < n ? i + 2 : closed ? (i + 2) % n : n - 1];
        point_t from = b;
        for (int k = 1; k <= CURVE_STEPS; k++) {
            double t = (double)k / CURVE_STEPS;
            point_t to = {s_spline(a.x, b.x, c.x, d.x, t), s_spline(a.y, b.y, c.y, d.y, t)};
            s_add_segment(path, from, to);
            from = to;
        }
    }
}

/* The glyph's strokes as segments in pixels of the picture. */
static void s_make_path(const glyph_t *glyph, dice_t *dice, path_t *path)
{
    double height = s_uniform(dice, 16.5, 20.5);
    double width = s_uniform(dice, 11.0, 17.0);
    double slant = s_uniform(dice, -0.1, 0.4);
    double half_tangent = s_uniform(dice, -0.08, 0.08); /* of half the angle: about +-9 degrees */
    double square = half_tangent * half_tangent;
    double cosine = (1.0 - square) / (1.0 + square);
    double sine = 2.0 * half_tangent / (1.0 + square);
    point_t centre = {SYNTH_SIDE / 2.0 + s_uniform(dice, -1.25, 1.25),
                      SYNTH_SIDE / 2.0 + s_uniform(dice, -1.25, 1.25)};
    const double jitter = 0.045;
    point_t end = {0.0, 0.0};
    path->n_segments = 0;
    for (int s = 0; s < MAX_STROKES && glyph->strokes[s].kind != STROKE_NONE; s++) {
        const stroke_t *stroke = &glyph->strokes[s];
        const stroke_t *before = s > 0 ? &glyph->strokes[s - 1] : NULL;
        point_t points[MAX_POINTS];
        for (size_t i = 0; i < stroke->n_points; i++) {
            double x = stroke->points[i][0] / 100.0 - 0.5 + s_uniform(dice, -jitter, jitter);
            double y = stroke->points[i][1] / 100.0 - 0.5 + s_uniform(dice, -jitter, jitter);
            x = x * width;
            y = y * height;
            x = x - slant * y;
            points[i] =
                (point_t){centre.x + cosine * x - sine * y, centre.y + sine * x + cosine * y};
        }
        const uint8_t *joint = before ? before->points[before->n_points - 1] : NULL;
        if (joint && joint[0] == stroke->points[0][0] && joint[1] == stroke->points[0][1])
            points[0] = end;
        end = points[stroke->n_points - 1];
        if (stroke->kind == STROKE_LINE)
            for (size_t i = 1; i < stroke->n_points; i++)
                s_add_segment(path, points[i - 1], points[i]);
        else
            s_add_curve(path, points, stroke->n_points, stroke->kind == STROKE_CLOSED);
    }
}

static double s_clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* Lowers nearest[pixel], the squared distance of the pixel's centre from the path, near a segment.
 */
static void s_draw_segment(const segment_t *segment, double reach, double *nearest)
{
    point_t a = segment->from;
    point_t b = segment->to;
    double last = SYNTH_SIDE - 1;
    int left = (int)s_clamp((a.x < b.x ? a.x : b.x) - reach, 0.0, last);
    int right = (int)s_clamp((a.x < b.x ? b.x : a.x) + reach, 0.0, last);
    int top = (int)s_clamp((a.y < b.y ? a.y : b.y) - reach, 0.0, last);
    int bottom = (int)s_clamp((a.y < b.y ? b.y : a.y) + reach, 0.0, last);
    double dx = b.x - a.x;
    double dy = b.y - a.y;
    double length2 = dx * dx + dy * dy;
    for (int y = top; y <= bottom; y++) {
        for (int x = left; x <= right; x++) {
            double px = x + 0.5 - a.x;
            double py = y + 0.5 - a.y;
            double t = length2 > 0.0 ? s_clamp((px * dx + py * dy) / length2, 0.0, 1.0) : 0.0;
            double ex = px - t * dx;
            double ey = py - t * dy;
            double distance2 = ex * ex + ey * ey;
            if (distance2 < nearest[y * SYNTH_SIDE + x])
                nearest[y * SYNTH_SIDE + x] = distance2;
        }
    }
}

/* The digit of a row: each group of ten rows is a shuffle of all ten. */
static uint8_t s_label(uint64_t seed, uint64_t row)
{
    uint8_t digits[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    dice_t dice = s_dice(seed, 0, row / 10);
    for (size_t i = 9; i > 0; i--) {
        size_t k = s_below(&dice, i + 1);
        uint8_t digit = digits[i];
        digits[i] = digits[k];
        digits[k] = digit;
    }
    return digits[row % 10];
}

static const glyph_t *s_choose_glyph(uint8_t digit, dice_t *dice)
{
    size_t first = 0;
    while (s_glyphs[first].digit != digit)
        first++;
    size_t end = first;
    while (end < N_GLYPHS && s_glyphs[end].digit == digit)
        end++;
    return &s_glyphs[first + s_below(dice, end - first)];
}

static void s_draw_row(uint64_t seed, uint64_t row, uint8_t *pixels, uint8_t *label)
{
    path_t path;
    double nearest[SYNTH_PIXELS];
    dice_t dice = s_dice(seed, 1, row);
    *label = s_label(seed, row);
    s_make_path(s_choose_glyph(*label, &dice), &dice, &path);
    double radius = s_uniform(&dice, 0.8, 1.6);
    double ink = s_uniform(&dice, 0.85, 1.0);
    double reach = radius + 0.5;
    for (size_t i = 0; i < SYNTH_PIXELS; i++)
        nearest[i] = reach * reach;
    for (size_t i = 0; i < path.n_segments; i++)
        s_draw_segment(&path.segments[i], reach + 0.5, nearest);
    for (size_t i = 0; i < SYNTH_PIXELS; i++) {
        double cover = s_clamp(reach - sqrt(nearest[i]), 0.0, 1.0);
        /* the paper's grain takes some of the ink; paper without ink stays black */
        if (cover > 0.0)
            cover = cover * ink * s_uniform(&dice, 0.75, 1.0);
        pixels[i] = (uint8_t)(cover * 255.0 + 0.5);
    }
}

void synth_draw(uint64_t seed, uint64_t first_row, size_t n_rows, uint8_t *images, uint8_t *labels)
{
    for (size_t i = 0; i < n_rows; i++)
        s_draw_row(seed, first_row + i, images + i * SYNTH_PIXELS, labels + i);
}

static int s_write_set(const char *folder, const char *images_name, const char *labels_name,
                       uint64_t first_row, size_t n_rows, uint64_t seed, err_t *err)
{
    int r = -1;
    char *images_path = file_join(folder, images_name);
    char *labels_path = file_join(folder, labels_name);
    uint8_t *images = malloc(n_rows * SYNTH_PIXELS);
    uint8_t *labels = malloc(n_rows);
    if (!images || !labels) {
        err_set(err, "%s: out of memory for %zu rows", folder, n_rows);
        goto out;
    }
    synth_draw(seed, first_row, n_rows, images, labels);
    if (idx_write_images(images_path, images, n_rows, SYNTH_SIDE, SYNTH_SIDE, err) != 0 ||
        idx_write_labels(labels_path, labels, n_rows, err) != 0)
        goto out;
    r = 0;
out:
    free(labels);
    free(images);
    free(labels_path);
    free(images_path);
    return r;
}

int synth_write_folder(const char *folder, size_t n_train_rows, size_t n_test_rows, uint64_t seed,
                       err_t *err)
{
    assert(n_train_rows >= 1 && n_test_rows >= 1);
    if (file_make_folder(folder, err) != 0 ||
        s_write_set(folder, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", 0, n_train_rows,
                    seed, err) != 0)
        return -1;
    return s_write_set(folder, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", SYNTH_TEST_ROW,
                       n_test_rows, seed, err);
}
