/* Plans of faults: their text, every way to get it wrong, and what they decide. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/chaos.h"

static chaos_t s_plan(const char *text)
{
    chaos_t plan;
    err_t err = {{0}};
    if (chaos_parse(text, &plan, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return plan;
}

static void test_every_key(void **state)
{
    (void)state;
    chaos_t plan = s_plan("seed=18446744073709551615,kill=0.01,stall=12.5:3s,drop=0.02,"
                          "delay=0.05:150ms,duplicate=1,corrupt=1e-3");
    assert_true(plan.seed == UINT64_MAX);
    assert_true(plan.kill == 0.01 && plan.stall == 12.5 && plan.drop == 0.02);
    assert_true(plan.delay == 0.05 && plan.duplicate == 1 && plan.corrupt == 1e-3);
    assert_int_equal(plan.stall_ms, 3000);
    assert_int_equal(plan.delay_ms, 150);
    assert_true(chaos_of_processes(&plan) && chaos_of_messages(&plan));
}

static void test_what_is_not_said(void **state)
{
    (void)state;
    chaos_t plan = s_plan("drop=0.5");
    assert_int_equal(plan.seed, 1);
    assert_true(plan.kill == 0 && plan.stall == 0 && plan.delay == 0 && plan.corrupt == 0);
    assert_int_equal(plan.stall_ms, 2000);
    assert_int_equal(plan.delay_ms, 200);
    assert_false(chaos_of_processes(&plan));
    plan = s_plan("stall=1,seed=3");
    assert_true(chaos_of_processes(&plan));
    assert_false(chaos_of_messages(&plan));
}

static void test_the_text_reads_back(void **state)
{
    (void)state;
    static const struct {
        const char *text, *normal;
    } cases[] = {
        {"drop=0.020", "seed=1,drop=0.02"},
        {"corrupt=1,kill=10,seed=7", "seed=7,kill=10,corrupt=1"},
        {"delay=0.05,stall=0.1", "seed=1,stall=0.1:2000ms,delay=0.05:200ms"},
        {"drop=0,seed=4", "seed=4"},
        {"drop=-0.0,duplicate=1e-09", "seed=1,duplicate=1e-09"},
        {"seed=18446744073709551615,kill=0.123456789012,stall=0.123456789012:3600s,"
         "drop=0.123456789012,delay=0.123456789012:3599999ms,duplicate=0.123456789012,"
         "corrupt=0.1234567890123456",
         "seed=18446744073709551615,kill=0.123456789012,stall=0.123456789012:3600000ms,"
         "drop=0.123456789012,delay=0.123456789012:3599999ms,duplicate=0.123456789012,"
         "corrupt=0.1234567890123456"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[CHAOS_TEXT_SIZE];
        chaos_t plan = s_plan(cases[i].text);
        chaos_format(&plan, text);
        assert_string_equal(text, cases[i].normal);
        if (strcmp(text, "seed=4") == 0)
            continue; /* a plan without a fault */
        chaos_t again = s_plan(text);
        assert_memory_equal(&again, &plan, sizeof(plan));
    }
}

