/* effects_net.h: what the files of the network's faults share. */
#ifndef FSH_EFFECTS_NET_H
#define FSH_EFFECTS_NET_H

#include "effects.h"
#include "links.h"

/* A new thing is left behind on the resource of the call, unless something is there already. NULL if there is no memory for it. */
struct fsh_link *fsh_leave_behind(const struct fsh_action *action, enum fsh_link_state state);

/* Whether the kernel would take a datagram. */
bool fsh_can_be_sent(const struct fsh_action *action);

/* Whether a receive or send would wait: by O_NONBLOCK and MSG_ flags. */
bool fsh_call_waits(const struct fsh_action *action);
/* SO_RCVTIMEO in ns; UINT64_MAX for none. */
uint64_t fsh_receive_time(const struct fsh_action *action);
/* After a signal: whether the call reports EINTR. */
bool fsh_interrupted(void);

/* The descriptor leads to its connection again, whatever of the reply is unread. */
void fsh_reply_end(struct fsh_link *link);

/* The connection leads nowhere from here on. */
void fsh_hole_open(struct fsh_link *link, int fd);

#endif
