/* The codec: what is sent comes back, and anything else gets a status. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "proto/wire_bounds.h"
#include "wire_samples.h"

#define FIRST WIRE_HELLO
#define LAST  WIRE_ROWS

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
        wire_encode(codec->other, &codec->message, framed ? "" : NULL, 0, &header, &header_size);
        assert_true(header_size > 0);
    }
    free(copy);
    return status;
}

/* A sample's header; the caller frees it. */
static uint8_t *s_header(codec_t *codec, wire_type_t type, size_t *size)
{
    wire_t message = wire_sample(type);
    const char *frame = wire_has_frame(type) ? WIRE_SAMPLES_FRAME : NULL;
    const void *header;
    wire_encode(codec->other, &message, frame, frame ? strlen(frame) : 0, &header, size);
    uint8_t *copy = malloc(*size);
    memcpy(copy, header, *size);
    return copy;
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
        break;
    case WIRE_WELCOME:
        assert_int_equal(seen->welcome.worker, expected->welcome.worker);
        assert_memory_equal(&seen->welcome.model, &expected->welcome.model, sizeof(model_t));
        assert_int_equal(seen->welcome.sampler.seed, expected->welcome.sampler.seed);
        assert_true(seen->welcome.sampler.fraction == expected->welcome.sampler.fraction);
        assert_int_equal(seen->welcome.sampler.n_rows, expected->welcome.sampler.n_rows);
        assert_int_equal(seen->welcome.sampler.block_rows, expected->welcome.sampler.block_rows);
        assert_string_equal(seen->welcome.digest, expected->welcome.digest);
        assert_string_equal(seen->welcome.kernel, expected->welcome.kernel);
        assert_int_equal(seen->welcome.heartbeat_ms, expected->welcome.heartbeat_ms);
        assert_string_equal(seen->welcome.data, expected->welcome.data);
        assert_string_equal(seen->welcome.weights, expected->welcome.weights);
        assert_string_equal(seen->welcome.gradients, expected->welcome.gradients);
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
        assert_memory_equal(&seen->partial.cost, &expected->partial.cost, sizeof(double));
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
    case WIRE_BYE:
    case WIRE_REJOIN:
    case WIRE_END:
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
            assert_int_equal(s_decode(codec, header, n), WIRE_BAD_BYTES);
        uint8_t *longer = calloc(1, size + 1);
        memcpy(longer, header, size);
        assert_int_equal(s_decode(codec, longer, size + 1), WIRE_BAD_BYTES);
        free(longer);
        free(header);
    }
}