static void test_wrong_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "unknown fault ''; expected kill, stall, drop, delay, duplicate, corrupt or seed"},
        {"seed=7", "no fault is named; expected kill, stall, drop, delay, duplicate or corrupt"},
        {"dorp=0.1", "unknown fault 'dorp'; did you mean 'drop'?"},
        {"drop=0.1,", "unknown fault ''; expected kill, stall, drop, delay, duplicate, corrupt or "
                      "seed"},
        {"drop=0.1, kill=1", "unknown fault ' kill'; did you mean 'kill'?"},
        {"drop", "drop has no value; expected drop=NUMBER"},
        {"drop=0.1,drop=0.1", "drop is there twice; expected it once"},
        {"seed=1,seed=1,drop=1", "seed is there twice; expected it once"},
        {"drop=", "drop: '' is not a number; expected 0 to 1"},
        {"drop=much", "drop: 'much' is not a number; expected 0 to 1"},
        {"drop=0x1", "drop: '0x1' is not a number; expected 0 to 1"},
        {"drop=nan", "drop: 'nan' is not a number; expected 0 to 1"},
        {"drop= 1", "drop: ' 1' is not a number; expected 0 to 1"},
        {"drop=2%", "drop: '2%' is not a number; expected 0 to 1"},
        {"drop=1.01", "drop: '1.01' is out of range; expected 0 to 1"},
        {"duplicate=-0.1", "duplicate: '-0.1' is out of range; expected 0 to 1"},
        {"corrupt=1e999", "corrupt: '1e999' is out of range; expected 0 to 1"},
        {"kill=-1", "kill: '-1' is out of range; expected a number a second, 0 or more"},
        {"stall=often", "stall: 'often' is not a number; expected a number a second, 0 or more"},
        {"drop=0.1:200ms", "drop: '0.1:200ms' has a time; expected 0 to 1 alone"},
        {"kill=0.1:2s", "kill: '0.1:2s' has a time; expected a number a second, 0 or more alone"},
        {"delay=0.1:200", "delay: the time '200'; expected a whole number and its unit, ms or s, "
                          "such as 200ms"},
        {"delay=0.1:", "delay: the time ''; expected a whole number and its unit, ms or s, such as "
                       "200ms"},
        {"delay=0.1:ms", "delay: the time 'ms'; expected a whole number and its unit, ms or s, "
                         "such as 200ms"},
        {"delay=0.1:0.2s", "delay: the time '0.2s'; expected a whole number and its unit, ms or s, "
                           "such as 200ms"},
        {"delay=0.1:-2s", "delay: the time '-2s'; expected a whole number and its unit, ms or s, "
                          "such as 200ms"},
        {"delay=0.1:2m", "delay: the time '2m'; expected a whole number and its unit, ms or s, "
                         "such as 200ms"},
        {"delay=0.1:2s:3", "delay: the time '2s:3'; expected a whole number and its unit, ms or s, "
                           "such as 200ms"},
        {"stall=1:0s", "stall: the time '0s' is out of range; expected 1ms to 3600s"},
        {"stall=1:3601s", "stall: the time '3601s' is out of range; expected 1ms to 3600s"},
        {"stall=1:99999999999999999999s",
         "stall: the time '99999999999999999999s' is out of range; expected 1ms to 3600s"},
        {"seed=x,drop=1", "seed: 'x'; expected a whole number, 0 to 18446744073709551615"},
        {"seed=-1,drop=1", "seed: '-1'; expected a whole number, 0 to 18446744073709551615"},
        {"seed=,drop=1", "seed: ''; expected a whole number, 0 to 18446744073709551615"},
        {"seed=18446744073709551616,drop=1",
         "seed: '18446744073709551616'; expected a whole number, 0 to 18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        chaos_t plan = {.seed = 99};
        err_t err = {{0}};
        assert_int_equal(chaos_parse(cases[i].text, &plan, &err), -1);
        assert_string_equal(err.text, cases[i].error);
        assert_int_equal(plan.seed, 99); /* untouched */
    }
}

static bool s_same(chaos_fate_t a, chaos_fate_t b)
{
    return a.drop == b.drop && a.duplicate == b.duplicate && a.corrupt == b.corrupt &&
           a.delay_ms == b.delay_ms;
}

/* `hits` of n draws with this chance, within 5 sigma. */
static void s_assert_chance(int hits, int n, double chance)
{
    double sigma = sqrt(n * chance * (1 - chance));
    if (fabs(hits - n * chance) > 5 * sigma)
        fail_msg("%d of %d, expected a part of %g", hits, n, chance);
}

