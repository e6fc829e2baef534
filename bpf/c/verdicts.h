/* Counting verdicts. */
#pragma once

#include "frame.h"

/* Each CPU's packets accepted and packets dropped, in this order. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[2]);
} MAP_VERDICTS SEC(".maps");

/* Keeps a branch apart from another with a different `which`: the compiler knows nothing of `pointer` from here on. */
#define APART(pointer, which) asm volatile("" : "+r"(pointer) : "i"(which))

/* Counts a verdict. A plain add is enough: a per-CPU slot is written by its own CPU alone, in softirq or with bottom
 * halves off.
 */
static __always_inline void count(enum verdict verdict)
{
	__u32 key = 0;
	volatile __u64 *counts = bpf_map_lookup_elem(&MAP_VERDICTS, &key);

	if (!counts)
		return;
	/* Two branches that no compiler makes one of, with one add at a computed address: a loader without CAP_PERFMON may not
	 * add what it knows only at run time to a pointer (kernel/bpf/verifier.c, sanitize_ptr_alu).
	 */
	if (verdict == ACCEPT) {
		APART(counts, ACCEPT);
		counts[ACCEPT]++;
	} else {
		APART(counts, DROP);
		counts[DROP]++;
	}
}

/* Defines `run`, which decides the server's packets, counts the verdicts, and lets other packets go on uncounted. It
 * gives what the program returns. A macro, because clang makes calls of functions that are handed over.
 */
#define DECIDE(run, decision) \
	static __always_inline int run(void *ctx, enum hook hook) \
	{ \
		struct packet packet; \
		enum found what = found(ctx, hook, &packet); \
		enum verdict verdict; \
\
		if (what == FOUND_OTHER) \
			return at(hook, ACCEPT); \
		verdict = what == FOUND_PACKET ? decision(ctx, hook, &packet) : DROP; \
		count(verdict); \
		return at(hook, verdict); \
	}
