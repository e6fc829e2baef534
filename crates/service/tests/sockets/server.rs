//! The server loop against real sockets, in both ways of reading.

use crate::harness::{BOTH, Peer, Running, config};
use proptest::prelude::*;
use weir_filters::{FilterName, Packet, Verdict};
use weir_service::{
    AllowStop, EndedBy, LoopRecord, Refused, ReplyCounts, RequestCounts, Server, ServerConfig,
};
use weir_wire::Request;

/// Sends to a server in each way of reading, ends it, and compares its counts; the STOP comes on top.
fn check(change: impl Fn(ServerConfig) -> ServerConfig, send: impl Fn(&Peer), expected: RequestCounts) {
    for io in BOTH {
        let server = Running::start(change(config(io)));
        send(&Peer::of(server.addr));
        let record = server.end();
        assert_eq!(record.requests, RequestCounts { stop: 1, ..expected }, "{io}");
        assert_balanced(&record);
    }
}

/// What a test sends fits the receive buffer, so nothing may be missing.
fn assert_balanced(record: &LoopRecord) {
    assert_eq!((record.unread, record.socket_drops), (0, 0), "{record:?}");
}

fn same(config: ServerConfig) -> ServerConfig {
    config
}

#[test]
fn requests_are_served_in_order_and_counted_by_kind() {
    let send = |peer: &Peer| {
        peer.put(10, 2);
        peer.put(10, 5);
        assert_eq!(peer.get(10), "7");
        peer.delete(10);
        peer.send(&Request::Get { key: 10 }.to_bytes());
        peer.put(10, -3);
        assert_eq!(peer.get(10), "-3");
    };
    check(same, send, RequestCounts { put: 3, get: 3, delete: 1, ..RequestCounts::default() });
}

#[test]
fn every_length_up_to_64_and_the_longest_are_counted_and_survived() {
    let send = |peer: &Peer| {
        for len in (0..=64).chain([65_507]) {
            peer.send(&vec![b'P'; len]);
        }
        peer.put(1, 1);
        assert_eq!(peer.get(1), "1");
    };
    check(same, send, RequestCounts { invalid: 66, put: 1, get: 1, ..RequestCounts::default() });
}

#[test]
fn a_command_is_served_at_its_own_length_only() {
    let full = [Request::Put { key: 1, value: 1 }, Request::Get { key: 2 }, Request::Delete { key: 3 }]
        .map(|request| [&request.to_bytes()[..], &[0; 64]].concat());
    let send = |peer: &Peer| {
        for request in &full {
            for len in 0..=64 {
                peer.send(&request[..len]);
            }
            // Each burst is read before the next, so that none is lost for want of buffer.
            peer.get(1);
        }
    };
    check(
        same,
        send,
        RequestCounts { put: 1, get: 1 + 3, delete: 1, invalid: 3 * 64, ..RequestCounts::default() },
    );
}

#[test]
fn a_long_datagram_that_begins_like_a_request_is_invalid() {
    let send = |peer: &Peer| {
        for len in [16, 17, 1000, 65_507] {
            let mut datagram = vec![0; len];
            datagram[..15].copy_from_slice(&Request::Put { key: 10, value: 1 }.to_bytes());
            peer.send(&datagram);
        }
    };
    check(same, send, RequestCounts { invalid: 4, ..RequestCounts::default() });
}

#[test]
fn a_key_of_letters_is_a_key() {
    let send = |peer: &Peer| {
        for (count, key) in
            [*b"AAAA", *b"STOP", *b"PUT\0", *b"ETE\n"].map(u32::from_le_bytes).into_iter().enumerate()
        {
            peer.put(key, count as i64);
            assert_eq!(peer.get(key), count.to_string());
            peer.delete(key);
        }
    };
    check(same, send, RequestCounts { put: 4, get: 4, delete: 4, ..RequestCounts::default() });
}

#[test]
fn a_full_bag_refuses_new_keys_and_says_so_in_the_counts() {
    let send = |peer: &Peer| {
        for key in 0..5 {
            peer.put(key, 1);
        }
        peer.put(0, 1);
        assert_eq!(peer.get(0), "2");
    };
    let refused = Refused { capacity: 3, overflow: 0 };
    check(
        |config| ServerConfig { capacity: 2, ..config },
        send,
        RequestCounts { put: 3, get: 1, refused, ..RequestCounts::default() },
    );
}

