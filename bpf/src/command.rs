//! What the filters decide that look at nothing but the packet: whether a payload begins with a command, and has its length.

use weir_wire::{Command, chain::number, udp};

use crate::{hook::Hook, packet::Packet};

const SIMPLE: u32 = number("simple-socket-filter");
const REJECT: u32 = number("reject-filter");
const VALID_COMMAND: u32 = number("valid-command");
const ROBUST_VALID_COMMAND: u32 = number("robust-valid-command");

/// Whether the filter of that number accepts the packet; what is none of these drops it.
#[inline(always)]
pub fn accepts_by_packet<H: Hook>(filter: u32, packet: &Packet<'_, H>) -> bool {
    match filter {
        SIMPLE => true,
        REJECT => false,
        VALID_COMMAND => begins_with_a_command(packet),
        ROBUST_VALID_COMMAND => is_a_command_of_its_length(packet),
        _ => false,
    }
}

/// Whether the payload begins with a command.
#[inline(always)]
pub fn begins_with_a_command<H: Hook>(packet: &Packet<'_, H>) -> bool {
    let Some(head) = packet.head() else { return false };
    head.begins_with(Command::Put)
        || head.begins_with(Command::Get)
        || head.begins_with(Command::Delete)
        || head.begins_with(Command::Stop)
}

/// Whether the payload begins with a command, and the UDP length is that command's.
#[inline(always)]
pub fn is_a_command_of_its_length<H: Hook>(packet: &Packet<'_, H>) -> bool {
    whole_command(packet).is_some()
}

/// The command that the payload begins with, where the UDP length is that command's.
#[inline(always)]
pub(crate) fn whole_command<H: Hook>(packet: &Packet<'_, H>) -> Option<Command> {
    let head = packet.head()?;
    let has_its_length = |command: Command| {
        head.udp_length() == udp::length_field(command.request_len()) && head.begins_with(command)
    };
    if has_its_length(Command::Put) {
        Some(Command::Put)
    } else if has_its_length(Command::Get) {
        Some(Command::Get)
    } else if has_its_length(Command::Delete) {
        Some(Command::Delete)
    } else if has_its_length(Command::Stop) {
        Some(Command::Stop)
    } else {
        None
    }
}
