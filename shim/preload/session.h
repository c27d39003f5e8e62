/* session.h: this process's place in the run: joining or creating the session, its identity, its threads, its children. */
#ifndef FSH_SESSION_H
#define FSH_SESSION_H

#include "gate.h"

/* Finds the run in the environment, maps it, reads the profile. Returns 0 if a plan is armed, 1 if there is nothing to do; does not
 * return for a bad profile (exit 125), unless FAULTSHIM_ON_ERROR=ignore. Called once, by the constructor, on the main thread. */
int fsh_session_start(char **env);
/* main begins: from here on calls are decided. */
void fsh_session_ready(void);

/* A thread that no call may be decided on. */
struct fsh_thread *fsh_thread_none(void);

/* Absolute path of the program, and of this library. */
const char *fsh_program_path(void);
const char *fsh_library_path(void);

/* The path of the trace; "" if it has none. */
const char *fsh_session_path(void);
/* This process can decide by the profile of that load, or it can't. */
void fsh_session_took(unsigned load, bool good);

/* The descriptor of the session is ours: before another file takes its number, it moves. */
void fsh_session_make_way(int fd);

/* One line to standard error: "faultshim: " and the parts. */
void fsh_say(const char *a, const char *b, const char *c);
const char *fsh_env(char *const *env, const char *name);

/* When a process started, in clock ticks; 0 if there is no such process, or no /proc. */
uint64_t fsh_process_started(uint32_t pid);

/* Environment of a child program. `child` is its name if it has none yet (vfork, posix_spawn), or NULL (exec in place).
 * `out` has room for the entries of `env` and FSH_ENV_EXTRA more; `text` holds what is new. */
enum { FSH_ENV_EXTRA = 4, FSH_ENV_TEXT = 16384 };
void fsh_env_for_child(char *const *env, const struct fsh_identity *child, char **out, char *text, size_t size);
/* Whether child programs are to have the shim. */
bool fsh_children_follow(void);
/* The same in memory of its own, of *size bytes; NULL if `env` is left as it is. `of_child`: named, if there is a name for it. */
char *const *fsh_env_in_memory(char *const *env, bool of_child, size_t *size);
/* How many entries there are, and how much room `text` needs; false if the kernel could not read it either. */
bool fsh_env_measure(char *const *env, size_t *entries, size_t *text);

#endif
