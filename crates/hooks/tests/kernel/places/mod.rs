//! Every hook on real packets: attached, replaced, detached, and gone with the process that attached it.

mod gso;
mod life;
mod privileges;
mod setting;
mod shared_port;
mod swaps;
mod tap;
mod workers;
mod xdp;

pub(crate) use life::attach_as_child;
use setting::fixed;
pub(crate) use setting::{Setting, lo_without_super_packets, own_namespace};

use weir_filters::{Hook, Verdict};

use crate::{Test, once};

pub(crate) const TESTS: &[&[Test]] = &[
    &[
        once("what_is_attached_decides_until_the_guard_goes_at_every_hook", decides_until_the_guard_goes),
        once("a_program_for_another_hook_is_not_attached", a_program_for_another_hook_is_not_attached),
        once("a_test_run_gives_each_hooks_verdicts", a_test_run_gives_each_hooks_verdicts),
    ],
    gso::TESTS,
    life::TESTS,
    privileges::TESTS,
    shared_port::TESTS,
    swaps::TESTS,
    tap::TESTS,
    workers::TESTS,
    xdp::TESTS,
];

fn decides_until_the_guard_goes() {
    for hook in Hook::of_the_kernel() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            own_namespace(move || {
                lo_without_super_packets();
                let setting = Setting::new(hook, address);
                setting.check_reached(true, "before");
                let attached = setting.attach(&fixed(hook, Verdict::Drop, "places_drop"));
                setting.check_reached(false, "while it drops");
                attached.replace(&fixed(hook, Verdict::Accept, "places_accept")).expect("replace");
                setting.check_reached(true, "while it accepts");
                attached.replace(&fixed(hook, Verdict::Drop, "places_drop")).expect("replace");
                setting.check_reached(false, "while it drops again");
                drop(attached);
                setting.check_reached(true, "when it is detached");
            });
        }
    }
}

fn a_program_for_another_hook_is_not_attached() {
    own_namespace(|| {
        let setting = Setting::new(Hook::Tc, "127.0.0.1:0");
        let error = setting.try_attach(&fixed(Hook::Socket, Verdict::Drop, "places_drop")).err();
        let shown = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(shown.contains("loaded for hook socket, and this is hook tc"), "{shown}");
        let attached = setting.attach(&fixed(Hook::Tc, Verdict::Accept, "places_accept"));
        assert!(attached.replace(&fixed(Hook::Xdp, Verdict::Drop, "places_drop")).is_err());
    });
}

fn a_test_run_gives_each_hooks_verdicts() {
    let frame = [0; 64];
    for hook in Hook::of_the_kernel() {
        for verdict in [Verdict::Accept, Verdict::Drop] {
            let filter = fixed(hook, verdict, "places_run");
            let decided = filter.decide(&frame, 1);
            match hook {
                Hook::Reuseport => {
                    let shown = decided.expect_err("the kernel can't").to_string();
                    assert!(shown.contains("BPF_PROG_TEST_RUN"), "{shown}");
                }
                _ => assert_eq!(decided.expect("a test run"), verdict, "{hook}"),
            }
            let segmented = filter.decide(&frame, 3);
            assert_eq!(segmented.is_ok(), hook == Hook::Tc, "{hook}: {segmented:?}");
        }
    }
}
