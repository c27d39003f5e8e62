/* select.c: see select.h. */
#include "select.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

bool fsh_select_is_option(int id) {
    return id >= SELECT_FAULTS && id <= SELECT_UNTIL;
}

/* A bare number is in seconds, as in the log itself. */
static bool take_time(const char *what, const char *value, uint64_t *ns) {
    char *end;
    double seconds = strtod(value, &end);
    if (isdigit((unsigned char)*value) && *end == 0) {
        if (seconds >= 1e9) {
            fsh_warn("%s '%s' is too long", what, value);
            return false;
        }
        *ns = (uint64_t)(seconds * 1e9 + 0.5);
        return true;
    }
    return fsh_option_time(what, value, ns);
}

bool fsh_select_take(struct fsh_select *s, int id, const char *value) {
    switch (id) {
    case SELECT_FAULTS:
        s->faults = true;
        return true;
    case SELECT_RULE:
        s->rule = value;
        return true;
    case SELECT_CALL:
        s->call = value;
        return true;
    case SELECT_PROCESS:
        s->process = value;
        return true;
    case SELECT_THREAD:
        s->thread = value;
        return true;
    case SELECT_PATH:
        s->path = value;
        return true;
    case SELECT_SINCE:
        s->has_since = true;
        return take_time("--since", value, &s->since);
    default:
        s->has_until = true;
        return take_time("--until", value, &s->until);
    }
}

/* --- calls: numbers of the trace, classes of this build --- */

static uint8_t kinds_of_class(int call, const char *family, const char *class) {
    uint8_t kinds = 0;
    for (unsigned k = 0; call >= 0 && k < FSH_KINDS; k++) {
        const struct fsh_class_row *row = &fsh_classes[fsh_calls[call].class_of[k]];
        if (fsh_calls[call].class_of[k] != C_NONE && !strcmp(row->family, family) && (!class || !strcmp(row->name, class)))
            kinds |= (uint8_t)(1u << k);
    }
    return kinds;
}

static bool select_calls(struct fsh_select *s) {
    char family[64] = "", *class = NULL;
    bool any = false;
    bool by_class = *s->call == '@';
    int alias = fsh_call_by_name(s->call, strlen(s->call));
    const char *pattern = alias >= 0 ? fsh_calls[alias].name : s->call;
    if (by_class) {
        snprintf(family, sizeof family, "%s", s->call + 1);
        class = strchr(family, '.');
        if (class)
            *class ++ = 0;
    }
    for (unsigned i = 0; i < s->n_calls; i++) {
        const char *name = fsh_reader_call_name(s->reader, i);
        if (by_class)
            s->kinds[i] = kinds_of_class(fsh_call_by_name(name, strlen(name)), family, class);
        else
            s->kinds[i] = fsh_glob(pattern, name, true) ? 0xff : 0;
        any |= s->kinds[i] != 0;
    }
    if (!any)
        fsh_warn("--call '%s' is no call; 'faultshim list calls' shows them", s->call);
    return any;
}

static bool names_match(const char *pattern, const char *name, const char *other) {
    return fsh_glob(pattern, name, true) || (other && fsh_glob(pattern, other, false));
}

static void select_threads(struct fsh_select *s) {
    for (unsigned i = 0; i < fsh_reader_threads(s->reader); i++) {
        const struct fsh_thread_info *t = fsh_reader_thread(s->reader, i);
        const struct fsh_process_info *p = fsh_reader_process_by_key(s->reader, t->process_key, t->image);
        s->threads[i] = (!s->process || names_match(s->process, t->process, p ? p->program : NULL)) &&
                        (!s->thread || names_match(s->thread, t->name, t->comm));
    }
}

static bool select_rule(struct fsh_select *s) {
    for (unsigned i = 0; i < fsh_reader_rules(s->reader); i++)
        if (!strcmp(fsh_reader_rule_name(s->reader, i), s->rule)) {
            s->rule_number = (uint16_t)i;
            return true;
        }
    fsh_warn("--by-rule '%s' is no rule of this trace", s->rule);
    return false;
}

bool fsh_select_prepare(struct fsh_select *s, const struct fsh_reader *reader) {
    s->reader = reader;
    s->n_calls = fsh_reader_header(reader)->n_calls;
    s->kinds = malloc(s->n_calls + 1ul);
    s->threads = malloc(fsh_reader_threads(reader) + 1ul);
    if (!s->kinds || !s->threads) {
        fsh_warn("out of memory");
        return false;
    }
    memset(s->kinds, 0xff, s->n_calls);
    select_threads(s);
    return (!s->call || select_calls(s)) && (!s->rule || select_rule(s));
}

void fsh_select_free(struct fsh_select *s) {
    free(s->kinds);
    free(s->threads);
}

/* --- decisions --- */

static bool path_matches(struct fsh_select *s, uint64_t number) {
    if (number == s->last_resource)
        return s->last_matches;
    const struct fsh_resource_info *r = fsh_reader_resource(s->reader, number);
    bool flat = r && r->kind != FSH_ON_FILE;
    s->last_resource = number;
    s->last_matches = r && (fsh_glob(s->path, r->name, flat) || (*r->other && fsh_glob(s->path, r->other, flat)));
    return s->last_matches;
}

bool fsh_selected(struct fsh_select *s, const struct fsh_decision *d) {
    if (d->flags & FAULT_PASSED)
        return false;
    if ((s->faults || s->rule) && !d->fault)
        return false;
    if (s->rule && d->rule != s->rule_number)
        return false;
    if (!s->threads[d->thread] || (s->has_since && d->time < s->since) || (s->has_until && d->time > s->until))
        return false;
    if (s->call && (d->call >= s->n_calls || !(s->kinds[d->call] >> d->kind & 1)))
        return false;
    return !s->path || path_matches(s, d->resource);
}

bool fsh_selected_event(const struct fsh_select *s, const struct fsh_event *e) {
    return s->threads[e->thread] && !(s->has_since && e->time < s->since) && !(s->has_until && e->time > s->until);
}
