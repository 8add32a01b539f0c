/* Error text that travels up to whoever can tell the user.
 *
 * A function that can fail for reasons outside the program returns 0 or -1 (or a pointer or NULL)
 * and takes an err_t. The text is one line that names the file, key or peer, the value seen and
 * the value expected. On success the err_t is left as it was.
 */
#ifndef DROVER_BASE_ERR_H
#define DROVER_BASE_ERR_H

typedef struct {
    char text[768];
} err_t;

/* Formats the message into *err (err may be NULL). Always returns -1, so that a caller can write
 * `return err_set(err, ...)`. Newlines and other control bytes become '?', since parts of a text
 * come from files and peers and a message is one line. */
int err_set(err_t *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As err_set, with ": " and the text of errno appended. Always returns -1. */
int err_set_errno(err_t *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " in front of a message that is already there. Always returns -1. */
int err_prefix(err_t *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#if defined(__clang_analyzer__) && !defined(ERR_DEFINES)
/* The analyzer sees one file at a time: without this it follows paths on which these return 0. */
#define err_set(...)       ((void)(err_set)(__VA_ARGS__), -1)
#define err_set_errno(...) ((void)(err_set_errno)(__VA_ARGS__), -1)
#define err_prefix(...)    ((void)(err_prefix)(__VA_ARGS__), -1)
#endif

#endif
