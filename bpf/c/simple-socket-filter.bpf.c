/* simple-socket-filter: accepts everything. */
#include "weir.h"

static __always_inline int simple(void *ctx, enum hook hook)
{
	struct packet packet;

	/* One datagram is accepted, whoever's it is; only for several it matters. */
	if (segments(ctx, hook) <= 1)
		return at(hook, ACCEPT);
	return at(hook, found(ctx, hook, &packet) == FOUND_SUPER_PACKET ? DROP : ACCEPT);
}

PROGRAMS(simple)
