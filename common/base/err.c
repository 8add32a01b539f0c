/* See err.h. */
#define ERR_DEFINES
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void s_clean(err_t *err)
{
    for (char *p = err->text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
}

int err_set(err_t *err, const char *format, ...)
{
    if (!err)
        return -1;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    s_clean(err);
    return -1;
}

int err_set_errno(err_t *err, const char *format, ...)
{
    int saved = errno;
    if (!err)
        return -1;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    size_t used = strlen(err->text);
    char reason[128];
    (void)snprintf(err->text + used, sizeof(err->text) - used, ": %s",
                   strerror_r(saved, reason, sizeof(reason)));
    s_clean(err);
    errno = saved;
    return -1;
}

int err_prefix(err_t *err, const char *format, ...)
{
    if (!err)
        return -1;
    char prefix[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(prefix, sizeof(prefix), format, args);
    va_end(args);
    size_t room = sizeof(err->text) - 1;
    size_t n_prefix = strlen(prefix);
    size_t n_text = strlen(err->text);
    if (n_prefix + 2 + n_text > room)
        n_text = room - n_prefix - 2;
    memmove(err->text + n_prefix + 2, err->text, n_text);
    memcpy(err->text, prefix, n_prefix);
    memcpy(err->text + n_prefix, ": ", 2);
    err->text[n_prefix + 2 + n_text] = '\0';
    s_clean(err);
    return -1;
}
