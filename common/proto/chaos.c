/* See chaos.h. */
#include "proto/chaos.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "math/rng.h"
#include "proto/wire.h"

#define MAX_MS  3600000u /* no fault takes longer than an hour */
#define N_DRAWS 8        /* of one decision */

/* The keys besides seed. `time` is that of its time, 0 when it has none. */
static const struct {
    const char *name;
    size_t chance;
    size_t time;
    uint32_t default_ms;
    bool of_process; /* a rate a second, not a chance */
} s_keys[] = {
    {"kill", offsetof(chaos_t, kill), 0, 0, true},
    {"stall", offsetof(chaos_t, stall), offsetof(chaos_t, stall_ms), 2000, true},
    {"drop", offsetof(chaos_t, drop), 0, 0, false},
    {"delay", offsetof(chaos_t, delay), offsetof(chaos_t, delay_ms), 200, false},
    {"duplicate", offsetof(chaos_t, duplicate), 0, 0, false},
    {"corrupt", offsetof(chaos_t, corrupt), 0, 0, false},
};
#define N_KEYS ((int)(sizeof(s_keys) / sizeof(s_keys[0])))

static double *s_chance(chaos_t *plan, int key)
{
    return (double *)(void *)((char *)plan + s_keys[key].chance);
}

static uint32_t *s_time(chaos_t *plan, int key)
{
    return (uint32_t *)(void *)((char *)plan + s_keys[key].time);
}

/* Only digits behind `text`, at least one? */
static bool s_is_whole(const char *text)
{
    return text[0] && text[strspn(text, "0123456789")] == '\0';
}

static int s_parse_seed(const char *text, uint64_t *seed, err_t *err)
{
    char shown[72];
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    if (!s_is_whole(text) || errno != 0)
        return err_set(err, "seed: %s; expected a whole number, 0 to 18446744073709551615",
                       text_quote(text, shown));
    *seed = number;
    return 0;
}

/* "200ms" or "2s". */
static int s_parse_time(const char *name, const char *text, uint32_t *time_ms, err_t *err)
{
    char shown[72];
    char *unit;
    errno = 0;
    unsigned long number = strtoul(text, &unit, 10);
    unsigned long unit_ms = strcmp(unit, "ms") == 0 ? 1 : strcmp(unit, "s") == 0 ? 1000 : 0;
    if (!isdigit((unsigned char)text[0]) || unit_ms == 0)
        return err_set(err,
                       "%s: the time %s; expected a whole number and its unit, ms or s, such as "
                       "200ms",
                       name, text_quote(text, shown));
    if (errno != 0 || number == 0 || number > MAX_MS / unit_ms)
        return err_set(err, "%s: the time %s is out of range; expected 1ms to %us", name,
                       text_quote(text, shown), MAX_MS / 1000);
    *time_ms = (uint32_t)(number * unit_ms);
    return 0;
}

/* The value of a key, cut at its colon if it has a time. */
static int s_parse_value(int key, char *value, chaos_t *plan, err_t *err)
{
    const char *name = s_keys[key].name;
    const char *expected = s_keys[key].of_process ? "a number a second, 0 or more" : "0 to 1";
    char shown[72];
    char *colon = strchr(value, ':');
    if (colon && !s_keys[key].time)
        return err_set(err, "%s: %s has a time; expected %s alone", name, text_quote(value, shown),
                       expected);
    if (colon)
        *colon = '\0';
    char *end;
    double chance = strtod(value, &end);
    /* strtod alone would also take spaces, hexadecimal, "inf" and "nan" */
    if (end == value || *end || value[strspn(value, "0123456789+-.eE")])
        return err_set(err, "%s: %s is not a number; expected %s", name, text_quote(value, shown),
                       expected);
    if (!isfinite(chance) || chance < 0 || (!s_keys[key].of_process && chance > 1))
        return err_set(err, "%s: %s is out of range; expected %s", name, text_quote(value, shown),
                       expected);
    *s_chance(plan, key) = chance + 0.0; /* -0 is 0 */
    return colon ? s_parse_time(name, colon + 1, s_time(plan, key), err) : 0;
}

static int s_unknown(const char *name, err_t *err)
{
    const char *names[N_KEYS + 1];
    char shown[72];
    for (int i = 0; i < N_KEYS; i++)
        names[i] = s_keys[i].name;
    names[N_KEYS] = "seed";
    const char *nearest = text_nearest(name, names, N_KEYS + 1);
    if (nearest)
        return err_set(err, "unknown fault %s; did you mean '%s'?", text_quote(name, shown),
                       nearest);
    return err_set(err,
                   "unknown fault %s; expected kill, stall, drop, delay, duplicate, corrupt or "
                   "seed",
                   text_quote(name, shown));
}

