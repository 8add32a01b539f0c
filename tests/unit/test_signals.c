/* What a signal asks for: the first, its echo, and the second. */
#include "unit.h"

#include <signal.h>

#include "cli/signals.h"

static void test_request(void **state)
{
    (void)state;
    signals_stop_t stop = {0};
    assert_int_equal(signals_request(&stop, SIGTERM, 5000), SIGNALS_STOP);
    assert_int_equal(stop.by, SIGTERM);
    assert_int_equal(signals_request(&stop, SIGTERM, 5000), SIGNALS_SAME);
    assert_int_equal(signals_request(&stop, SIGINT, 5999), SIGNALS_SAME);
    assert_int_equal(signals_request(&stop, SIGINT, 6000), SIGNALS_AT_ONCE);
    assert_int_equal(stop.by, SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_request)};
    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
