/* symbols_net.c: doors of look-ups of names that have more than six arguments. */
#include "doors.h"

int fsh_door_getnameinfo(const struct sockaddr *addr, socklen_t addrlen, char *host, socklen_t hostlen, char *service,
                         socklen_t servicelen, int flags) {
    if (LIKELY(!fsh_watch[CALL_getnameinfo]))
        return fsh_real.getnameinfo(addr, addrlen, host, hostlen, service, servicelen, flags);
    const long a[FSH_ARGS] = {(long)addr, addrlen, (long)host, hostlen, (long)service, servicelen, flags};
    struct fsh_hit *hit = fsh_consider(CALL_getnameinfo, 0, CALLER());
    return (int)(hit ? fsh_apply(hit, fsh_invoke_getnameinfo, a) : fsh_invoke_getnameinfo(a));
}

int fsh_door_gethostbyname2_r(const char *host, int family, struct hostent *entry, char *buf, size_t size, struct hostent **result,
                              int *error) {
    if (LIKELY(!fsh_watch[CALL_gethostbyname2_r]))
        return fsh_real.gethostbyname2_r(host, family, entry, buf, size, result, error);
    const long a[FSH_ARGS] = {(long)host, family, (long)entry, (long)buf, (long)size, (long)result, (long)error};
    struct fsh_hit *hit = fsh_consider_host(CALL_gethostbyname2_r, host, CALLER());
    return (int)(hit ? fsh_apply(hit, fsh_invoke_gethostbyname2_r, a) : fsh_invoke_gethostbyname2_r(a));
}

int fsh_door_gethostbyaddr_r(const void *addr, socklen_t len, int family, struct hostent *entry, char *buf, size_t size,
                             struct hostent **result, int *error) {
    if (LIKELY(!fsh_watch[CALL_gethostbyaddr_r]))
        return fsh_real.gethostbyaddr_r(addr, len, family, entry, buf, size, result, error);
    const long a[FSH_ARGS] = {(long)addr, len, family, (long)entry, (long)buf, (long)size, (long)result, (long)error};
    struct fsh_hit *hit = fsh_consider(CALL_gethostbyaddr_r, 0, CALLER());
    return (int)(hit ? fsh_apply(hit, fsh_invoke_gethostbyaddr_r, a) : fsh_invoke_gethostbyaddr_r(a));
}

int fsh_door_res_nquerydomain(void *state, const char *name, const char *domain, int class, int type, unsigned char *answer,
                              int size) {
    if (LIKELY(!fsh_watch[CALL_res_nquerydomain]))
        return fsh_real.res_nquerydomain(state, name, domain, class, type, answer, size);
    const long a[FSH_ARGS] = {(long)state, (long)name, (long)domain, class, type, (long)answer, size};
    struct fsh_hit *hit = fsh_consider_host(CALL_res_nquerydomain, name, CALLER());
    return (int)(hit ? fsh_apply(hit, fsh_invoke_res_nquerydomain, a) : fsh_invoke_res_nquerydomain(a));
}
