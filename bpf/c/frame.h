/* From what a hook shows to the server's packet in it; weir_filters::Site::find is the reference. */
#pragma once

#include "weir.h"

/* The common case: the headers of a UDP packet in IPv4, without VLAN tags and options, and the first bytes of its
 * payload at offsets that are known, so that one call or one comparison shows that they are there. The ethertype is
 * before the IP header, and words are aligned in a copy.
 */
enum {
	WINDOW_IP = 4,
	WINDOW_ETHERTYPE = WINDOW_IP - sizeof(__u16),
	WINDOW_UDP = WINDOW_IP + IPV4_MIN_HEADER_LEN,
	WINDOW_PAYLOAD = WINDOW_UDP + UDP_PAYLOAD_OFFSET,
	WINDOW_LEN = WINDOW_PAYLOAD + sizeof(__u64),
};

/* Where an IP header is behind Ethernet's without tags. */
static __always_inline __u32 ip_offset(enum hook hook)
{
	return begins_at_ip(hook) ? 0 : ETHERNET_HEADER_LEN;
}

/* The window, in `buffer` but at xdp, where the packet has all of its headers. Where the packet begins at IP, the
 * window begins before it.
 */
static __always_inline const void *window(void *ctx, enum hook hook, void *buffer)
{
	const __u32 before = begins_at_ip(hook) ? WINDOW_IP : 0, at = ip_offset(hook) + before - WINDOW_IP;
	const __u32 headers_len = WINDOW_PAYLOAD - before;
	__u32 seen, len;

	if (is_direct(hook)) {
		void *start = data(ctx) + at;

		return start + WINDOW_PAYLOAD > data_end(ctx) ? NULL : start;
	}
	seen = length(ctx, hook);
	if (seen < at + headers_len)
		return NULL;
	len = headers_len + at_most(seen - at - headers_len, WINDOW_LEN - WINDOW_PAYLOAD);
	/* Without CAP_PERFMON the verifier wants a copy of a length that it doesn't know to go where something is. */
	__builtin_memset(buffer, 0, WINDOW_LEN);
	return bpf_skb_load_bytes(ctx, at, buffer + before, len) ? NULL : buffer;
}

static __always_inline bool is_plain_ipv4(enum hook hook, const void *window)
{
	return (begins_at_ip(hook) || U16(window, WINDOW_ETHERTYPE) == bpf_htons(ETHERTYPE_IPV4)) &&
	       U8(window, WINDOW_IP + IPV4_VERSION_OFFSET) == (4 << 4 | IPV4_MIN_HEADER_LEN / 4);
}

static __always_inline bool head_in(void *ctx, enum hook hook, const void *window, struct head *head)
{
	*(__u64 *)head->header = U64(window, WINDOW_UDP);
	head->first = is_direct(hook) ? first_at(ctx, window + WINDOW_PAYLOAD) : U64(window, WINDOW_PAYLOAD);
	return true;
}

/* Whether the program decides here, about `packet` or, where that is several datagrams at once, about ending it. Unreadable: it
 * is for the server's address, and behind more IPv6 extension headers than are read, or its lengths say 0, and ends here. Beyond:
 * something of it isn't at hand, if it is anywhere.
 */
enum found { FOUND_OTHER, FOUND_PACKET, FOUND_SUPER_PACKET, FOUND_UNREADABLE, FOUND_BEYOND };

/* The packet whose UDP header is at `at`, where what IP carries ends at `end`; in a window if there is one. */
static __always_inline enum found datagram(void *ctx, enum hook hook, const void *window, __u32 at, __u32 end,
					   struct packet *packet)
{
	__u32 rest = end - at, len;

