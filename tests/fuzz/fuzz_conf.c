/* Any bytes as a YAML file: refused with one line, or taken; and what was taken is printed as YAML
 * that loads back to the same text. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/settings.h"

static char *s_printed(const settings_t *settings)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    conf_write(settings_table(), settings, out);
    (void)fclose(out);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    err_t err = {{0}};
    settings_t settings;
    settings_init(&settings);
    if (conf_load_text(settings_table(), &settings, "f", (const char *)data, size, &err) == 0) {
        settings_t back;
        settings_init(&back);
        char *text = s_printed(&settings);
        if (conf_load_text(settings_table(), &back, "back", text, strlen(text), &err) != 0)
            abort();
        char *again = s_printed(&back);
        if (strcmp(text, again) != 0)
            abort();
        free(again);
        free(text);
        settings_clear(&back);
    } else if (err.text[0] == '\0') {
        abort();
    }
    settings_clear(&settings);
    return 0;
}