#[test]
fn an_overflow_is_refused_and_the_count_stays() {
    let send = |peer: &Peer| {
        peer.put(1, i64::MIN);
        peer.put(1, -1);
        assert_eq!(peer.get(1), i64::MIN.to_string());
        peer.put(2, i64::MAX);
        peer.put(2, 1);
        assert_eq!(peer.get(2), i64::MAX.to_string());
    };
    let refused = Refused { capacity: 0, overflow: 2 };
    check(same, send, RequestCounts { put: 2, get: 2, refused, ..RequestCounts::default() });
}

#[test]
fn a_filter_in_the_loop_drops_before_the_grammar_is_asked() {
    let send = |peer: &Peer| {
        peer.send(b"BAD");
        peer.send(b"PUT but no request");
        peer.send(b"");
        peer.put(1, 1);
    };
    let filter = |name: FilterName| move |config| ServerConfig { filter: Some(name.into()), ..config };
    check(
        filter(FilterName::ValidCommand),
        send,
        RequestCounts { put: 1, invalid: 1, filtered: 2, ..RequestCounts::default() },
    );
    check(
        filter(FilterName::RobustValidCommand),
        send,
        RequestCounts { put: 1, filtered: 3, ..RequestCounts::default() },
    );
}

#[test]
fn replies_go_to_each_asker_and_are_counted() {
    for io in BOTH {
        let server = Running::start(config(io));
        let peers = [Peer::of(server.addr), Peer::of(server.addr), Peer::of(server.addr)];
        for (key, peer) in (100..).zip(&peers) {
            peer.put(key, key.into());
        }
        for (key, peer) in (100_u32..).zip(&peers) {
            peer.send(&Request::Get { key }.to_bytes());
        }
        for (key, peer) in (100_u32..).zip(&peers) {
            assert_eq!(peer.reply(), key.to_string(), "{io}");
        }
        let record = server.end();
        assert_eq!(record.replies, ReplyCounts { sent: 3, failed: 0, bytes: 9 }, "{io}");
        assert_eq!(record.bytes, 3 * 15 + 3 * 7 + 4, "{io}");
    }
}

#[test]
fn more_questions_than_a_batch_holds_are_all_answered() {
    for io in BOTH {
        // What is sent before the loop begins is read in full batches.
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config(io)).unwrap();
        let peer = Peer::of(server.local_addr());
        peer.put(1, 5);
        for _ in 0..100 {
            peer.send(&Request::Get { key: 1 }.to_bytes());
        }
        peer.send(&Request::Stop.to_bytes());
        let record = server.run().unwrap();
        assert_eq!(record.replies, ReplyCounts { sent: 100, failed: 0, bytes: 100 }, "{io}");
        for _ in 0..100 {
            assert_eq!(peer.reply(), "5", "{io}");
        }
    }
}

#[test]
fn a_stop_that_the_policy_forbids_is_counted_and_ignored() {
    for io in BOTH {
        let server = Running::start(ServerConfig { allow_stop: AllowStop::Never, ..config(io) });
        let peer = Peer::of(server.addr);
        peer.send(&Request::Stop.to_bytes());
        peer.put(1, 1);
        assert_eq!(peer.get(1), "1");
        server.stop.stop();
        let record = server.join();
        assert_eq!(record.ended_by, EndedBy::Signal);
        assert_eq!((record.requests.stop, record.requests.stop_refused), (0, 1), "{io}");
    }
}

#[test]
fn an_ipv6_server_serves_and_stops_for_ipv6_and_mapped_ipv4_loopback() {
    for io in BOTH {
        let server = Running::start_at("[::1]:0", config(io));
        let peer = Peer::of(server.addr);
        peer.put(1, 4);
        assert_eq!(peer.get(1), "4");
        server.end();

        let server = Running::start_at("[::]:0", config(io));
        let peer = Peer::of(([127, 0, 0, 1], server.addr.port()).into());
        peer.put(1, 4);
        assert_eq!(peer.get(1), "4");
        peer.send(&Request::Stop.to_bytes());
        assert_eq!(server.join().requests.stop, 1, "{io}");
    }
}

#[test]
fn what_follows_a_stop_is_drained_and_counted_as_unread() {
    for io in BOTH {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config(io)).unwrap();
        let peer = Peer::of(server.local_addr());
        peer.put(1, 1);
        peer.send(&Request::Stop.to_bytes());
        for _ in 0..100 {
            peer.put(1, 1);
        }
        peer.send(b"");
        let record = server.run().unwrap();
        assert_eq!(record.requests, RequestCounts { put: 1, stop: 1, ..RequestCounts::default() }, "{io}");
        assert_eq!((record.unread, record.socket_drops), (101, 0), "{io}");
        assert_eq!(record.bytes, 15 + 4, "{io}");
    }
}

