/* exports.c: see exports.h. All texts come from a folder that anybody can have written; each format has its way to write them
 * safely. */
#include "exports.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "out.h"

/* --- what all of them say --- */

static uint64_t number_of(const struct fsh_exploration *x, const struct fsh_finding *f) {
    const struct fsh_explored_run *run = fsh_exploration_run(x, f->first);
    return run ? run->n : UINT64_MAX;
}

static int compare_findings(const void *a, const void *b, void *x) {
    const struct fsh_finding *f = *(const struct fsh_finding *const *)a, *g = *(const struct fsh_finding *const *)b;
    uint64_t n = number_of(x, f), m = number_of(x, g);
    return n != m ? (n < m ? -1 : 1) : strcmp(f->id, g->id);
}

bool fsh_results_begin(struct fsh_results *r, const struct fsh_exploration *x, const char *folder) {
    *r = (struct fsh_results){.x = x, .folder = folder, .n = x->n_findings};
    r->findings = calloc(r->n + 1, sizeof *r->findings);
    r->replays = calloc(r->n + 1, sizeof *r->replays);
    if (!r->findings || !r->replays)
        return false;
    for (size_t i = 0; i < r->n; i++)
        r->findings[i] = &x->findings[i];
    qsort_r(r->findings, r->n, sizeof *r->findings, compare_findings, (void *)(uintptr_t)x);
    for (size_t i = 0; i < r->n; i++) {
        r->replays[i] = fsh_exploration_replay(folder, r->findings[i]->id);
        if (!r->replays[i])
            r->replays[i] = strdup(r->findings[i]->replay);
        if (!r->replays[i])
            return false;
    }
    for (size_t i = 0; i < x->n_runs; i++) {
        r->failed += x->runs[i].failed;
        r->ms += x->runs[i].ms;
    }
    return true;
}

void fsh_results_end(struct fsh_results *r) {
    for (size_t i = 0; r->replays && i < r->n; i++)
        free(r->replays[i]);
    free(r->replays);
    free(r->findings);
}

static double ms_of(const struct fsh_results *r, const struct fsh_finding *f) {
    const struct fsh_explored_run *run = fsh_exploration_run(r->x, f->first);
    return run ? run->ms : 0;
}

static bool some_passed(const struct fsh_results *r) {
    return r->x->n_runs > r->failed;
}

/* Memory for what is put together and then written in the way of a format; NULL if there is none. */
static char *words(void (*put)(FILE *, const void *), const void *what) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return NULL;
    put(out, what);
    fclose(out);
    return text;
}

static void put_command(FILE *out, const void *what) {
    const struct fsh_strings *command = what;
    for (size_t i = 0; i < command->n; i++) {
        if (i)
            putc(' ', out);
        fsh_put_shell(out, command->v[i]);
    }
}

static void put_frame(FILE *out, const void *what) {
    fsh_put_frame(out, what);
}

/* --- JUnit XML: the elements and attributes that its readers have in common --- */

static void attribute(FILE *out, const char *name, const char *value) {
    fprintf(out, " %s=\"", name);
    fsh_put_xml(out, value ? value : "");
    putc('"', out);
}

static void property(FILE *out, const char *name, const char *value) {
    fputs("      <property", out);
    attribute(out, "name", name);
    attribute(out, "value", value);
    fputs("/>\n", out);
}

static void put_case(FILE *out, const struct fsh_finding *f, const char *replay, double ms) {
    fputs("    <testcase", out);
    attribute(out, "classname", f->why);
    fputs(" name=\"", out);
    fsh_put_xml(out, f->title);
    fprintf(out, " [%s]\" time=\"%.3f\">\n      <failure", f->id, ms / 1000);
    attribute(out, "type", f->why);
    attribute(out, "message", f->title);
    fprintf(out, ">%" PRIu64 " run%s, first ", f->runs, fsh_plural(f->runs));
    fsh_put_xml(out, f->first);
    for (size_t i = 0; i < f->stack.n; i++) {
        char *frame = words(put_frame, &f->stack.v[i]);
        fprintf(out, "\n  #%zu ", i);
        fsh_put_xml(out, frame ? frame : "");
        free(frame);
    }
    fputc('\n', out);
    fsh_put_xml(out, replay);
    fputs("</failure>\n    </testcase>\n", out);
}

