/* robust-valid-command: accepts payloads that begin with a command where the UDP length is that command's. */
#include "verdicts.h"

static __always_inline enum verdict is_a_command_of_its_length(void *ctx, enum hook hook, const struct packet *packet)
{
	struct head head;

	if (!head_of(ctx, hook, packet, &head))
		return DROP;
#define ACCEPT_COMMAND(word, mask, length) \
	if (udp_length(&head) == length && begins_with(&head, word, mask)) \
		return ACCEPT;
	EACH_COMMAND(ACCEPT_COMMAND)
	return DROP;
}

DECIDE(robust_command, is_a_command_of_its_length)

PROGRAMS(robust_command)
