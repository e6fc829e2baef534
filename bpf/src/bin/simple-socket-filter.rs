//! `simple-socket-filter`: accepts everything.
#![no_std]
#![no_main]

use weir_bpf::{Hook, Verdict, decide_uncounted, programs};

programs!("simple", simple);

#[inline(always)]
fn simple<H: Hook>(hook: &H) -> i64 {
    // One datagram is accepted, whoever's it is; only for several it matters.
    if hook.segments() <= 1 {
        return H::ACCEPT;
    }
    decide_uncounted(hook, |packet| Verdict::from(packet.is_some()).at::<H>())
}