static void put_junit(FILE *out, const struct fsh_results *r) {
    const struct fsh_asked *asked = &r->x->asked;
    char *command = words(put_command, &asked->command), seed[24];
    size_t tests = r->n + some_passed(r);
    snprintf(seed, sizeof seed, "%" PRIu64, asked->seed);
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"faultshim\" tests=\"%zu\" failures=\"%zu\" errors=\"0\""
            " time=\"%.3f\">\n  <testsuite",
            tests, r->n, r->ms / 1000);
    attribute(out, "name", command);
    fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\" time=\"%.3f\"", tests, r->n, r->ms / 1000);
    attribute(out, "timestamp", asked->start);
    fputs(">\n    <properties>\n", out);
    property(out, "strategy", asked->strategy);
    property(out, "seed", seed);
    property(out, "failure", asked->oracles);
    fputs("    </properties>\n", out);
    if (some_passed(r))
        fprintf(out,
                "    <testcase classname=\"faultshim\" name=\"runs that do not fail\" time=\"%.3f\">\n"
                "      <system-out>%zu of %zu runs do not fail</system-out>\n    </testcase>\n",
                r->ms / 1000, r->x->n_runs - r->failed, r->x->n_runs);
    for (size_t i = 0; i < r->n; i++)
        put_case(out, r->findings[i], r->replays[i], ms_of(r, r->findings[i]));
    fputs("  </testsuite>\n</testsuites>\n", out);
    free(command);
}

/* --- TAP 14; the diagnostics are YAML, of which JSON strings are a part --- */

/* A description ends at a hash, and at the end of its line. */
static void put_tap(FILE *out, const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p == '#' || *p == '\\')
            putc('\\', out);
        putc((unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p, out);
    }
}

static void put_yaml(FILE *out, const char *key, const char *value) {
    fprintf(out, "  %s: ", key);
    if (value)
        fsh_put_json(out, value);
    else
        fputs("null", out);
    putc('\n', out);
}

static void put_point(FILE *out, size_t number, const struct fsh_finding *f, const char *replay, double ms) {
    const struct fsh_explored_frame *origin = fsh_frame_origin(&f->stack);
    fprintf(out, "not ok %zu - ", number);
    put_tap(out, f->title);
    fputs("\n  ---\n", out);
    put_yaml(out, "id", f->id);
    put_yaml(out, "why", f->why);
    fprintf(out, "  runs: %" PRIu64 "\n", f->runs);
    put_yaml(out, "first", f->first);
    put_yaml(out, "call", f->call);
    put_yaml(out, "error", f->error);
    if (origin && origin->file) {
        put_yaml(out, "file", origin->file);
        fprintf(out, "  line: %" PRIu64 "\n", origin->line);
    }
    fprintf(out, "  stack:%s\n", f->stack.n ? "" : " []");
    for (size_t i = 0; i < f->stack.n; i++) {
        char *frame = words(put_frame, &f->stack.v[i]);
        fputs("    - ", out);
        fsh_put_json(out, frame ? frame : "");
        putc('\n', out);
        free(frame);
    }
    put_yaml(out, "replay", replay);
    fprintf(out, "  duration_ms: %.3f\n  ...\n", ms);
}

static void put_tap_all(FILE *out, const struct fsh_results *r) {
    size_t tests = r->n + some_passed(r);
    char *command = words(put_command, &r->x->asked.command);
    fprintf(out, "TAP version 14\n1..%zu%s\n# ", tests, tests ? "" : " # SKIP no runs");
    put_tap(out, command ? command : "");
    putc('\n', out);
    free(command);
    if (some_passed(r))
        fprintf(out, "ok 1 - %zu of %zu runs do not fail\n", r->x->n_runs - r->failed, r->x->n_runs);
    for (size_t i = 0; i < r->n; i++)
        put_point(out, i + 1 + some_passed(r), r->findings[i], r->replays[i], ms_of(r, r->findings[i]));
}

