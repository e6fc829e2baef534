//! `reject-filter`: drops everything.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{btf_map, socket_filter},
    programs::SkBuffContext,
};
use weir_bpf::{Verdict, Verdicts, count};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[socket_filter]
fn reject(_ctx: SkBuffContext) -> i64 {
    count(&VERDICTS, Verdict::Drop)
}
