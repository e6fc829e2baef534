//! `simple-socket-filter`: accepts everything.
#![no_std]
#![no_main]

use aya_ebpf::{macros::socket_filter, programs::SkBuffContext};
use weir_bpf::Verdict;

#[socket_filter]
fn simple(_ctx: SkBuffContext) -> i64 {
    Verdict::Accept.bytes_to_keep()
}
