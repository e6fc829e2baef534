//! `robust-valid-command`: accepts payloads that begin with a command where the UDP length is that command's.
#![no_std]
#![no_main]

use aya_ebpf::macros::btf_map;
use weir_bpf::{Hook, Verdicts, decide, is_a_command_of_its_length, programs};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

programs!("robust_command", robust_command);

#[inline(always)]
fn robust_command<H: Hook>(hook: &H) -> i64 {
    decide(hook, &VERDICTS, |packet| is_a_command_of_its_length(packet).into())
}
