//! Replacing what is attached while packets come: none goes by unjudged, and none is lost.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use weir_filters::{Hook, Verdict};
use weir_testing::received;

use super::setting::{Setting, fixed, lo_without_super_packets, own_namespace};
use crate::{Test, once};

pub(super) const TESTS: &[Test] = &[
    once("swapping_programs_that_drop_lets_no_packet_through", || {
        swap_all(Verdict::Drop);
    }),
    once("swapping_programs_that_accept_loses_no_packet", || {
        swap_all(Verdict::Accept);
    }),
];

/// Swaps at each hook.
const SWAPS: usize = 100;

fn swap_all(verdict: Verdict) {
    for hook in Hook::of_the_kernel() {
        own_namespace(move || swap(hook, verdict));
    }
}

fn swap(hook: Hook, verdict: Verdict) {
    lo_without_super_packets();
    let setting = Setting::new(hook, "127.0.0.1:0");
    let filters = ["places_one", "places_two"].map(|name| fixed(hook, verdict, name));
    let attached = setting.attach(&filters[0]);
    setting.receiver.set_nonblocking(true).expect("a socket can be non-blocking");
    let is_over = AtomicBool::new(false);
    let (sent, came) = thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let (mut sent, mut came) = (0, 0);
            // At least one after the last swap.
            loop {
                let is_last = is_over.load(Ordering::Acquire);
                let _ = setting.sender.take_error();
                sent += u64::from(setting.sender.send(b"x").is_ok());
                came += u64::from(setting.receiver.recv(&mut [0; 8]).is_ok());
                if is_last {
                    return (sent, came + received(&setting.receiver).len() as u64);
                }
            }
        });
        for swap in 0..SWAPS {
            attached.replace(&filters[(swap + 1) % 2]).unwrap_or_else(|error| panic!("{error}"));
        }
        is_over.store(true, Ordering::Release);
        traffic.join().expect("the sender doesn't panic")
    });
    let expected = if verdict == Verdict::Accept { sent } else { 0 };
    assert!(sent > 0);
    assert_eq!(came, expected, "of {sent} at {hook}");
}
