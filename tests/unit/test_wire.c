/* The codec: what is sent comes back, and anything else gets a status. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "proto/wire_bounds.h"
#include "wire_samples.h"

#define FIRST WIRE_HELLO
#define LAST  WIRE_EVALUATED

typedef struct {
    wire_buffer_t *buffer;
    wire_buffer_t *other; /* a second one, since decoded labels are borrowed from the first */
    wire_t message;
} codec_t;

static int s_open(void **state)
{
    codec_t *codec = calloc(1, sizeof(*codec));
    codec->buffer = wire_buffer_new();
    codec->other = wire_buffer_new();
    *state = codec;
    return 0;
}

static int s_close(void **state)
{
    codec_t *codec = *state;
    wire_buffer_destroy(&codec->buffer);
    wire_buffer_destroy(&codec->buffer);
    wire_buffer_destroy(&codec->other);
    wire_clear(&codec->message);
    free(codec);
    return 0;
}

/* Decodes an exact copy, so that a sanitizer sees a read past the end. */
static wire_status_t s_decode(codec_t *codec, const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    wire_status_t status = wire_decode(codec->buffer, copy, size, &codec->message);
    if (status == WIRE_OK) { /* what was taken can be said again; labels lie in the copy */
        const void *header;
        size_t header_size;
        bool framed = wire_has_frame(codec->message.type);
        const uint64_t digest = 1;
        wire_encode(codec->other, &codec->message, framed ? &digest : NULL, &header, &header_size);
        assert_true(header_size > 0);
    }
    free(copy);
    return status;
}

/* The same of an array that is given its digest. */
static wire_status_t s_decode_sealed(codec_t *codec, const void *array, size_t size)
{
    uint8_t *header = wire_sealed(array, &size);
    wire_status_t status = s_decode(codec, header, size);
    free(header);
    return status;
}

/* A sample's header; the caller frees it. */
static uint8_t *s_header(codec_t *codec, wire_type_t type, size_t *size)
{
    wire_t message = wire_sample(type);
    const uint64_t digest = wire_digest(WIRE_SAMPLES_FRAME, strlen(WIRE_SAMPLES_FRAME));
    const void *header;
    wire_encode(codec->other, &message, wire_has_frame(type) ? &digest : NULL, &header, size);
    uint8_t *copy = malloc(*size);
    memcpy(copy, header, *size);
    return copy;
}

static void s_assert_same_double(double seen, double expected)
{
    assert_memory_equal(&seen, &expected, sizeof(double));
}

static void s_assert_member(const wire_member_t *seen, const wire_member_t *expected)
{
    assert_int_equal(seen->number, expected->number);
    assert_string_equal(seen->name, expected->name);
    assert_string_equal(seen->host, expected->host);
    assert_string_equal(seen->kernel, expected->kernel);
    assert_int_equal(seen->threads, expected->threads);
    assert_int_equal(seen->relay, expected->relay);
    assert_string_equal(seen->state, expected->state);
    s_assert_same_double(seen->rows_per_s, expected->rows_per_s);
    assert_int_equal(seen->seen_ms, expected->seen_ms);
    assert_int_equal(seen->owed, expected->owed);
    assert_int_equal(seen->assigned, expected->assigned);
    assert_int_equal(seen->reissued, expected->reissued);
    assert_int_equal(seen->refused, expected->refused);
}

static void s_assert_report(const wire_t *seen, const wire_t *expected)
{
    assert_string_equal(seen->report.role, expected->report.role);
    assert_string_equal(seen->report.upstream, expected->report.upstream);
    assert_int_equal(seen->report.step, expected->report.step);
    assert_int_equal(seen->report.n_steps, expected->report.n_steps);
    s_assert_same_double(seen->report.rows_per_s, expected->report.rows_per_s);
    s_assert_same_double(seen->report.eta_s, expected->report.eta_s);
    s_assert_same_double(seen->report.cost, expected->report.cost);
    s_assert_same_double(seen->report.accuracy, expected->report.accuracy);
    s_assert_same_double(seen->report.learning_rate, expected->report.learning_rate);
    s_assert_same_double(seen->report.elapsed_s, expected->report.elapsed_s);
    assert_int_equal(seen->report.evaluation, expected->report.evaluation);
    s_assert_same_double(seen->report.evaluation_cost, expected->report.evaluation_cost);
    s_assert_same_double(seen->report.evaluation_accuracy, expected->report.evaluation_accuracy);
    assert_string_equal(seen->report.waiting_for, expected->report.waiting_for);
    assert_int_equal(seen->report.n_members, expected->report.n_members);
    assert_int_equal(seen->n_members, expected->n_members);
    for (uint32_t i = 0; i < expected->n_members; i++)
        s_assert_member(&seen->members[i], &expected->members[i]);
    assert_int_equal(seen->n_quarantined, expected->n_quarantined);
    for (uint32_t i = 0; i < expected->n_quarantined; i++) {
        assert_string_equal(seen->quarantined[i].name, expected->quarantined[i].name);
        assert_string_equal(seen->quarantined[i].host, expected->quarantined[i].host);
    }
}

