/* What the programs in C share: the hooks, reading the packet, what is returned for a verdict, the licence.
 *
 * wire.h is generated from weir-wire when weir is built: every offset and every number of a protocol is there.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "wire.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* The last two are xdp again: where a frame never comes in pieces, and where nothing is read in the packet itself. */
enum hook { socket, reuseport, cgroup, tc, xdp, xdp_whole, xdp_pieces };

enum verdict { ACCEPT, DROP };

/* One program a hook, each called after its hook and the filter. `run` gives what the program returns. */
#define PROGRAMS(run) \
	PROGRAM(run, socket, "socket", __sk_buff) \
	PROGRAM(run, reuseport, "sk_reuseport", sk_reuseport_md) \
	PROGRAM(run, cgroup, "cgroup_skb/ingress", __sk_buff) \
	PROGRAM(run, tc, "classifier", __sk_buff) \
	PROGRAM(run, xdp, "xdp.frags", xdp_md) \
	PROGRAM(run, xdp_whole, "xdp", xdp_md)

#define PROGRAM(run, hook, section, context) \
	SEC(section) \
	int hook##_##run(struct context *ctx) \
	{ \
		return ended(ctx, hook, run(ctx, hook)); \
	}

/* Set by the loader for hooks below the socket; the verifier then knows it and removes the branches not taken. */
const volatile struct endpoint ENDPOINT = {};

/* The UDP header and the first bytes of the payload, as the packet has them, with zeros where it ends earlier: no
 * command has a zero in its word.
 */
struct head {
	__u8 header[UDP_HEADER_LEN];
	__u64 first;
};

/* A packet for the server, where a hook shows it. */
struct packet {
	/* Offset of its UDP header, and its length from there. */
	__u32 at;
	__u32 len;
	/* What finding it has loaded already, below the socket. */
	struct head head;
};

/* Words of four bytes at most, from the IP header on. Where the machine wants them aligned the kernel lays a packet so
 * that its IP header is (NET_IP_ALIGN in include/linux/skbuff.h), and with it all that follows, since each header there
 * is as long as a multiple of four; the verifier counts on no more (kernel/bpf/verifier.c, check_pkt_ptr_alignment).
 */
typedef __u64 __attribute__((aligned(4))) words;

#define U8(bytes, offset) (*(const __u8 *)((const void *)(bytes) + (offset)))
#define U16(bytes, offset) (*(const __u16 *)((const void *)(bytes) + (offset)))
#define U32(bytes, offset) (*(const __u32 *)((const void *)(bytes) + (offset)))
#define U64(bytes, offset) (*(const words *)((const void *)(bytes) + (offset)))

/* `value`, or `most` where it is more, in a way that any verifier sees: what a verifier infers from comparisons that a
 * compiler placed differs from kernel to kernel, and compilers compare a copy of what they go on with.
 */
static __always_inline __u32 at_most(__u64 value, const __u32 most)
{
	asm("if %0 <= %1 goto +1\n%0 = %1" : "+r"(value) : "i"(most));
	return value;
}

/* A length for a call that takes neither 0 nor more than a buffer has: `len`, or `most` where it is more. 0 is taken for
 * more.
 */
static __always_inline __u32 buffer_length(__u32 len, const __u32 most)
{
	return at_most((__u32)(len - 1), most - 1) + 1;
}

/* What the hook shows; offsets are bytes from its first one. */

static __always_inline void *data(void *ctx)
{
	return (void *)(long)((struct xdp_md *)ctx)->data;
}

static __always_inline void *data_end(void *ctx)
{
	return (void *)(long)((struct xdp_md *)ctx)->data_end;
}

/* Whether the first header there is IP's, or UDP's; elsewhere it is Ethernet's. */
static __always_inline bool begins_at_ip(enum hook hook)
{
	return hook == cgroup;
}

static __always_inline bool begins_at_udp(enum hook hook)
{
	return hook == socket || hook == reuseport;
}

/* Whether bytes at hand are read in the packet itself. */
static __always_inline bool is_direct(enum hook hook)
{
	return hook == xdp || hook == xdp_whole;
}

/* More than any offset that is read at: of a header, or of the payload behind six IPv6 extension headers of 2 KiB. What is read
 * there ends before the last offset that the verifier follows (MAX_PACKET_OFF, 0xffff, include/linux/bpf_verifier.h).
 */
#define MOST_AT 0x7fff
/* More than where any packet ends. */
#define MOST_END 0x1ffff

static __always_inline __u32 length(void *ctx, enum hook hook)
{
	switch (hook) {
	case xdp_whole:
		return data_end(ctx) - data(ctx);
	case xdp:
	case xdp_pieces:
		return bpf_xdp_get_buff_len(ctx);
	case reuseport:
		return ((struct sk_reuseport_md *)ctx)->len;
	default:
		return ((struct __sk_buff *)ctx)->len;
	}
}

/* Whether there are `end` bytes at hand. */
static __always_inline bool reaches(void *ctx, enum hook hook, __u32 end)
{
	if (is_direct(hook))
		return data(ctx) + at_most(end, MOST_END) <= data_end(ctx);
	return end <= length(ctx, hook);
}

