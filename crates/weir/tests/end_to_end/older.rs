//! What is done on kernels that lack something, on this one, told by WEIR_WITHOUT to do without.

use std::os::fd::AsFd as _;

use nix::sys::{
    signal::Signal,
    socket::{setsockopt, sockopt::UdpGsoSegment},
};
use weir_hooks::{ClsactFilter, in_own_network};
use weir_testing::{Ended, Test, wait_until};
use weir_wire::Request;

use crate::running::{Server, ask, weir};

pub(crate) const IN_KERNEL: &[Test] = &[
    ("what_decides_before_the_sockets_follows_a_swap", what_decides_before_follows_a_swap),
    ("without_links_a_filter_at_tc_is_taken_over_by_the_next", a_filter_at_tc_is_taken_over),
    ("two_servers_at_tc_without_links_decide_beside_each_other", two_servers_at_tc),
    ("every_program_decides_alike_without_newer_features", every_program_decides_alike),
];

/// Where loopback carries packets of several datagrams.
pub(crate) const ON_LOOPBACK: &[Test] =
    &[("where_nothing_tells_super_packets_each_datagram_is_judged", each_datagram_is_judged)];

const WITHOUT: &str = "xdp-frags,compare-exchange,tcx,gso-size";

fn start(listen: &str, arguments: &[&str]) -> Server {
    start_without(WITHOUT, listen, arguments)
}

fn start_without(features: &str, listen: &str, arguments: &[&str]) -> Server {
    let mut command = weir(&[&["serve", "--listen", listen], arguments].concat());
    command.env("WEIR_WITHOUT", features);
    Server::of(command)
}

fn put(value: i64) -> Vec<u8> {
    Request::Put { key: 1, value }.to_bytes().to_vec()
}

fn bad() -> Vec<u8> {
    vec![b'B'; put(0).len()]
}

/// As one packet of as many datagrams.
fn send_whole(socket: &std::net::UdpSocket, datagrams: &[Vec<u8>]) {
    let segment = datagrams[0].len() as i32;
    setsockopt(&socket.as_fd(), UdpGsoSegment, &segment).expect("an option can be set");
    socket.send(&datagrams.concat()).expect("send");
    setsockopt(&socket.as_fd(), UdpGsoSegment, &0).expect("an option can be set");
}

fn sum(server: &Server) -> Option<String> {
    ask(&server.socket(), &Request::Get { key: 1 }.to_bytes())
}

fn end(server: Server) -> Ended {
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended
}

fn each_datagram_is_judged() {
    // By aya and C nothing tells them on newer kernels either.
    let untold = [(WITHOUT, "aya"), (WITHOUT, "c"), (WITHOUT, "fun"), ("", "aya"), ("", "c")];
    for hook in ["reuseport", "xdp"] {
        for (without, toolkit) in untold {
            in_own_network(move || {
                let server = start_without(without, "127.0.0.1:0", &["--hook", hook, "--toolkit", toolkit]);
                let what = format!("{toolkit} at {hook} without '{without}'");
                let socket = server.socket();
                send_whole(&socket, &[put(1), bad(), put(2), bad()]);
                assert_eq!(sum(&server).as_deref(), Some("3"), "{what}");
                send_whole(&socket, &[bad(), put(4)]);
                // By its first datagram it ends in front of the socket, where there is a program.
                let (expected, dropped) = if hook == "xdp" { ("3", 3) } else { ("7", 3) };
                assert_eq!(sum(&server).as_deref(), Some(expected), "{what}");
                let ended = end(server);
                for part in [
                    "the server's socket",
                    &format!("at hook {hook}"),
                    &format!("{dropped} dropped by the filter"),
                ] {
                    assert!(ended.stderr.contains(part), "{what}: no '{part}' in: {}", ended.stderr);
                }
            })
            .expect("root may");
        }
    }
}