static void test_fates_are_as_frequent_as_planned(void **state)
{
    (void)state;
    enum {
        N = 100000
    };
    chaos_t plan = s_plan("seed=5,drop=0.2,delay=0.05:100ms,duplicate=0.5,corrupt=0.01");
    uint32_t stream = chaos_stream("local-1/4");
    int drops = 0, delays = 0, duplicates = 0, corruptions = 0, both = 0;
    double delayed_ms = 0;
    for (uint64_t i = 0; i < N; i++) {
        chaos_fate_t fate = chaos_fate(&plan, stream, i);
        drops += fate.drop;
        if (fate.drop) {
            assert_false(fate.duplicate || fate.corrupt || fate.delay_ms);
            continue;
        }
        delays += fate.delay_ms > 0;
        delayed_ms += fate.delay_ms;
        assert_in_range(fate.delay_ms, 0, 100);
        duplicates += fate.duplicate;
        corruptions += fate.corrupt;
        both += fate.duplicate && fate.delay_ms;
    }
    s_assert_chance(drops, N, 0.2);
    s_assert_chance(delays, N, 0.8 * 0.05);
    s_assert_chance(duplicates, N, 0.8 * 0.5);
    s_assert_chance(corruptions, N, 0.8 * 0.01);
    s_assert_chance(both, N, 0.8 * 0.05 * 0.5); /* they are independent */
    assert_true(fabs(delayed_ms / delays - 50.5) < 5 * 29 / sqrt(delays));
}

static void test_fates_depend_on_seed_stream_and_number_alone(void **state)
{
    (void)state;
    chaos_t plan = s_plan("seed=5,drop=0.3,delay=0.3,duplicate=0.3,corrupt=0.3");
    chaos_t other = plan;
    other.seed++;
    int by_seed = 0, by_stream = 0, by_number = 0;
    for (uint64_t i = 0; i < 100; i++) {
        chaos_fate_t fate = chaos_fate(&plan, 1, i);
        assert_true(s_same(fate, chaos_fate(&plan, 1, i)));
        by_seed += !s_same(fate, chaos_fate(&other, 1, i));
        by_stream += !s_same(fate, chaos_fate(&plan, 2, i));
        by_number += !s_same(fate, chaos_fate(&plan, 1, i + (1ull << 40)));
    }
    assert_true(by_seed > 50 && by_stream > 50 && by_number > 50);
    assert_true(chaos_stream("local-1") != chaos_stream("local-2"));
}

static void test_certain_and_impossible(void **state)
{
    (void)state;
    chaos_t always = s_plan("delay=1:1ms,duplicate=1,corrupt=1");
    chaos_t never = s_plan("drop=0,kill=0");
    chaos_t lost = s_plan("drop=1");
    chaos_t killed = s_plan("kill=10");
    chaos_t stalled = s_plan("stall=1e9:1ms");
    for (uint64_t i = 0; i < 1000; i++) {
        chaos_fate_t fate = chaos_fate(&always, 9, i);
        assert_true(fate.duplicate && fate.corrupt && fate.delay_ms == 1 && !fate.drop);
        fate = chaos_fate(&never, 9, i);
        assert_false(fate.drop || fate.duplicate || fate.corrupt || fate.delay_ms);
        assert_true(chaos_fate(&lost, 9, i).drop);
        assert_true(chaos_tick(&killed, 9, i).kill);
        assert_int_equal(chaos_tick(&stalled, 9, i).stall_ms, 1);
        assert_false(chaos_tick(&never, 9, i).kill);
    }
}

static void test_rates_are_per_second(void **state)
{
    (void)state;
    enum {
        N = 100000
    };
    chaos_t plan = s_plan("kill=0.5,stall=2:500ms");
    int kills = 0, stalls = 0;
    for (uint64_t i = 0; i < N; i++) {
        chaos_tick_t tick = chaos_tick(&plan, 3, i);
        kills += tick.kill;
        stalls += tick.stall_ms > 0;
        assert_in_range(tick.stall_ms, 0, 500);
        assert_false(tick.kill && tick.stall_ms);
    }
    s_assert_chance(kills, N, 0.05);
    s_assert_chance(stalls, N, 0.95 * 0.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_what_is_not_said),
        cmocka_unit_test(test_the_text_reads_back),
        cmocka_unit_test(test_wrong_texts),
        cmocka_unit_test(test_fates_are_as_frequent_as_planned),
        cmocka_unit_test(test_fates_depend_on_seed_stream_and_number_alone),
        cmocka_unit_test(test_certain_and_impossible),
        cmocka_unit_test(test_rates_are_per_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
