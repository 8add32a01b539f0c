/* Runs a fuzz target on every file of its corpus, on its beginnings and with single bits flipped,
 * without libFuzzer: so that every build, sanitized or not, goes through what fuzzing has found.
 *
 * Usage: fuzz_<name> CORPUS_FOLDER
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "fuzz.h"

enum {
    MAX_BYTES = 1 << 20,
    MAX_VARIANTS = 512
};

/* An exact copy, so that a sanitizer sees a read past the end. */
static void s_run(const char *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int s_replay(const char *path, err_t *err)
{
    char *data = NULL;
    size_t size = 0;
    if (file_read(path, MAX_BYTES, &data, &size, err) != 0)
        return -1;
    s_run(data, size);
    size_t stride = size / MAX_VARIANTS + 1;
    for (size_t i = 0; i < size; i += stride) {
        s_run(data, i);
        char kept = data[i];
        data[i] = (char)(kept ^ (1 << i % 8));
        s_run(data, size);
        data[i] = kept;
    }
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    if (folder == NULL) {
        fprintf(stderr, "%s: no such corpus folder\n", argv[1]);
        return 1;
    }
    s_run("", 0);
    int n_files = 0;
    err_t err = {.text = ""};
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = file_join(argv[1], entry->d_name);
        int failed = s_replay(path, &err);
        free(path);
        if (failed) {
            fprintf(stderr, "%s\n", err.text);
            closedir(folder);
            return 1;
        }
        n_files++;
    }
    closedir(folder);
    printf("%d files replayed\n", n_files);
    return n_files > 0 ? 0 : 1;
}
