//! `valid-command`: accepts payloads that begin with a command.
#![no_std]
#![no_main]

use aya_ebpf::macros::btf_map;
use weir_bpf::{Hook, Packet, Verdicts, decide, programs};
use weir_wire::Command;

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

programs!("valid_command", valid_command);

#[inline(always)]
fn valid_command<H: Hook>(hook: &H) -> i64 {
    decide(hook, &VERDICTS, |packet| begins_with_a_command(packet).into())
}

#[inline(always)]
fn begins_with_a_command<H: Hook>(packet: &Packet<'_, H>) -> bool {
    let Some(head) = packet.head() else { return false };
    head.begins_with(Command::Put)
        || head.begins_with(Command::Get)
        || head.begins_with(Command::Delete)
        || head.begins_with(Command::Stop)
}
