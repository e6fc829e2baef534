//! Several workers behind one port.

use std::{net::UdpSocket, ops::Range};

use nix::sys::signal::Signal;
use serde_json::Value;
use weir_hooks::in_own_network;
use weir_testing::{Ended, Test, folder, send};
use weir_wire::{Request, worker_of};

use crate::{
    hooks::in_namespace,
    privileges::{by_nobody, copy_for_nobody},
    running::{Server, ask, run},
};

pub(crate) const ANYWHERE: &[Test] = &[
    ("without_privilege_workers_share_a_port_by_the_kernels_hash", without_privilege_by_hash),
    ("workers_that_could_not_serve_are_refused", workers_that_could_not_serve_are_refused),
    ("a_stop_or_a_signal_ends_every_worker", a_stop_or_a_signal_ends_every_worker),
];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("at_every_hook_each_worker_serves_its_keys", at_every_hook_each_worker_serves_its_keys),
    ("a_swap_keeps_workers_and_their_keys", a_swap_keeps_workers_and_their_keys),
    ("workers_share_the_bags_capacity_and_its_known_keys", workers_share_capacity_and_known_keys),
];

/// Where loopback carries packets of several datagrams.
pub(crate) const ON_LOOPBACK: &[Test] =
    &[("a_swap_at_the_sockets_keeps_workers_and_their_keys", a_swap_at_the_sockets_keeps_workers)];

const KEYS: u32 = 60;
const WORKERS: u32 = 3;
/// Keys of a small bag.
const ROOM: u32 = 20;

/// Every key's PUTs come from a socket of their own, so that a hash would mix them, and are handled when this returns.
fn fill(server: &Server, keys: Range<u32>) {
    for key in keys {
        let socket = server.socket();
        put(&socket, key);
        check_sums(&socket, [key]);
    }
}

fn put(socket: &UdpSocket, key: u32) {
    for value in [5, -2] {
        send(socket, &Request::Put { key, value }.to_bytes());
        send(socket, b"BADBADB");
    }
}

fn check_sums(socket: &UdpSocket, keys: impl IntoIterator<Item = u32>) {
    for key in keys {
        let sum = ask(socket, &Request::Get { key }.to_bytes());
        assert_eq!(sum.as_deref(), Some("3"), "of key {key}");
    }
}

/// Ends it, and gives its record.
fn record(server: Server, folder: &tempfile::TempDir) -> (Ended, Value) {
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let written = std::fs::read(folder.path().join("summary.json")).expect("it was written");
    (ended, serde_json::from_slice(&written).expect("JSON"))
}

fn start(arguments: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (summary, control) = (path("summary.json"), path("control"));
    let workers = WORKERS.to_string();
    let ours = ["--workers", &workers, "--summary", &summary, "--control", &control];
    (Server::start(&[&ours, arguments].concat()), folder)
}

fn requests_of(record: &Value, kind: &str) -> Vec<u64> {
    let workers = record["workers"].as_array().expect("there are several");
    workers.iter().map(|worker| worker["requests"][kind].as_u64().expect("a count")).collect()
}

fn at_every_hook_each_worker_serves_its_keys() {
    for (hook, toolkit) in [
        ("user", "rust"),
        ("socket", "aya"),
        ("reuseport", "fun"),
        ("reuseport", "aya"),
        ("cgroup", "fun"),
        ("tc", "aya"),
        ("xdp", "fun"),
    ] {
        in_namespace(move || {
            let (server, folder) = start(&["--hook", hook, "--toolkit", toolkit]);
            fill(&server, 0..KEYS);
            check_sums(&server.socket(), 0..KEYS);
            let (ended, record) = record(server, &folder);
            assert!(ended.stderr.contains("3 workers, each for its share of the keys"), "{ended:?}");
            assert_eq!(record["worker_pick"], "key");
            let share = |worker| (0..KEYS).filter(|key| worker_of(*key, WORKERS) == worker).count() as u64;
            let shares: Vec<_> = (0..WORKERS).map(|worker| 2 * share(worker)).collect();
            for kind in ["put", "get"] {
                assert_eq!(requests_of(&record, kind), shares, "{kind} at {hook}");
            }
            assert_eq!(record["requests"]["put"], u64::from(2 * KEYS), "{record}");
            let filtered =
                if hook == "user" { &record["requests"]["filtered"] } else { &record["verdicts"]["dropped"] };
            assert_eq!(*filtered, u64::from(2 * KEYS), "at {hook}: {record}");
        });
    }
}

