//! The client's engine: segmentation, pace, retries, and servers that don't answer.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use weir_service::{
    ClientSummary, Io,
    client::{self, Awaited, ClientConfig, GetPolicy, Pacing, PacketsPerSecond, Payload, Progress, Step},
};
use weir_wire::Request;

use crate::harness::{BOTH, PATIENCE, Running, config};

const GET_10: Step = Step::Get { key: 10, awaited: Awaited::Reply };

fn burst(payload: Payload, count: u64) -> Step {
    Step::Burst { payload, count }
}

fn send(steps: &[Step], config: &ClientConfig) -> ClientSummary {
    client::run("test", steps, config, &mut |_| {}).unwrap()
}

/// A socket that the test reads itself, in place of a server.
fn listener() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

fn quick_get(attempts: u32) -> GetPolicy {
    GetPolicy { timeout: Duration::from_millis(50), attempts, silence: Duration::from_millis(20) }
}

/// Sends a burst in each way and reads every datagram back, whole and unsplit.
fn check_run(payload: Payload, count: u64, gso: bool) {
    for io in BOTH {
        let (socket, addr) = listener();
        let summary = send(&[burst(payload, count)], &ClientConfig { io, ..ClientConfig::new(addr) });
        let expected = payload.bytes();
        let mut buffer = vec![0; 1 << 16];
        for i in 0..count {
            let len = socket.recv(&mut buffer).unwrap();
            assert!(buffer[..len] == expected, "{io}, datagram {i} of {payload:?}");
        }
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv(&mut buffer).is_err(), "{io}, more than {count} of {payload:?}");
        assert_eq!(summary.sent.total(), count);
        assert_eq!(summary.bytes, count * expected.len() as u64);
        assert_eq!(summary.gso, gso && io == Io::Batch, "{io}, {count} of {payload:?}");
    }
}

#[test]
fn runs_of_any_length_arrive_as_separate_datagrams() {
    check_run(Payload::Put { key: 10, value: 1 }, 1, false);
    for count in [2, 63, 64, 65, 100] {
        check_run(Payload::Put { key: 10, value: 1 }, count, true);
    }
}

#[test]
fn runs_of_any_payload_size_arrive_as_separate_datagrams() {
    for (len, count) in [(1, 100), (2, 65), (1027, 64), (32_753, 3)] {
        check_run(Payload::Bad { len }, count, true);
    }
}

#[test]
fn payloads_too_large_to_share_a_send_arrive_too() {
    for len in [32_754, 65_507] {
        check_run(Payload::Bad { len }, 2, false);
    }
}

#[test]
fn a_stop_longer_than_the_packets_before_it_is_not_split() {
    let (socket, addr) = listener();
    send(&[burst(Payload::Bad { len: 1 }, 3), Step::Stop], &ClientConfig::new(addr));
    let mut buffer = [0; 64];
    for expected in [&b"B"[..], b"B", b"B", b"STOP"] {
        let len = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], expected);
    }
}

#[test]
fn a_run_over_ipv6_arrives() {
    for io in BOTH {
        let server = Running::start_at("[::1]:0", config(io));
        let steps = [burst(Payload::Put { key: 10, value: 1 }, 50), GET_10, Step::Stop];
        let summary = send(&steps, &ClientConfig { io, ..ClientConfig::new(server.addr) });
        assert_eq!(summary.gets[0].reply, Some(50), "{io}");
        assert_eq!(server.join().requests.put, 50, "{io}");
    }
}

#[test]
fn a_paced_client_takes_its_time_and_reports_both_rates() {
    let server = Running::start(config(Io::Batch));
    let pacing = PacketsPerSecond::new(1000.0).map(Pacing::new);
    let steps = [burst(Payload::Put { key: 10, value: 1 }, 101), GET_10, Step::Stop];
    let summary = send(&steps, &ClientConfig { pacing, ..ClientConfig::new(server.addr) });
    assert_eq!(server.join().requests.put, 101);
    assert_eq!(summary.offered_rate, Some(1000.0));
    let elapsed = summary.last_sent_at.unwrap().since(summary.first_sent_at.unwrap());
    assert!(elapsed >= Duration::from_millis(99), "101 packets at 1000/s left within {elapsed:?}");
    assert!(summary.achieved_rate.unwrap() <= 1010.0, "{summary:?}");
    assert!(!summary.gso);
    assert!(summary.is_accounted_for(), "{summary:?}");
    assert_eq!(summary.pace.unwrap().lag.unwrap().count, 101);
}

#[test]
fn a_get_is_asked_again_until_it_is_answered() {
    let (socket, addr) = listener();
    let client = thread::spawn(move || {
        send(
            &[GET_10],
            &ClientConfig { get: GetPolicy { attempts: 50, ..quick_get(1) }, ..ClientConfig::new(addr) },
        )
    });
    let mut buffer = [0; 64];
    let (_, first) = socket.recv_from(&mut buffer).unwrap();
    let (len, second) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[..len], Request::Get { key: 10 }.to_bytes()[..]);
    assert_ne!(first, second, "a retry leaves by a fresh socket");
    let answering = thread::spawn(move || {
        // The second attempt may time out before its answer comes, so every later one is answered too.
        let mut from = second;
        while socket.send_to(b"5", from).is_ok() {
            match socket.recv_from(&mut buffer) {
                Ok((len, next)) if &buffer[..len] != b"end" => from = next,
                _ => break,
            }
        }
    });
    let summary = client.join().unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"end", addr).unwrap();
    answering.join().unwrap();
    assert_eq!(summary.gets[0].reply, Some(5));
    assert!(summary.gets[0].attempts >= 2);
    assert_eq!(summary.sent.get, u64::from(summary.gets[0].attempts));
}

