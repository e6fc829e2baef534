//! `robust-valid-command`: accepts payloads that begin with a command where the UDP length is that command's.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{btf_map, socket_filter},
    programs::SkBuffContext,
};
use weir_bpf::{Head, Verdicts, count};
use weir_wire::{Command, udp};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[socket_filter]
fn robust_command(ctx: SkBuffContext) -> i64 {
    count(&VERDICTS, is_a_command_of_its_length(&ctx).into())
}

#[inline(always)]
fn is_a_command_of_its_length(ctx: &SkBuffContext) -> bool {
    let Some(Head { udp_length, first }) = Head::load(ctx) else { return false };
    let has_its_length =
        |command: Command| udp_length == udp::length_field(command.request_len()) && first.are(command);
    has_its_length(Command::Put)
        || has_its_length(Command::Get)
        || has_its_length(Command::Delete)
        || has_its_length(Command::Stop)
}
