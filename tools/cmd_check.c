/* cmd_check.c: faultshim check: of a profile, what each rule will do; of a program, what will be seen of it. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "out.h"
#include "profile_load.h"
#include "program.h"

static const struct fsh_usage usage = {
    .name = "check",
    .operands = "[FILE]...",
    .summary =
        "Says what the rules of a profile will do, or whether a program can be met and which of its calls will be seen.\n"
        "The status is 0 if all is well, 1 if the profile is not valid or the program will not be met, 2 if the program will be\n"
        "met and does things that will not be seen, 125 in case of trouble.",
    .common = COMMON_PROFILE | COMMON_SEED | COMMON_JSON | COMMON_QUIET,
};

static void put(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

/* Text that is put together: what a JSON member and a line have in common. */
struct words {
    char *text;
    size_t len;
    FILE *out;
};

static FILE *begin(struct words *w) {
    w->text = NULL;
    w->out = open_memstream(&w->text, &w->len);
    return w->out ? w->out : stderr;
}

static const char *end(struct words *w) {
    if (w->out)
        fclose(w->out);
    return w->text ? w->text : "";
}

/* --- rules in words --- */

static void say_globs(FILE *out, const char *what, const struct fsh_texts *texts) {
    for (unsigned i = 0; i < texts->n; i++)
        fprintf(out, "%s%s", i == 0 ? what : " or ", texts->v[i]);
    if (texts->n)
        fputs("; ", out);
}

static void say_range(FILE *out, struct fsh_range range) {
    if (range.hi == UINT64_MAX)
        fprintf(out, "%" PRIu64 " and more", range.lo);
    else if (range.lo == range.hi)
        fprintf(out, "%" PRIu64, range.lo);
    else
        fprintf(out, "%" PRIu64 " to %" PRIu64, range.lo, range.hi);
}

static void say_where(FILE *out, const struct fsh_rule *r) {
    say_globs(out, "path ", &r->path);
    say_globs(out, "path not ", &r->not_path);
    say_globs(out, "peer ", &r->peer);
    say_globs(out, "local ", &r->local);
    say_globs(out, "called from ", &r->caller);
    say_globs(out, "called below ", &r->stack);
    say_globs(out, "not called below ", &r->not_stack);
    say_globs(out, "process ", &r->process);
    say_globs(out, "thread ", &r->thread);
    for (unsigned i = 0; i < r->fd.n; i++) {
        fputs(i ? " or " : "descriptor ", out);
        say_range(out, r->fd.v[i]);
    }
    if (r->fd.n)
        fputs("; ", out);
    if (r->has_size) {
        fputs("size ", out);
        say_range(out, r->size);
        fputs("; ", out);
    }
}

static void say_nth(FILE *out, const struct fsh_steps *nth) {
    for (unsigned i = 0; i < nth->n; i++) {
        const struct fsh_step *s = &nth->v[i];
        fprintf(out, "%snumber %" PRIu64, i ? ", " : "", s->first);
        if (s->last == UINT64_MAX)
            fputs(" and all after it", out);
        else if (s->last != s->first)
            fprintf(out, " to %" PRIu64, s->last);
        if (s->step > 1 && s->last != s->first)
            fprintf(out, " in steps of %" PRIu64, s->step);
    }
    if (nth->n)
        fputs("; ", out);
}

static void say_point(FILE *out, const struct fsh_phase *p, uint64_t v) {
    if (p->unit == UNIT_OPS)
        fprintf(out, "%" PRIu64 " operation%s", v, fsh_plural(v));
    else
        fsh_put_time(out, v);
}

static void say_event(FILE *out, const struct fsh_phase *p) {
    if (p->event == EVENT_FIRED)
        fprintf(out, "rule %s fires", p->event_name);
    else if (p->event == EVENT_MARK)
        fprintf(out, "the mark %s", p->event_name);
}

