/* swarm.h: swarm testing: of a profile, another one with some of its rules and with other strengths, all drawn from a seed. */
#ifndef FSH_SWARM_H
#define FSH_SWARM_H

#include "profile_load.h"

/* The text of the profile of that seed, to be freed; NULL after a message. At least one rule of the profile is in it. */
char *fsh_swarm(const struct fsh_loaded *loaded, uint64_t seed, size_t *len);

#endif