fn a_swap_keeps_workers_and_their_keys() {
    in_namespace(|| {
        for hook in ["reuseport", "tc"] {
            let (server, folder) = start(&["--hook", hook, "--toolkit", "fun"]);
            let control = folder.path().join("control");
            let control = control.to_str().expect("UTF-8");
            let swap = |filter, toolkit| {
                let done = run(&["filter", "swap", filter, "--toolkit", toolkit, "--control", control]);
                assert_eq!(done.status, Some(0), "{done:?}");
            };
            fill(&server, 0..KEYS);
            swap("known-key", "fun");
            check_sums(&server.socket(), 0..KEYS);
            swap("robust-valid-command", "fun");
            check_sums(&server.socket(), 0..KEYS);
            swap("known-key", "aya");
            check_sums(&server.socket(), 0..KEYS);
            let (_, record) = record(server, &folder);
            assert_eq!(record["requests"]["get"], u64::from(4 * KEYS), "{record}");
        }
    });
}

/// What picks is then another program than the one that is swapped.
fn a_swap_at_the_sockets_keeps_workers() {
    in_own_network(|| {
        let (server, folder) = start(&["--hook", "reuseport", "--toolkit", "aya"]);
        let control = folder.path().join("control");
        let control = control.to_str().expect("UTF-8");
        fill(&server, 0..KEYS);
        let swap = ["filter", "swap", "robust-valid-command", "--toolkit", "aya", "--control", control];
        let done = run(&swap);
        assert_eq!(done.status, Some(0), "{done:?}");
        for key in 0..KEYS {
            check_sums(&server.socket(), [key]);
        }
        let (_, record) = record(server, &folder);
        assert_eq!(record["decides_at"], "socket", "{record}");
        let share = |worker| (0..KEYS).filter(|key| worker_of(*key, WORKERS) == worker).count() as u64;
        let shares: Vec<_> = (0..WORKERS).map(|worker| 2 * share(worker)).collect();
        assert_eq!(requests_of(&record, "get"), shares, "{record}");
    })
    .expect("root may");
}

fn workers_share_capacity_and_known_keys() {
    in_namespace(|| {
        let (server, folder) = start(&["--filter", "known-key", "--toolkit", "fun", "-c", &ROOM.to_string()]);
        let socket = server.socket();
        fill(&server, 0..ROOM);
        (ROOM..KEYS).for_each(|key| put(&socket, key));
        check_sums(&socket, 0..ROOM);
        // One that goes makes room for another, of whatever worker. The first key of each worker stays, and is asked for
        // to learn that its worker has handled what came before.
        let first_of = |key| (0..ROOM).find(|first| worker_of(*first, WORKERS) == worker_of(key, WORKERS));
        let going = (0..ROOM).filter(|key| first_of(*key) != Some(*key));
        for (old, new) in going.zip(KEYS..) {
            socket.send(&Request::Delete { key: old }.to_bytes()).expect("send");
            check_sums(&socket, first_of(old));
            fill(&server, new..new + 1);
        }
        let (_, record) = record(server, &folder);
        assert_eq!(record["requests"]["refused"]["capacity"], u64::from(2 * (KEYS - ROOM)), "{record}");
    });
}

fn without_privilege_by_hash() {
    let (_folder, copy) = copy_for_nobody();
    let server = Server::of(by_nobody(&copy, &["--hook", "user", "--workers", "3"]));
    fill(&server, 0..KEYS);
    check_sums(&server.socket(), 0..KEYS);
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("the kernel's hash of addresses and ports picks"), "{ended:?}");
    assert!(ended.stderr.contains("needs root, or CAP_BPF"), "{ended:?}");
}

fn workers_that_could_not_serve_are_refused() {
    for (arguments, said) in [
        ("--workers 0", "1..=64"),
        ("--workers 65", "1..=64"),
        ("--workers 2 --server snoop", "snoop watches the receive calls on one socket"),
        ("--workers 2 --hook user --filter quota+valid-command", "a memory of its own"),
    ] {
        let words: Vec<_> = arguments.split(' ').collect();
        let refused = run(&[&["serve", "--listen", "127.0.0.1:0"], &words[..]].concat());
        assert_eq!(refused.status, Some(2), "{arguments}: {refused:?}");
        assert!(refused.stderr.contains(said), "{arguments}: {refused:?}");
    }
}

fn a_stop_or_a_signal_ends_every_worker() {
    for signal in [None, Some(Signal::SIGINT)] {
        let (server, folder) = start(&["--hook", "user"]);
        fill(&server, 0..KEYS);
        check_sums(&server.socket(), 0..KEYS);
        match signal {
            None => drop(server.socket().send(&Request::Stop.to_bytes()).expect("send")),
            Some(signal) => server.signal(signal),
        }
        let ended = server.ended();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let written = std::fs::read(folder.path().join("summary.json")).expect("it was written");
        let record: Value = serde_json::from_slice(&written).expect("JSON");
        assert_eq!(record["ended_by"], if signal.is_some() { "signal" } else { "stop" });
        assert_eq!(record["requests"]["put"], u64::from(2 * KEYS), "{record}");
    }
}