static void test_any_bit_flipped(void **state)
{
    codec_t *codec = *state;
    for (wire_type_t type = FIRST; type <= LAST; type++) {
        size_t size;
        uint8_t *header = s_header(codec, type, &size);
        for (size_t bit = 0; bit < size * 8; bit++) {
            header[bit / 8] ^= (uint8_t)(1 << bit % 8);
            wire_status_t status = s_decode(codec, header, size);
            assert_true(status >= WIRE_OK && status <= WIRE_BAD_FIELD);
            if (bit < 8 * 8) /* the array of eight and "drover" */
                assert_int_not_equal(status, WIRE_OK);
            header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
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
        assert_true(s_decode(codec, bytes, size) <= WIRE_BAD_FIELD);
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
#define LAYERS      "[[64 'tanh'] [10 'sigmoid']]"
#define SAMPLER     "1 d0.7 60000 512"
#define PLANES      "':1' ':2' ':3'"
#define WELCOME(xs) HEAD(2) "[" xs "]]"

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
    {"two objects", "1 1", WIRE_BAD_BYTES},
    {"a version to come", "['drover' 2 99 n]", WIRE_BAD_VERSION},
    {"version 0", "['drover' 0]", WIRE_BAD_VERSION},
    {"the largest version", "['drover' 4294967295 5 7 1 5 0 [9]]", WIRE_BAD_VERSION},
    {"a version past that", "['drover' 4294967296 5 7 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"a version in words", "['drover' 'one' 5 7 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"a negative version", "['drover' -1 5 7 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"type 0", HEAD(0) "[]]", WIRE_BAD_TYPE},
    {"type 14", HEAD(14) "[]]", WIRE_BAD_TYPE},
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

    {"HELLO", HEAD(1) "['n' 'h' 'k' 1 '']]", WIRE_OK},
    {"HELLO without its last field", HEAD(1) "['n' 'h' 'k' 1]]", WIRE_BAD_FIELD},
    {"HELLO with one more field", HEAD(1) "['n' 'h' 'k' 1 '' 1]]", WIRE_BAD_FIELD},
    {"HELLO, a number for a name", HEAD(1) "[5 'h' 'k' 1 '']]", WIRE_BAD_FIELD},
    {"HELLO, bytes for a name", HEAD(1) "[#5 'h' 'k' 1 '']]", WIRE_BAD_FIELD},
    {"HELLO, the longest name", HEAD(1) "[@63 @63 @31 1 @32]]", WIRE_OK},
    {"HELLO, a name too long", HEAD(1) "[@64 'h' 'k' 1 '']]", WIRE_BAD_FIELD},
    {"HELLO, a host too long", HEAD(1) "['n' @64 'k' 1 '']]", WIRE_BAD_FIELD},
    {"HELLO, a kernel too long", HEAD(1) "['n' 'h' @32 1 '']]", WIRE_BAD_FIELD},
    {"HELLO, a digest too long", HEAD(1) "['n' 'h' 'k' 1 @33]]", WIRE_BAD_FIELD},
    {"HELLO, too many threads", HEAD(1) "['n' 'h' 'k' 65537 '']]", WIRE_BAD_FIELD},
    {"HELLO, true threads", HEAD(1) "['n' 'h' 'k' t '']]", WIRE_BAD_FIELD},

    {"WELCOME", WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100" PLANES), WIRE_OK},
    {"WELCOME, no layer", WELCOME("1 784 []" SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, no inputs", WELCOME("1 0 " LAYERS SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, too wide an input", WELCOME("1 65537 " LAYERS SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer without units", WELCOME("1 784 [[0 'tanh']]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, too wide a layer", WELCOME("1 784 [[65537 'tanh']]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, too many parameters",
     WELCOME("1 65536 [[65536 'tanh']]" SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, an unknown activation", WELCOME("1 784 [[10 'step']]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer of three", WELCOME("1 784 [[10 'tanh' 1]]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer of one", WELCOME("1 784 [[10]]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer that is none", WELCOME("1 784 [10]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
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
    {"WELCOME, no rows", WELCOME("1 784 " LAYERS "1 d1 0 512 'd' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, blocks of no rows", WELCOME("1 784 " LAYERS "1 d1 9 0 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, blocks too large", WELCOME("1 784 " LAYERS "1 d1 9 65537 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a tree too large", WELCOME("1 784 " LAYERS "1 d1 4294967295 1 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, no heartbeat", WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 0" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, a plane too long", WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' @64"),
     WIRE_BAD_FIELD},

    {"REFUSED", HEAD(3) "[5 '' 'text']]", WIRE_OK},
    {"REFUSED for no reason", HEAD(3) "[0 '' 'text']]", WIRE_BAD_FIELD},
    {"REFUSED for another reason", HEAD(3) "[6 '' 'text']]", WIRE_BAD_FIELD},
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
};

static void test_a_table_of_messages(void **state)
{
    codec_t *codec = *state;
    for (size_t i = 0; i < sizeof(s_cases) / sizeof(s_cases[0]); i++) {
        size_t size;
        uint8_t *bytes = s_packed(s_cases[i].message, &size);
        wire_status_t status = s_decode(codec, bytes, size);
        if (status != s_cases[i].status)
            fail_msg("%s: saw '%s', expected '%s'", s_cases[i].what, wire_status_text(status),
                     wire_status_text(s_cases[i].status));
        free(bytes);
    }
    size_t size;
    uint8_t *bytes = s_packed("['drover' 4294967295]", &size);
    assert_int_equal(s_decode(codec, bytes, size), WIRE_BAD_VERSION);
    assert_int_equal(codec->message.version, UINT32_MAX);
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
    wire_encode(codec->other, &step, "", 0, &header, &size);
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

static void test_texts_are_printable(void **state)
{
    codec_t *codec = *state;
    wire_t hello = wire_sample(WIRE_HELLO);
    (void)strcpy(hello.hello.name, "a\n\x1b[2J\x7f\xc3\xa4 b~");
    (void)strcpy(hello.hello.host, "\t");
    const void *header;
    size_t size;
    wire_encode(codec->other, &hello, NULL, 0, &header, &size);
    assert_int_equal(wire_decode(codec->buffer, header, size, &codec->message), WIRE_OK);
    assert_string_equal(codec->message.hello.name, "a??[2J??? b~");
    assert_string_equal(codec->message.hello.host, "?");
    /* a NUL does not end a text early */
    static const uint8_t nul[] = "\x98\xa6"
                                 "drover\x01\x01\x07\x01\x05\x00\x95\xa3"
                                 "a\0b\xa0\xa0\x01\xa0";
    assert_int_equal(s_decode(codec, nul, sizeof(nul) - 1), WIRE_OK);
    assert_string_equal(codec->message.hello.name, "a?b");
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
        const wire_t *message = &codec->message;
        bool has = wire_has_frame(type);
        assert_int_equal(has, type == WIRE_STEP || type == WIRE_PARTIAL || type == WIRE_ROWS);
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
    bool ok;
} s_bounds[] = {
    {BYTES(""), 4, false},
    {BYTES("\x00"), 0, true},
    {BYTES("\x7f"), 0, true},
    {BYTES("\xe0"), 0, true},
    {BYTES("\xff"), 0, true},
    {BYTES("\xc0"), 0, true},
    {BYTES("\xc2"), 0, true},
    {BYTES("\xc3"), 0, true},
    {BYTES("\xc1"), 4, false},
    {BYTES("\x00\x00"), 4, false},
    {BYTES("\x90"), 0, false}, /* even an empty array needs depth */
    {BYTES("\x90"), 1, true},
    {BYTES("\x91\x90"), 1, false},
    {BYTES("\x91\x90"), 2, true},
    {BYTES("\x92\x91\x01\x91\x91\x01"), 3, true},
    {BYTES("\x92\x91\x01\x91\x91\x01"), 2, false},
    {BYTES("\x92\x01"), 4, false},
    {BYTES("\x91\x01\x01"), 4, false},
    {BYTES("\xdc\x00\x01\x05"), 1, true},
    {BYTES("\xdc\x00\x02\x05"), 1, false},
    {BYTES("\xdc\x00"), 1, false},
    {BYTES("\xdd\x00\x00\x00\x01\x05"), 1, true},
    {BYTES("\xdd\xff\xff\xff\xff\x05"), 1, false},
    {BYTES("\xdd\xff\xff\xff"), 1, false},
    {BYTES("\xa0"), 0, true},
    {BYTES("\xa2xy"), 0, true},
    {BYTES("\xa2x"), 0, false},
    {BYTES("\xbf"), 0, false},
    {BYTES("\xd9\x01x"), 0, true},
    {BYTES("\xd9\x02x"), 0, false},
    {BYTES("\xd9"), 0, false},
    {BYTES("\xda\x00\x01x"), 0, true},
    {BYTES("\xda\xff\xffx"), 0, false},
    {BYTES("\xdb\x00\x00\x00\x01x"), 0, true},
    {BYTES("\xdb\xff\xff\xff\xffx"), 0, false},
    {BYTES("\xc4\x01x"), 0, true},
    {BYTES("\xc4\x02x"), 0, false},
    {BYTES("\xc5\x00\x01x"), 0, true},
    {BYTES("\xc5\xff\xffx"), 0, false},
    {BYTES("\xc6\x00\x00\x00\x01x"), 0, true},
    {BYTES("\xc6\xff\xff\xff\xffx"), 0, false},
    {BYTES("\xc6\x00\x00"), 0, false},
    {BYTES("\xca\x00\x00\x00\x00"), 0, true},
    {BYTES("\xca\x00\x00\x00"), 0, false},
    {BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), 0, true},
    {BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00"), 0, false},
    {BYTES("\xcc\x01"), 0, true},
    {BYTES("\xcc"), 0, false},
    {BYTES("\xcd\x01\x01"), 0, true},
    {BYTES("\xcd\x01"), 0, false},
    {BYTES("\xce\x01\x01\x01\x01"), 0, true},
    {BYTES("\xce\x01\x01\x01"), 0, false},
    {BYTES("\xcf\x01\x01\x01\x01\x01\x01\x01\x01"), 0, true},
    {BYTES("\xcf\x01\x01\x01\x01\x01\x01\x01"), 0, false},
    {BYTES("\xd0\x01"), 0, true},
    {BYTES("\xd1\x01"), 0, false},
    {BYTES("\xd2\x01\x01\x01\x01"), 0, true},
    {BYTES("\xd3\x01\x01\x01\x01\x01\x01\x01\x01"), 0, true},
    {BYTES("\xd3\x01\x01\x01\x01\x01\x01\x01"), 0, false},
    {BYTES("\x80"), 4, false}, /* maps */
    {BYTES("\xde\x00\x00"), 4, false},
    {BYTES("\xdf\x00\x00\x00\x00"), 4, false},
    {BYTES("\xd4\x01\x00"), 4, false}, /* extensions */
    {BYTES("\xd8\x01"), 4, false},
    {BYTES("\xc7\x00\x01"), 4, false},
    {BYTES("\xc9\x00\x00\x00\x00\x01"), 4, false},
};

static void test_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(s_bounds) / sizeof(s_bounds[0]); i++) {
        uint8_t *copy = malloc(s_bounds[i].size ? s_bounds[i].size : 1);
        memcpy(copy, s_bounds[i].bytes, s_bounds[i].size);
        if (wire_bounds_ok(copy, s_bounds[i].size, s_bounds[i].depth) != s_bounds[i].ok)
            fail_msg("case %zu", i);
        free(copy);
    }
    /* a million brackets are no recursion */
    uint8_t *deep = malloc(1 << 20);
    memset(deep, 0x91, 1 << 20);
    assert_false(wire_bounds_ok(deep, 1 << 20, 4));
    /* nor are claims of claims any work: each count lies */
    for (int i = 0; i + 5 <= 1 << 20; i += 5)
        memcpy(deep + i, "\xdd\x00\x0f\x00\x00", 5);
    assert_false(wire_bounds_ok(deep, 1 << 20, 4));
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
        codec_test(test_texts_are_printable),
        codec_test(test_frames),
        codec_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
