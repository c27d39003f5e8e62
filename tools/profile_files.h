/* profile_files.h: the files that a profile names, for a new session: see the engine's files.h. */
#ifndef FSH_PROFILE_FILES_H
#define FSH_PROFILE_FILES_H

#include "profile_load.h"

/* Those of `recorded` as they were then, the others as they are now, from this working directory. Returns 0 or -errno; a file that
 * can't be read is left out. out->data is the caller's to free. */
int fsh_profile_files(struct fsh_text *out, const struct fsh_loaded *loaded, struct fsh_text recorded);

#endif
