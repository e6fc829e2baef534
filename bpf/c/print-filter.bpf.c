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
	__u32 key = 0, captured = buffer_length(packet->len, CAPTURE_LEN);
	struct capture *slot = bpf_map_lookup_elem(&MAP_CAPTURE, &key);

	if (slot && packet->len > 0 && copy(ctx, hook, packet->at, slot->bytes, captured)) {
		slot->len = packet->len;
		slot->captured = captured;
		slot->seen++;
	}
	return ACCEPT;
}

DECIDE(print, keep_a_copy)

PROGRAMS(print)
