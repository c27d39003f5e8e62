/* aliases.h: the ALIAS rows of calls.def whose doors stand in the including file, which defines FSH_ALIASES_PLAIN, _OPEN, _FILES,
 * _MEMORY or _PROCESS: an alias must be made where the function is. */
#define ALIAS_TO(symbol, name)                                                                                                     \
    extern __typeof__(fsh_door_##name) fsh_alias_##symbol __asm__(#symbol) __attribute__((alias(#name), visibility("default")));
#define ALIAS_PLAIN(symbol, name)
#define ALIAS_OPEN(symbol, name)
#define ALIAS_FILES(symbol, name)
#define ALIAS_MEMORY(symbol, name)
#define ALIAS_PROCESS(symbol, name)

#if defined(FSH_ALIASES_PLAIN)
#undef ALIAS_PLAIN
#define ALIAS_PLAIN ALIAS_TO
#elif defined(FSH_ALIASES_OPEN)
#undef ALIAS_OPEN
#define ALIAS_OPEN ALIAS_TO
#elif defined(FSH_ALIASES_FILES)
#undef ALIAS_FILES
#define ALIAS_FILES ALIAS_TO
#elif defined(FSH_ALIASES_MEMORY)
#undef ALIAS_MEMORY
#define ALIAS_MEMORY ALIAS_TO
#elif defined(FSH_ALIASES_PROCESS)
#undef ALIAS_PROCESS
#define ALIAS_PROCESS ALIAS_TO
#endif

#define ALIAS(symbol, name, file) ALIAS_##file(symbol, name)
#include "calls.def"
