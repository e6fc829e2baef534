/* count-filter: accepts everything and counts it. */
#include "verdicts.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} MAP_COUNTER SEC(".maps");

static __always_inline enum verdict count_it(void *ctx, enum hook hook, const struct packet *packet)
{
	__u32 key = 0;
	__u64 *slot = bpf_map_lookup_elem(&MAP_COUNTER, &key);

	if (slot)
		(*slot)++;
	return ACCEPT;
}

DECIDE(count_packets, count_it)

PROGRAMS(count_packets)
