//! Where a port is shared the kernel runs no program on bytes of ours, so that datagrams are sent over real sockets.

use weir_filters::{Filter, FilterName, GsoLayout, Hook, Packet, Site, Toolkit, Verdict, corpus};
use weir_hooks::{KernelFilter, VerdictCounts};
use weir_testing::{received, scaled, send};
use weir_wire::udp;

use crate::places::{Setting, lo_without_super_packets, own_namespace};

/// Datagrams for each filter, each swept one in its true length once.
const DATAGRAMS: usize = 4_000;

/// A program that reads `gso_size` is attached to an interface with super-packets, too.
pub(super) fn decides_datagrams_as_the_reference(toolkit: Toolkit, gso: Option<GsoLayout>) {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        own_namespace(move || {
            if gso.is_none() {
                lo_without_super_packets();
            }
            let setting = Setting::new(Hook::Reuseport, address);
            for name in FilterName::ALL.into_iter().filter(|name| !name.is_dynamic()) {
                check(&setting, name.into(), toolkit, gso);
            }
        });
    }
}

fn check(setting: &Setting, filter: Filter, toolkit: Toolkit, gso: Option<GsoLayout>) {
    let reached = setting.receiver.local_addr().expect("it is bound");
    let site = Site { gso, ..Site::new(Hook::Reuseport, reached) };
    let kernel = KernelFilter::load(filter, toolkit, &site);
    let kernel = kernel.unwrap_or_else(|error| panic!("{filter:?} with {toolkit}: {error}"));
    let attached = setting.attach(&kernel);
    let mut expected_counts = VerdictCounts::default();
    for payload in payloads().take(scaled(DATAGRAMS)) {
        let expected = filter.decide(Packet::from_datagram(&payload, payload.len()));
        let verdict = if is_delivered(setting, &payload) { Verdict::Accept } else { Verdict::Drop };
        assert_eq!(verdict, expected, "{filter:?} with {toolkit} at {reached} on {payload:02x?}");
        match verdict {
            Verdict::Accept => expected_counts.accepted += 1,
            Verdict::Drop => expected_counts.dropped += 1,
        }
    }
    drop(attached);
    if let Some(counts) = kernel.verdicts().expect("it is read") {
        assert_eq!(counts, expected_counts, "{filter:?} with {toolkit} at {reached}");
    }
}

/// Those of the corpus whose length field is true, which over a socket it always is.
fn payloads() -> impl Iterator<Item = Vec<u8>> {
    corpus::packets(0x5eed).filter_map(|packet| {
        let length = Packet::from_udp(&packet).udp_length?;
        let payload = packet.get(udp::PAYLOAD_OFFSET..)?;
        (length == udp::length_field(payload.len())).then(|| payload.to_vec())
    })
}

fn is_delivered(setting: &Setting, payload: &[u8]) -> bool {
    send(&setting.sender, payload);
    setting.receiver.set_nonblocking(true).expect("a socket can be non-blocking");
    let came = received(&setting.receiver);
    assert!(came.len() < 2 && came.iter().all(|one| one == payload), "{came:?} of {payload:?}");
    !came.is_empty()
}
