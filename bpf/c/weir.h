/* What the programs in C share: the hooks, finding and reading the packet, the verdict and its counts, the licence.
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

enum hook { socket, reuseport, cgroup, tc, xdp };

enum verdict { ACCEPT, DROP };

/* One program a hook, each called after its hook and the filter. `run` gives what the program returns. */
#define PROGRAMS(run) \
	PROGRAM(run, socket, "socket", __sk_buff) \
	PROGRAM(run, reuseport, "sk_reuseport", sk_reuseport_md) \
	PROGRAM(run, cgroup, "cgroup_skb/ingress", __sk_buff) \
	PROGRAM(run, tc, "classifier", __sk_buff) \
	PROGRAM(run, xdp, "xdp", xdp_md)

#define PROGRAM(run, hook, section, context) \
	SEC(section) \
	int hook##_##run(struct context *ctx) \
	{ \
		return run(ctx, hook); \
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

/* What the hook shows; offsets are bytes from its first one. */

static __always_inline void *data(void *ctx)
{
	return (void *)(long)((struct xdp_md *)ctx)->data;
}

static __always_inline void *data_end(void *ctx)
{
	return (void *)(long)((struct xdp_md *)ctx)->data_end;
}

static __always_inline __u32 length(void *ctx, enum hook hook)
{
	switch (hook) {
	case xdp:
		return data_end(ctx) - data(ctx);
	case reuseport:
		return ((struct sk_reuseport_md *)ctx)->len;
	default:
		return ((struct __sk_buff *)ctx)->len;
	}
}

static __always_inline bool reaches(void *ctx, enum hook hook, __u32 end)
{
	if (hook == xdp)
		return data(ctx) + end <= data_end(ctx);
	return end <= length(ctx, hook);
}

/* Where `len` bytes are to be read: the packet itself at xdp; elsewhere `buffer`, into which they are copied, since a
 * UDP payload may lie in page fragments, which direct access doesn't reach (net/ipv4/ip_output.c, ip_append_data).
 */
static __always_inline const void *load(void *ctx, enum hook hook, __u32 at, void *buffer, __u32 len)
{
	if (hook == xdp) {
		void *start = data(ctx) + at;

		return start + len > data_end(ctx) ? NULL : start;
	}
	return bpf_skb_load_bytes(ctx, at, buffer, len) ? NULL : buffer;
}

static __always_inline bool copy(void *ctx, enum hook hook, __u32 at, void *to, __u32 len)
{
	if (hook == xdp)
		return bpf_xdp_load_bytes(ctx, at, to, len) == 0;
	return bpf_skb_load_bytes(ctx, at, to, len) == 0;
}

/* Of how many datagrams segmentation offload made the packet, as far as the hook tells; 0 and 1 are both one. */
static __always_inline __u32 segments(void *ctx, enum hook hook)
{
	return hook == cgroup || hook == tc ? ((struct __sk_buff *)ctx)->gso_segs : 1;
}

/* Loads the head at `at`, of a packet with `rest` bytes from there. */
static __always_inline bool load_head(void *ctx, enum hook hook, __u32 at, __u32 rest, struct head *head)
{
	__builtin_memset(head, 0, sizeof(*head));
	if (hook != xdp) {
		__u32 len = rest < sizeof(*head) ? rest : sizeof(*head);

		return len > 0 && bpf_skb_load_bytes(ctx, at, head, len) == 0;
	}

	const __u8 *start = data(ctx) + at;
	const __u8 *payload = start + UDP_PAYLOAD_OFFSET;
	const void *end = data_end(ctx);

	if ((void *)payload > end)
		return false;
	*(__u64 *)head->header = *(__u64 *)start;
	if ((void *)(payload + sizeof(head->first)) <= end) {
		head->first = *(__u64 *)payload;
		return true;
	}
	/* The payload is shorter than what is looked at of it, and the frame isn't padded. */
#pragma unroll
	for (int i = 0; i < sizeof(head->first) - 1; i++) {
		if ((void *)(payload + i + 1) > end)
			break;
		((__u8 *)&head->first)[i] = payload[i];
	}
	return true;
}

#define U8(bytes, offset) (*(const __u8 *)((const void *)(bytes) + (offset)))
#define U16(bytes, offset) (*(const __u16 *)((const void *)(bytes) + (offset)))
#define U32(bytes, offset) (*(const __u32 *)((const void *)(bytes) + (offset)))

static __always_inline __u32 udp_length(const struct head *head)
{
	return bpf_ntohs(U16(head->header, UDP_LENGTH_OFFSET));
}

/* Finding the server's packet; weir_filters::Site::find is the reference. */

/* The packet whose UDP header is at `at`, where what IP carries ends at `end`. */
static __always_inline bool datagram(void *ctx, enum hook hook, __u32 at, __u32 end, struct packet *packet)
{
	__u32 rest = end - at, len;

	if (rest < UDP_HEADER_LEN || !reaches(ctx, hook, end) || !load_head(ctx, hook, at, rest, &packet->head))
		return false;
	len = udp_length(&packet->head);
	if (U16(packet->head.header, UDP_DESTINATION_OFFSET) != ENDPOINT.port || len < UDP_HEADER_LEN || len > rest)
		return false;
	packet->at = at;
	packet->len = len;
	if (len < sizeof(packet->head))
		packet->head.first &= FIRST_BYTES_MASK(len - UDP_HEADER_LEN);
	return true;
}

static __always_inline bool in_ipv4(void *ctx, enum hook hook, __u32 at, const void *header, struct packet *packet)
{
	__u32 header_len = 4 * (U8(header, IPV4_VERSION_OFFSET) & 0xf);
	__u32 total = bpf_ntohs(U16(header, IPV4_TOTAL_LENGTH_OFFSET));

	if (U8(header, IPV4_PROTOCOL_OFFSET) != PROTOCOL_UDP ||
	    (U16(header, IPV4_FRAGMENT_OFFSET) & bpf_htons(IPV4_FRAGMENT_MASK)) || !(ENDPOINT.versions & ENDPOINT_V4) ||
	    (!ENDPOINT.any_address && U32(header, IPV4_DESTINATION_OFFSET) != ENDPOINT.address[0]) ||
	    header_len < IPV4_MIN_HEADER_LEN || total < header_len)
		return false;
	return datagram(ctx, hook, at + header_len, at + total, packet);
}

static __always_inline bool has_address(void *ctx, enum hook hook, __u32 at)
{
	__u32 buffer[4];
	const void *address = load(ctx, hook, at, buffer, sizeof(buffer));

	return address && U32(address, 0) == ENDPOINT.address[0] && U32(address, 4) == ENDPOINT.address[1] &&
	       U32(address, 8) == ENDPOINT.address[2] && U32(address, 12) == ENDPOINT.address[3];
}

/* Length of an extension header that is read; 0 of one that isn't. */
static __always_inline __u32 extension_len(__u8 kind, const void *extension)
{
	__u32 units = U8(extension, IPV6_EXTENSION_LENGTH_OFFSET);

	switch (kind) {
	case IPV6_ROUTING:
		if (U8(extension, IPV6_SEGMENTS_LEFT_OFFSET))
			return 0;
		/* fallthrough */
	case IPV6_HOP_BY_HOP:
	case IPV6_DESTINATION_OPTIONS:
		return 8 * (units + 1);
	case IPV6_AUTHENTICATION:
		return 4 * (units + 2);
	case IPV6_FRAGMENT:
		return U16(extension, IPV6_FRAGMENT_OFFSET) & bpf_htons(IPV6_FRAGMENT_MASK) ? 0 : IPV6_FRAGMENT_LEN;
	default:
		return 0;
	}
}

static __always_inline bool in_ipv6(void *ctx, enum hook hook, __u32 at, const void *header, struct packet *packet)
{
	__u32 end = at + IPV6_HEADER_LEN + bpf_ntohs(U16(header, IPV6_PAYLOAD_LENGTH_OFFSET));
	__u8 next = U8(header, IPV6_NEXT_HEADER_OFFSET);

	if (!(ENDPOINT.versions & ENDPOINT_V6) ||
	    (!ENDPOINT.any_address && !has_address(ctx, hook, at + IPV6_DESTINATION_OFFSET)))
		return false;
	at += IPV6_HEADER_LEN;
	for (int i = 0; i < IPV6_MAX_EXTENSIONS && next != PROTOCOL_UDP; i++) {
		__u64 buffer;
		const void *extension = load(ctx, hook, at, &buffer, sizeof(buffer));
		__u32 len = extension ? extension_len(next, extension) : 0;

		if (!len || at + len > end)
			return false;
		next = U8(extension, 0);
		at += len;
	}
	return next == PROTOCOL_UDP && datagram(ctx, hook, at, end, packet);
}

static __always_inline bool is_tag(__u16 ethertype)
{
	return ethertype == bpf_htons(ETHERTYPE_VLAN) || ethertype == bpf_htons(ETHERTYPE_SERVICE_VLAN);
}

/* Whether the hook shows a packet for the server; which one. */
static __always_inline bool find(void *ctx, enum hook hook, struct packet *packet)
{
	__u16 buffer, ethertype = 0;
	__u32 header_buffer[IPV4_MIN_HEADER_LEN / sizeof(__u32)];
	const void *header;
	__u32 at = 0;

	if (hook == tc || hook == xdp) {
		const __u16 *type;

		at = ETHERNET_TYPE_OFFSET;
		type = load(ctx, hook, at, &buffer, sizeof(buffer));
		for (int i = 0; i < ETHERNET_MAX_TAGS && type && is_tag(*type); i++) {
			at += ETHERNET_TAG_LEN;
			type = load(ctx, hook, at, &buffer, sizeof(buffer));
		}
		if (!type)
			return false;
		ethertype = *type;
		at += sizeof(ethertype);
	}
	/* The beginning that both versions' headers have room for. */
	header = load(ctx, hook, at, header_buffer, sizeof(header_buffer));
	if (!header)
		return false;
	switch (U8(header, IPV4_VERSION_OFFSET) >> 4) {
	case 4:
		return (hook == cgroup || ethertype == bpf_htons(ETHERTYPE_IPV4)) && in_ipv4(ctx, hook, at, header, packet);
	case 6:
		return (hook == cgroup || ethertype == bpf_htons(ETHERTYPE_IPV6)) && in_ipv6(ctx, hook, at, header, packet);
	default:
		return false;
	}
}

/* The packet's head; false where it is empty. */
static __always_inline bool head_of(void *ctx, enum hook hook, const struct packet *packet, struct head *head)
{
	if (hook == socket || hook == reuseport)
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
		return verdict == ACCEPT ? XDP_PASS : XDP_DROP;
	}
}

/* Whether the program decides here, about `packet` or, where that is several datagrams at once, about ending it. */
enum found { FOUND_OTHER, FOUND_PACKET, FOUND_SUPER_PACKET };

static __always_inline enum found found(void *ctx, enum hook hook, struct packet *packet)
{
	if (hook == socket || hook == reuseport) {
		packet->at = 0;
		packet->len = length(ctx, hook);
		return FOUND_PACKET;
	}
	if (!find(ctx, hook, packet))
		return FOUND_OTHER;
	if (segments(ctx, hook) <= 1)
		return FOUND_PACKET;
	return ENDPOINT.drop_super_packets ? FOUND_SUPER_PACKET : FOUND_OTHER;
}
