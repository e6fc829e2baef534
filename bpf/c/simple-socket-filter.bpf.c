/* simple-socket-filter: accepts everything. */
#include "weir.h"

static __always_inline int simple(void *ctx, enum hook hook)
{
	return at(hook, ACCEPT);
}

PROGRAMS(simple)
