/* site_maps.h: makes the map of libc's `syscall` instructions before a program needs it, so that its first run under the shim is
 * like all others: no decoder in it, and none of the decoder's allocations. */
#ifndef FSH_SITE_MAPS_H
#define FSH_SITE_MAPS_H

/* Of the libc and the dynamic linker that this command itself uses, where they are not known yet. Without a place to keep them,
 * programs make their own. */
void fsh_make_site_maps(void);

#endif
