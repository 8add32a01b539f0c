/* See host.h. */
#include "proto/host.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

int host_lookup(const char *endpoint, err_t *err)
{
    static const char tcp[] = "tcp://";
    const char *first = endpoint + sizeof(tcp) - 1;
    const char *end = strrchr(endpoint, ':');
    if (strncmp(endpoint, tcp, sizeof(tcp) - 1) != 0 || end < first)
        return 0;
    bool ipv6 = *first == '[' && end[-1] == ']';
    char *host = strndup(first + ipv6, (size_t)(end - first) - 2 * ipv6);
    if (!host)
        abort();
    const struct addrinfo hints = {.ai_family = ipv6 ? AF_INET6 : AF_INET,
                                   .ai_socktype = SOCK_STREAM};
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

void host_say_bound(const char *role, const char *endpoint)
{
    static const char *const all[] = {"tcp://0.0.0.0:", "tcp://[::]:"};
    char bound[32], join[32], name[HOST_NAME_MAX + 1] = "";
    (void)snprintf(bound, sizeof(bound), "%s.bound", role);
    (void)snprintf(join, sizeof(join), "%s.join", role);
    log_info(bound, "endpoint=%s", endpoint);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strncmp(endpoint, all[i], strlen(all[i])) == 0 &&
            gethostname(name, sizeof(name) - 1) == 0)
            log_info(join, "command=\"drover worker tcp://%s:%s\"", name,
                     endpoint + strlen(all[i]));
}
