/* See fetch.h. A download stays in memory until it is known to be right, then it is written
 * atomically: nothing half-done or wrong is ever in the folder. */
#include "data/fetch.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <sodium.h>

#include "base/array.h"
#include "base/file.h"
#include "base/library.h"
#include "data/gzstream.h"

#define MAX_FILE_BYTES     ((size_t)256 << 20)
#define CONNECT_TIMEOUT_MS 5000L
#define STALL_SECONDS      10L /* less than STALL_BYTES a second for so long ends the download */
#define STALL_BYTES        1000L
#define HEX_BYTES          (2 * crypto_hash_sha256_BYTES + 1)

static struct {
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_global_cleanup) global_cleanup;
    __typeof__(&curl_easy_init) init;
    __typeof__(&curl_easy_setopt) setopt;
    __typeof__(&curl_easy_perform) perform;
    __typeof__(&curl_easy_strerror) strerror;
    __typeof__(&curl_easy_cleanup) cleanup;
} s_curl;

static int s_open_curl(err_t *err)
{
    const library_function_t functions[] = {
        {"curl_global_init", &s_curl.global_init}, {"curl_global_cleanup", &s_curl.global_cleanup},
        {"curl_easy_init", &s_curl.init},          {"curl_easy_setopt", &s_curl.setopt},
        {"curl_easy_perform", &s_curl.perform},    {"curl_easy_strerror", &s_curl.strerror},
        {"curl_easy_cleanup", &s_curl.cleanup},
    };
    return library_open("libcurl", "libcurl.so.4", functions, ARRAY_COUNT(functions), err);
}

static const char *const s_mnist_mirrors[] = {
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
};

