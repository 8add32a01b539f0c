/* Admission, life signs, speed and quarantine under a clock by hand. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "dispatch/membership.h"

enum {
    LIVENESS_MS = 3000
};

static const char s_digest[] = "0123456789abcdef0123456789abcdef";

static membership_t *s_new(bool strict, const char *kernel)
{
    membership_job_t job = {.n_params = 50, .strict = strict};
    (void)strcpy(job.digest, s_digest);
    (void)strcpy(job.kernel, kernel);
    return membership_new(&job, LIVENESS_MS);
}

static wire_peer_t s_peer(uint8_t number)
{
    return (wire_peer_t){2, {0, number}};
}

static wire_hello_t s_hello(const char *name, const char *kernel)
{
    wire_hello_t hello = {.host = "host", .threads = 2};
    (void)snprintf(hello.name, sizeof(hello.name), "%s", name);
    (void)snprintf(hello.kernel, sizeof(hello.kernel), "%s", kernel);
    return hello;
}

static member_t *s_join(membership_t *members, uint8_t number, const char *name, int64_t now_ms)
{
    wire_peer_t peer = s_peer(number);
    wire_hello_t hello = s_hello(name, "k");
    wire_refusal_t refusal;
    return membership_hello(members, &peer, &hello, now_ms, &refusal);
}

static member_t *s_activate(membership_t *members, member_t *member)
{
    wire_ready_t ready = {.n_params = 50};
    wire_refusal_t refusal;
    (void)strcpy(ready.digest, s_digest);
    assert_true(membership_ready(members, member, &ready, &refusal));
    return member;
}

static void test_joins(void **state)
{
    (void)state;
    membership_t *members = s_new(true, "");
    assert_string_equal(membership_kernel(members), "");
    assert_int_equal(membership_expired(members, 1 << 30), 0);
    for (uint8_t i = 0; i < 40; i++) { /* past the first room */
        member_t *member = s_join(members, i, "w", i);
        assert_non_null(member);
        assert_int_equal(member->id, i + 1);
        assert_int_equal(member->state, MEMBER_JOINING);
        assert_string_equal(member->name, "w");
        assert_string_equal(member->host, "host");
        assert_int_equal(member->threads, 2);
    }
    assert_string_equal(membership_kernel(members), "k"); /* the first worker's */
    assert_int_equal(membership_active(members), 0);
    s_activate(members, membership_by_id(members, 7));
    assert_int_equal(membership_active(members), 1);
    uint32_t n;
    const member_t *list = membership_list(members, &n);
    assert_int_equal(n, 40);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(list[i].id, i + 1);
    wire_peer_t peer = s_peer(6), stranger = s_peer(99), shorter = {1, {0}};
    assert_int_equal(membership_by_peer(members, &peer)->id, 7);
    assert_null(membership_by_peer(members, &stranger));
    assert_null(membership_by_peer(members, &shorter));
    assert_null(membership_by_id(members, 41));
    assert_null(membership_by_id(members, 0));

    /* said again: the same member, still active, and seen */
    member_t *again = s_join(members, 6, "w", 500);
    assert_int_equal(again->id, 7);
    assert_int_equal(again->state, MEMBER_ACTIVE);
    assert_int_equal(again->last_seen_ms, 500);
    membership_list(members, &n);
    assert_int_equal(n, 40);

    membership_remove(members, 7);
    membership_remove(members, 7);
    membership_remove(members, 99);
    assert_null(membership_by_id(members, 7));
    assert_int_equal(membership_by_id(members, 8)->id, 8);
    member_t *back = s_join(members, 6, "w", 600);
    assert_int_equal(back->id, 41); /* numbers are not used twice */
    assert_true(membership_knew(members, 7) && membership_knew(members, 41));
    assert_false(membership_knew(members, 0) || membership_knew(members, 42));
    membership_destroy(&members);
    membership_destroy(&members);
}

