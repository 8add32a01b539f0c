/* Text for people: the nearest word to a mistyped one, numbers in the shortest form. */
#ifndef DROVER_BASE_TEXT_H
#define DROVER_BASE_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Edit distance: insertions, deletions, substitutions and swaps of neighbours, each 1. Only the
 * first 95 bytes of a word count. */
int text_distance(const char *a, const char *b);

/* The candidate nearest to `word`, borrowed from the array; NULL when none is near enough to be
 * what was meant (more than 2 edits and more than a third of the word). */
const char *text_nearest(const char *word, const char *const *candidates, int n_candidates);

/* The shortest text that reads back to the same double, laid out as Python's repr does: '0.1',
 * '1.0', '1e-05', '1e+16', 'inf', 'nan'. Returns `text`. */
char *text_python_repr(double value, char text[32]);

/* Reads one UTF-8 code point of `size` bytes at most into *code; returns its length in bytes, or 0
 * when the bytes are not valid UTF-8 (overlong forms and surrogates are not). */
int text_decode_utf8(const char *bytes, size_t size, unsigned *code);

/* A value in single quotes for a message, cut to 60 bytes with "..." when it is longer. Returns
 * `out`. */
char *text_quote(const char *value, char out[72]);

/* Prints words at the current column `at`, broken so that no line passes column `width`; each
 * further line begins with `lead`. */
void text_wrap(FILE *out, const char *text, int at, const char *lead, int width);

#endif