/* --- JSON lines: findings as they stand in the folder --- */

static void put_jsonl(FILE *out, const struct fsh_results *r) {
    for (size_t i = 0; i < r->n; i++) {
        struct fsh_finding f = *r->findings[i];
        f.replay = r->replays[i];
        fsh_form_print(&fsh_finding_form, &f, out);
        putc('\n', out);
    }
}

/* --- SARIF 2.1.0 --- */

static void add(json_object *o, const char *key, json_object *value) {
    json_object_object_add(o, key, value);
}

static void add_text(json_object *o, const char *key, const char *text) {
    add(o, key, json_object_new_string(text ? text : ""));
}

/* {key: {"text": …}} */
static void add_message(json_object *o, const char *key, const char *text) {
    json_object *message = json_object_new_object();
    add_text(message, "text", text);
    add(o, key, message);
}

static json_object *list_of(json_object *item) {
    json_object *list = json_object_new_array();
    json_object_array_add(list, item);
    return list;
}

/* A path as a URI: RFC 3986 lets these stand for themselves. */
static void put_uri(FILE *out, const void *what) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    for (const unsigned char *p = what; *p; p++)
        if (strchr(plain, *p))
            putc(*p, out);
        else
            fprintf(out, "%%%02X", *p);
}

static char *uri_of(const char *before, const char *path, const char *after) {
    char *escaped = words(put_uri, path), *uri = NULL;
    if (escaped && asprintf(&uri, "%s%s%s", before, escaped, after) < 0)
        uri = NULL;
    free(escaped);
    return uri;
}

/* Files in the working directory are named from there on, so that a result can be shown in another checkout. */
static json_object *artifact_of(const char *file, const char *cwd) {
    json_object *artifact = json_object_new_object();
    size_t n = strlen(cwd);
    bool below = n > 1 && !strncmp(file, cwd, n) && file[n] == '/', absolute = *file == '/' && !below;
    char *uri = uri_of(absolute ? "file://" : "", below ? file + n + 1 : file, "");
    add_text(artifact, "uri", uri);
    if (!absolute)
        add_text(artifact, "uriBaseId", "WORKINGDIR");
    free(uri);
    return artifact;
}

static json_object *location_of(const struct fsh_explored_frame *f, const char *cwd) {
    json_object *location = json_object_new_object(), *logical = json_object_new_object();
    char *name = words(put_frame, &(struct fsh_explored_frame){.module = f->module, .offset = f->offset, .function = f->function});
    if (f->file) {
        json_object *physical = json_object_new_object();
        add(physical, "artifactLocation", artifact_of(f->file, cwd));
        if (f->line) {
            json_object *region = json_object_new_object();
            add(region, "startLine", json_object_new_uint64(f->line));
            add(physical, "region", region);
        }
        add(location, "physicalLocation", physical);
    }
    add_text(logical, "fullyQualifiedName", name);
    if (f->function)
        add_text(logical, "kind", "function");
    add(location, "logicalLocations", list_of(logical));
    free(name);
    return location;
}

static json_object *stack_of(const struct fsh_explored_frames *stack, const char *cwd) {
    json_object *o = json_object_new_object(), *frames = json_object_new_array();
    for (size_t i = 0; i < stack->n; i++) {
        json_object *frame = json_object_new_object();
        add(frame, "location", location_of(&stack->v[i], cwd));
        add_text(frame, "module", stack->v[i].module);
        json_object_array_add(frames, frame);
    }
    add(o, "frames", frames);
    return o;
}

/* "asan: heap-use-after-free" as "asan-heap-use-after-free" */
static void put_rule(FILE *out, const void *what) {
    bool gap = false, some = false;
    for (const char *p = what; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '.';
        if (plain && gap && some)
            putc('-', out);
        if (plain)
            putc(*p, out);
        gap = !plain;
        some |= plain;
    }
    if (!some)
        fputs("failure", out);
}

