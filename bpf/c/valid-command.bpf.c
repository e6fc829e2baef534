/* valid-command: accepts payloads that begin with a command. */
#include "verdicts.h"

static __always_inline enum verdict begins_with_a_command(void *ctx, enum hook hook, const struct packet *packet)
{
	struct head head;

	if (!head_of(ctx, hook, packet, &head))
		return DROP;
#define ACCEPT_COMMAND(word, mask, length) \
	if (begins_with(&head, word, mask)) \
		return ACCEPT;
	EACH_COMMAND(ACCEPT_COMMAND)
	return DROP;
}

DECIDE(valid_command, begins_with_a_command)

PROGRAMS(valid_command)
