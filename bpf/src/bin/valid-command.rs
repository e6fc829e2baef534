//! `valid-command`: accepts payloads that begin with a command.
#![no_std]
#![no_main]

use aya_ebpf::macros::btf_map;
use weir_bpf::{Hook, Verdicts, begins_with_a_command, decide, programs};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

programs!("valid_command", valid_command);

#[inline(always)]
fn valid_command<H: Hook>(hook: &H) -> i64 {
    decide(hook, &VERDICTS, |packet| begins_with_a_command(packet).into())
}