/* One "key=value"; `seen` has a bit for each key that was there. */
static int s_parse_item(char *item, chaos_t *plan, unsigned *seen, err_t *err)
{
    char *equals = strchr(item, '=');
    if (equals)
        *equals = '\0';
    int key = N_KEYS;
    if (strcmp(item, "seed") != 0)
        for (key = 0; key < N_KEYS && strcmp(item, s_keys[key].name) != 0; key++)
            ;
    if (key == N_KEYS && strcmp(item, "seed") != 0)
        return s_unknown(item, err);
    if (!equals)
        return err_set(err, "%s has no value; expected %s=NUMBER", item, item);
    if (*seen & 1u << key)
        return err_set(err, "%s is there twice; expected it once", item);
    *seen |= 1u << key;
    return key == N_KEYS ? s_parse_seed(equals + 1, &plan->seed, err)
                         : s_parse_value(key, equals + 1, plan, err);
}

int chaos_parse(const char *text, chaos_t *plan, err_t *err)
{
    chaos_t parsed = {.seed = 1};
    unsigned seen = 0;
    int r = 0;
    for (int i = 0; i < N_KEYS; i++)
        if (s_keys[i].time)
            *s_time(&parsed, i) = s_keys[i].default_ms;
    char *copy = strdup(text);
    if (!copy)
        abort();
    char *rest = copy;
    while (r == 0 && rest)
        r = s_parse_item(strsep(&rest, ","), &parsed, &seen, err);
    free(copy);
    if (r == 0 && (seen & ~(1u << N_KEYS)) == 0)
        r = err_set(err, "no fault is named; expected kill, stall, drop, delay, duplicate or "
                         "corrupt");
    if (r == 0)
        *plan = parsed;
    return r;
}

void chaos_format(const chaos_t *plan, char text[CHAOS_TEXT_SIZE])
{
    chaos_t copy = *plan;
    size_t used =
        (size_t)snprintf(text, CHAOS_TEXT_SIZE, "seed=%llu", (unsigned long long)plan->seed);
    for (int i = 0; i < N_KEYS; i++) {
        double chance = *s_chance(&copy, i);
        char number[32];
        if (chance == 0)
            continue;
        if (chance == floor(chance) && chance < 1e15)
            (void)snprintf(number, sizeof(number), "%.0f", chance);
        else
            text_python_repr(chance, number);
        used +=
            (size_t)snprintf(text + used, CHAOS_TEXT_SIZE - used, ",%s=%s", s_keys[i].name, number);
        if (s_keys[i].time)
            used +=
                (size_t)snprintf(text + used, CHAOS_TEXT_SIZE - used, ":%ums", *s_time(&copy, i));
    }
}

bool chaos_of_processes(const chaos_t *plan)
{
    return plan->kill > 0 || plan->stall > 0;
}

bool chaos_of_messages(const chaos_t *plan)
{
    return plan->drop > 0 || plan->delay > 0 || plan->duplicate > 0 || plan->corrupt > 0;
}

uint32_t chaos_stream(const char *name)
{
    return (uint32_t)wire_digest(name, strlen(name));
}

static bool s_hit(uint32_t draw, double chance)
{
    return draw < chance * 0x1p32;
}

/* 1 to longest_ms. */
static uint32_t s_some_ms(uint32_t draw, uint32_t longest_ms)
{
    return 1 + (uint32_t)((uint64_t)draw * longest_ms >> 32);
}

chaos_fate_t chaos_fate(const chaos_t *plan, uint32_t stream, uint64_t number)
{
    uint32_t draws[N_DRAWS];
    rng_fill(plan->seed, RNG_FAULT, stream, number * N_DRAWS, N_DRAWS, draws);
    chaos_fate_t fate = {.drop = s_hit(draws[0], plan->drop)};
    if (fate.drop)
        return fate;
    fate.duplicate = s_hit(draws[1], plan->duplicate);
    fate.corrupt = s_hit(draws[2], plan->corrupt);
    if (s_hit(draws[3], plan->delay))
        fate.delay_ms = s_some_ms(draws[4], plan->delay_ms);
    fate.place[0] = draws[5];
    fate.place[1] = draws[6];
    return fate;
}

chaos_tick_t chaos_tick(const chaos_t *plan, uint32_t stream, uint64_t tick)
{
    uint32_t draws[N_DRAWS];
    rng_fill(plan->seed, RNG_FAULT, stream, tick * N_DRAWS, N_DRAWS, draws);
    double seconds = CHAOS_TICK_MS / 1000.0;
    chaos_tick_t result = {.kill = s_hit(draws[0], plan->kill * seconds)};
    if (!result.kill && s_hit(draws[1], plan->stall * seconds))
        result.stall_ms = s_some_ms(draws[2], plan->stall_ms);
    return result;
}
