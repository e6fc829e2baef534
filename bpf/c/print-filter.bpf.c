/* print-filter: accepts everything and keeps a copy of each CPU's last packet. */
#include "verdicts.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct capture);
} MAP_CAPTURE SEC(".maps");

static __always_inline enum verdict keep_a_copy(void *ctx, enum hook hook, const struct packet *packet)
{
	__u32 key = 0, captured = packet->len < CAPTURE_LEN ? packet->len : CAPTURE_LEN;
	struct capture *capture = bpf_map_lookup_elem(&MAP_CAPTURE, &key);

	if (capture && captured > 0 && copy(ctx, hook, packet->at, capture->bytes, captured)) {
		capture->len = packet->len;
		capture->captured = captured;
		capture->seen++;
	}
	return ACCEPT;
}

static __always_inline int print(void *ctx, enum hook hook)
{
	return decide(ctx, hook, keep_a_copy);
}

PROGRAMS(print)