static void say_phase(FILE *out, const struct fsh_phase *p) {
    fprintf(out, "in phase %s", p->name);
    if (p->from || p->to != UINT64_MAX || p->event) {
        fputs(" (from ", out);
        if (p->from)
            say_point(out, p, p->from);
        else
            fputs("the start", out);
        if (p->to != UINT64_MAX) {
            fputs(" to ", out);
            say_point(out, p, p->to);
        }
        if (p->event) {
            fputs(" after ", out);
            say_event(out, p);
        }
        fputc(')', out);
    }
    if (p->every) {
        fputs(", every ", out);
        say_point(out, p, p->every);
        fputs(" for ", out);
        say_point(out, p, p->span);
    }
    if (p->first != p->last)
        fprintf(out, ", at %.4g%% rising or falling to %.4g%%", 100.0 * p->first / FSH_LEVEL_FULL,
                100.0 * p->last / FSH_LEVEL_FULL);
    else if (p->first != FSH_LEVEL_FULL)
        fprintf(out, ", at %.4g%%", 100.0 * p->first / FSH_LEVEL_FULL);
    fputs("; ", out);
}

static void say_on(FILE *out, const struct fsh_phase *p) {
    if (p->raise)
        fprintf(out, "raised %s %g%% when ", p->raise == RAISE_TO ? "to" : "by", fsh_share_percent(&p->raised));
    else
        fputs("not until ", out);
    say_event(out, p);
    if (p->to != UINT64_MAX) {
        fputs(", for ", out);
        say_point(out, p, p->to);
    }
    fputs("; ", out);
}

static void say_phases(FILE *out, const struct fsh_profile *profile, const struct fsh_rule *r) {
    for (uint64_t left = r->phases; left; left &= left - 1)
        say_phase(out, &profile->phases[__builtin_ctzll(left)]);
    for (uint64_t left = r->events; left; left &= left - 1)
        say_on(out, &profile->phases[__builtin_ctzll(left)]);
}

static void say_when(FILE *out, const struct fsh_profile *profile, const struct fsh_rule *r) {
    say_phases(out, profile, r);
    if (r->has_skip)
        fprintf(out, "not the first %" PRIu64 "; ", r->skip);
    if (r->has_interval)
        fprintf(out, "every %" PRIu64 ".; ", r->interval);
    say_nth(out, &r->nth);
    if (r->has_space)
        fprintf(out, "once %" PRIu64 " bytes have passed; ", r->space);
    if (r->has_times)
        fprintf(out, "at most %" PRIu64 " time%s in the run; ", r->times, fsh_plural(r->times));
    if (r->sticky != STICKY_NO)
        fprintf(out, "once fired, always%s; ", r->sticky == STICKY_RESOURCE ? " on that resource" : "");
    if (!r->active.always)
        fprintf(out, "in %g%% of the runs; ", fsh_share_percent(&r->active));
    if (r->cont)
        fputs("later rules are looked at too; ", out);
    if (r->probability.always)
        fputs("always", out);
    else
        fprintf(out, "with probability %g%%", fsh_share_percent(&r->probability));
}

static void say_times(FILE *out, struct fsh_range range) {
    fputc(' ', out);
    fsh_put_time(out, range.lo);
    if (range.hi != range.lo) {
        fputs(" to ", out);
        fsh_put_time(out, range.hi);
    }
}