static void s_assert_fields(const wire_t *seen, const wire_t *expected)
{
    switch (expected->type) {
    case WIRE_HELLO:
        assert_string_equal(seen->hello.name, expected->hello.name);
        assert_string_equal(seen->hello.host, expected->hello.host);
        assert_string_equal(seen->hello.kernel, expected->hello.kernel);
        assert_int_equal(seen->hello.threads, expected->hello.threads);
        assert_string_equal(seen->hello.digest, expected->hello.digest);
        assert_int_equal(seen->hello.relays, expected->hello.relays);
        break;
    case WIRE_WELCOME:
        assert_int_equal(seen->welcome.worker, expected->welcome.worker);
        assert_memory_equal(&seen->welcome.model, &expected->welcome.model, sizeof(model_t));
        assert_int_equal(seen->welcome.sampler.seed, expected->welcome.sampler.seed);
        assert_true(seen->welcome.sampler.fraction == expected->welcome.sampler.fraction);
        assert_int_equal(seen->welcome.sampler.batch_rows, expected->welcome.sampler.batch_rows);
        assert_null(
            augment_difference(&seen->welcome.sampler.augment, &expected->welcome.sampler.augment));
        assert_int_equal(seen->welcome.sampler.n_rows, expected->welcome.sampler.n_rows);
        assert_int_equal(seen->welcome.sampler.block_rows, expected->welcome.sampler.block_rows);
        assert_string_equal(seen->welcome.digest, expected->welcome.digest);
        assert_string_equal(seen->welcome.kernel, expected->welcome.kernel);
        assert_int_equal(seen->welcome.heartbeat_ms, expected->welcome.heartbeat_ms);
        assert_string_equal(seen->welcome.data, expected->welcome.data);
        assert_string_equal(seen->welcome.weights, expected->welcome.weights);
        assert_string_equal(seen->welcome.gradients, expected->welcome.gradients);
        assert_true(seen->welcome.audit == expected->welcome.audit);
        assert_int_equal(seen->welcome.evaluation_rows, expected->welcome.evaluation_rows);
        assert_string_equal(seen->welcome.rows, expected->welcome.rows);
        break;
    case WIRE_REFUSED:
        assert_int_equal(seen->refusal.reason, expected->refusal.reason);
        assert_string_equal(seen->refusal.kernel, expected->refusal.kernel);
        assert_string_equal(seen->refusal.text, expected->refusal.text);
        break;
    case WIRE_READY:
        assert_int_equal(seen->ready.n_params, expected->ready.n_params);
        assert_string_equal(seen->ready.digest, expected->ready.digest);
        break;
    case WIRE_HEARTBEAT:
        assert_int_equal(seen->heartbeat.newest_step, expected->heartbeat.newest_step);
        break;
    case WIRE_STEP:
    case WIRE_ASSIGN:
        assert_int_equal(seen->n_ranges, expected->n_ranges);
        assert_memory_equal(seen->ranges, expected->ranges,
                            expected->n_ranges * sizeof(wire_range_t));
        break;
    case WIRE_PARTIAL:
        assert_int_equal(seen->partial.worker, expected->partial.worker);
        assert_int_equal(seen->partial.node.level, expected->partial.node.level);
        assert_int_equal(seen->partial.node.index, expected->partial.node.index);
        s_assert_same_double(seen->partial.cost, expected->partial.cost);
        assert_int_equal(seen->partial.correct, expected->partial.correct);
        assert_int_equal(seen->partial.rows, expected->partial.rows);
        break;
    case WIRE_FETCH:
        assert_int_equal(seen->fetch.first, expected->fetch.first);
        assert_int_equal(seen->fetch.n_rows, expected->fetch.n_rows);
        break;
    case WIRE_ROWS:
        assert_int_equal(seen->rows.first, expected->rows.first);
        assert_int_equal(seen->rows.n_rows, expected->rows.n_rows);
        assert_memory_equal(seen->rows.labels, expected->rows.labels, expected->rows.n_rows);
        break;
    case WIRE_REPORT:
        s_assert_report(seen, expected);
        break;
    case WIRE_EVALUATE:
        assert_int_equal(seen->evaluate.step, expected->evaluate.step);
        assert_int_equal(seen->n_ranges, expected->n_ranges);
        assert_memory_equal(seen->ranges, expected->ranges,
                            expected->n_ranges * sizeof(wire_range_t));
        break;
    case WIRE_EVALUATED:
        assert_int_equal(seen->score.step, expected->score.step);
        assert_int_equal(seen->score.first, expected->score.first);
        assert_int_equal(seen->score.end, expected->score.end);
        s_assert_same_double(seen->score.cost, expected->score.cost);
        assert_int_equal(seen->score.correct, expected->score.correct);
        break;
    case WIRE_BYE:
    case WIRE_REJOIN:
    case WIRE_END:
    case WIRE_STATUS:
        break;
    }
}

static void test_every_type_comes_back(void **state)
{
    codec_t *codec = *state;
    for (wire_type_t type = FIRST; type <= LAST; type++) {
        size_t size;
        uint8_t *header = s_header(codec, type, &size);
        wire_t sent = wire_sample(type);
        const wire_t *seen = &codec->message;
        assert_int_equal(wire_decode(codec->buffer, header, size, &codec->message), WIRE_OK);
        assert_int_equal(seen->version, WIRE_VERSION);
        assert_int_equal(seen->type, type);
        assert_int_equal(seen->run, sent.run);
        assert_int_equal(seen->incarnation, sent.incarnation);
        assert_int_equal(seen->step, sent.step);
        s_assert_fields(seen, &sent);
        assert_string_not_equal(wire_type_name(type), "?");
        free(header);
    }
    assert_string_equal(wire_type_name((wire_type_t)0), "?");
    assert_string_equal(wire_type_name((wire_type_t)(LAST + 1)), "?");
    for (wire_status_t status = WIRE_OK; status <= WIRE_BAD_FRAME; status++)
        assert_string_not_equal(wire_status_text(status), "?");
}

static void test_cut_off_anywhere(void **state)
{
    codec_t *codec = *state;
    for (wire_type_t type = FIRST; type <= LAST; type++) {
        size_t size;
        uint8_t *header = s_header(codec, type, &size);
        for (size_t n = 0; n < size; n++)
            assert_int_equal(s_decode(codec, header, n),
                             n < size - 8 ? WIRE_BAD_BYTES : WIRE_BAD_DIGEST);
        uint8_t *longer = calloc(1, size + 1);
        memcpy(longer, header, size);
        assert_int_equal(s_decode(codec, longer, size + 1), WIRE_BAD_DIGEST);
        free(longer);
        free(header);
    }
}

/* Whatever bit of a header was damaged, it is refused; and so it is when the damage was done before
 * the digest was made, or is let through and means something else. */
static void test_any_bit_flipped(void **state)
{
    codec_t *codec = *state;
    for (wire_type_t type = FIRST; type <= LAST; type++) {
        size_t size;
        uint8_t *header = s_header(codec, type, &size);
        for (size_t bit = 0; bit < size * 8; bit++) {
            header[bit / 8] ^= (uint8_t)(1 << bit % 8);
            wire_status_t status = s_decode(codec, header, size);
            assert_true(status > WIRE_OK && status <= WIRE_BAD_DIGEST);
            assert_int_not_equal(status, WIRE_BAD_VERSION); /* which ends a worker */
            if (bit / 8 < size - 8) {
                status = s_decode_sealed(codec, header, size - 8);
                assert_true(status >= WIRE_OK && status <= WIRE_BAD_FIELD);
                if (bit < 8 * 8) /* the array of eight and "drover" */
                    assert_int_not_equal(status, WIRE_OK);
            }
            header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(s_decode(codec, header, size), WIRE_OK);
        free(header);
    }
}

static void test_random_bytes(void **state)
{
    codec_t *codec = *state;
    srand(11);
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[64] = {0};
        size_t size = (size_t)rand() % sizeof(bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)rand();
        if (size > 7 && round % 2) /* get past the first look */
            memcpy(bytes,
                   "\x98\xa6"
                   "drover\x01",
                   size < 9 ? size : 9);
        assert_int_not_equal(s_decode(codec, bytes, size), WIRE_OK);
        assert_true(s_decode_sealed(codec, bytes, size) <= WIRE_BAD_FIELD);
    }
}