static void test_refuses_other_data(void **state)
{
    (void)state;
    membership_t *members = s_new(true, "");
    wire_hello_t hello = s_hello("w", "k");
    wire_peer_t peer = s_peer(1);
    wire_refusal_t refusal;
    (void)strcpy(hello.digest, "ffff");
    assert_null(membership_hello(members, &peer, &hello, 0, &refusal));
    assert_int_equal(refusal.reason, WIRE_REFUSED_DIGEST);
    assert_non_null(strstr(refusal.text, "ffff"));
    assert_non_null(strstr(refusal.text, s_digest));
    assert_string_equal(membership_kernel(members), ""); /* a refused one sets nothing */
    (void)strcpy(hello.digest, s_digest);
    assert_non_null(membership_hello(members, &peer, &hello, 0, &refusal));
    membership_destroy(&members);
}

static void test_kernels_strict_and_fast(void **state)
{
    (void)state;
    for (int strict = 0; strict < 2; strict++) {
        for (int given = 0; given < 2; given++) {
            membership_t *members = s_new(strict, given ? "dense/Zen" : "");
            wire_peer_t first = s_peer(1), second = s_peer(2);
            wire_hello_t zen = s_hello("a", "dense/Zen"), haswell = s_hello("b", "dense/Haswell");
            wire_refusal_t refusal;
            assert_non_null(membership_hello(members, &first, &zen, 0, &refusal));
            assert_string_equal(membership_kernel(members), "dense/Zen");
            member_t *other = membership_hello(members, &second, &haswell, 0, &refusal);
            assert_string_equal(membership_kernel(members), "dense/Zen");
            if (strict) {
                assert_null(other);
                assert_int_equal(refusal.reason, WIRE_REFUSED_KERNEL);
                assert_string_equal(refusal.kernel, "dense/Zen");
                assert_non_null(strstr(refusal.text, "dense/Haswell"));
                haswell = s_hello("b", "dense/Zen");
                assert_non_null(membership_hello(members, &second, &haswell, 0, &refusal));
            } else {
                assert_string_equal(other->kernel, "dense/Haswell");
            }
            membership_remove(members, 1);
            assert_string_equal(membership_kernel(members), "dense/Zen");
            membership_remove(members, 2); /* nobody of them computed anything */
            assert_string_equal(membership_kernel(members), given ? "dense/Zen" : "");
            assert_non_null(membership_hello(members, &first, &zen, 0, &refusal));
            s_activate(members, membership_by_id(members, 3));
            membership_remove(members, 3);
            assert_string_equal(membership_kernel(members), "dense/Zen"); /* bits of it count */
            membership_destroy(&members);
        }
    }
}

static void test_ready_must_fit_the_job(void **state)
{
    (void)state;
    membership_t *members = s_new(true, "");
    wire_ready_t ready = {.n_params = 51};
    wire_refusal_t refusal;
    (void)strcpy(ready.digest, s_digest);
    assert_false(membership_ready(members, s_join(members, 1, "w", 0), &ready, &refusal));
    assert_int_equal(refusal.reason, WIRE_REFUSED_SHAPE);
    assert_non_null(strstr(refusal.text, "51"));
    assert_non_null(strstr(refusal.text, "50"));
    assert_null(membership_by_id(members, 1));
    ready.n_params = 50;
    ready.digest[0] = 'x';
    assert_false(membership_ready(members, s_join(members, 1, "w", 0), &ready, &refusal));
    assert_int_equal(refusal.reason, WIRE_REFUSED_DIGEST);
    assert_null(membership_by_id(members, 2));
    ready.digest[0] = s_digest[0];
    assert_true(membership_ready(members, s_join(members, 1, "w", 0), &ready, &refusal));
    assert_int_equal(membership_active(members), 1);
    membership_destroy(&members);
}

static void test_the_silent_are_lost(void **state)
{
    (void)state;
    membership_t *members = s_new(true, "");
    s_join(members, 1, "a", 0);
    s_activate(members, s_join(members, 2, "b", 100));
    assert_int_equal(membership_expired(members, LIVENESS_MS), 0);
    assert_int_equal(membership_expired(members, LIVENESS_MS + 1), 1);
    membership_by_id(members, 1)->last_seen_ms = LIVENESS_MS;
    assert_int_equal(membership_expired(members, LIVENESS_MS + 100), 0);
    assert_int_equal(membership_expired(members, LIVENESS_MS + 101), 2);
    membership_remove(members, 2);
    assert_int_equal(membership_expired(members, LIVENESS_MS + 101), 0);
    assert_int_equal(membership_expired(members, 2 * LIVENESS_MS + 1), 1);
    membership_destroy(&members);
}