static void say_arguments(FILE *out, const struct fsh_fault_spec *f) {
    static const char *const whens[] = {"before", "after", "during"};
    static const char *const hows[] = {"bits", "bytes", "to zeros", "to junk", "by replacing"};
    static const char *const dists[] = {"", ", normally", ", by Pareto", ", log-uniformly"};
    switch (f->kind) {
    case FAULT_QUOTA:
    case FAULT_BUDGET:
        fprintf(out, " of %" PRIu64 " bytes", f->limit);
        break;
    case FAULT_EXIT_STATUS:
        fprintf(out, " %" PRIu64, f->limit);
        break;
    case FAULT_DESCRIPTORS:
        fprintf(out, " below %" PRIu64, f->limit);
        break;
    case FAULT_TORN:
        fprintf(out, ", sectors of %" PRIu64 " bytes%s", f->limit, f->dies ? ", then SIGKILL" : "");
        break;
    case FAULT_MISDIRECT:
        if (f->to) {
            fputs(" to ", out);
            fsh_put_safe(out, f->to);
        } else {
            fprintf(out, " %s by ", f->back ? "back" : "on");
            say_range(out, f->amount);
        }
        break;
    case FAULT_DRIFT:
        fprintf(out, " by %c%.6g ppm", f->back ? '-' : '+', (double)f->amount.lo / 1e3);
        break;
    case FAULT_STROBE:
        say_times(out, f->amount);
        fputs(f->back ? " back, flipping every" : ", flipping every", out);
        say_times(out, (struct fsh_range){f->period, f->period});
        break;
    case FAULT_SKEW:
    case FAULT_JUMP:
        say_times(out, f->amount);
        fputs(f->back ? " back" : " forwards", out);
        break;
    case FAULT_FREEZE:
    case FAULT_LATE:
    case FAULT_PAUSE:
    case FAULT_CPU:
    case FAULT_YIELD:
        say_times(out, f->amount);
        break;
    case FAULT_STALL:
        if (f->limit != UINT64_MAX)
            say_times(out, (struct fsh_range){f->limit, f->limit});
        break;
    case FAULT_SIGNAL:
        fprintf(out, " SIG%s", sigabbrev_np(f->signal));
        break;
    case FAULT_MEMORY:
        fputc(' ', out);
        say_range(out, f->amount);
        fputs(" bytes for", out);
        say_times(out, (struct fsh_range){f->limit, f->limit});
        break;
    case FAULT_DELAY:
        say_times(out, f->amount);
        fputs(dists[f->dist], out);
        if (f->jitter) {
            fputs(" give or take ", out);
            fsh_put_time(out, f->jitter);
        }
        fprintf(out, " %s the call", whens[f->when]);
        break;
    case FAULT_LOSS:
        fputs(f->net.as == AS_DELAY ? " (on a stream: late)" : f->net.as == AS_RESET ? " (on a stream: a reset)" : "", out);
        break;
    case FAULT_RESET:
    case FAULT_CLOSE:
        if (f->net.after)
            fprintf(out, " after %" PRIu64 " bytes more", f->net.after);
        break;
    case FAULT_SHORT:
        if (f->net.limit)
            fprintf(out, " by slices of %" PRIu64 " bytes at most", f->net.limit);
        break;
    case FAULT_REPLY:
        if (f->net.path)
            fprintf(out, " with what stands in %s", f->net.path);
        else
            fprintf(out, " of %u bytes", f->net.n_text);
        break;
    case FAULT_REORDER:
        fprintf(out, " within %" PRIu64, f->net.limit);
        break;
    case FAULT_STORM:
        fprintf(out, " above %" PRIu64 " open connections", f->net.limit);
        break;
    case FAULT_CRASH:
        fprintf(out, " %s the call, ", whens[f->when]);
        if (f->exits)
            fprintf(out, "with exit status %d", f->status);
        else
            fprintf(out, "by SIG%s", sigabbrev_np(f->signal ? f->signal : SIGKILL));
        fputs(f->tree ? ", the whole run" : "", out);
        break;
    case FAULT_CORRUPT:
        fputs(f->where == CORRUPT_TRANSIENT ? " what is read"
              : f->where == CORRUPT_STORED  ? " what is written"
              : f->where == CORRUPT_AT_REST ? " the file itself,"
                                            : "",
              out);
        if (f->how <= CORRUPT_BYTES) {
            fputc(' ', out);
            say_range(out, f->amount);
        }
        fprintf(out, " %s", hows[f->how]);
        break;
    default:
        break;
    }
}