/* MessagePack from a notation: [ ] arrays, 'text', numbers, d1.5 doubles, f floats, n nil, t true,
 * { } an empty map, x an extension, @20 a text of 20 letters, #20 bytes of that length, *20 that
 * many times the number 1. */
static uint8_t *s_packed(const char *text, size_t *size)
{
    uint8_t *bytes = malloc(2u << 20);
    uint8_t *p = bytes;
    struct {
        uint8_t *count; /* where the array's count belongs */
        uint32_t n;
    } open[16] = {{NULL, 0}};
    int depth = 0;
    for (const char *at = text; *at;) {
        char c = *at++;
        char *rest = (char *)at;
        uint32_t n = 1;
        if (c == ' ')
            continue;
        if (c == ']') {
            depth--;
            uint8_t *count = open[depth].count;
            for (int i = 0; count && i < 4; i++)
                count[i] = (uint8_t)(open[depth].n >> (24 - 8 * i));
            continue;
        }
        if (c == '*') {
            n = (uint32_t)strtoul(at, &rest, 10);
            memset(p, 1, n);
            p += n;
        }
        if (depth > 0)
            open[depth - 1].n += n;
        if (c == '[') {
            *p++ = 0xdd;
            open[depth].count = p;
            open[depth++].n = 0;
            p += 4;
        } else if (c == '\'') {
            size_t length = strcspn(at, "'");
            *p++ = 0xd9;
            *p++ = (uint8_t)length;
            memcpy(p, at, length);
            p += length;
            rest = (char *)at + length + 1;
        } else if (c == '@' || c == '#') {
            unsigned long length = strtoul(at, &rest, 10);
            *p++ = c == '@' ? 0xda : 0xc5;
            *p++ = (uint8_t)(length >> 8);
            *p++ = (uint8_t)length;
            memset(p, 'a', length);
            p += length;
        } else if (c == 'd') {
            union {
                double number;
                uint64_t bits;
            } value = {strtod(at, &rest)};
            *p++ = 0xcb;
            for (int i = 56; i >= 0; i -= 8)
                *p++ = (uint8_t)(value.bits >> i);
        } else if (c == 'f') {
            memcpy(p, "\xca\x3f\x80\x00\x00", 5);
            p += 5;
        } else if (c == 'n') {
            *p++ = 0xc0;
        } else if (c == 't') {
            *p++ = 0xc3;
        } else if (c == '{') {
            *p++ = 0x80;
            rest = (char *)at + 1;
        } else if (c == 'x') {
            memcpy(p, "\xd4\x01\x00", 3);
            p += 3;
        } else if (c != '*') {
            bool negative = c == '-';
            uint64_t value =
                negative ? (uint64_t)strtoll(at - 1, &rest, 10) : strtoull(at - 1, &rest, 10);
            if (!negative && value < 128) {
                *p++ = (uint8_t)value;
            } else {
                *p++ = negative ? 0xd3 : 0xcf;
                for (int i = 56; i >= 0; i -= 8)
                    *p++ = (uint8_t)(value >> i);
            }
        }
        at = rest;
    }
    assert_int_equal(depth, 0);
    *size = (size_t)(p - bytes);
    return bytes;
}

#define HEAD(type)  "['drover' 1 " #type " 7 1 5 0 "
#define LAYERS      "[['dense' 64 'tanh' d0 0 0 0] ['dense' 10 'sigmoid' d0 0 0 0]]"
#define SAMPLER     "1 d0.7 60000 512"
#define PLANES      "':1' ':2' ':3' d0 'sse' [] 0"
#define WELCOME(xs) HEAD(2) "[" xs " 0 '' []]]" /* no rows to evaluate on, none altered */
#define AUGMENT(n_inputs, xs)                                                                      \
    HEAD(2) "[1 " n_inputs " " LAYERS SAMPLER "'d' 'k' 100" PLANES " 0 '' [" xs "]]]"
#define SPEEDS     "'u' 1 2 d1 d2 d0.5 dnan d1 d9 5 d1 dnan "
#define REPORT(xs) HEAD(15) "['server' " SPEEDS "'' " xs "]]"
#define MEMBER     "1 'n' 'h' 'k' 4 1 'active' d1 1 1 1 1 1"

