/* judge.c: see judge.h. Reports are told apart by their kind and by the names of the innermost functions, which are the same in
 * every run; addresses and process ids are not. */
#include "judge.h"

#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"

enum { FRAMES = 3, OUTPUT_MOST = 64 << 20 };

/* What starts a report, and what it is called. The kind of error follows the words, but where `kind` says it. */
static const struct {
    const char *words, *tool, *kind;
} reports[] = {
    {"ERROR: AddressSanitizer: ", "asan", NULL},
    {"ERROR: LeakSanitizer: ", "lsan", "leak"},
    {"WARNING: ThreadSanitizer: ", "tsan", NULL},
    {"WARNING: MemorySanitizer: ", "msan", NULL},
    {": runtime error: ", "ubsan", NULL},
    {"== Invalid read", "valgrind", "invalid read"},
    {"== Invalid write", "valgrind", "invalid write"},
    {"== Invalid free", "valgrind", "invalid free"},
    {"== Mismatched free", "valgrind", "mismatched free"},
    {"== Conditional jump or move depends on uninitialised", "valgrind", "uninitialised value"},
    {"== Use of uninitialised value", "valgrind", "uninitialised value"},
    {"== Syscall param ", "valgrind", "bad argument of a system call"},
    {"== Source and destination overlap", "valgrind", "overlap"},
    {"== Jump to the invalid address", "valgrind", "invalid jump"},
};

/* "heap-use-after-free on address 0x…": up to what differs from run to run. */
static void take_kind(char *out, size_t size, const char *words) {
    static const char *const ends[] = {" on ", " 0x", " (", ": ", " of ", " for "};
    size_t n = strcspn(words, "\n\t");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const char *end = memmem(words, n, ends[i], strlen(ends[i]));
        n = end ? (size_t)(end - words) : n;
    }
    for (size_t i = 0; i < n && size > 1; i++)
        if (isprint((unsigned char)words[i])) {
            *out++ = words[i];
            size--;
        }
    *out = 0;
}

/* "    #1 0x55… in parse /src/parse.c:12" or "==7==    by 0x10…: parse (parse.c:12)": the name, and its length. */
static const char *function_in(const char *line, size_t *n) {
    const char *name = strstr(line, " in ");
    bool numbered = line[strspn(line, " ")] == '#';
    if (numbered && name) {
        name += 4;
    } else {
        name = strncmp(line, "==", 2) ? NULL : strstr(line, "== ");
        const char *address = name ? strstr(name, "at 0x") : NULL;
        if (name && !address)
            address = strstr(name, "by 0x");
        name = address ? strstr(address, ": ") : NULL;
        name += name ? 2 : 0;
    }
    *n = name ? strcspn(name, " (\n") : 0;
    return *n ? name : NULL;
}

/* The tool's own frames lie above the program's. */
static bool is_of_tool(const char *name, size_t n) {
    static const char *const own[] = {"__interceptor_", "__asan", "__ubsan", "__sanitizer", "__lsan", "operator"};
    static const char *const exact[] = {"malloc", "calloc", "realloc", "free", "strdup"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!strncmp(name, own[i], strlen(own[i])))
            return true;
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (strlen(exact[i]) == n && !memcmp(name, exact[i], n))
            return true;
    return false;
}

static bool is_ours(const char *line, const char *name) {
    return !strncmp(name, "fsh_", 4) || strstr(line, "libfaultshim.so") || strstr(line, "libunwind.so");
}

/* False if the report is about us: stacks are walked, and the kernel is asked about addresses that may be bad. */
static bool take_frames(struct fsh_judgement *out, FILE *in) {
    char *line = NULL;
    size_t room = 0, n;
    unsigned found = 0, others = 0;
    bool ours = false;
    while (others < (found ? 1 : 8) && getline(&line, &room, in) > 0) {
        const char *name = function_in(line, &n);
        others += !name;
        ours |= name && is_ours(line, name);
        if (!name || found == FRAMES || is_of_tool(name, n))
            continue;
        if (!found)
            snprintf(out->where, sizeof out->where, "%.*s", (int)(n < sizeof out->where ? n : sizeof out->where - 1), name);
        out->stack = fsh_fold(out->stack, fsh_hash(name, n)) | 1;
        found++;
    }
    free(line);
    if (ours) {
        out->stack = 0;
        *out->where = 0;
    }
    return !ours;
}

