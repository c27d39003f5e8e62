/* site_maps.h: the maps of the `syscall` instructions of libc and ld.so, for the session: so that the first run of a program under
 * the shim is like all others (no decoder in it, and none of the decoder's allocations), and programs that cannot read this user's
 * cache need no decoder either. */
#ifndef FSH_SITE_MAPS_H
#define FSH_SITE_MAPS_H

#include "trace.h"

/* Of the libc and the dynamic linker that this command itself uses; what is not known yet is found and kept. To be freed. */
struct fsh_text fsh_site_maps(void);

#endif
