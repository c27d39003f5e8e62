/* parse.h: what the files of the profile's parser share: profile.c (lines, sections, keys), values.c (one function for each T_
 * type of keys.def), phase_lines.c (those of phases and events), fault_line.c and fault_more.c (T_FAULT). Nobody else includes it.
 */
#ifndef FSH_PARSE_H
#define FSH_PARSE_H

#include "text.h"

enum {
    MANY_MAX = 256,  /* words under one key of a rule */
    TEXT_LISTS = 10, /* members of struct fsh_rule of type struct fsh_texts */
    ERRNOS_MAX = 128
};

enum section { NO_SECTION, SESSION, RULE, PHASE };

enum key_id {
#define KEY(section, name, type, field, many, summary) K_##section##_##field,
#include "keys.def"
    KEYS
};

struct place {
    const char *file;
    unsigned line;
};

struct scratch {
    struct fsh_selector calls[MANY_MAX], except[MANY_MAX];
    const char *texts[TEXT_LISTS][MANY_MAX];
    struct fsh_range fd[MANY_MAX];
    struct fsh_step nth[MANY_MAX];
    uint64_t draw[MANY_MAX];
    struct fsh_fault_spec faults[FSH_FAULTS_MAX];
    int errnos[ERRNOS_MAX];
    const struct fsh_fault_alias *aliases[FSH_FAULTS_MAX];
    struct place seen[KEYS];
};

struct parse {
    struct fsh_profile *profile;
    struct fsh_arena *arena;
    struct fsh_error *error;
    struct scratch *scratch;
    int result;
    unsigned rules_max;

    const char *next, *end; /* text not yet read */
    struct fsh_word line;   /* the current one, as in the text */
    struct place here;
    bool source_begins; /* no line of this source was read yet */

    enum section section;
    const char *session_file; /* source whose [faultshim] was read last */
    struct fsh_rule *rule;
    struct fsh_phase *phase;
};

struct key {
    uint8_t section;
    const char *name;
    bool (*read)(struct parse *p, const struct key *key, void *field, struct fsh_word value);
    size_t offset;
    bool many;
};

/* A message about the line that is being read. It is false, for `return`; the first one ends the parse. */
#define fail(p, ...) (fsh_error_at((p)->error, (p)->here.file, (p)->here.line, __VA_ARGS__), fsh_parse_failed(p))

bool fsh_parse_failed(struct parse *p);
/* The arena is full. */
bool fsh_parse_full(struct parse *p);
/* "unknown WHAT 'WORD'; did you mean 'KNOWN'?", or, if nothing known is near, "; OTHERWISE". */
bool fsh_parse_unknown(struct parse *p, const char *what, struct fsh_word word, const char *const *known, size_t n,
                       const char *otherwise);
bool fsh_parse_unclosed(struct parse *p, const struct key *key);
bool fsh_parse_backwards(struct parse *p, const char *what, struct fsh_word value);
/* A value of text.h with its message. */
bool fsh_parse_value(struct parse *p, const char *what, struct fsh_word value, uint64_t *out,
                     const char *(*read)(struct fsh_word, uint64_t *));

/* A new element of a list in the scratch space, or NULL with an error. A macro, since the lists differ in nothing but the type of
 * their elements. */

#define NEXT(p, key, list, max)                                                                                                    \
    ((list)->n < (max) ? &(list)->v[(list)->n++]                                                                                   \
                       : (fail(p, "%s has more than %u entries; write another rule", (key)->name, (unsigned)(max)), NULL))

/* "name=value": true and the value. */
bool fsh_fault_argument(struct fsh_word word, const char *name, struct fsh_word *value);
/* The fault has no such argument. */
bool fsh_fault_no_argument(struct parse *p, const struct fsh_fault_spec *spec, struct fsh_word word);
bool fsh_fault_errno(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word);
/* DURATION or DURATION..DURATION, SIZE or SIZE..SIZE: the fault's amount. */
bool fsh_fault_amount(struct parse *p, struct fsh_fault_spec *spec, const char *what, struct fsh_word word,
                      const char *(*read)(struct fsh_word, uint64_t *));
/* A text in quotes at the front of *rest, with escapes; it is cut off there. */
bool fsh_fault_text(struct parse *p, const char *what, struct fsh_word *rest, const char **text, uint32_t *n);
/* replace="OLD"->"NEW": the texts may hold blanks, so they are read from the line itself. */
bool fsh_fault_replace(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word value, struct fsh_word *rest);
/* fault_more.c: the kinds that fault_line.c leaves to it, argument by argument, and what the whole must fulfil. */
bool fsh_fault_more_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest);
bool fsh_fault_more_finish(struct parse *p, struct fsh_fault_spec *spec);

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* fault_net.c: the faults of the network. */
bool fsh_fault_net_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word, struct fsh_word *rest);
bool fsh_fault_net_finish(struct parse *p, struct fsh_fault_spec *spec);

/* fault_time.c: the faults of clocks. */
bool fsh_fault_time_argument(struct parse *p, struct fsh_fault_spec *spec, struct fsh_word word);
bool fsh_fault_time_finish(struct parse *p, struct fsh_fault_spec *spec);
/* At the end of a rule: how often it fires if nothing says so. */
void fsh_fault_time_settle(struct fsh_rule *rule);

bool fsh_read_T_TRACE(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_CLOCK(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_CHILDREN(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_DOORS(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_DOORS_IN(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_CONTROL(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_IO_URING(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_OUTPUT(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_RECORD(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_STACKS(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_STICKY(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_KEY(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_BOOL(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_SEED(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_SIZE(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_COUNT(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_SHARE(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_RANGE(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_HEADSTART(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_NTH(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_DRAW(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_FDS(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_TEXT(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_GLOBS(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_PEERS(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_CALLS(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_WORDS(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_POINT(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_EVERY(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_INTENSITY(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_EVENT(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_ON(struct parse *p, const struct key *key, void *field, struct fsh_word value);
bool fsh_read_T_FAULT(struct parse *p, const struct key *key, void *field, struct fsh_word value);

/* A name of a rule or phase: what it may consist of. */
bool fsh_parse_name(struct parse *p, const char *what, struct fsh_word name);
/* A phase with its defaults, at the line that is being read; NULL after a message. */
struct fsh_phase *fsh_parse_new_phase(struct parse *p, struct fsh_word name);
/* At the end of a [phase]: what only the whole can show. */
bool fsh_parse_end_phase(struct parse *p);
/* At the end of all: names of rules and phases become numbers. */
bool fsh_parse_resolve(struct parse *p);

#endif
