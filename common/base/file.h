/* Files: whole reads, atomic writes, folders. */
#ifndef DROVER_BASE_FILE_H
#define DROVER_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* One piece of a file that is written from several. */
typedef struct {
    const void *data;
    size_t size;
} file_part_t;

/* Where what is meant for `path` goes: to the file that links lead to, which may be replaced, or,
 * with *stream, to what is to be written to as it is: a device, a pipe. The caller frees it. */
char *file_target(const char *path, bool *stream);

/* Writes the parts to `path` so that a reader sees the old file or the new one and never a piece:
 * temporary file in the same folder, fsync, rename, fsync of the folder. Returns 0 or -1; on -1
 * the old file is untouched and the temporary one is gone. A stream (file_target) is just written
 * to. */
int file_write_atomic(const char *path, const file_part_t *parts, int n_parts, err_t *err);

/* For files while connections have all descriptors, and would have any that is given back: does the
 * work in a copy of this process that has none but the standard streams. Returns what work does, 0
 * to 255, an errno for example; or an errno when that cannot be done. */
int file_apart(int (*work)(const void *context), const void *context);

/* Reads the whole file; the caller frees *data, which has a '\0' behind its *size bytes. A file
 * larger than max_bytes is an error. Returns 0 or -1. */
int file_read(const char *path, size_t max_bytes, char **data, size_t *size, err_t *err);

/* Makes the folder and its parents; fine if it is there already. Returns 0 or -1. */
int file_make_folder(const char *path, err_t *err);

/* Takes the folder for this process until the descriptor is closed, at its end at the latest: two
 * runs in one folder would mix their files. Returns the descriptor, or -1 with *err when another
 * process has it. */
int file_lock_folder(const char *path, err_t *err);

bool file_is_folder(const char *path);
bool file_exists(const char *path);

/* "folder/name" in a new string that the caller frees. */
char *file_join(const char *folder, const char *name);

#endif
