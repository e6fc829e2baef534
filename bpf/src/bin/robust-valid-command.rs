//! `robust-valid-command`: accepts payloads that begin with a command where the UDP length is that command's.
#![no_std]
#![no_main]

use aya_ebpf::macros::btf_map;
use weir_bpf::{Hook, Packet, Verdicts, decide, programs};
use weir_wire::{Command, udp};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

programs!("robust_command", robust_command);

#[inline(always)]
fn robust_command<H: Hook>(hook: &H) -> i64 {
    decide(hook, &VERDICTS, |packet| is_a_command_of_its_length(packet).into())
}

#[inline(always)]
fn is_a_command_of_its_length<H: Hook>(packet: &Packet<'_, H>) -> bool {
    let Some(head) = packet.head() else { return false };
    let has_its_length = |command: Command| {
        head.udp_length() == udp::length_field(command.request_len()) && head.begins_with(command)
    };
    has_its_length(Command::Put)
        || has_its_length(Command::Get)
        || has_its_length(Command::Delete)
        || has_its_length(Command::Stop)
}
