/* See json.h. */
#include "cli/json.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

void json_print_string(FILE *out, const char *text)
{
    (void)fputc('"', out);
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        unsigned code = 0;
        int step = text_decode_utf8(text + i, n - i, &code);
        if (step == 0)
            (void)fputs("\\ufffd", out);
        else if (code < 0x20)
            (void)fprintf(out, "\\u%04x", code);
        else
            (void)fprintf(out, "%s%.*s", code == '"' || code == '\\' ? "\\" : "", step, text + i);
        i += step > 0 ? (size_t)step : 1;
    }
    (void)fputc('"', out);
}

void json_print_number(FILE *out, double value)
{
    char text[32];
    (void)fputs(isfinite(value) ? text_python_repr(value, text) : "null", out);
}