/* Volatile, because the compiler would make a call of memcpy of it. */
static __always_inline bool copy_at_hand(void *ctx, __u32 at, void *to, __u32 len)
{
	const void *start = data(ctx) + at_most(at, MOST_AT);

	for (__u32 i = 0; i < len; i++) {
		/* Hidden, because clang 19 and newer make `i != len` of the bound otherwise, of which kernels before 6.8 learn nothing. */
		asm("" : "+r"(i));
		const volatile __u8 *from = start + i;
		const volatile __u8 *behind = from;

		/* Not `from >= data_end(ctx)`, which the compiler would make of it, and which tells the verifier nothing where it
		 * knows `from` as a base without an offset (kernel/bpf/verifier.c, find_good_pkt_pointers).
		 */
		asm("%0 += 1" : "+r"(behind));
		if ((const void *)behind > data_end(ctx))
			return false;
		((volatile __u8 *)to)[i] = *from;
	}
	return true;
}

static __always_inline bool copy(void *ctx, enum hook hook, __u32 at, void *to, __u32 len)
{
	if (hook == xdp_whole)
		return copy_at_hand(ctx, at, to, len);
	if (hook == xdp || hook == xdp_pieces)
		return bpf_xdp_load_bytes(ctx, at, to, len) == 0;
	return bpf_skb_load_bytes(ctx, at, to, len) == 0;
}

/* Where `len` bytes are to be read, if they are at hand: at xdp in the packet's first piece, since direct access reaches no
 * other; elsewhere in `buffer`, into which they are copied, since a UDP payload may lie in page fragments, which direct
 * access doesn't reach either (net/ipv4/ip_output.c, ip_append_data).
 */
static __always_inline const void *load(void *ctx, enum hook hook, __u32 at, void *buffer, __u32 len)
{
	if (is_direct(hook)) {
		void *start = data(ctx) + at_most(at, MOST_AT);

		return start + len > data_end(ctx) ? NULL : start;
	}
	return copy(ctx, hook, at, buffer, len) ? buffer : NULL;
}

/* Whether the packet is several datagrams that segmentation offload left together, as far as the hook tells. */
static __always_inline bool is_super_packet(void *ctx, enum hook hook)
{
	return (hook == cgroup || hook == tc) && ((struct __sk_buff *)ctx)->gso_size;
}

/* The eight bytes from `start` on in the packet itself as a load gives them, with zeros where it ends earlier. */
static __always_inline __u64 first_at(void *ctx, const void *start)
{
	const void *end = data_end(ctx);
	__u64 first = 0;
	__u32 bits = 8 * sizeof(first);

	if (start + sizeof(first) <= end)
		return U64(start, 0);
	if (start + sizeof(__u32) <= end) {
		bits -= 8 * sizeof(__u32);
		first = (__u64)bpf_ntohl(U32(start, 0)) << bits;
		start += sizeof(__u32);
	}
	if (start + sizeof(__u16) <= end) {
		bits -= 8 * sizeof(__u16);
		first |= (__u64)bpf_ntohs(U16(start, 0)) << bits;
		start += sizeof(__u16);
	}
	if (start + sizeof(__u8) <= end)
		first |= (__u64)U8(start, 0) << (bits - 8);
	return bpf_cpu_to_be64(first);
}

/* Loads the head at `at`, of a packet with `rest` bytes from there. */
static __always_inline bool load_head(void *ctx, enum hook hook, __u32 at, __u32 rest, struct head *head)
{
	__builtin_memset(head, 0, sizeof(*head));
	if (!is_direct(hook))
		return rest > 0 && copy(ctx, hook, at, head, buffer_length(rest, sizeof(*head)));

	const void *start = data(ctx) + at_most(at, MOST_AT);

	if (start + UDP_HEADER_LEN > data_end(ctx))
		return false;
	*(__u64 *)head->header = U64(start, 0);
	head->first = first_at(ctx, start + UDP_PAYLOAD_OFFSET);
	return true;
}

static __always_inline __u32 udp_length(const struct head *head)
{
	return bpf_ntohs(U16(head->header, UDP_LENGTH_OFFSET));
}

/* The packet's head; false where it is empty. */
static __always_inline bool head_of(void *ctx, enum hook hook, const struct packet *packet, struct head *head)
{
	if (begins_at_udp(hook))
		return load_head(ctx, hook, packet->at, packet->len, head);
	*head = packet->head;
	return true;
}

static __always_inline bool begins_with(const struct head *head, __u64 word, __u64 mask)
{
	return (head->first & mask) == word;
}

/* What a program returns for a verdict. */
static __always_inline int at(enum hook hook, enum verdict verdict)
{
	switch (hook) {
	case socket: /* how many bytes of the packet stay (sk_filter in net/core/filter.c); -1 is more than any has */
		return verdict == ACCEPT ? -1 : 0;
	case reuseport:
		return verdict == ACCEPT ? SK_PASS : SK_DROP;
	case cgroup: /* __cgroup_bpf_run_filter_skb in kernel/bpf/cgroup.c: 1 lets it on */
		return verdict == ACCEPT ? 1 : 0;
	case tc: /* the same values as TCX_NEXT and TCX_DROP */
		return verdict == ACCEPT ? TC_ACT_UNSPEC : TC_ACT_SHOT;
	case xdp:
	case xdp_whole:
	case xdp_pieces:
		return verdict == ACCEPT ? XDP_PASS : XDP_DROP;
	}
}

#include "worker.h"
