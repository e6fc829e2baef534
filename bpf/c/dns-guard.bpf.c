/* dns-guard: the guard dns-guard.toml, written by hand by somebody who knows its names. It is no filter of the
 * catalogue: `weir bench` measures programs of guards against it. First fragments pass uncounted, as with every program here.
 *
 * Minimum kernel: 5.3 for the loop; at xdp 5.18 for frames in pieces.
 */
#include "frame.h"

/* As Service::decisions of weir-guard lists them. */
enum decision {
	NO_MESSAGE = 2,
	UNREADABLE = 4,
	SUPER_PACKET = 5,
	ACCEPTED_QUERY = 6,
	UNWELCOME_QUERY = 7,
	UNWELCOME_IXFR = 9,
	UNWELCOME_COOKIE_QUERY = 11,
	UNWELCOME_NOTIFY = 13,
	UNWELCOME_UPDATE = 15,
	UNWELCOME_NOTIFY_REPLY = 17,
	DECISIONS = 22,
};

/* Each CPU's packets by decision. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECISIONS);
	__type(key, __u32);
	__type(value, __u64);
} decisions SEC(".maps");

/* Of messages, bytes; protocols/dns.toml says where the facts are from. */
enum {
	FLAGS = 2,
	QUESTIONS = 4,
	ANSWERS = 6,
	AUTHORITIES = 8,
	ADDITIONALS = 10,
	NAME = 12,
	NAME_MOST_LEN = 255,
	MOST_LABELS = 128,
	LABEL_MOST_LEN = 63,
	QUESTION_REST_LEN = 4,
	RECORD_LEAST_LEN = 11,
	SOA_LEAST_LEN = 33,
	COOKIE_QUERY_LEAST_LEN = 35,
	QUERY_MOST_LEN = 1232,
	/* What is read of one ends here at most. */
	MOST_READ = NAME + NAME_MOST_LEN + QUESTION_REST_LEN,
};

enum { TYPE_SOA = 6, TYPE_OPT = 41, TYPE_TSIG = 250, TYPE_IXFR = 251, TYPE_AXFR = 252 };

/* Where a message is copied to if it isn't read in the packet: before Linux 5.12 the stack can't be read at offsets that
 * aren't constant. Behind the end of the longest name is room for the longest of ours. A program runs in softirq or with
 * bottom halves off, so that none disturbs another.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[40]);
} copied SEC(".maps");

static __always_inline const void *place(const void *message, __u32 at)
{
	return message + at_most(at, NAME + NAME_MOST_LEN);
}

static __always_inline bool is_at_hand(void *ctx, enum hook hook, const void *start, __u32 len)
{
	return !is_direct(hook) || start + len <= data_end(ctx);
}

/* Whether these are there, be letters large or small: of the bytes in our names letters alone have the bit 0x40, and
 * small ones have 0x20 too. In one load, which the verifier takes unaligned where the machine does.
 */
static __always_inline bool are_eight(const void *at, const char *bytes)
{
	__u64 word;

	__builtin_memcpy(&word, bytes, sizeof(word));
	return (*(const __u64 *)at | (word >> 1 & 0x2020202020202020)) == word;
}

/* Names have 8 to 24 bytes. */
static __always_inline bool is_name(void *ctx, enum hook hook, const void *message, __u32 at, const char *name,
				    __u32 len)
{
	const void *start = place(message, at);

	return is_at_hand(ctx, hook, start, len) && are_eight(start, name) &&
	       (len <= 16 || are_eight(start + 8, name + 8)) && are_eight(start + len - 8, name + len - 8);
}

/* Whether a name that ends at `end` is below one of ours, of which all have two labels but one. */
static __always_inline bool is_ours_or_below(void *ctx, enum hook hook, const void *message, __u32 two_labels,
					     __u32 three_labels, __u32 end)
{
#define IS(name) is_name(ctx, hook, message, two_labels, name, sizeof(name))
	switch (end - two_labels) {
	case sizeof("\7example\3com"):
		return IS("\7example\3com") || IS("\7example\3net") || IS("\7example\3org");
	case sizeof("\7example\4info"):
		return IS("\7example\4info") || IS("\4weir\7example");
	case sizeof("\5games\7example"):
		return IS("\5games\7example");
	case sizeof("\6office\7example"):
		return IS("\6office\7example") || IS("\6static\7example");
	case sizeof("\11telemetry\7example"):
		return IS("\11telemetry\7example");
	}
#undef IS
#define CO_TEST "\7example\2co\4test"
	return end - three_labels == sizeof(CO_TEST) &&
	       is_name(ctx, hook, message, three_labels, CO_TEST, sizeof(CO_TEST));
}

