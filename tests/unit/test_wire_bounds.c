/* Where a MessagePack object ends, and that it is not deeper than it may be. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/wire_bounds.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