static void test_the_third_bad_partial_is_one_too_many(void **state)
{
    (void)state;
    membership_t *members = s_new(true, "");
    for (int round = 0; round < 3; round++) {
        char name[] = {(char)('a' + round), '\0'};
        member_t *member = s_join(members, (uint8_t)round, name, 0);
        assert_false(membership_bad_partial(members, member));
        assert_false(membership_bad_partial(members, member));
        assert_true(membership_bad_partial(members, member));
        uint32_t n;
        membership_list(members, &n);
        assert_int_equal(n, 0);
    }
    for (int round = 0; round < 3; round++) { /* from wherever it comes back */
        char name[] = {(char)('a' + round), '\0'};
        wire_hello_t hello = s_hello(name, "k");
        wire_peer_t peer = s_peer((uint8_t)(50 + round));
        wire_refusal_t refusal;
        assert_null(membership_hello(members, &peer, &hello, 0, &refusal));
        assert_int_equal(refusal.reason, WIRE_REFUSED_QUARANTINE);
        (void)strcpy(hello.host, "elsewhere"); /* another machine's worker of that name */
        assert_non_null(membership_hello(members, &peer, &hello, 0, &refusal));
    }
    membership_destroy(&members);
}

static void test_relays_below_relays(void **state)
{
    (void)state;
    membership_t *members = s_new(true, "");
    wire_hello_t hello = s_hello("r", "k");
    wire_peer_t peer = s_peer(1), other = s_peer(2), third = s_peer(3);
    wire_refusal_t refusal;
    hello.relays = 8;
    assert_true(membership_hello(members, &peer, &hello, 0, &refusal)->relays == 8);
    hello.relays = 2;
    assert_non_null(membership_hello(members, &other, &hello, 0, &refusal));
    assert_int_equal(membership_relays(members), 8);
    hello.relays = 3; /* said again */
    assert_non_null(membership_hello(members, &peer, &hello, 0, &refusal));
    assert_int_equal(membership_relays(members), 3);
    hello.relays = 9;
    assert_null(membership_hello(members, &third, &hello, 0, &refusal));
    assert_int_equal(refusal.reason, WIRE_REFUSED_RELAYS);
    memset(&refusal, 0, sizeof(refusal));
    assert_null(membership_hello(members, &peer, &hello, 0, &refusal));
    assert_int_equal(refusal.reason, WIRE_REFUSED_RELAYS);
    membership_destroy(&members);
}

/* For what one of them did, present or not: all of that name and host. */
static void test_exclusion(void **state)
{
    (void)state;
    membership_t *members = s_new(true, "");
    uint32_t old = s_join(members, 1, "a", 0)->id, n;
    membership_remove(members, old);
    uint32_t now = s_join(members, 2, "a", 0)->id;
    assert_false(membership_quarantined(members, old) || membership_quarantined(members, now));
    wire_hello_t hello = s_hello("a", "k");
    membership_exclude(members, now, hello.name, hello.host);
    membership_exclude(members, old, hello.name, hello.host);
    assert_true(membership_quarantined(members, old) && membership_quarantined(members, now));
    assert_null(membership_by_id(members, now));
    wire_peer_t peer = s_peer(3);
    wire_refusal_t refusal;
    assert_null(membership_hello(members, &peer, &hello, 0, &refusal));
    assert_int_equal(refusal.reason, WIRE_REFUSED_QUARANTINE);
    const wire_quarantined_t *listed = membership_quarantine(members, &n);
    assert_int_equal(n, 1); /* it is one */
    assert_string_equal(listed->name, "a");
    membership_destroy(&members);
}

