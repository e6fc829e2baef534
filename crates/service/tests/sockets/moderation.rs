//! A server that moderates its reading answers and ends as any other.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use weir_service::{EndedBy, Io, LongestNap, LoopRecord, Moderation, Naps, ServerConfig};
use weir_wire::Request;

use crate::harness::{PATIENCE, Peer, Running, config};

const LONGEST: Duration = Duration::from_micros(500);

fn moderated() -> ServerConfig {
    let longest = LongestNap::new(LONGEST).unwrap();
    ServerConfig {
        moderation: Moderation::AtMost(longest),
        // So that what a slow machine sends at once is not lost.
        receive_buffer: Some(1 << 20),
        ..config(Io::Batch)
    }
}

/// Sends PUTs, in steps that the server has read before the next, until `enough`; how many.
fn flood(server: &Running, key: u32, enough: impl Fn(u64) -> bool) -> u64 {
    let peer = Peer::of(server.addr);
    let mut sent = 0;
    while !enough(sent) {
        for _ in 0..200 {
            peer.put(key, 1);
            // As fast as one sender would without the server's wake-ups: a rate, not a burst.
            let next = Instant::now() + Duration::from_micros(4);
            while Instant::now() < next {
                std::hint::spin_loop();
            }
        }
        sent += 200;
        assert_eq!(peer.get(key), sent.to_string());
    }
    sent
}

fn assert_all_read(record: &LoopRecord, puts: u64) {
    assert_eq!((record.requests.put, record.unread, record.socket_drops), (puts, 0, 0), "{record:?}");
    assert_eq!(record.replies.sent, record.requests.get, "{record:?}");
}

#[test]
fn every_request_of_a_flood_is_served() {
    let server = Running::start(moderated());
    let sent = flood(&server, 1, |sent| sent >= 100_000);
    let record = server.end();
    assert_all_read(&record, sent);
    assert_eq!(record.moderation.to_string(), "500");
    assert!(record.naps.time_us >= 20 * record.naps.count, "{:?}", record.naps);
}

#[test]
fn several_workers_moderate_their_reading_each() {
    let workers = NonZeroUsize::new(2).unwrap();
    let server = Running::start(ServerConfig { workers, ..moderated() });
    let sent: u64 = thread::scope(|scope| {
        let senders: Vec<_> = (1..=4)
            .map(|key| {
                scope.spawn({
                    let server = &server;
                    move || flood(server, key, |sent| sent >= 20_000)
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    let record = server.end();
    assert_all_read(&record, sent);
    let naps = record.workers.iter().map(|worker| worker.naps);
    let total = naps.fold(Naps::default(), |mut total, naps| {
        total += naps;
        total
    });
    assert_eq!(total, record.naps);
}

/// Ends a server in the middle of a flood.
fn ends_soon(end: impl Fn(&Running), by: EndedBy) {
    let server = Running::start(moderated());
    let enough = AtomicBool::new(false);
    let (addr, stop) = (server.addr, server.stop.clone());
    let record = thread::scope(|scope| {
        scope.spawn(|| {
            let peer = Peer::of(addr);
            let deadline = Instant::now() + PATIENCE;
            while !enough.load(Ordering::Relaxed) && Instant::now() < deadline {
                // Once the server is gone the port is closed, and sending may say so.
                let _ = peer.try_send(&Request::Put { key: 1, value: 1 }.to_bytes());
            }
            stop.stop();
        });
        thread::sleep(Duration::from_millis(50));
        let asked = Instant::now();
        end(&server);
        let record = server.join();
        let taken = asked.elapsed();
        enough.store(true, Ordering::Relaxed);
        assert!(taken < PATIENCE / 2, "{taken:?}");
        record
    });
    assert_eq!(record.ended_by, by);
}

#[test]
fn a_stop_ends_a_server_that_naps() {
    let stop = |server: &Running| {
        // Some, since a full buffer may drop one.
        for _ in 0..100 {
            let _ = Peer::of(server.addr).try_send(&Request::Stop.to_bytes());
        }
    };
    ends_soon(stop, EndedBy::Stop);
}

#[test]
fn a_handle_ends_a_server_that_naps() {
    ends_soon(|server| server.stop.stop(), EndedBy::Signal);
}

#[test]
fn requests_one_by_one_are_answered_without_naps() {
    let server = Running::start(ServerConfig { moderation: Moderation::Auto, ..config(Io::Batch) });
    let peer = Peer::of(server.addr);
    peer.put(1, 7);
    for _ in 0..200 {
        assert_eq!(peer.get(1), "7");
        thread::sleep(Duration::from_micros(500));
    }
    assert_eq!(server.end().naps, Naps::default());
}

#[test]
fn one_datagram_a_call_is_never_moderated() {
    let server = Running::start(ServerConfig { io: Io::Simple, ..moderated() });
    let sent = flood(&server, 1, |sent| sent >= 10_000);
    let record = server.end();
    assert_all_read(&record, sent);
    assert_eq!((record.moderation, record.naps), (Moderation::Off, Naps::default()));
}

#[test]
fn a_record_keeps_how_reading_was_moderated_and_one_that_does_not_say_was_not() {
    let server = Running::start(moderated());
    let mut json = serde_json::to_value(server.end()).unwrap();
    assert_eq!(json["moderation"], "500");
    assert!(json["naps"]["count"].is_u64() && json["naps"]["time_us"].is_u64(), "{json}");
    json.as_object_mut().unwrap().retain(|field, _| field != "moderation" && field != "naps");
    let old: LoopRecord = serde_json::from_value(json).unwrap();
    assert_eq!((old.moderation, old.naps), (Moderation::Off, Naps::default()));
}
