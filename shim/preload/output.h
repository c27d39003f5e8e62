/* output.h: what the program says, in the trace: writes to descriptors 1 and 2, with output = keep. */
#ifndef FSH_OUTPUT_H
#define FSH_OUTPUT_H

#include "gate.h"

/* Whether the call may be such a write in this run. */
static inline bool fsh_keeps_output(enum fsh_call call) {
    return fsh_shim.plan->profile->options.output == OUTPUT_KEEP && (call == CALL_write || call == CALL_writev);
}
/* After the call, with the gate closed: `result` bytes of what `a` points to were taken. */
void fsh_output_keep(enum fsh_call call, const long *a, long result);

#endif
