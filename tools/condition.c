/* condition.c: see condition.h. What is asked for must all hold. */
#include "condition.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "out.h"

bool fsh_condition_is_option(int id) {
    return id >= CONDITION_EXIT && id <= CONDITION_ORACLE;
}

static bool take_exit(struct fsh_condition *c, const char *value) {
    uint64_t n = 0;
    c->by_exit = true;
    c->any_exit = !strcmp(value, "nonzero");
    if (!c->any_exit && !fsh_option_count("--exit", value, &n))
        return false;
    c->exit = (int)n;
    if (n < 256)
        return true;
    fsh_warn("--exit '%s': write a status from 0 to 255, or nonzero", value);
    return false;
}

static bool take_signal(struct fsh_condition *c, const char *value) {
    const char *name = strncmp(value, "SIG", 3) ? value : value + 3;
    c->by_signal = true;
    c->any_signal = !strcmp(value, "any");
    for (int i = 1; i < NSIG && !c->any_signal && !c->signal; i++)
        if (sigabbrev_np(i) && !strcmp(sigabbrev_np(i), name))
            c->signal = i;
    if (c->any_signal || c->signal)
        return true;
    fsh_warn("--signal '%s' is unknown; write a name, as in SEGV, or any", value);
    return false;
}

static bool take_pattern(struct fsh_condition *c, const char *value) {
    char why[256];
    int e = c->output ? 0 : regcomp(&c->pattern, value, REG_EXTENDED | REG_NOSUB | REG_NEWLINE);
    if (c->output || e) {
        regerror(e, &c->pattern, why, sizeof why);
        fsh_warn("--output '%s': %s", value, c->output ? "give one pattern" : why);
        return false;
    }
    c->output = value;
    return true;
}

bool fsh_condition_take(struct fsh_condition *c, int id, const char *value) {
    switch (id) {
    case CONDITION_EXIT:
        return take_exit(c, value);
    case CONDITION_SIGNAL:
        return take_signal(c, value);
    case CONDITION_HANG:
        return c->by_hang = true;
    case CONDITION_OUTPUT:
        return take_pattern(c, value);
    default:
        c->oracle = value;
        return true;
    }
}

bool fsh_condition_complete(struct fsh_condition *c, const struct fsh_reader *reader) {
    const struct fsh_header *h = fsh_reader_header(reader);
    if (c->by_exit || c->by_signal || c->by_hang || c->output || c->oracle)
        return true;
    c->by_exit = h->end == END_EXITED && h->end_value != 0;
    c->by_signal = h->end == END_SIGNALED;
    c->by_hang = h->end == END_TIMEOUT;
    c->exit = c->signal = h->end_value;
    if (c->by_exit || c->by_signal || c->by_hang)
        return true;
    fsh_warn("the recorded run %s; say what counts as a failure: --exit, --signal, --hang, --output or --oracle",
             h->end == END_EXITED ? "ended with status 0" : "does not say how it ended");
    return false;
}

static bool shows_pattern(const struct fsh_condition *c, const char *output) {
    FILE *in = fopen(output, "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (in && !found && getline(&line, &room, in) > 0)
        found = regexec(&c->pattern, line, 0, NULL, 0) == 0;
    free(line);
    if (in)
        fclose(in);
    return found;
}

/* The oracle knows how the program ended: FAULTSHIM_STATUS, as a shell would give it, and FAULTSHIM_OUTPUT, the file. */
static bool oracle_objects(const struct fsh_condition *c, const struct fsh_run *run, const char *output) {
    char status[16];
    int how;
    snprintf(status, sizeof status, "%d", fsh_run_status(run));
    pid_t pid = fork();
    if (pid == 0) {
        setenv("FAULTSHIM_STATUS", status, 1);
        setenv("FAULTSHIM_OUTPUT", output, 1);
        fsh_run_mute();
        execl("/bin/sh", "sh", "-c", c->oracle, (char *)NULL);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &how, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && !(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

bool fsh_condition_holds(const struct fsh_condition *c, const struct fsh_run *run, const char *output) {
    if (c->by_exit && !(run->end == END_EXITED && (c->any_exit ? run->value != 0 : run->value == c->exit)))
        return false;
    if (c->by_signal && !(run->end == END_SIGNALED && (c->any_signal || run->value == c->signal)))
        return false;
    if (c->by_hang && run->end != END_TIMEOUT)
        return false;
    return (!c->output || shows_pattern(c, output)) && (!c->oracle || oracle_objects(c, run, output));
}

void fsh_condition_put(FILE *out, const struct fsh_condition *c) {
    const char *and = "";
    if (c->by_exit) {
        fprintf(out, c->any_exit ? "an exit status that is not 0" : "exit status %d", c->exit);
        and = " and ";
    }
    if (c->by_signal) {
        fprintf(out, c->any_signal ? "%sa signal" : "%sSIG%s", and, c->any_signal ? "" : sigabbrev_np(c->signal));
        and = " and ";
    }
    if (c->by_hang) {
        fprintf(out, "%sno end in time", and);
        and = " and ";
    }
    if (c->output) {
        fprintf(out, "%soutput with ", and);
        fsh_put_safe(out, c->output);
        and = " and ";
    }
    if (c->oracle) {
        fprintf(out, "%san objection of ", and);
        fsh_put_safe(out, c->oracle);
    }
}

void fsh_condition_free(struct fsh_condition *c) {
    if (c->output)
        regfree(&c->pattern);
}
