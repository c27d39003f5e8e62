/* fault_more.c: arguments of the faults that fault_line.c leaves to it. Context: see profile.c. */
#include <signal.h>
#include <string.h>

#include "parse.h"

static bool no_equals(struct fsh_word word) {
    return !memchr(word.p, '=', word.n);
}

static bool duration(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    return no_equals(word) ? fsh_fault_amount(p, spec, "duration", word, fsh_value_time) : fsh_fault_no_argument(p, spec, word);
}

static bool stall_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "max", &value))
        return no_equals(word) ? fsh_fault_errno(p, spec, word) : fsh_fault_no_argument(p, spec, word);
    if (!fsh_parse_value(p, "max", value, &spec->limit, fsh_value_time))
        return false;
    return spec->limit ? true : fail(p, "max=0 holds nothing; write a time above 0, as in max=10s");
}

/* Not KILL and STOP: those are faults of their own. */
static const struct {
    const char *name;
    int number;
} signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},     {"ILL", SIGILL},   {"TRAP", SIGTRAP},
               {"ABRT", SIGABRT}, {"BUS", SIGBUS},   {"FPE", SIGFPE},       {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},
               {"USR2", SIGUSR2}, {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},     {"TERM", SIGTERM}, {"CHLD", SIGCHLD},
               {"CONT", SIGCONT}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU}, {"URG", SIGURG},
               {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},
               {"IO", SIGIO},     {"POLL", SIGPOLL}, {"PWR", SIGPWR},       {"SYS", SIGSYS}};

static bool signal_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word bare = fsh_word_begins(word, "SIG") ? (struct fsh_word){word.p + 3, word.n - 3} : word;
    if (spec->signal)
        return fail(p, "signal has two names; write one");
    if (fsh_word_is(bare, "KILL"))
        return fail(p, "SIGKILL leaves no call to go on with; write fault = crash");
    if (fsh_word_is(bare, "STOP"))
        return fail(p, "SIGSTOP would need somebody to end it; write fault = pause DURATION");
    for (size_t i = 0; i < COUNT(signals); i++)
        if (fsh_word_is(bare, signals[i].name))
            spec->signal = signals[i].number;
    return spec->signal ? true : fail(p, "there is no signal '%.*s'; write its name, as in USR1", FSH_WORD(word));
}

static bool memory_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word) {
    struct fsh_word value;
    if (!fsh_fault_argument(word, "for", &value))
        return no_equals(word) ? fsh_fault_amount(p, spec, "size", word, fsh_value_size) : fsh_fault_no_argument(p, spec, word);
    if (!fsh_parse_value(p, "for", value, &spec->limit, fsh_value_time))
        return false;
    return spec->limit ? true : fail(p, "for=0 gives the memory back at once; write a time above 0, as in for=5s");
}

bool fsh_fault_more_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest) {
    (void)rest;
    switch (spec->kind) {
    case FAULT_STALL:
        return stall_argument(p, spec, word);
    case FAULT_SIGNAL:
        return signal_argument(p, spec, word);
    case FAULT_PAUSE:
    case FAULT_CPU:
    case FAULT_YIELD:
        return duration(p, spec, word);
    case FAULT_MEMORY:
        return memory_argument(p, spec, word);
    default:
        return fsh_fault_no_argument(p, spec, word);
    }
}

bool fsh_fault_more_finish(struct parse *p, struct fsh_fault_spec *spec) {
    static const uint64_t second = 1000000000, moment = 50000;
    const char *name = fsh_faults[spec->kind].name;
    switch (spec->kind) {
    case FAULT_STALL:
        spec->limit = spec->limit ? spec->limit : UINT64_MAX;
        return true;
    case FAULT_SIGNAL:
        return spec->signal ? true : fail(p, "signal has no name; write one, as in signal USR1");
    case FAULT_PAUSE:
    case FAULT_CPU:
        return spec->amount.hi ? true : fail(p, "%s has no duration; write one, as in %s 20ms", name, name);
    case FAULT_MEMORY:
        spec->limit = spec->limit ? spec->limit : 10 * second;
        return spec->amount.hi ? true : fail(p, "memory has no size; write one, as in memory 64MiB");
    case FAULT_YIELD:
        if (!spec->amount.hi)
            spec->amount = (struct fsh_range){1000, moment};
        return true;
    default:
        return true;
    }
}
