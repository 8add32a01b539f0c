/* The codec: what is sent comes back, and anything else gets a status. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "proto/wire.h"
#include "wire_samples.h"

#define FIRST WIRE_HELLO
#define LAST  WIRE_EVALUATED

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
            assert_int_equal(codec_decode(codec, header, n),
                             n < size - 8 ? WIRE_BAD_BYTES : WIRE_BAD_DIGEST);
        uint8_t *longer = calloc(1, size + 1);
        memcpy(longer, header, size);
        assert_int_equal(codec_decode(codec, longer, size + 1), WIRE_BAD_DIGEST);
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
            wire_status_t status = codec_decode(codec, header, size);
            assert_true(status > WIRE_OK && status <= WIRE_BAD_DIGEST);
            assert_int_not_equal(status, WIRE_BAD_VERSION); /* which ends a worker */
            if (bit / 8 < size - 8) {
                status = codec_decode_sealed(codec, header, size - 8);
                assert_true(status >= WIRE_OK && status <= WIRE_BAD_FIELD);
                if (bit < 8 * 8) /* the array of eight and "drover" */
                    assert_int_not_equal(status, WIRE_OK);
            }
            header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(codec_decode(codec, header, size), WIRE_OK);
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
        assert_int_not_equal(codec_decode(codec, bytes, size), WIRE_OK);
        assert_true(codec_decode_sealed(codec, bytes, size) <= WIRE_BAD_FIELD);
    }
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
    assert_int_equal(codec_decode_sealed(codec, nul, sizeof(nul) - 1), WIRE_OK);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(test_every_type_comes_back),
        codec_test(test_cut_off_anywhere),
        codec_test(test_any_bit_flipped),
        codec_test(test_random_bytes),
        codec_test(test_most_ranges),
        codec_test(test_most_members),
        codec_test(test_texts_are_printable),
        cmocka_unit_test(test_floats_of_frames_are_looked_at),
        codec_test(test_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
