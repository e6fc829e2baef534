/* parameterized-filter: accepts everything while its parameter is 0; the parameter comes by map or by constant. */
#include "verdicts.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} MAP_PARAMETER SEC(".maps");

/* Set by the loader; the verifier then knows its value and removes the branch not taken. */
const volatile __u32 PARAMETER_CONSTANT = 0;

static __always_inline enum verdict by_map(void *ctx, enum hook hook, const struct packet *packet)
{
	__u32 key = 0;
	const __u32 *value = bpf_map_lookup_elem(&MAP_PARAMETER, &key);

	/* An array's only element always exists; an absent one reads as 0. */
	return value && *value ? DROP : ACCEPT;
}

DECIDE(parameter_map, by_map)

/* Not inlined: arms that share code would leave the verifier a branch with two live ends, which it keeps. */
static __noinline void count_accept(void)
{
	count(ACCEPT);
}

static __noinline void count_drop(void)
{
	count(DROP);
}

static __always_inline int parameter_const(void *ctx, enum hook hook)
{
	struct packet packet;
	enum found what = found(ctx, hook, &packet);

	if (what == FOUND_OTHER)
		return at(hook, ACCEPT);
	if (what == FOUND_PACKET && PARAMETER_CONSTANT == 0) {
		count_accept();
		return at(hook, ACCEPT);
	}
	count_drop();
	return at(hook, DROP);
}

PROGRAMS(parameter_map)
PROGRAMS(parameter_const)