static const struct {
    const char *what;
    const char *message;
    wire_status_t status;
} s_cases[] = {
    {"a heartbeat", HEAD(5) "[9]]", WIRE_OK},
    {"nil", "n", WIRE_BAD_MAGIC},
    {"a number", "17", WIRE_BAD_MAGIC},
    {"a text", "'drover'", WIRE_BAD_MAGIC},
    {"an empty array", "[]", WIRE_BAD_MAGIC},
    {"the magic alone", "['drover']", WIRE_BAD_MAGIC},
    {"another magic", "['Drover' 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"a longer magic", "['drovers' 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"a short magic", "['drove' 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"magic as bytes", "[#6 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"magic as a number", "[1 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"a map", "{}", WIRE_BAD_BYTES},
    {"a map inside", HEAD(5) "[{}]]", WIRE_BAD_BYTES},
    {"an extension", "x", WIRE_BAD_BYTES},
    {"an extension inside", HEAD(5) "[x]]", WIRE_BAD_BYTES},
    {"too deep", HEAD(2) "[1 [2 [[[3]]]]]]", WIRE_BAD_BYTES},
    {"two objects", "1 1", WIRE_BAD_MAGIC},
    {"a heartbeat and a number", HEAD(5) "[9]] 1", WIRE_BAD_DIGEST},
    {"a version to come and more", "['drover' 2] {} 1 2 3 x", WIRE_BAD_DIGEST},
    {"a version to come", "['drover' 2 99 n]", WIRE_BAD_VERSION},
    {"version 0", "['drover' 0]", WIRE_BAD_VERSION},
    {"the largest version", "['drover' 4294967295 5 7 1 5 0 [9]]", WIRE_BAD_VERSION},
    {"a version past that", "['drover' 4294967296 5 7 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"a version in words", "['drover' 'one' 5 7 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"a negative version", "['drover' -1 5 7 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"type 0", HEAD(0) "[]]", WIRE_BAD_TYPE},
    {"type 18", HEAD(18) "[]]", WIRE_BAD_TYPE},
    {"a huge type", HEAD(18446744073709551615) "[]]", WIRE_BAD_TYPE},
    {"a type that is a word", HEAD('STEP') "[]]", WIRE_BAD_FIELD},
    {"a negative type", HEAD(-1) "[]]", WIRE_BAD_FIELD},
    {"no type", "['drover' 1]", WIRE_BAD_FIELD},
    {"no fields", "['drover' 1 5 7 1 5 0]", WIRE_BAD_FIELD},
    {"fields that are none", "['drover' 1 5 7 1 5 0 9]", WIRE_BAD_FIELD},
    {"nine elements", HEAD(5) "[9] 1]", WIRE_BAD_FIELD},
    {"a run of another type", "['drover' 1 5 '7' 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"the largest run", "['drover' 1 5 18446744073709551615 1 5 0 [9]]", WIRE_OK},
    {"an incarnation too large", "['drover' 1 5 7 4294967296 5 0 [9]]", WIRE_BAD_FIELD},
    {"a negative step", "['drover' 1 5 7 1 -5 0 [9]]", WIRE_BAD_FIELD},
    {"a step that is a double", "['drover' 1 5 7 1 d5 0 [9]]", WIRE_BAD_FIELD},
    {"a digest that is nil", "['drover' 1 5 7 1 5 n [9]]", WIRE_BAD_FIELD},

    {"HELLO", HEAD(1) "['n' 'h' 'k' 1 '' 0]]", WIRE_OK},
    {"HELLO of a relay", HEAD(1) "['n' 'h' 'k' 1 '' 1]]", WIRE_OK},
    {"HELLO of the most relays", HEAD(1) "['n' 'h' 'k' 1 '' 255]]", WIRE_OK},
    {"HELLO of too many relays", HEAD(1) "['n' 'h' 'k' 1 '' 256]]", WIRE_BAD_FIELD},
    {"HELLO, truly a relay", HEAD(1) "['n' 'h' 'k' 1 '' t]]", WIRE_BAD_FIELD},
    {"HELLO without its last field", HEAD(1) "['n' 'h' 'k' 1 '']]", WIRE_BAD_FIELD},
    {"HELLO with one more field", HEAD(1) "['n' 'h' 'k' 1 '' 0 0]]", WIRE_BAD_FIELD},
    {"HELLO, a number for a name", HEAD(1) "[5 'h' 'k' 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, bytes for a name", HEAD(1) "[#5 'h' 'k' 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, the longest name", HEAD(1) "[@63 @63 @31 1 @32 0]]", WIRE_OK},
    {"HELLO, a name too long", HEAD(1) "[@64 'h' 'k' 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, a host too long", HEAD(1) "['n' @64 'k' 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, a kernel too long", HEAD(1) "['n' 'h' @32 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, a digest too long", HEAD(1) "['n' 'h' 'k' 1 @33 0]]", WIRE_BAD_FIELD},
    {"HELLO, too many threads", HEAD(1) "['n' 'h' 'k' 65537 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, true threads", HEAD(1) "['n' 'h' 'k' t '' 0]]", WIRE_BAD_FIELD},

    {"WELCOME", WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100" PLANES), WIRE_OK},
    {"WELCOME, no layer", WELCOME("1 784 []" SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, no inputs", WELCOME("1 0 " LAYERS SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, too wide an input", WELCOME("1 65537 " LAYERS SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer without units",
     WELCOME("1 784 [['dense' 0 'tanh' d0 0 0 0]]" SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, too wide a layer",
     WELCOME("1 784 [['dense' 65537 'tanh' d0 0 0 0]]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, too many parameters",
     WELCOME("1 65536 [['dense' 65536 'tanh' d0 0 0 0]]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, an unknown activation",
     WELCOME("1 784 [['dense' 10 'step' d0 0 0 0]]" SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, a layer of eight",
     WELCOME("1 784 [['dense' 10 'tanh' d0 0 0 0 1]]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer of one", WELCOME("1 784 [['dense']]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer that is none", WELCOME("1 784 [10]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, convolution and pool",
     WELCOME("1 784 [['conv' 4 'relu' d0.5 5 1 2] ['max_pool' 0 'tanh' d0 2 2 0] ['dense' 10 "
             "'softmax' d0 0 0 0]]" SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d0 'cross_entropy' [] 0"),
     WIRE_OK},
    {"WELCOME, ten weights",
     WELCOME("1 784 [['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [d1 d1 d1 d1 d1 d1 d1 d1 d1 d0.5] 0"),
     WIRE_OK},
    {"WELCOME, a weight too few",
     WELCOME("1 784 [['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [d1 d1 d1 d1 d1 d1 d1 d1 d1] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a weight of 0",
     WELCOME("1 784 [['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [d1 d1 d1 d1 d1 d1 d1 d1 d1 d0] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, an unknown loss",
     WELCOME("1 784 [['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'hinge' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, cross-entropy without softmax",
     WELCOME("1 784 [['dense' 10 'tanh' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'cross_entropy' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, an unknown kind of layer",
     WELCOME("1 784 [['lstm' 10 'tanh' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, dropout of all",
     WELCOME("1 784 [['dense' 9 'tanh' d1 0 0 0] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, dropout NaN",
     WELCOME("1 784 [['dense' 9 'tanh' dnan 0 0 0] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a stride of 0",
     WELCOME("1 784 [['conv' 4 'relu' d0 5 0 2] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a window larger than the image",
     WELCOME("1 784 [['conv' 4 'relu' d0 29 1 0] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a huge padding",
     WELCOME("1 784 [['conv' 4 'relu' d0 5 1 4294967295] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a convolution at the end",
     WELCOME("1 784 [['conv' 4 'relu' d0 5 1 2]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a batch",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 60000"), WIRE_OK},
    {"WELCOME, a batch of more than there are",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 60001"),
     WIRE_BAD_FIELD},
    {"WELCOME, altered rows", AUGMENT("784", "d2 d15 d0.1 d0.2 d34 d4"), WIRE_OK},
    {"WELCOME, rows altered by nothing", AUGMENT("784", "d0 d0 d0 d0 d0 d0"), WIRE_OK},
    {"WELCOME, altered by five", AUGMENT("784", "d2 d15 d0.1 d0.2 d34"), WIRE_BAD_FIELD},
    {"WELCOME, altered by seven", AUGMENT("784", "d2 d15 d0.1 d0.2 d34 d4 d1"), WIRE_BAD_FIELD},
    {"WELCOME, by an integer", AUGMENT("784", "d2 15 d0.1 d0.2 d34 d4"), WIRE_BAD_FIELD},
    {"WELCOME, altered below 0", AUGMENT("784", "d-1 d15 d0.1 d0.2 d34 d4"), WIRE_BAD_FIELD},
    {"WELCOME, altered by NaN", AUGMENT("784", "d2 dnan d0.1 d0.2 d34 d4"), WIRE_BAD_FIELD},
    {"WELCOME, scaled by too much", AUGMENT("784", "d2 d15 d1 d0.2 d34 d4"), WIRE_BAD_FIELD},
    {"WELCOME, not smooth", AUGMENT("784", "d2 d15 d0.1 d0.2 d34 d0"), WIRE_BAD_FIELD},
    {"WELCOME, altered, but no images", AUGMENT("783", "d1 d0 d0 d0 d0 d0"), WIRE_BAD_FIELD},
    {"WELCOME, too many layers", WELCOME("1 784 [*33]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, fraction 0", WELCOME("1 784 " LAYERS "1 d0 60000 512 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, fraction 1", WELCOME("1 784 " LAYERS "1 d1 60000 512 'd' 'k' 100" PLANES), WIRE_OK},
    {"WELCOME, fraction 1.1", WELCOME("1 784 " LAYERS "1 d1.1 60000 512 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, fraction NaN", WELCOME("1 784 " LAYERS "1 dnan 60000 512 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a fraction of 32 bits", WELCOME("1 784 " LAYERS "1 f 60000 512 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME with rows to evaluate on",
     HEAD(2) "[1 784 " LAYERS SAMPLER "'d' 'k' 100" PLANES " 4294907295 'r' []]]", WIRE_OK},
    {"WELCOME with more rows than have numbers",
     HEAD(2) "[1 784 " LAYERS SAMPLER "'d' 'k' 100" PLANES " 4294907296 'r' []]]", WIRE_BAD_FIELD},
    {"WELCOME without a name of its rows",
     HEAD(2) "[1 784 " LAYERS SAMPLER "'d' 'k' 100" PLANES " 0 []]]", WIRE_BAD_FIELD},
    {"WELCOME, no rows", WELCOME("1 784 " LAYERS "1 d1 0 512 'd' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, blocks of no rows", WELCOME("1 784 " LAYERS "1 d1 9 0 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, blocks too large", WELCOME("1 784 " LAYERS "1 d1 9 65537 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a tree too large", WELCOME("1 784 " LAYERS "1 d1 4294967295 1 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, no heartbeat", WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 0" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, audit 1",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d1 'sse' [] 0"), WIRE_OK},
    {"WELCOME, audit 1.1",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d1.1 'sse' [] 0"), WIRE_BAD_FIELD},
    {"WELCOME, audit below 0",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d-0.1 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, audit NaN",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' dnan 'sse' [] 0"), WIRE_BAD_FIELD},
    {"WELCOME without audit",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' 'sse' [] 0"), WIRE_BAD_FIELD},
    {"WELCOME, a plane too long", WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' @64 d0"),
     WIRE_BAD_FIELD},

    {"REFUSED", HEAD(3) "[6 '' 'text']]", WIRE_OK},
    {"REFUSED for no reason", HEAD(3) "[0 '' 'text']]", WIRE_BAD_FIELD},
    {"REFUSED for another reason", HEAD(3) "[7 '' 'text']]", WIRE_BAD_FIELD},
    {"REFUSED at length", HEAD(3) "[1 '' @256]]", WIRE_BAD_FIELD},
    {"READY", HEAD(4) "[18446744073709551615 'd']]", WIRE_OK},
    {"READY, negative", HEAD(4) "[-4 'd']]", WIRE_BAD_FIELD},
    {"a heartbeat too large", HEAD(5) "[4294967296]]", WIRE_BAD_FIELD},
    {"BYE", HEAD(6) "[]]", WIRE_OK},
    {"BYE with a field", HEAD(6) "[1]]", WIRE_BAD_FIELD},
    {"REJOIN with a field", HEAD(7) "[n]]", WIRE_BAD_FIELD},
    {"END with a field", HEAD(9) "['']]", WIRE_BAD_FIELD},

    {"ASSIGN of nothing", HEAD(8) "[[]]]", WIRE_OK},
    {"ASSIGN", HEAD(8) "[[1 0 1]]]", WIRE_OK},
    {"ASSIGN without an array", HEAD(8) "[1]]", WIRE_BAD_FIELD},
    {"ASSIGN of two numbers", HEAD(8) "[[1 0]]]", WIRE_BAD_FIELD},
    {"ASSIGN of an empty range", HEAD(8) "[[1 4 4]]]", WIRE_BAD_FIELD},
    {"ASSIGN of a range turned round", HEAD(8) "[[1 0 3 2 9 7]]]", WIRE_BAD_FIELD},
    {"ASSIGN of a word", HEAD(8) "[[1 0 'x']]]", WIRE_BAD_FIELD},
    {"ASSIGN past 2^32", HEAD(8) "[[1 0 4294967296]]]", WIRE_BAD_FIELD},
    {"EVALUATE", HEAD(16) "[7 [1 0 512]]]", WIRE_OK},
    {"EVALUATE without ranges", HEAD(16) "[7]]", WIRE_BAD_FIELD},
    {"EVALUATE of an empty range", HEAD(16) "[7 [1 512 512]]]", WIRE_BAD_FIELD},
    {"EVALUATED", HEAD(17) "[7 0 512 dnan 18446744073709551615]]", WIRE_OK},
    {"EVALUATED, no rows", HEAD(17) "[7 512 512 d1 0]]", WIRE_BAD_FIELD},
    {"EVALUATED, a cost of 32 bits", HEAD(17) "[7 0 512 f 0]]", WIRE_BAD_FIELD},
    {"STEP of too many ranges", HEAD(10) "[[*196611]]]", WIRE_BAD_FIELD},
    {"a STEP longer than a header may be", HEAD(10) "[[*1048576]]]", WIRE_BAD_BYTES},

    {"PARTIAL", HEAD(11) "[1 32 4294967295 d-0.5 2 3]]", WIRE_OK},
    {"PARTIAL of NaN", HEAD(11) "[1 0 0 dnan 2 3]]", WIRE_OK}, /* the aggregate refuses it */
    {"PARTIAL, level 33", HEAD(11) "[1 33 0 d1 2 3]]", WIRE_BAD_FIELD},
    {"PARTIAL, an index too large", HEAD(11) "[1 0 4294967296 d1 2 3]]", WIRE_BAD_FIELD},
    {"PARTIAL, a whole cost", HEAD(11) "[1 0 0 1 2 3]]", WIRE_BAD_FIELD},
    {"PARTIAL, negative rows", HEAD(11) "[1 0 0 d1 2 -3]]", WIRE_BAD_FIELD},
    {"FETCH", HEAD(12) "[0 4096]]", WIRE_OK},
    {"FETCH of too many rows", HEAD(12) "[0 4097]]", WIRE_BAD_FIELD},
    {"ROWS", HEAD(13) "[0 4 #4]]", WIRE_OK},
    {"the most ROWS", HEAD(13) "[0 4096 #4096]]", WIRE_OK},
    {"ROWS, too many", HEAD(13) "[0 4097 #4097]]", WIRE_BAD_FIELD},
    {"ROWS, none", HEAD(13) "[0 0 #0]]", WIRE_BAD_FIELD},
    {"ROWS, a label too few", HEAD(13) "[0 4 #3]]", WIRE_BAD_FIELD},
    {"ROWS, a label too many", HEAD(13) "[0 4 #5]]", WIRE_BAD_FIELD},
    {"ROWS, labels as text", HEAD(13) "[0 4 @4]]", WIRE_BAD_FIELD},

    {"STATUS", HEAD(14) "[]]", WIRE_OK},
    {"STATUS with a field", HEAD(14) "[1]]", WIRE_BAD_FIELD},
    {"REPORT of nobody", REPORT("0 [] []"), WIRE_OK},
    {"REPORT of some that are not listed", REPORT("4294967295 [] []"), WIRE_OK},
    {"REPORT", REPORT("1 [[" MEMBER "]] [['n' 'h']]"), WIRE_OK},
    {"REPORT of more than there are", REPORT("1 [[" MEMBER "] [" MEMBER "]] []"), WIRE_BAD_FIELD},
    {"REPORT, a role too long", HEAD(15) "[@16 " SPEEDS "'' 0 [] []]]", WIRE_BAD_FIELD},
    {"REPORT, waiting too long", HEAD(15) "['r' " SPEEDS "@256 0 [] []]]", WIRE_BAD_FIELD},
    {"REPORT without members", REPORT("0 []"), WIRE_BAD_FIELD},
    {"REPORT, members that are none", REPORT("0 0 []"), WIRE_BAD_FIELD},
    {"REPORT, quarantined that are none", REPORT("0 [] 0"), WIRE_BAD_FIELD},
    {"REPORT, a member that is none", REPORT("1 [1] []"), WIRE_BAD_FIELD},
    {"REPORT, a member of nothing", REPORT("1 [[]] []"), WIRE_BAD_FIELD},
    {"REPORT, a member with one more", REPORT("1 [[" MEMBER " 1]] []"), WIRE_BAD_FIELD},
    {"REPORT, a member and then none", REPORT("2 [[" MEMBER "] [1]] []"), WIRE_BAD_FIELD},
    {"REPORT, a member none and then one", REPORT("2 [[1] [" MEMBER "]] []"), WIRE_BAD_FIELD},
    {"REPORT, a state too long", REPORT("1 [[1 'n' 'h' 'k' 1 0 @16 d1 1 1 1 1 1]] []"),
     WIRE_BAD_FIELD},
    {"REPORT, a relay of 2", REPORT("1 [[1 'n' 'h' 'k' 1 2 's' d1 1 1 1 1 1]] []"), WIRE_BAD_FIELD},
    {"REPORT, a whole speed", REPORT("1 [[1 'n' 'h' 'k' 1 0 's' 1 1 1 1 1 1]] []"), WIRE_BAD_FIELD},
    {"REPORT, too many members", REPORT("4097 [*4097] []"), WIRE_BAD_FIELD},
    {"REPORT, too many quarantined", REPORT("0 [] [*257]"), WIRE_BAD_FIELD},
    {"REPORT, one of three quarantined", REPORT("0 [] [['n' 'h' 'x']]"), WIRE_BAD_FIELD},
    {"REPORT, a quarantined name too long", REPORT("0 [] [[@64 'h']]"), WIRE_BAD_FIELD},
    {"REPORT too deep", REPORT("1 [[[1]]] []"), WIRE_BAD_BYTES},
};

static void test_a_table_of_messages(void **state)
{
    codec_t *codec = *state;
    for (size_t i = 0; i < sizeof(s_cases) / sizeof(s_cases[0]); i++) {
        size_t size;
        uint8_t *bytes = s_packed(s_cases[i].message, &size);
        wire_status_t status = s_decode_sealed(codec, bytes, size);
        if (status != s_cases[i].status)
            fail_msg("%s: saw '%s', expected '%s'", s_cases[i].what, wire_status_text(status),
                     wire_status_text(s_cases[i].status));
        free(bytes);
    }
    size_t size;
    uint8_t *bytes = s_packed("['drover' 4294967295]", &size); /* whatever follows or does not */
    assert_int_equal(s_decode_sealed(codec, bytes, size), WIRE_BAD_VERSION);
    assert_int_equal(codec->message.version, UINT32_MAX);
    assert_int_equal(s_decode(codec, bytes, size), WIRE_BAD_DIGEST);
    free(bytes);
}

static void test_most_ranges(void **state)
{
    codec_t *codec = *state;
    wire_t step = wire_sample(WIRE_STEP);
    step.n_ranges = WIRE_MAX_ASSIGNMENTS;
    step.ranges = malloc(step.n_ranges * sizeof(wire_range_t));
    for (uint32_t i = 0; i < step.n_ranges; i++)
        step.ranges[i] = (wire_range_t){i % 100, i, i + 1};
    const void *header;
    size_t size;
    const uint64_t digest = 1;
    wire_encode(codec->other, &step, &digest, &header, &size);
    /* s_put_uint always takes the smallest form, so that a full plan fits */
    assert_true(size <= WIRE_MAX_HEADER_BYTES);
    assert_int_equal(wire_decode(codec->buffer, header, size, &codec->message), WIRE_OK);
    s_assert_fields(&codec->message, &step);
    free(step.ranges);
    /* the room stays for the next, smaller one */
    size_t small_size;
    uint8_t *small = s_header(codec, WIRE_ASSIGN, &small_size);
    const wire_range_t *room = codec->message.ranges;
    assert_int_equal(wire_decode(codec->buffer, small, small_size, &codec->message), WIRE_OK);
    assert_ptr_equal(codec->message.ranges, room);
    assert_int_equal(codec->message.n_ranges, 3);
    free(small);
}

/* The longest REPORT that the bounds allow is no longer than a header may be. */
static void test_most_members(void **state)
{
    codec_t *codec = *state;
    wire_t sent = wire_sample(WIRE_REPORT);
    wire_member_t member = {.number = UINT32_MAX,
                            .threads = UINT32_MAX,
                            .rows_per_s = 1e300,
                            .seen_ms = UINT32_MAX,
                            .owed = UINT32_MAX,
                            .assigned = UINT64_MAX,
                            .reissued = UINT64_MAX,
                            .refused = UINT32_MAX};
    memset(member.name, 'n', sizeof(member.name) - 1);
    memset(member.host, 'h', sizeof(member.host) - 1);
    memset(member.kernel, 'k', sizeof(member.kernel) - 1);
    memset(member.state, 's', sizeof(member.state) - 1);
    wire_quarantined_t who = {{0}, {0}};
    memset(who.name, 'n', sizeof(who.name) - 1);
    memset(who.host, 'h', sizeof(who.host) - 1);
    memset(sent.report.role, 'r', sizeof(sent.report.role) - 1);
    memset(sent.report.upstream, 'u', sizeof(sent.report.upstream) - 1);
    memset(sent.report.waiting_for, 'w', sizeof(sent.report.waiting_for) - 1);
    sent.report.n_members = UINT32_MAX;
    sent.n_members = WIRE_MAX_MEMBERS;
    sent.members = malloc(sent.n_members * sizeof(wire_member_t));
    for (uint32_t i = 0; i < sent.n_members; i++)
        sent.members[i] = member;
    sent.n_quarantined = WIRE_MAX_QUARANTINED;
    sent.quarantined = malloc(sent.n_quarantined * sizeof(wire_quarantined_t));
    for (uint32_t i = 0; i < sent.n_quarantined; i++)
        sent.quarantined[i] = who;
    const void *header;
    size_t size;
    wire_encode(codec->other, &sent, NULL, &header, &size);
    assert_true(size <= WIRE_MAX_HEADER_BYTES);
    assert_int_equal(wire_decode(codec->buffer, header, size, &codec->message), WIRE_OK);
    s_assert_fields(&codec->message, &sent);
    free(sent.members);
    free(sent.quarantined);
    /* the room stays, and another type has none of them */
    size_t small_size;
    uint8_t *small = s_header(codec, WIRE_STATUS, &small_size);
    const wire_member_t *room = codec->message.members;
    assert_int_equal(wire_decode(codec->buffer, small, small_size, &codec->message), WIRE_OK);
    assert_int_equal(codec->message.n_members, 0);
    assert_int_equal(codec->message.n_quarantined, 0);
    assert_ptr_equal(codec->message.members, room);
    free(small);
}

static void test_texts_are_printable(void **state)
{
    codec_t *codec = *state;
    wire_t hello = wire_sample(WIRE_HELLO);
    (void)strcpy(hello.hello.name, "a\n\x1b[2J\x7f\xc3\xa4 b~");
    (void)strcpy(hello.hello.host, "\t");
    const void *header;
    size_t size;
    wire_encode(codec->other, &hello, NULL, &header, &size);
    assert_int_equal(wire_decode(codec->buffer, header, size, &codec->message), WIRE_OK);
    assert_string_equal(codec->message.hello.name, "a??[2J??? b~");
    assert_string_equal(codec->message.hello.host, "?");
    /* a NUL does not end a text early */
    static const uint8_t nul[] = "\x98\xa6"
                                 "drover\x01\x01\x07\x01\x05\x00\x96\xa3"
                                 "a\0b\xa0\xa0\x01\xa0\x00";
    assert_int_equal(s_decode_sealed(codec, nul, sizeof(nul) - 1), WIRE_OK);
    assert_string_equal(codec->message.hello.name, "a?b");
}

static void test_floats_of_frames_are_looked_at(void **state)
{
    (void)state;
    float values[] = {1, 2, 3, 4, 5};
    wire_t message = wire_sample(WIRE_PARTIAL);
    for (int wild = 0; wild < 2; wild++) {
        values[3] = wild ? INFINITY : 4;
        message.frame_digest = wire_digest(values, sizeof(values));
        assert_int_equal(wire_check_frame(&message, values, sizeof(values), true), WIRE_OK);
        assert_int_equal(message.finite, !wild);
        message.finite = true;
        message.frame_digest = wire_digest(values, sizeof(values) - 1);
        assert_int_equal(wire_check_frame(&message, values, sizeof(values) - 1, true), WIRE_OK);
        assert_false(message.finite); /* no floats at all */
    }
}

static void test_frames(void **state)
{
    codec_t *codec = *state;
    for (wire_type_t type = FIRST; type <= LAST; type++) {
        size_t size;
        uint8_t *header = s_header(codec, type, &size);
        assert_int_equal(wire_decode(codec->buffer, header, size, &codec->message), WIRE_OK);
        char frame[] = WIRE_SAMPLES_FRAME;
        size_t n = strlen(frame);
        wire_t *message = &codec->message;
        bool has = wire_has_frame(type);
        assert_int_equal(has, type == WIRE_STEP || type == WIRE_PARTIAL || type == WIRE_ROWS ||
                                  type == WIRE_EVALUATE);
        assert_int_equal(wire_check_frame(message, frame, n, true), has ? WIRE_OK : WIRE_BAD_FRAME);
        assert_int_equal(wire_check_frame(message, NULL, 0, false), has ? WIRE_BAD_FRAME : WIRE_OK);
        assert_int_equal(wire_check_frame(message, frame, n - 1, true), WIRE_BAD_FRAME);
        assert_int_equal(wire_check_frame(message, frame, 0, true), WIRE_BAD_FRAME);
        for (size_t bit = 0; bit < n * 8; bit++) {
            frame[bit / 8] = (char)(frame[bit / 8] ^ 1 << bit % 8);
            assert_int_equal(wire_check_frame(message, frame, n, true), WIRE_BAD_FRAME);
            frame[bit / 8] = (char)(frame[bit / 8] ^ 1 << bit % 8);
        }
        free(header);
    }
}

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static const struct {
    const uint8_t *bytes;
    size_t size;
    int depth;
    size_t object; /* bytes of it; 0: there is none */
} s_bounds[] = {
    {BYTES(""), 4, 0},
    {BYTES("\x00"), 0, 1},
    {BYTES("\x7f"), 0, 1},
    {BYTES("\xe0"), 0, 1},
    {BYTES("\xff"), 0, 1},
    {BYTES("\xc0"), 0, 1},
    {BYTES("\xc2"), 0, 1},
    {BYTES("\xc3"), 0, 1},
    {BYTES("\xc1"), 4, 0},
    {BYTES("\x00\x00"), 4, 1},
    {BYTES("\x90"), 0, 0}, /* even an empty array needs depth */
    {BYTES("\x90"), 1, 1},
    {BYTES("\x91\x90"), 1, 0},
    {BYTES("\x91\x90"), 2, 2},
    {BYTES("\x92\x91\x01\x91\x91\x01"), 3, 6},
    {BYTES("\x92\x91\x01\x91\x91\x01"), 2, 0},
    {BYTES("\x92\x01"), 4, 0},
    {BYTES("\x91\x01\x01"), 4, 2},
    {BYTES("\xdc\x00\x01\x05"), 1, 4},
    {BYTES("\xdc\x00\x02\x05"), 1, 0},
    {BYTES("\xdc\x00"), 1, 0},
    {BYTES("\xdd\x00\x00\x00\x01\x05"), 1, 6},
    {BYTES("\xdd\xff\xff\xff\xff\x05"), 1, 0},
    {BYTES("\xdd\xff\xff\xff"), 1, 0},
    {BYTES("\xa0"), 0, 1},
    {BYTES("\xa2xy"), 0, 3},
    {BYTES("\xa2x"), 0, 0},
    {BYTES("\xbf"), 0, 0},
    {BYTES("\xd9\x01x"), 0, 3},
    {BYTES("\xd9\x02x"), 0, 0},
    {BYTES("\xd9"), 0, 0},
    {BYTES("\xda\x00\x01x"), 0, 4},
    {BYTES("\xda\xff\xffx"), 0, 0},
    {BYTES("\xdb\x00\x00\x00\x01x"), 0, 6},
    {BYTES("\xdb\xff\xff\xff\xffx"), 0, 0},
    {BYTES("\xc4\x01x"), 0, 3},
    {BYTES("\xc4\x02x"), 0, 0},
    {BYTES("\xc5\x00\x01x"), 0, 4},
    {BYTES("\xc5\xff\xffx"), 0, 0},
    {BYTES("\xc6\x00\x00\x00\x01x"), 0, 6},
    {BYTES("\xc6\xff\xff\xff\xffx"), 0, 0},
    {BYTES("\xc6\x00\x00"), 0, 0},
    {BYTES("\xca\x00\x00\x00\x00"), 0, 5},
    {BYTES("\xca\x00\x00\x00"), 0, 0},
    {BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), 0, 9},
    {BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00"), 0, 0},
    {BYTES("\xcc\x01"), 0, 2},
    {BYTES("\xcc"), 0, 0},
    {BYTES("\xcd\x01\x01"), 0, 3},
    {BYTES("\xcd\x01"), 0, 0},
    {BYTES("\xce\x01\x01\x01\x01"), 0, 5},
    {BYTES("\xce\x01\x01\x01"), 0, 0},
    {BYTES("\xcf\x01\x01\x01\x01\x01\x01\x01\x01"), 0, 9},
    {BYTES("\xcf\x01\x01\x01\x01\x01\x01\x01"), 0, 0},
    {BYTES("\xd0\x01"), 0, 2},
    {BYTES("\xd1\x01"), 0, 0},
    {BYTES("\xd2\x01\x01\x01\x01"), 0, 5},
    {BYTES("\xd3\x01\x01\x01\x01\x01\x01\x01\x01"), 0, 9},
    {BYTES("\xd3\x01\x01\x01\x01\x01\x01\x01"), 0, 0},
    {BYTES("\x80"), 4, 0}, /* maps */
    {BYTES("\xde\x00\x00"), 4, 0},
    {BYTES("\xdf\x00\x00\x00\x00"), 4, 0},
    {BYTES("\xd4\x01\x00"), 4, 0}, /* extensions */
    {BYTES("\xd8\x01"), 4, 0},
    {BYTES("\xc7\x00\x01"), 4, 0},
    {BYTES("\xc9\x00\x00\x00\x00\x01"), 4, 0},
};

static void test_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(s_bounds) / sizeof(s_bounds[0]); i++) {
        uint8_t *copy = malloc(s_bounds[i].size ? s_bounds[i].size : 1);
        memcpy(copy, s_bounds[i].bytes, s_bounds[i].size);
        size_t seen = wire_bounds(copy, s_bounds[i].size, s_bounds[i].depth);
        if (seen != s_bounds[i].object)
            fail_msg("case %zu: saw %zu", i, seen);
        free(copy);
    }
    /* a million brackets are no recursion */
    uint8_t *deep = malloc(1 << 20);
    memset(deep, 0x91, 1 << 20);
    assert_int_equal(wire_bounds(deep, 1 << 20, 4), 0);
    /* nor are claims of claims any work: each count lies */
    for (int i = 0; i + 5 <= 1 << 20; i += 5)
        memcpy(deep + i, "\xdd\x00\x0f\x00\x00", 5);
    assert_int_equal(wire_bounds(deep, 1 << 20, 4), 0);
    free(deep);
}

#define codec_test(function) cmocka_unit_test_setup_teardown(function, s_open, s_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(test_every_type_comes_back),
        codec_test(test_cut_off_anywhere),
        codec_test(test_any_bit_flipped),
        codec_test(test_random_bytes),
        codec_test(test_a_table_of_messages),
        codec_test(test_most_ranges),
        codec_test(test_most_members),
        codec_test(test_texts_are_printable),
        cmocka_unit_test(test_floats_of_frames_are_looked_at),
        codec_test(test_frames),
        codec_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