/* Its place among the rules, which are listed as they come up. */
static size_t rule_index(json_object *rules, const char *id, const char *why) {
    size_t n = json_object_array_length(rules);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(json_object_get_string(json_object_object_get(json_object_array_get_idx(rules, i), "id")), id))
            return i;
    json_object *rule = json_object_new_object();
    char *text = NULL;
    add_text(rule, "id", id);
    if (asprintf(&text, "Under injected faults the program fails: %s", why) < 0)
        text = NULL;
    add_message(rule, "shortDescription", text ? text : why);
    free(text);
    json_object_array_add(rules, rule);
    return n;
}

static json_object *result_of(const struct fsh_results *r, size_t i, json_object *rules) {
    const struct fsh_finding *f = r->findings[i];
    const char *cwd = r->x->asked.cwd;
    const struct fsh_explored_frame *origin = fsh_frame_origin(&f->stack);
    json_object *o = json_object_new_object(), *prints = json_object_new_object(), *more = json_object_new_object();
    char *rule = words(put_rule, f->why), *text = NULL;
    add_text(o, "ruleId", rule);
    add(o, "ruleIndex", json_object_new_uint64(rule_index(rules, rule ? rule : "", f->why)));
    add_text(o, "level", "error");
    if (asprintf(&text, "%s\n%s", f->title, r->replays[i]) < 0)
        text = NULL;
    add_message(o, "message", text ? text : f->title);
    add(o, "locations", origin ? list_of(location_of(origin, cwd)) : json_object_new_array());
    if (f->stack.n)
        add(o, "stacks", list_of(stack_of(&f->stack, cwd)));
    add_text(prints, "faultshimFinding/v1", f->id);
    add(o, "partialFingerprints", prints);
    if (f->runs)
        add(o, "occurrenceCount", json_object_new_uint64(f->runs));
    add_text(more, "first", f->first);
    if (f->call)
        add_text(more, "call", f->call);
    if (f->error)
        add_text(more, "error", f->error);
    add_text(more, "replay", r->replays[i]);
    add(o, "properties", more);
    free(rule);
    free(text);
    return o;
}

static json_object *invocation_of(const struct fsh_asked *asked, const char *directory) {
    json_object *o = json_object_new_object(), *place = json_object_new_object();
    char *command = words(put_command, &asked->command);
    add_text(o, "commandLine", command);
    add_text(o, "startTimeUtc", asked->start);
    add_text(place, "uri", directory);
    add(o, "workingDirectory", place);
    add(o, "executionSuccessful", json_object_new_boolean(true));
    free(command);
    return o;
}

static void put_sarif(FILE *out, const struct fsh_results *r) {
    json_object *o = json_object_new_object(), *run = json_object_new_object(), *driver = json_object_new_object(),
                *tool = json_object_new_object(), *rules = json_object_new_array(), *results = json_object_new_array(),
                *bases = json_object_new_object(), *base = json_object_new_object();
    char *directory = uri_of("file://", r->x->asked.cwd, "/");
    for (size_t i = 0; i < r->n; i++)
        json_object_array_add(results, result_of(r, i, rules));
    add_text(driver, "name", "faultshim");
    add_text(driver, "version", r->x->asked.version);
    add(driver, "rules", rules);
    add(tool, "driver", driver);
    add(run, "tool", tool);
    add(run, "invocations", list_of(invocation_of(&r->x->asked, directory)));
    add_text(base, "uri", directory);
    add(bases, "WORKINGDIR", base);
    add(run, "originalUriBaseIds", bases);
    add(run, "results", results);
    add_text(o, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
    add_text(o, "version", "2.1.0");
    add(o, "runs", list_of(run));
    free(directory);
    fsh_put_object(out, o);
}

static const struct {
    const char *name;
    fsh_export *put;
} formats[] = {{"junit", put_junit}, {"tap", put_tap_all}, {"sarif", put_sarif}, {"jsonl", put_jsonl}};

fsh_export *fsh_export_by_name(const char *name) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (!strcmp(formats[i].name, name))
            return formats[i].put;
    return NULL;
}
