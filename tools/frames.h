/* frames.h: call stacks of an exploration in words. */
#ifndef FSH_FRAMES_H
#define FSH_FRAMES_H

#include <stdio.h>

#include "exploration.h"

bool fsh_frame_is_libc(const struct fsh_explored_frame *frame);
/* The frame that a person would name: the innermost that is not libc's. NULL if there is none at all. */
const struct fsh_explored_frame *fsh_frame_origin(const struct fsh_explored_frames *stack);
/* "parse (parse.c:12)", or "prog+0x1234" where nothing is known. */
void fsh_put_frame(FILE *out, const struct fsh_explored_frame *frame);

#endif
