/* See host.h. */
#include "proto/host.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int host_lookup(const char *endpoint, err_t *err)
{
    static const char tcp[] = "tcp://";
    const char *colon = strrchr(endpoint, ':');
    size_t n = sizeof(tcp) - 1;
    if (strncmp(endpoint, tcp, n) != 0 || colon < endpoint + n)
        return 0;
    char *host = strndup(endpoint + n, (size_t)(colon - endpoint) - n);
    if (!host)
        abort();
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int r = getaddrinfo(host, NULL, &hints, &found);
    if (r == 0)
        freeaddrinfo(found);
    else
        err_set(err, "the host '%s' is not known: %s", host,
                r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
    free(host);
    return r == 0 ? 0 : -1;
}
