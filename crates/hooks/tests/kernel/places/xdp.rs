//! XDP's modes, and what is refused where packets of several datagrams can come in.

use weir_filters::{Hook, Site, SuperPackets, Verdict};
use weir_hooks::{Interface, Target, XdpMode, ethtool::Ethtool};

use super::setting::{Setting, fixed, lo_without_super_packets, own_namespace};
use crate::{Test, once};

pub(super) const TESTS: &[Test] = &[
    once("generic_mode_as_a_fallback_is_said_with_its_reason", generic_mode_as_a_fallback_is_said),
    once("native_mode_is_refused_by_a_driver_without_it", native_mode_is_refused_by_a_driver_without_it),
    once("a_second_xdp_program_is_refused_with_the_reason", a_second_xdp_program_is_refused),
    once(
        "where_super_packets_come_a_hook_that_cannot_see_them_is_refused",
        where_super_packets_come_a_hook_that_cannot_see_them_is_refused,
    )
    .unless(lo_sends_no_super_packets),
];

fn generic_mode_as_a_fallback_is_said() {
    own_namespace(|| {
        lo_without_super_packets();
        let setting = Setting::new(Hook::Xdp, "127.0.0.1:0");
        let attached = setting.attach(&fixed(Hook::Xdp, Verdict::Accept, "places_xdp"));
        assert_eq!(attached.mode(), Some(XdpMode::Generic));
        let fallback = attached.fallback().expect("it says why");
        assert!(fallback.contains("lo takes no program in its driver"), "{fallback}");
    });
}

fn native_mode_is_refused_by_a_driver_without_it() {
    own_namespace(|| {
        let lo = Interface::named("lo").expect("every namespace has it");
        let filter = fixed(Hook::Xdp, Verdict::Accept, "places_xdp");
        let shown = filter.attach(Target::Xdp(&lo, XdpMode::Native)).expect_err("lo has none").to_string();
        assert!(shown.contains("the driver has no XDP"), "{shown}");
    });
}

fn a_second_xdp_program_is_refused() {
    own_namespace(|| {
        lo_without_super_packets();
        let setting = Setting::new(Hook::Xdp, "127.0.0.1:0");
        let filter = fixed(Hook::Xdp, Verdict::Accept, "places_xdp");
        let first = setting.attach(&filter);
        let shown = setting.try_attach(&filter).expect_err("one fits").to_string();
        // Linux 7.3 doesn't say that it is the mode.
        let parts = ["is attached in the other mode; `bpftool net` shows it", "another program is attached"];
        assert!(parts.iter().any(|part| shown.contains(part)), "{shown}");
        let lo = Interface::named("lo").expect("every namespace has it");
        let shown = filter.attach(Target::Xdp(&lo, XdpMode::Generic)).expect_err("one fits").to_string();
        assert!(shown.contains("another program is attached"), "{shown}");
        drop(first);
        drop(setting.attach(&filter));
    });
}

/// Older kernels take them apart on loopback.
fn lo_sends_no_super_packets() -> Option<String> {
    let sends = own_namespace(|| {
        let ethtool = Ethtool::open().expect("Linux 5.6");
        let features = ethtool.features("lo", &["tx-udp-segmentation"]).expect("lo can be asked");
        features.values().any(|is_on| *is_on)
    });
    (!sends).then(|| "lo takes senders' packets of several datagrams apart".to_owned())
}

fn where_super_packets_come_a_hook_that_cannot_see_them_is_refused() {
    for hook in [Hook::Reuseport, Hook::Xdp] {
        own_namespace(move || {
            let setting = Setting::new(hook, "127.0.0.1:0");
            let filter = fixed(hook, Verdict::Accept, "places_gso");
            let shown = setting.try_attach(&filter).expect_err("lo sends them").to_string();
            for part in [
                "super-packets can come in by lo",
                "ethtool -K lo tx-udp-segmentation off",
                "--super-packets pass",
            ] {
                assert!(shown.contains(part), "no '{part}' in: {shown}");
            }
            lo_without_super_packets();
            drop(setting.attach(&filter));
        });
        own_namespace(move || {
            let address = "127.0.0.1:9".parse().expect("an address");
            let site = Site { super_packets: SuperPackets::Pass, ..Site::new(hook, address) };
            let filter = super::setting::fixed_at(&site, Verdict::Accept, "places_gso");
            drop(Setting::new(hook, "127.0.0.1:0").attach(&filter));
        });
    }
}
