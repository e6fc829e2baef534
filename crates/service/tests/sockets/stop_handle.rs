//! Ending the loop from another thread: idle, before it begins, and under load, in both ways of reading.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::harness::{BOTH, Peer, Running, config};
use weir_service::{EndedBy, RequestCounts, Server};

#[test]
fn an_idle_server_ends_and_counts_no_datagram() {
    for io in BOTH {
        for _ in 0..20 {
            let server = Running::start(config(io));
            // Lets the loop reach its read; the test below is for one that has not.
            thread::sleep(Duration::from_millis(2));
            server.stop.stop();
            let record = server.join();
            assert_eq!(record.ended_by, EndedBy::Signal, "{io}");
            assert_eq!(record.requests, RequestCounts::default(), "{io}");
            assert_eq!((record.first_read_at, record.unread), (None, 0), "{io}");
        }
    }
}

#[test]
fn a_server_that_has_not_begun_ends_as_it_begins() {
    for io in BOTH {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config(io)).unwrap();
        server.stop_handle().stop();
        assert_eq!(server.run().unwrap().ended_by, EndedBy::Signal, "{io}");
    }
}

#[test]
fn a_server_under_load_ends_and_accounts_for_what_it_was_sent() {
    for io in BOTH {
        let server = Running::start(config(io));
        let peer = Peer::of(server.addr);
        let enough = AtomicBool::new(false);
        let record = thread::scope(|scope| {
            scope.spawn(|| {
                // Bounded, so that a server that doesn't end fails the test rather than hang it.
                for _ in 0..2_000_000 {
                    if enough.load(Ordering::Relaxed) {
                        break;
                    }
                    // Once the server is gone the port is closed, and sending may say so.
                    let _ = peer.try_send(b"BAD");
                }
            });
            thread::sleep(Duration::from_millis(100));
            server.stop.stop();
            let record = server.join();
            enough.store(true, Ordering::Relaxed);
            record
        });
        assert_eq!(record.ended_by, EndedBy::Signal, "{io}");
        assert!(record.requests.invalid > 0, "{io}: {record:?}");
        assert_eq!(record.requests.total(), record.requests.invalid, "{io}");
        assert_eq!(record.bytes, 3 * record.requests.invalid, "{io}");
    }
}

#[test]
fn an_empty_datagram_is_not_taken_for_the_end() {
    for io in BOTH {
        let server = Running::start(config(io));
        let peer = Peer::of(server.addr);
        for _ in 0..10 {
            peer.send(b"");
        }
        peer.put(1, 1);
        assert_eq!(peer.get(1), "1");
        server.stop.stop();
        assert_eq!(server.join().requests.invalid, 10, "{io}");
    }
}

#[test]
fn a_handle_outlives_its_server_and_frees_the_port() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), config(BOTH[0])).unwrap();
    let (addr, handle) = (server.local_addr(), server.stop_handle());
    drop(server);
    handle.stop();
    assert_eq!(Server::bind(addr, config(BOTH[0])).unwrap().local_addr(), addr);
}