static const fetch_file_t s_mnist_files[] = {
    {"train-images-idx3-ubyte.gz",
     "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
    {"train-labels-idx1-ubyte.gz",
     "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
    {"t10k-images-idx3-ubyte.gz",
     "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
    {"t10k-labels-idx1-ubyte.gz",
     "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
};

typedef struct {
    const char *name; /* borrowed, as are url and progress's context */
    const char *url;
    fetch_progress_fn *progress;
    void *context;
    char *bytes; /* owned */
    size_t size;
    size_t room;
    bool too_large;
} download_t;

static void s_tell(const download_t *download, fetch_event_t event, const char *text,
                   int64_t n_bytes, int64_t n_total)
{
    if (download->progress)
        download->progress(download->context, event, download->name, text, n_bytes, n_total);
}

/* libcurl's write callback: anything but n_bytes ends the download. */
static size_t s_on_data(char *data, size_t size, size_t n, void *context)
{
    download_t *download = context;
    size_t n_bytes = size * n;
    if (n_bytes > MAX_FILE_BYTES - download->size) {
        download->too_large = true;
        return 0;
    }
    if (download->size + n_bytes > download->room) {
        size_t room = 2 * (download->size + n_bytes);
        char *grown = realloc(download->bytes, room);
        if (!grown)
            return 0;
        download->bytes = grown;
        download->room = room;
    }
    memcpy(download->bytes + download->size, data, n_bytes);
    download->size += n_bytes;
    return n_bytes;
}

static int s_on_progress(void *context, curl_off_t n_total, curl_off_t n_bytes, curl_off_t up_total,
                         curl_off_t up)
{
    download_t *download = context;
    (void)up_total;
    (void)up;
    if (n_bytes > 0)
        s_tell(download, FETCH_LOADING, download->url, n_bytes, n_total);
    return 0;
}

/* Fills download->bytes from download->url. */
static int s_download(download_t *download, err_t *err)
{
    int r = -1;
    char reason[CURL_ERROR_SIZE] = "";
    CURL *curl = s_curl.init();
    if (!curl)
        return err_set(err, "%s: cannot start libcurl", download->url);
    s_curl.setopt(curl, CURLOPT_URL, download->url);
    s_curl.setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http,file");
    s_curl.setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https,http");
    s_curl.setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    s_curl.setopt(curl, CURLOPT_MAXREDIRS, 5L);
    s_curl.setopt(curl, CURLOPT_FAILONERROR, 1L);
    s_curl.setopt(curl, CURLOPT_NOSIGNAL, 1L);
    s_curl.setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    s_curl.setopt(curl, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
    s_curl.setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
    s_curl.setopt(curl, CURLOPT_USERAGENT, "drover/" DROVER_VERSION);
    s_curl.setopt(curl, CURLOPT_ERRORBUFFER, reason);
    s_curl.setopt(curl, CURLOPT_WRITEFUNCTION, s_on_data);
    s_curl.setopt(curl, CURLOPT_WRITEDATA, download);
    s_curl.setopt(curl, CURLOPT_NOPROGRESS, 0L);
    s_curl.setopt(curl, CURLOPT_XFERINFOFUNCTION, s_on_progress);
    s_curl.setopt(curl, CURLOPT_XFERINFODATA, download);
    CURLcode code = s_curl.perform(curl);
    if (download->too_large)
        err_set(err, "%s: more than %zu bytes, the most that is expected", download->url,
                MAX_FILE_BYTES);
    else if (code != CURLE_OK)
        err_set(err, "%s: %s", download->url, reason[0] ? reason : s_curl.strerror(code));
    else
        r = 0;
    s_curl.cleanup(curl);
    return r;
}

/* Checks the sha256 of everything that the stream unzips to; takes the stream (NULL: fails). */
static int s_check(gzstream_t *in, const char *sha256, err_t *err)
{
    int r = -1;
    uint8_t piece[64 * 1024];
    size_t n = 0;
    crypto_hash_sha256_state hash;
    if (!in)
        return -1;
    crypto_hash_sha256_init(&hash);
    do {
        if (gzstream_read(in, piece, sizeof(piece), &n, err) != 0)
            goto out;
        crypto_hash_sha256_update(&hash, piece, n);
    } while (n == sizeof(piece));
    uint8_t digest[crypto_hash_sha256_BYTES];
    char hex[HEX_BYTES];
    crypto_hash_sha256_final(&hash, digest);
    sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
    if (strcmp(hex, sha256) != 0)
        err_set(err, "%s: sha256 of the unzipped bytes is %s, expected %s", gzstream_path(in), hex,
                sha256);
    else
        r = 0;
out:
    gzstream_destroy(&in);
    return r;
}

/* Downloads one file from one mirror to `path`. */
static int s_fetch_from(const char *mirror, const char *path, const char *sha256,
                        download_t *download, err_t *err)
{
    int r = -1;
    size_t n = strlen(mirror);
    char *url = NULL;
    if (asprintf(&url, "%s%s%s", mirror, n > 0 && mirror[n - 1] == '/' ? "" : "/", download->name) <
        0)
        abort();
    download->url = url;
    if (s_download(download, err) == 0 &&
        s_check(
            gzstream_open_memory(url, download->bytes ? download->bytes : "", download->size, err),
            sha256, err) == 0) {
        file_part_t part = {download->bytes, download->size};
        r = file_write_atomic(path, &part, 1, err);
    }
    if (r == 0)
        s_tell(download, FETCH_DONE, url, (int64_t)download->size, (int64_t)download->size);
    free(download->bytes);
    download->bytes = NULL;
    download->size = 0;
    download->room = 0;
    download->too_large = false;
    free(url);
    return r;
}

int fetch_files(const char *folder, const fetch_file_t *files, size_t n_files,
                const char *const *mirrors, size_t n_mirrors, fetch_progress_fn *progress,
                void *context, err_t *err)
{
    if (s_open_curl(err) != 0)
        return -1;
    if (sodium_init() < 0 || s_curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, "%s: cannot start libsodium or libcurl", folder);
    int r = file_make_folder(folder, err);
    for (size_t i = 0; r == 0 && i < n_files; i++) {
        err_t reason = {{0}};
        download_t download = {.name = files[i].name, .progress = progress, .context = context};
        char *path = file_join(folder, files[i].name);
        bool there = file_exists(path) &&
                     s_check(gzstream_open(path, &reason), files[i].sha256, &reason) == 0;
        if (there)
            s_tell(&download, FETCH_KEPT, path, 0, 0);
        else
            r = -1;
        for (size_t k = 0; r != 0 && k < n_mirrors; k++) {
            r = s_fetch_from(mirrors[k], path, files[i].sha256, &download, &reason);
            if (r != 0 && k + 1 < n_mirrors)
                s_tell(&download, FETCH_FAILED, reason.text, 0, 0);
        }
        if (r != 0)
            err_set(err, "cannot fetch %s: %s", files[i].name, reason.text);
        free(path);
    }
    s_curl.global_cleanup();
    return r;
}

int fetch_mnist(const char *folder, const char *mirror, fetch_progress_fn *progress, void *context,
                err_t *err)
{
    size_t n_files = ARRAY_COUNT(s_mnist_files);
    size_t n_mirrors = ARRAY_COUNT(s_mnist_mirrors);
    if (mirror)
        return fetch_files(folder, s_mnist_files, n_files, &mirror, 1, progress, context, err);
    return fetch_files(folder, s_mnist_files, n_files, s_mnist_mirrors, n_mirrors, progress,
                       context, err);
}