#[test]
fn what_a_full_buffer_drops_is_counted_by_the_socket() {
    for io in BOTH {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config(io)).unwrap();
        let peer = Peer::of(server.local_addr());
        for _ in 0..5000 {
            peer.put(1, 1);
        }
        server.stop_handle().stop();
        let record = server.run().unwrap();
        assert!(record.socket_drops > 0, "5000 packets fit {} bytes", record.receive_buffer);
        assert_eq!(record.requests.total() + record.unread + record.socket_drops, 5000, "{io}");
    }
}

#[test]
fn moments_of_a_run_are_in_order_and_a_question_is_no_load() {
    for io in BOTH {
        let server = Running::start(config(io));
        let peer = Peer::of(server.addr);
        peer.put(1, 1);
        peer.get(1);
        peer.get(1);
        let record = server.end();
        let (first, load) = (record.first_read_at.unwrap(), record.last_load_at.unwrap());
        let last = record.last_handled_at.unwrap();
        assert!(record.ready_at <= first && first <= load && load < last, "{io}: {record:?}");
        assert!(record.ready_rss_kib > Some(0));
        assert!(record.receive_buffer > 0);
    }
}

#[test]
fn an_unused_server_has_no_moments() {
    for io in BOTH {
        let record = Running::start(config(io)).end();
        assert_eq!((record.last_handled_at, record.last_load_at), (None, None), "{io}");
        assert!(record.first_read_at.is_some(), "the STOP was read");
    }
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerConfig::default()).unwrap();
    let error = Server::bind(server.local_addr(), ServerConfig::default()).unwrap_err().to_string();
    let port = server.local_addr().port();
    assert!(error.starts_with(&format!("listening on 127.0.0.1:{port}: ")), "{error}");
    assert!(error.contains(&format!("port {port} is taken")), "{error}");
}

#[test]
fn an_address_of_another_machine_is_refused_with_the_remedy() {
    let error =
        Server::bind("192.0.2.1:0".parse().unwrap(), ServerConfig::default()).unwrap_err().to_string();
    assert!(error.contains("no interface of this machine has the address 192.0.2.1"), "{error}");
}

/// Datagrams near the grammar: random bytes, some behind a command's word.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![&b""[..], b"PUT", b"GET", b"DELETE", b"BAD"]);
    (word, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(word, rest)| [word, &rest].concat())
}

/// What the counts must be for datagrams that hold no STOP.
fn model(datagrams: &[Vec<u8>], filter: Option<FilterName>) -> RequestCounts {
    let mut counts = RequestCounts::default();
    for datagram in datagrams {
        let packet = Packet::from_datagram(datagram, datagram.len());
        let dropped =
            filter.is_some_and(|name| weir_filters::Filter::from(name).decide(packet) == Verdict::Drop);
        *match Request::parse(datagram) {
            _ if dropped => &mut counts.filtered,
            Ok(Request::Put { .. }) => &mut counts.put,
            Ok(Request::Get { .. }) => &mut counts.get,
            Ok(Request::Delete { .. }) => &mut counts.delete,
            Ok(Request::Stop) => unreachable!("no strategy makes a STOP"),
            Err(_) => &mut counts.invalid,
        } += 1;
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_datagrams_are_all_counted_as_what_they_are(
        datagrams in prop::collection::vec(
            datagram().prop_filter("STOP would end it", |bytes| bytes != b"STOP"), 0..100),
        filtered in any::<bool>(),
    ) {
        let filter = filtered.then_some(FilterName::ValidCommand);
        for io in BOTH {
            let filter_config = filter.map(Into::into);
            let server = Running::start(ServerConfig { filter: filter_config, ..config(io) });
            let peer = Peer::of(server.addr);
            for datagram in &datagrams {
                peer.send(datagram);
            }
            let record = server.end();
            prop_assert_eq!(record.requests, RequestCounts { stop: 1, ..model(&datagrams, filter) });
            prop_assert_eq!(record.bytes, datagrams.iter().map(|d| d.len() as u64).sum::<u64>() + 4);
            prop_assert_eq!((record.unread, record.socket_drops), (0, 0));
        }
    }
}
