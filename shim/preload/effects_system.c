/* effects_system.c: what the system tells of processes and of itself: exit-status, replace, signals that are lost. Context: see
 * effects.h. */
#include "effects.h"

#include <sys/utsname.h>
#include <sys/wait.h>

#include "poison.h"

/* --- lost --- */

/* kill(2): "if sig is 0, then no signal is sent, but existence and permission checks are still performed". */
long fsh_lose_signal(const struct fsh_action *x) {
    long a[6];
    memcpy(a, x->a, sizeof a);
    a[x->row->roles.signo - 1] = 0;
    return x->invoke(a);
}

/* --- exit-status --- */

static bool has_ended(int status) {
    return WIFEXITED(status) || WIFSIGNALED(status);
}

/* A child that only stopped has not ended. */
long fsh_effect_exit_status(const struct fsh_action *x) {
    void *told = (void *)x->a[x->row->roles.status - 1];
    long result = fsh_real_call(x);
    if (result < 0 || !told)
        return result;
    if (x->hit->call == CALL_waitid) {
        siginfo_t *info = told;
        if (info->si_pid && (info->si_code == CLD_EXITED || info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED)) {
            info->si_code = CLD_EXITED;
            info->si_status = (int)x->verdict->amount;
        }
    } else if (result > 0 && has_ended(*(int *)told)) {
        *(int *)told = (int)x->verdict->amount << 8;
    }
    return result;
}

/* --- replace --- */

static void put_name(char *to, size_t room, const char *text) {
    size_t n = strlen(text) + 1;
    if (room)
        memcpy(to, text, n < room ? n : room);
}

/* uname(2), gethostname(2), getdomainname(2). A name that is cut need not end in NUL. */
long fsh_effect_replace(const struct fsh_action *x) {
    const char *const *names = x->spec->names->v;
    long result = fsh_real_call(x);
    if (result != 0)
        return result;
    if (x->hit->call != CALL_uname) {
        put_name((char *)x->a[0], (size_t)x->a[1], names[x->hit->call == CALL_gethostname ? FSH_NAME_NODE : FSH_NAME_DOMAIN]);
        return result;
    }
    struct utsname *u = (void *)x->a[0];
    char *const fields[FSH_NAMES] = {u->sysname, u->nodename, u->release, u->version, u->machine, u->domainname};
    for (int i = 0; i < FSH_NAMES; i++)
        if (names[i])
            put_name(fields[i], sizeof u->sysname, names[i]);
    return result;
}