static void say_fault(FILE *out, const struct fsh_rule *r, unsigned line) {
    const struct fsh_fault_spec *f = &r->faults[line];
    char number[16];
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->n_faults; i++)
        sum += r->faults[i].weight;
    fputs(fsh_faults[f->kind].name, out);
    for (unsigned i = 0; i < f->n_errnos; i++)
        fprintf(out, "%s%s", i ? " or " : " ", fsh_errno_text(f->errnos[i], number));
    say_arguments(out, f);
    if (r->n_faults > 1)
        fprintf(out, " (%.3g%%)", 100.0 * f->weight / (double)sum);
}

/* Kinds of descriptors on which the rule considers the call, as bits; the key that it counts by there. */
static unsigned kinds_of(const struct fsh_plan *plan, const struct fsh_rule *r, int call, unsigned *keys) {
    unsigned kinds = 0;
    for (int k = 0; k < FSH_KINDS; k++)
        for (unsigned i = 0; i < plan->on[call][k].n; i++)
            if (plan->on[call][k].v[i].rule == r->index) {
                kinds |= 1u << k;
                *keys |= 1u << plan->on[call][k].v[i].key;
            }
    return kinds;
}

static unsigned say_calls(FILE *out, const struct fsh_plan *plan, const struct fsh_rule *r, json_object *list) {
    unsigned keys = 0;
    const char *sep = "";
    for (int c = 0; c < FSH_CALLS; c++) {
        if (!kinds_of(plan, r, c, &keys))
            continue;
        fprintf(out, "%s%s", sep, fsh_calls[c].name);
        sep = " ";
        if (list)
            json_object_array_add(list, json_object_new_string(fsh_calls[c].name));
    }
    return keys;
}

static void say_keys(FILE *out, unsigned keys) {
    static const char *const names[] = {
        [KEY_THREAD] = "thread", [KEY_RESOURCE] = "resource", [KEY_SITE] = "call site", [KEY_RUN] = "the whole run"};
    const char *sep = "";
    for (unsigned k = KEY_THREAD; k <= KEY_RUN; k++)
        if (keys >> k & 1) {
            fprintf(out, "%s%s", sep, names[k]);
            sep = " or ";
        }
}

static void trim(struct words *w) {
    while (w->text && w->len && strchr("; ", w->text[w->len - 1]))
        w->text[--w->len] = 0;
}

/* The rule as lines, or as a JSON object. */
static json_object *show_rule(const struct fsh_plan *plan, const struct fsh_rule *r, bool json) {
    struct words calls, where, when, key;
    json_object *list = json ? json_object_new_array() : NULL;
    unsigned keys = say_calls(begin(&calls), plan, r, list);
    end(&calls);
    say_where(begin(&where), r);
    end(&where);
    trim(&where);
    say_when(begin(&when), plan->profile, r);
    end(&when);
    say_keys(begin(&key), keys);
    end(&key);
    json_object *o = NULL, *faults = NULL;
    if (json) {
        o = json_object_new_object();
        faults = json_object_new_array();
        put(o, "name", json_object_new_string(r->name));
        put(o, "file", json_object_new_string(r->file));
        put(o, "line", json_object_new_int((int)r->line));
        put(o, "enabled", json_object_new_boolean(r->enabled));
        put(o, "calls", list);
        put(o, "where", json_object_new_string(where.text));
        put(o, "when", json_object_new_string(when.text));
        put(o, "counts_by", json_object_new_string(key.text));
        put(o, "faults", faults);
    } else {
        printf("rule %s (%s:%u)%s\n", r->name, r->file, r->line, r->enabled ? "" : ": not enabled");
        printf("  on     %s\n", r->enabled ? calls.text : "nothing");
        if (*where.text)
            printf("  where  %s\n", where.text);
        printf("  when   %s%s%s\n", when.text, *key.text ? "; counted by " : "", key.text);
        if (r->message)
            printf("  note   %s\n", r->message);
    }
    for (unsigned i = 0; i < r->n_faults; i++) {
        struct words fault;
        say_fault(begin(&fault), r, i);
        end(&fault);
        if (json)
            json_object_array_add(faults, json_object_new_string(fault.text));
        else
            printf("  %s  %s\n", i ? "  or " : "fault", fault.text);
        free(fault.text);
    }
    free(calls.text);
    free(where.text);
    free(when.text);
    free(key.text);
    return o;
}

