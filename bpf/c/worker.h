/* The worker that gets a request, at a shared port. */
#pragma once

/* Sockets by worker. */
struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, MOST_WORKERS);
	__type(key, __u32);
	__type(value, __u32);
} MAP_WORKERS SEC(".maps");

/* Set by the loader; the verifier then knows it, and where there is one removes the pick. */
const volatile __u32 WORKER_COUNT = 1;

/* The key that the request names; false where it names none. */
static __always_inline bool key_of(void *ctx, __u32 *key)
{
	__u32 len = length(ctx, reuseport);
	struct head head;

	if (!load_head(ctx, reuseport, 0, len, &head))
		return false;
#define LOAD_KEY(word, mask, at) \
	if (begins_with(&head, word, mask)) \
		return copy(ctx, reuseport, at, key, sizeof(*key));
	EACH_KEYED(LOAD_KEY)
	return false;
}

/* What a program returns for `value`, with a worker picked at a shared port for what is accepted. What names no key goes
 * where the kernel's hash says, and so does a request whose worker has no socket.
 */
static __always_inline int ended(void *ctx, enum hook hook, int value)
{
	__u32 worker;

	if (hook == reuseport && value == at(reuseport, ACCEPT) && WORKER_COUNT > 1 && key_of(ctx, &worker)) {
		worker = (__u64)(__u32)(LE32(worker) * WORKER_SPREAD) * WORKER_COUNT >> 32;
		bpf_sk_select_reuseport(ctx, &MAP_WORKERS, &worker, 0);
	}
	return value;
}
