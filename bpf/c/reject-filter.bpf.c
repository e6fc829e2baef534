/* reject-filter: drops everything. */
#include "verdicts.h"

static __always_inline enum verdict always_drop(void *ctx, enum hook hook, const struct packet *packet)
{
	return DROP;
}

DECIDE(reject, always_drop)

PROGRAMS(reject)
