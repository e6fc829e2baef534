//! `simple-socket-filter`: accepts everything.
#![no_std]
#![no_main]

use weir_bpf::{Hook, programs};

programs!("simple", simple);

#[inline(always)]
fn simple<H: Hook>(_hook: &H) -> i64 {
    H::ACCEPT
}