fn what_decides_before_follows_a_swap() {
    in_own_network(|| {
        let folder = weir_testing::folder();
        let control = folder.path().join("control");
        let control = control.to_str().expect("UTF-8");
        let server =
            start("127.0.0.1:0", &["--hook", "xdp", "--filter", "reject-filter", "--control", control]);
        let socket = server.socket();
        socket.send(&put(1)).expect("send");
        let swap = weir(&["filter", "--control", control, "swap", "known-key"]).output().expect("it starts");
        assert!(swap.status.success(), "{swap:?}");
        socket.send(&put(2)).expect("send");
        assert_eq!(sum(&server).as_deref(), Some("2"), "what the first filter dropped is gone");
        let ended = end(server);
        assert!(ended.stderr.contains("1 dropped by the filter"), "{}", ended.stderr);
    })
    .expect("root may");
}

fn leftovers() -> Vec<String> {
    let found = ClsactFilter::leftovers().expect("they can be looked for");
    found.iter().map(ToString::to_string).collect()
}

/// What `tc` says of the interface's qdiscs.
fn has_clsact() -> bool {
    let said = std::process::Command::new("tc").args(["qdisc", "show", "dev", "lo"]).output();
    String::from_utf8_lossy(&said.expect("iproute2 is there").stdout).contains("clsact")
}

fn a_filter_at_tc_is_taken_over() {
    in_own_network(|| {
        let at_tc = ["--hook", "tc"];
        let server = start("127.0.0.1:0", &at_tc);
        let listen = server.address.to_string();
        assert!(has_clsact());
        assert_eq!(leftovers(), [""; 0], "its process lives");
        drop(server);
        assert!(matches!(&leftovers()[..], [one] if one.contains(&listen)), "{:?}", leftovers());

        let other = start("127.0.0.1:0", &at_tc);
        assert_eq!(leftovers().len(), 1, "another port's is left alone");
        end(other);
        let next = start(&listen, &at_tc);
        assert_eq!(leftovers(), [""; 0], "it was taken over");
        let socket = next.socket();
        socket.send(&bad()).expect("send");
        socket.send(&put(5)).expect("send");
        assert_eq!(sum(&next).as_deref(), Some("5"));
        let ended = end(next);
        assert!(ended.stderr.contains("1 dropped by the filter"), "{}", ended.stderr);
        assert!(!has_clsact(), "it went with the last filter");

        drop(start("127.0.0.1:0", &at_tc));
        let fixed = weir(&["doctor", "--fix"]).output().expect("it starts");
        let said = String::from_utf8_lossy(&fixed.stderr);
        assert!(said.contains("weir: removed tc ingress of lo"), "{said}");
        assert_eq!(leftovers(), [""; 0]);
        assert!(!has_clsact());
    })
    .expect("root may");
}

fn two_servers_at_tc() {
    in_own_network(|| {
        let first = start("127.0.0.1:0", &["--hook", "tc"]);
        let port = first.address.port();
        let second = start(&format!("127.0.0.2:{port}"), &["--hook", "tc", "--filter", "reject-filter"]);
        second.socket().send(&put(1)).expect("send");
        first.socket().send(&put(2)).expect("send");
        assert_eq!(sum(&first).as_deref(), Some("2"));
        assert!(end(second).stderr.contains("1 dropped by the filter"));
        assert!(has_clsact(), "the other one is in it");
        first.socket().send(&bad()).expect("send");
        assert_eq!(sum(&first).as_deref(), Some("2"));
        assert!(end(first).stderr.contains("1 dropped by the filter"));
        wait_until("the qdisc is gone", || !has_clsact());
    })
    .expect("root may");
}

fn every_program_decides_alike() {
    let verified = weir(&["verify", "-n", "300"]).env("WEIR_WITHOUT", WITHOUT).output().expect("it starts");
    let verified = Ended::from(verified);
    let last = verified.stdout.lines().last();
    assert_eq!(verified.status, Some(0), "{last:?}, {}", verified.stderr);
}