/* ubsan gives no stack, but its place: "parse.c:12:5: runtime error: …". */
static void take_place(struct fsh_judgement *out, const char *line, const char *end) {
    size_t n = (size_t)(end - line);
    snprintf(out->where, sizeof out->where, "%.*s", (int)(n < sizeof out->where ? n : sizeof out->where - 1), line);
    out->stack = fsh_hash(line, n) | 1;
}

static bool loses_memory(const char *line) {
    const char *lost = strstr(line, "definitely lost: ");
    return lost && !strncmp(line, "==", 2) && strtoul(lost + 17, NULL, 10) != 0;
}

static bool starts_report(struct fsh_judgement *out, const char *line, FILE *in) {
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        const char *at = strstr(line, reports[i].words);
        char kind[64];
        if (!at || (reports[i].words[0] == '=' && strncmp(line, "==", 2) != 0))
            continue;
        take_kind(kind, sizeof kind, at + strlen(reports[i].words));
        snprintf(out->why, sizeof out->why, "%s: %s", reports[i].tool, reports[i].kind ? reports[i].kind : kind);
        if (*reports[i].words == ':')
            take_place(out, line, at);
        return *reports[i].words == ':' || take_frames(out, in);
    }
    return false;
}

bool fsh_judge_report(struct fsh_judgement *out, FILE *in) {
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    uint64_t seen = 0;
    bool found = false;
    while (!found && seen < OUTPUT_MOST && (n = getline(&line, &room, in)) > 0) {
        seen += (uint64_t)n;
        found = starts_report(out, line, in);
        if (!found && loses_memory(line)) {
            found = true;
            snprintf(out->why, sizeof out->why, "valgrind: leak");
        }
    }
    free(line);
    return found;
}

static bool leaves_core(int sig) {
    return sig == SIGSEGV || sig == SIGABRT || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP || sig == SIGSYS;
}

/* A shell, and many a parent, ends with 128 and the signal that its child died of. */
static int signal_of_child(const struct fsh_run *run) {
    return run->end == END_EXITED && run->value > 128 && leaves_core(run->value - 128) ? run->value - 128 : 0;
}

static void name_signal(struct fsh_judgement *out, int sig, const char *more) {
    const char *name = sigabbrev_np(sig);
    if (name)
        snprintf(out->why, sizeof out->why, "SIG%s%s", name, more);
    else
        snprintf(out->why, sizeof out->why, "signal %d%s", sig, more);
}

void fsh_judge(struct fsh_judgement *out, const struct fsh_condition *condition, const struct fsh_run *run, const char *output) {
    *out = (struct fsh_judgement){.failed = condition && fsh_condition_holds(condition, run, output)};
    if (condition && !out->failed)
        return;
    FILE *in = fopen(output, "re");
    bool reported = in && fsh_judge_report(out, in);
    if (in)
        fclose(in);
    out->failed |= reported || run->end != END_EXITED || signal_of_child(run);
    if (reported || !out->failed)
        return;
    out->crashed = run->end == END_SIGNALED && leaves_core(run->value);
    if (run->end == END_SIGNALED)
        name_signal(out, run->value, "");
    else if (run->end == END_TIMEOUT)
        snprintf(out->why, sizeof out->why, "hang");
    else if (signal_of_child(run) && !(condition && condition->by_exit))
        name_signal(out, signal_of_child(run), " in a child");
    else if (condition && condition->oracle)
        snprintf(out->why, sizeof out->why, "oracle");
    else if (condition && condition->output)
        snprintf(out->why, sizeof out->why, "output");
    else
        snprintf(out->why, sizeof out->why, "exit %d", run->value);
}

/* How many lines say just this. */
static unsigned count_lines(const char *text, const char *line, size_t n) {
    unsigned found = 0;
    while (*text) {
        size_t len = strcspn(text, "\n");
        found += len == n && !memcmp(text, line, n);
        text += len + (text[len] != 0);
    }
    return found;
}

void fsh_judge_leaks(struct fsh_judgement *out, const struct fsh_run *run, const char *open, const char *usual) {
    for (const char *line = open; *line && !out->failed && run->end == END_EXITED;) {
        size_t n = strcspn(line, "\n");
        out->failed = count_lines(open, line, n) > count_lines(usual, line, n);
        if (out->failed) {
            snprintf(out->why, sizeof out->why, "leaked descriptor");
            snprintf(out->where, sizeof out->where, "%.*s", (int)(n < sizeof out->where ? n : sizeof out->where - 1), line);
        }
        line += n + (line[n] != 0);
    }
}
