//! Filters on real sockets: what reaches the reader, and what stays when the guard goes.

use weir_filters::{FilterName, Toolkit};
use weir_testing::received;
use weir_wire::Request;

use crate::{Test, each, load, pair};

pub(crate) const TESTS: &[Test] = &[
    each("a_socket_gets_only_what_its_filter_accepts", a_socket_gets_only_what_its_filter_accepts),
    each("ipv6_payloads_stand_where_ipv4_payloads_do", ipv6_payloads_stand_where_ipv4_payloads_do),
    each("dropping_the_guard_detaches", dropping_the_guard_detaches),
    each("a_second_filter_replaces_the_first", a_second_filter_replaces_the_first),
    each("another_socket_is_untouched", another_socket_is_untouched),
    each("a_gso_send_is_filtered_segment_by_segment", a_gso_send_is_filtered_segment_by_segment),
];

const LOOPBACK_V4: &str = "127.0.0.1:0";
const LOOPBACK_V6: &str = "[::1]:0";

fn get(key: u32) -> Vec<u8> {
    Request::Get { key }.to_bytes().to_vec()
}

fn filters_commands(address: &str, toolkit: Toolkit) {
    let (receiver, sender) = pair(address);
    let filter = load(FilterName::ValidCommand, toolkit);
    let _attached = filter.attach(&receiver).expect("attach");
    for payload in [&get(10)[..], b"BADBBBBBBB", b"", b"PUT", b"DELELULU"] {
        sender.send(payload).expect("send");
    }
    assert_eq!(received(&receiver), [get(10), b"PUT".to_vec()]);
    let counts = filter.verdicts().expect("read").expect("counted");
    assert_eq!((counts.accepted, counts.dropped), (2, 3));
}

fn a_socket_gets_only_what_its_filter_accepts(toolkit: Toolkit) {
    filters_commands(LOOPBACK_V4, toolkit);
}

fn ipv6_payloads_stand_where_ipv4_payloads_do(toolkit: Toolkit) {
    filters_commands(LOOPBACK_V6, toolkit);
}

fn dropping_the_guard_detaches(toolkit: Toolkit) {
    let (receiver, sender) = pair(LOOPBACK_V4);
    let filter = load(FilterName::Reject, toolkit);
    let attached = filter.attach(&receiver).expect("attach");
    sender.send(&get(1)).expect("send");
    assert!(received(&receiver).is_empty());
    drop(attached);
    sender.send(&get(2)).expect("send");
    assert_eq!(received(&receiver), [get(2)]);
    assert_eq!(filter.verdicts().expect("read").expect("counted").dropped, 1);
}

fn a_second_filter_replaces_the_first(toolkit: Toolkit) {
    let (receiver, sender) = pair(LOOPBACK_V4);
    let reject = load(FilterName::Reject, toolkit);
    let count = load(FilterName::Count, toolkit);
    let first = reject.attach(&receiver).expect("attach");
    let second = count.attach(&receiver).expect("attach");
    sender.send(&get(3)).expect("send");
    assert_eq!(received(&receiver), [get(3)]);
    assert_eq!(reject.verdicts().expect("read").expect("counted").dropped, 0);
    drop((first, second));
}

fn another_socket_is_untouched(toolkit: Toolkit) {
    let (receiver, sender) = pair(LOOPBACK_V4);
    let (other, other_sender) = pair(LOOPBACK_V4);
    let filter = load(FilterName::Reject, toolkit);
    let _attached = filter.attach(&receiver).expect("attach");
    sender.send(b"x").expect("send");
    other_sender.send(b"x").expect("send");
    assert!(received(&receiver).is_empty());
    assert_eq!(received(&other), [b"x".to_vec()]);
}

fn a_gso_send_is_filtered_segment_by_segment(toolkit: Toolkit) {
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
    use std::{io::IoSlice, os::fd::AsRawFd as _};

    let (receiver, sender) = pair(LOOPBACK_V4);
    let filter = load(FilterName::ValidCommand, toolkit);
    let _attached = filter.attach(&receiver).expect("attach");
    let segments = [get(1), b"BADBADB".to_vec(), get(2), b"BADBADB".to_vec(), get(3)].concat();
    let segment_len = 7u16;
    sendmsg::<SockaddrStorage>(
        sender.as_raw_fd(),
        &[IoSlice::new(&segments)],
        &[ControlMessage::UdpGsoSegments(&segment_len)],
        MsgFlags::empty(),
        None,
    )
    .expect("UDP GSO is in Linux 4.18");
    assert_eq!(received(&receiver), [get(1), get(2), get(3)]);
    let counts = filter.verdicts().expect("read").expect("counted");
    assert_eq!((counts.accepted, counts.dropped), (3, 2));
}