	if (rest < UDP_HEADER_LEN)
		return FOUND_OTHER;
	if (!reaches(ctx, hook, end))
		return FOUND_BEYOND;
	if (!(window ? head_in(ctx, hook, window, &packet->head) : load_head(ctx, hook, at, rest, &packet->head)))
		return FOUND_OTHER;
	len = udp_length(&packet->head);
	if (U16(packet->head.header, UDP_DESTINATION_OFFSET) != ENDPOINT.port)
		return FOUND_OTHER;
	if (!len)
		return FOUND_UNREADABLE;
	if (len < UDP_HEADER_LEN || len > rest)
		return FOUND_OTHER;
	packet->at = at;
	packet->len = len;
	if (len < sizeof(packet->head))
		packet->head.first &= FIRST_BYTES_MASK(len - UDP_HEADER_LEN);
	return FOUND_PACKET;
}

static __always_inline enum found in_ipv4(void *ctx, enum hook hook, const void *window, __u32 at, const void *header,
					  struct packet *packet)
{
	__u32 header_len = 4 * (U8(header, IPV4_VERSION_OFFSET) & 0xf);
	__u32 total = bpf_ntohs(U16(header, IPV4_TOTAL_LENGTH_OFFSET));

	if (U8(header, IPV4_PROTOCOL_OFFSET) != PROTOCOL_UDP ||
	    (U16(header, IPV4_FRAGMENT_OFFSET) & bpf_htons(IPV4_FRAGMENT_MASK)) || !(ENDPOINT.versions & ENDPOINT_V4) ||
	    (!ENDPOINT.any_address && U32(header, IPV4_DESTINATION_OFFSET) != ENDPOINT.address[0]) ||
	    header_len < IPV4_MIN_HEADER_LEN || total < header_len)
		return FOUND_OTHER;
	return datagram(ctx, hook, window, at + header_len, at + total, packet);
}

static __always_inline bool is_ours(const void *address)
{
	return U32(address, 0) == ENDPOINT.address[0] && U32(address, 4) == ENDPOINT.address[1] &&
	       U32(address, 8) == ENDPOINT.address[2] && U32(address, 12) == ENDPOINT.address[3];
}

