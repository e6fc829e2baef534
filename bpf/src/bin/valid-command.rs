//! `valid-command`: accepts payloads that begin with a command.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{btf_map, socket_filter},
    programs::SkBuffContext,
};
use weir_bpf::{FirstBytes, Verdicts, count};
use weir_wire::Command;

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[socket_filter]
fn valid_command(ctx: SkBuffContext) -> i64 {
    count(&VERDICTS, begins_with_a_command(&ctx).into())
}

#[inline(always)]
fn begins_with_a_command(ctx: &SkBuffContext) -> bool {
    let Some(first) = FirstBytes::load(ctx) else { return false };
    first.are(Command::Put)
        || first.are(Command::Get)
        || first.are(Command::Delete)
        || first.are(Command::Stop)
}
