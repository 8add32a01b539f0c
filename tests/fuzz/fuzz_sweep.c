/* Any bytes as the file of a sweep: refused with one line, or taken; and each trial has a value for
 * each key that the settings take. */
#include "fuzz.h"

#include <stdlib.h>

#include "cli/sweep.h"

static void s_try(const sweep_t *sweep, uint32_t t)
{
    err_t err = {{0}};
    settings_t settings;
    settings_init(&settings);
    for (int d = 0; d < sweep->keys.n_dimensions; d++) {
        char *value = sweep_value(sweep, t, d);
        const conf_override_t override = {"keys", sweep->keys.dimensions[d].key->key, value};
        if (!value || conf_override(settings_table(), &settings, &override, &err) != 0)
            abort();
        free(value);
    }
    settings_clear(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    err_t err = {{0}};
    sweep_t sweep;
    if (sweep_load_text(&sweep, "f", (const char *)data, size, &err) == 0) {
        s_try(&sweep, 0);
        s_try(&sweep, sweep.n_trials / 2);
        s_try(&sweep, sweep.n_trials - 1);
    } else if (err.text[0] == '\0') {
        abort();
    }
    sweep_clear(&sweep);
    return 0;
}