/* Whether headers of that kind are read. */
static __always_inline bool is_extension(__u8 kind)
{
	return kind == IPV6_ROUTING || kind == IPV6_HOP_BY_HOP || kind == IPV6_DESTINATION_OPTIONS ||
	       kind == IPV6_AUTHENTICATION || kind == IPV6_FRAGMENT;
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

static __always_inline enum found in_ipv6(void *ctx, enum hook hook, __u32 at, const void *header,
					  struct packet *packet)
{
	__u32 end = at + IPV6_HEADER_LEN + bpf_ntohs(U16(header, IPV6_PAYLOAD_LENGTH_OFFSET));
	__u8 next = U8(header, IPV6_NEXT_HEADER_OFFSET);

	if (!(ENDPOINT.versions & ENDPOINT_V6))
		return FOUND_OTHER;
	if (!ENDPOINT.any_address) {
		__u32 buffer[4];
		const void *address = load(ctx, hook, at + IPV6_DESTINATION_OFFSET, buffer, sizeof(buffer));

		if (!address)
			return FOUND_BEYOND;
		if (!is_ours(address))
			return FOUND_OTHER;
	}
	at += IPV6_HEADER_LEN;
	/* Longer than its length can say (RFC 2675). */
	if (end == at && next == IPV6_HOP_BY_HOP)
		return reaches(ctx, hook, at) ? FOUND_UNREADABLE : FOUND_BEYOND;
	for (int i = 0; i < IPV6_MAX_EXTENSIONS && next != PROTOCOL_UDP; i++) {
		__u64 buffer;
		const void *extension = load(ctx, hook, at, &buffer, sizeof(buffer));
		__u32 len;

		if (!extension)
			return FOUND_BEYOND;
		len = extension_len(next, extension);
		if (!len || at + len > end)
			return FOUND_OTHER;
		next = U8(extension, 0);
		at += len;
	}
	if (next == PROTOCOL_UDP)
		return datagram(ctx, hook, NULL, at, end, packet);
	if (!is_extension(next))
		return FOUND_OTHER;
	return reaches(ctx, hook, end) ? FOUND_UNREADABLE : FOUND_BEYOND;
}

static __always_inline bool is_tag(__u16 ethertype)
{
	return ethertype == bpf_htons(ETHERTYPE_VLAN) || ethertype == bpf_htons(ETHERTYPE_SERVICE_VLAN);
}

/* What is there in the place of an ethertype. */
static __always_inline bool load_type(void *ctx, enum hook hook, __u32 at, __u16 *type)
{
	__u16 buffer;
	const __u16 *found = load(ctx, hook, at, &buffer, sizeof(buffer));

	if (!found)
		return false;
	*type = *found;
	return true;
}

/* The general case: header by header. */
static __always_inline enum found walk(void *ctx, enum hook hook, struct packet *packet)
{
	__u16 ethertype = 0;
	__u32 header_buffer[IPV4_MIN_HEADER_LEN / sizeof(__u32)];
	const void *header;
	__u32 at = 0;

	if (!begins_at_ip(hook)) {
		at = ETHERNET_TYPE_OFFSET;
		if (!load_type(ctx, hook, at, &ethertype))
			return FOUND_BEYOND;
		for (int i = 0; i < ETHERNET_MAX_TAGS && is_tag(ethertype); i++) {
			at += ETHERNET_TAG_LEN;
			if (!load_type(ctx, hook, at, &ethertype))
				return FOUND_BEYOND;
		}
		at += sizeof(ethertype);
	}
	/* The beginning that both versions' headers have room for. */
	header = load(ctx, hook, at, header_buffer, sizeof(header_buffer));
	if (!header)
		return FOUND_BEYOND;
	switch (U8(header, IPV4_VERSION_OFFSET) >> 4) {
	case 4:
		if (begins_at_ip(hook) || ethertype == bpf_htons(ETHERTYPE_IPV4))
			return in_ipv4(ctx, hook, NULL, at, header, packet);
		return FOUND_OTHER;
	case 6:
		if (begins_at_ip(hook) || ethertype == bpf_htons(ETHERTYPE_IPV6))
			return in_ipv6(ctx, hook, at, header, packet);
		return FOUND_OTHER;
	default:
		return FOUND_OTHER;
	}
}

/* A driver shows jumbo frames in several pieces. Not inlined: it would take registers from the common case. */
static __noinline int find_in_pieces(void *ctx, struct packet *packet)
{
	return walk(ctx, xdp_pieces, packet);
}

/* What the hook shows; which packet. */
static __always_inline enum found find(void *ctx, enum hook hook, struct packet *packet)
{
	__u64 buffer[WINDOW_LEN / sizeof(__u64)];
	const void *seen = ENDPOINT.versions & ENDPOINT_V4 ? window(ctx, hook, buffer) : NULL;

	if (seen && is_plain_ipv4(hook, seen))
		return in_ipv4(ctx, hook, seen, ip_offset(hook), seen + WINDOW_IP, packet);
	return walk(ctx, hook, packet);
}

static __always_inline enum found found(void *ctx, enum hook hook, struct packet *packet)
{
	if (begins_at_udp(hook)) {
		packet->at = 0;
		packet->len = length(ctx, hook);
		return FOUND_PACKET;
	}

	enum found what = find(ctx, hook, packet);

	if (what == FOUND_BEYOND && hook == xdp) {
		/* Apart, so that the common case's packet needs no memory. */
		struct packet apart;

		what = find_in_pieces(ctx, &apart);
		if (what == FOUND_PACKET)
			*packet = apart;
	}
	if (what == FOUND_UNREADABLE)
		return what;
	if (what != FOUND_PACKET)
		return FOUND_OTHER;
	if (!is_super_packet(ctx, hook))
		return FOUND_PACKET;
	return ENDPOINT.drop_super_packets ? FOUND_SUPER_PACKET : FOUND_OTHER;
}
