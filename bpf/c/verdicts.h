/* Counting verdicts. */
#pragma once

#include "weir.h"

/* Each CPU's packets accepted and packets dropped, in this order. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[2]);
} MAP_VERDICTS SEC(".maps");

/* Counts a verdict. A plain add is enough: a per-CPU slot is written by its own CPU alone, in softirq or with bottom
 * halves off.
 */
static __always_inline void count(enum verdict verdict)
{
	__u32 key = 0;
	volatile __u64 *counts = bpf_map_lookup_elem(&MAP_VERDICTS, &key);

	if (!counts)
		return;
	/* Volatile, and two branches, so that the compiler doesn't make one add at a computed address of the two: a loader
	 * without CAP_PERFMON may not add what it knows only at run time to a pointer (kernel/bpf/verifier.c,
	 * sanitize_ptr_alu).
	 */
	if (verdict == ACCEPT)
		counts[ACCEPT]++;
	else
		counts[DROP]++;
}

typedef enum verdict decision(void *ctx, enum hook hook, const struct packet *packet);

/* Decides the server's packets, counts the verdicts, and lets other packets go on uncounted. Gives what the program
 * returns.
 */
static __always_inline int decide(void *ctx, enum hook hook, decision *decision)
{
	enum verdict verdict = DROP;
	struct packet packet;

	switch (found(ctx, hook, &packet)) {
	case FOUND_OTHER:
		return at(hook, ACCEPT);
	case FOUND_PACKET:
		verdict = decision(ctx, hook, &packet);
		break;
	case FOUND_SUPER_PACKET:
		break;
	}
	count(verdict);
	return at(hook, verdict);
}