static int check_profile(struct fsh_loaded *loaded, const struct fsh_common *common, json_object *report) {
    bool good = fsh_load_options_whole(loaded, common);
    json_object *rules = report ? json_object_new_array() : NULL;
    for (unsigned i = 0; good && i < loaded->profile.n_rules; i++) {
        if (report)
            json_object_array_add(rules, show_rule(&loaded->plan, &loaded->profile.rules[i], true));
        else if (!common->quiet)
            show_rule(&loaded->plan, &loaded->profile.rules[i], false);
    }
    if (report) {
        put(report, "valid", json_object_new_boolean(good));
        put(report, "rules", rules);
    }
    return good ? 0 : EXIT_DIFFERENT;
}

/* --- the command --- */

/* A file is a program if it looks like one, else a profile. `loaded`: the profile of the command line, if there is a good one. */
static int check_file(const char *path, const struct fsh_loaded *loaded, struct fsh_common *common, json_object *report) {
    struct fsh_common one = {.profiles = &path, .n_profiles = 1, .quiet = common->quiet, .seed = 1, .has_seed = true};
    struct fsh_loaded own;
    int e = fsh_is_program(path);
    if (e < 0)
        return fsh_fail(EXIT_TROUBLE, "%s: %s", path, strerror(-e));
    if (e)
        return fsh_program_check(path, loaded, report, common->quiet);
    int status = check_profile(&own, &one, report);
    fsh_loaded_free(&own);
    return status;
}

/* By how bad they are: a program that is met in part is better than one that isn't. */
static int worse(int a, int b) {
    static const int order[] = {0, EXIT_BLIND, EXIT_DIFFERENT, EXIT_TROUBLE};
    int worst = 0;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (a == order[i] || b == order[i])
            worst = order[i];
    return worst;
}

static int check(char **files, int n, struct fsh_common *common) {
    json_object *reports = common->json ? json_object_new_array() : NULL;
    struct fsh_loaded loaded = {.text = NULL};
    bool has_profile = common->n_profiles || common->n_rules;
    int status = 0;
    if (!n && !has_profile) {
        json_object_put(reports);
        return fsh_fail(EXIT_TROUBLE, "check needs a file, a profile or a rule; see 'faultshim check --help'");
    }
    if (!common->has_seed) {
        common->seed = 1;
        common->has_seed = true;
    }
    for (int i = has_profile ? -1 : 0; i < n; i++) {
        json_object *report = reports ? json_object_new_object() : NULL;
        int s = i < 0 ? check_profile(&loaded, common, report) : check_file(files[i], has_profile ? &loaded : NULL, common, report);
        if (i < 0 && s)
            has_profile = false;
        status = worse(status, s);
        if (report)
            json_object_array_add(reports, report);
    }
    fsh_loaded_free(&loaded);
    if (reports)
        fsh_put_object(stdout, reports);
    return fsh_out_finish(status);
}

static bool take_nothing(void *arg, int id, const char *value) {
    return false;
}

int fsh_cmd_check(int argc, char **argv) {
    struct fsh_common common;
    int status, at = fsh_options(argc, argv, &usage, &common, take_nothing, NULL, &status);
    if (at >= 0)
        status = check(argv + at, argc - at, &common);
    fsh_common_free(&common);
    return status;
}