#[test]
fn a_late_reply_is_not_taken_for_the_answer_to_a_later_question() {
    let (socket, addr) = listener();
    let client = thread::spawn(move || {
        let steps =
            [Step::Get { key: 1, awaited: Awaited::Silence }, Step::Get { key: 2, awaited: Awaited::Reply }];
        send(
            &steps,
            &ClientConfig { get: GetPolicy { timeout: PATIENCE, ..quick_get(1) }, ..ClientConfig::new(addr) },
        )
    });
    let mut buffer = [0; 64];
    let (_, first) = socket.recv_from(&mut buffer).unwrap();
    let (_, second) = socket.recv_from(&mut buffer).unwrap();
    socket.send_to(b"111", first).unwrap();
    socket.send_to(b"222", second).unwrap();
    let replies: Vec<_> = client.join().unwrap().gets.iter().map(|get| get.reply).collect();
    assert_eq!(replies, [None, Some(222)]);
}

#[test]
fn what_is_no_count_is_passed_over() {
    let (socket, addr) = listener();
    let client = thread::spawn(move || {
        send(
            &[GET_10],
            &ClientConfig { get: GetPolicy { timeout: PATIENCE, ..quick_get(1) }, ..ClientConfig::new(addr) },
        )
    });
    let mut buffer = [0; 64];
    let (_, from) = socket.recv_from(&mut buffer).unwrap();
    for reply in ["", "seven", "07", "7"] {
        socket.send_to(reply.as_bytes(), from).unwrap();
    }
    assert_eq!(client.join().unwrap().gets[0].reply, Some(7));
}

#[test]
fn a_silent_server_leaves_a_reply_missing() {
    let (_socket, addr) = listener();
    let summary = send(&[GET_10], &ClientConfig { get: quick_get(3), ..ClientConfig::new(addr) });
    assert_eq!((summary.gets[0].attempts, summary.missing_replies()), (3, 1));
    assert!(!summary.nobody_listens());
}

#[test]
fn expected_silence_is_waited_for_once_and_is_not_missing() {
    let (_socket, addr) = listener();
    let steps = [Step::Get { key: 10, awaited: Awaited::Silence }];
    let summary = send(&steps, &ClientConfig { get: quick_get(5), ..ClientConfig::new(addr) });
    assert_eq!((summary.gets[0].attempts, summary.missing_replies()), (1, 0));
}

#[test]
fn what_may_be_absent_is_asked_for_again_and_is_not_missing() {
    let (_socket, addr) = listener();
    let steps = [Step::Get { key: 10, awaited: Awaited::Either }];
    let summary = send(&steps, &ClientConfig { get: quick_get(3), ..ClientConfig::new(addr) });
    assert_eq!((summary.gets[0].attempts, summary.missing_replies()), (3, 0));
}

#[test]
fn a_closed_port_is_noticed_whatever_is_sent_to_it() {
    for io in BOTH {
        let (socket, addr) = listener();
        drop(socket);
        for steps in [&[Step::Stop][..], &[burst(Payload::bad(256), 1000)], &[GET_10]] {
            let summary = send(steps, &ClientConfig { io, get: quick_get(3), ..ClientConfig::new(addr) });
            assert!(summary.nobody_listens(), "{io}, {steps:?}");
            assert_eq!(summary.refused, 0, "{io}, {steps:?}");
        }
    }
}

#[test]
fn a_client_with_nothing_to_send_says_so() {
    let (_socket, addr) = listener();
    let summary = send(&[], &ClientConfig::new(addr));
    assert_eq!(summary.sent.total(), 0);
    assert_eq!((summary.achieved_rate, summary.first_sent_at, summary.last_sent_at), (None, None, None));
}

#[test]
fn progress_ends_at_the_total() {
    for io in BOTH {
        let (_socket, addr) = listener();
        let steps = [burst(Payload::bad(256), 1000), Step::Stop];
        let mut reports = Vec::new();
        client::run("test", &steps, &ClientConfig { io, ..ClientConfig::new(addr) }, &mut |progress| {
            reports.push(progress);
        })
        .unwrap();
        assert!(reports.is_sorted_by_key(|report| report.sent), "{io}");
        assert_eq!(reports.last(), Some(&Progress { sent: 1001, total: 1001 }), "{io}");
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_named() {
    // No datagram leaves: a broadcast needs a permission that the socket doesn't ask for.
    let addr = "255.255.255.255:9".parse().unwrap();
    let error = client::run("test", &[Step::Stop], &ClientConfig::new(addr), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("255.255.255.255:9"), "{error}");
}