static void test_speed(void **state)
{
    (void)state;
    membership_t *members = s_new(true, "");
    member_t *a = s_join(members, 1, "a", 0);
    assert_true(membership_speed(members, a) == 1.0); /* nobody is measured */
    membership_measure(a, 10, 1000);                  /* with the data on its way */
    assert_true(a->blocks_per_ms == 0);
    membership_measure(a, 0, 10); /* nothing done says nothing */
    membership_measure(a, 10, 0);
    membership_measure(a, 10, -1);
    assert_true(a->blocks_per_ms == 0);
    membership_measure(a, 10, 5);
    assert_true(membership_speed(members, a) == 2.0);
    membership_measure(a, 10, 2.5);
    assert_true(a->blocks_per_ms > 2.0 && a->blocks_per_ms < 4.0);
    for (int i = 0; i < 100; i++)
        membership_measure(a, 10, 2.5);
    assert_true(a->blocks_per_ms > 3.99 && a->blocks_per_ms <= 4.0);

    s_join(members, 2, "b", 0)->blocks_per_ms = 6.0;
    member_t *c = s_join(members, 3, "c", 0);
    double mean = membership_speed(members, c); /* as fast as the others are */
    assert_true(mean > 4.99 && mean < 5.01);
    membership_destroy(&members);
}

static void test_doubt_grows_with_lateness_and_goes_with_answers(void **state)
{
    (void)state;
    member_t member = {.n_measured = 2, .blocks_per_ms = 1.0};
    membership_late(&member, 2);
    assert_true(member.doubt == 0.75);
    membership_late(&member, 2);
    membership_late(&member, 2);
    assert_true(member.doubt > 0.98 && member.doubt < 1);
    for (int i = 0; i < 100; i++)
        membership_late(&member, 2);
    assert_true(member.doubt < 1); /* never down to nothing at all */
    assert_true(member.blocks_per_ms == 1.0);
    for (int i = 0; i < 1000; i++)
        membership_rested(&member);
    assert_true(member.doubt == 0);
    membership_late(&member, 2);
    membership_measure(&member, 10, 10);
    assert_true(member.doubt == 0.375);
}

/* Members come and go, more than there ever are at a time; each is found by its peer, and nobody
 * who is gone. */
static void test_many_peers(void **state)
{
    (void)state;
    enum {
        N = 2000,
        STAY = 97
    };
    membership_t *members = s_new(true, "");
    for (uint32_t i = 0; i < N; i++) {
        wire_peer_t peer = {5, {0, 7, 0, (uint8_t)(i >> 8), (uint8_t)i}};
        wire_hello_t hello = s_hello("w", "k");
        wire_refusal_t refusal;
        assert_null(membership_by_peer(members, &peer));
        member_t *member = membership_hello(members, &peer, &hello, i, &refusal);
        assert_int_equal(member->id, i + 1);
        assert_ptr_equal(membership_hello(members, &peer, &hello, i, &refusal), member);
        if (i % 2)
            s_activate(members, member);
        if (i >= STAY)
            membership_remove(members, i + 1 - STAY);
        assert_int_equal(membership_active(members), i < STAY ? (i + 1) / 2 : (STAY + i % 2) / 2);
    }
    for (uint32_t i = 0; i < N; i++) {
        wire_peer_t peer = {5, {0, 7, 0, (uint8_t)(i >> 8), (uint8_t)i}};
        const member_t *member = membership_by_peer(members, &peer);
        assert_int_equal(member != NULL, i >= N - STAY);
        if (member)
            assert_int_equal(member->id, i + 1);
    }
    membership_destroy(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubt_grows_with_lateness_and_goes_with_answers),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_many_peers),
        cmocka_unit_test(test_refuses_other_data),
        cmocka_unit_test(test_kernels_strict_and_fast),
        cmocka_unit_test(test_ready_must_fit_the_job),
        cmocka_unit_test(test_the_silent_are_lost),
        cmocka_unit_test(test_the_third_bad_partial_is_one_too_many),
        cmocka_unit_test(test_relays_below_relays),
        cmocka_unit_test(test_exclusion),
        cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