/* Of a message with `len` bytes, NAME at least, which are at hand. */
static __always_inline enum decision decision(void *ctx, enum hook hook, const void *message, __u32 len)
{
	__u16 flags = bpf_ntohs(U16(message, FLAGS)), questions = bpf_ntohs(U16(message, QUESTIONS));
	__u16 answers = bpf_ntohs(U16(message, ANSWERS)), authorities = bpf_ntohs(U16(message, AUTHORITIES));
	__u16 additionals = bpf_ntohs(U16(message, ADDITIONALS)), type;
	bool is_query = !(flags & 0xfa0f), is_notify = (flags & 0xf80f) == 0x2000;
	__u32 at = NAME, two_labels = NAME, three_labels = NAME, last = NAME, rest;
	const __u8 *label;
	const void *question;

	if ((flags & 0xf800) == 0xa000)
		return UNWELCOME_NOTIFY_REPLY;
	if (!is_query && !is_notify && (flags & 0xf80f) != 0x2800)
		return NO_MESSAGE;
	if (is_query && (answers || len > QUERY_MOST_LEN))
		return NO_MESSAGE;
	if (is_query && !questions) {
		if (authorities || additionals != 1 || len < COOKIE_QUERY_LEAST_LEN)
			return NO_MESSAGE;
		label = message + NAME;
		if (!is_at_hand(ctx, hook, label, 1 + sizeof(type)) || label[0])
			return NO_MESSAGE;
		return !label[1] && label[2] == TYPE_OPT ? UNWELCOME_COOKIE_QUERY : NO_MESSAGE;
	}
	if (questions != 1)
		return NO_MESSAGE;
#pragma clang loop unroll(disable)
	for (int i = 0; i < MOST_LABELS; i++) {
		label = place(message, at);
		if (at >= len || !is_at_hand(ctx, hook, label, 1) || *label > LABEL_MOST_LEN)
			return NO_MESSAGE;
		if (!*label)
			break;
		three_labels = two_labels;
		two_labels = last;
		last = at;
		at += 1 + *label;
		if (at >= NAME + NAME_MOST_LEN)
			return NO_MESSAGE;
	}
	at++;
	question = place(message, at);
	if (at + QUESTION_REST_LEN > len || !is_at_hand(ctx, hook, question, QUESTION_REST_LEN))
		return NO_MESSAGE;
	rest = len - at - QUESTION_REST_LEN;
	type = bpf_ntohs(U16(question, 0));
	if (is_notify)
		return answers <= 1 ? UNWELCOME_NOTIFY : NO_MESSAGE;
	if (!is_query)
		return type == TYPE_SOA ? UNWELCOME_UPDATE : NO_MESSAGE;
	if (authorities)
		return authorities == 1 && additionals <= 2 && type == TYPE_IXFR && rest >= SOA_LEAST_LEN ? UNWELCOME_IXFR
													   : NO_MESSAGE;
	if (!type || type == TYPE_OPT || type == TYPE_TSIG || type == TYPE_AXFR)
		return NO_MESSAGE;
	if (additionals ? additionals > 2 || rest < RECORD_LEAST_LEN : rest)
		return NO_MESSAGE;
	return is_ours_or_below(ctx, hook, message, two_labels, three_labels, at) ? ACCEPTED_QUERY : UNWELCOME_QUERY;
}

static __always_inline enum decision decision_of_copy(void *ctx, enum hook hook, __u32 at, __u32 len)
{
	__u32 key = 0;
	void *message = bpf_map_lookup_elem(&copied, &key);

	if (!message || !copy(ctx, hook, at, message, buffer_length(len, MOST_READ)))
		return NO_MESSAGE;
	return decision(ctx, hook, message, len);
}

/* Not inlined: few drivers show frames in pieces, and few frames come so. */
static __noinline int decision_in_pieces(void *ctx, __u32 at, __u32 len)
{
	return decision_of_copy(ctx, xdp_pieces, at, len);
}

static __always_inline enum decision decide(void *ctx, enum hook hook, const struct packet *packet)
{
	__u32 at = packet->at + UDP_HEADER_LEN, len = packet->len - UDP_HEADER_LEN;

	if (packet->len < UDP_HEADER_LEN + NAME)
		return NO_MESSAGE;
	if (!is_direct(hook))
		return decision_of_copy(ctx, hook, at, len);

	const void *message = data(ctx) + at_most(at, MOST_AT);

	if (!reaches(ctx, hook, at + len) || message + NAME > data_end(ctx))
		return decision_in_pieces(ctx, at, len);
	return decision(ctx, hook, message, len);
}

static __always_inline int dns_guard(void *ctx, enum hook hook)
{
	struct packet packet;
	__u32 decided;
	__u64 *count;

	switch (found(ctx, hook, &packet)) {
	case FOUND_PACKET:
		decided = decide(ctx, hook, &packet);
		break;
	case FOUND_UNREADABLE:
		decided = UNREADABLE;
		break;
	case FOUND_SUPER_PACKET:
		decided = SUPER_PACKET;
		break;
	default:
		return at(hook, ACCEPT);
	}
	count = bpf_map_lookup_elem(&decisions, &decided);
	if (count)
		(*count)++;
	return at(hook, decided == ACCEPTED_QUERY ? ACCEPT : DROP);
}

PROGRAM(dns_guard, socket, "socket", __sk_buff)
PROGRAM(dns_guard, tc, "classifier", __sk_buff)
PROGRAM(dns_guard, xdp, "xdp.frags", xdp_md)
