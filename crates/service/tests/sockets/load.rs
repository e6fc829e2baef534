//! The load: exact counts, schedules, threads, replies and refusals.

use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    num::NonZeroU32,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use weir_service::{
    Arrivals, ClientSummary, Io, ReplyLedger, SentCounts,
    client::{
        self, ClientConfig, ClientError, Fan, GetPolicy, Load, Pacing, PacketsPerSecond, Payload, Percent,
        Sink, Step,
    },
};
use weir_wire::Request;

use crate::harness::{BOTH, PATIENCE, Running, config};

fn load(packets: u64, invalid_percent: u8, get_percent: u8) -> Load {
    Load {
        packets,
        duration: None,
        invalid_share: Percent::new(invalid_percent).unwrap(),
        invalid: Payload::Bad { len: 15 },
        get_share: Percent::new(get_percent).unwrap(),
    }
}

fn pacing(rate: f64) -> Option<Pacing> {
    PacketsPerSecond::new(rate).map(Pacing::new)
}

fn fan(sockets: u32, threads: u32) -> Fan {
    Fan::new(NonZeroU32::new(sockets).unwrap(), NonZeroU32::new(threads).unwrap()).unwrap()
}

/// Sends a load, and checks what must hold of every record.
fn send(load: Load, config: &ClientConfig) -> ClientSummary {
    let summary = client::run("load", &[Step::Load(load)], config, &mut |_| {}).unwrap();
    assert!(summary.is_accounted_for(), "{summary:?}");
    assert_eq!(summary.refused_by.values().sum::<u64>(), summary.refused);
    assert_eq!(summary.refused_kinds.total(), summary.refused);
    let of_threads: u64 = summary.threads.iter().map(|thread| thread.sent).sum();
    assert_eq!(of_threads + summary.prepared.total(), summary.sent.total());
    if let Some(pace) = &summary.pace {
        let lagged = pace.lag.as_ref().map_or(0, |lag| lag.count);
        assert_eq!(lagged + summary.unsent, summary.intended);
        assert!(pace.late <= lagged);
    }
    if let Some(replies) = &summary.replies {
        assert_eq!(replies.sent, summary.sent.get - summary.prepared.get);
        assert_eq!(replies.answered + replies.unanswered, replies.sent);
        let timed = replies.latency.as_ref().map_or(0, |latency| latency.count);
        assert_eq!(timed + replies.untimed_answered, replies.answered);
    }
    summary
}

/// A socket that nobody reads: what doesn't fit its buffer is lost there, and the sender never knows.
fn sink() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// What goes to the server when a GET of a load asks for `key`, the n-th such GET from 0.
type Answers = fn(n: u64, key: u32) -> Vec<Vec<u8>>;

/// A bag that prepares keys as it should, and answers a load as the test likes.
struct OddServer {
    addr: SocketAddr,
    thread: JoinHandle<()>,
}

impl OddServer {
    fn start(delay: Duration, answers: Answers) -> Self {
        let (socket, addr) = sink();
        Self { addr, thread: thread::spawn(move || serve_oddly(&socket, delay, answers)) }
    }

    fn end(self) {
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"end", self.addr).unwrap();
        self.thread.join().unwrap();
    }
}

fn serve_oddly(socket: &UdpSocket, delay: Duration, answers: Answers) {
    let (mut counts, mut asked, mut first_asked_at) = (HashMap::new(), 0, None);
    let mut buffer = [0; 64];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        if &buffer[..len] == b"end" {
            return;
        }
        match Request::parse(&buffer[..len]) {
            Ok(Request::Put { key, value }) => *counts.entry(key).or_insert(0) += value,
            Ok(Request::Delete { key }) => drop(counts.remove(&key)),
            // The key of a question holds the port that asks; prepared are keys from another.
            Ok(Request::Get { key }) if key >> 16 == u32::from(from.port()) => {
                let first = *first_asked_at.get_or_insert_with(Instant::now);
                thread::sleep((first + delay).saturating_duration_since(Instant::now()));
                for answer in answers(asked, key) {
                    socket.send_to(&answer, from).unwrap();
                }
                asked += 1;
            }
            Ok(Request::Get { key }) => {
                if let Some(count) = counts.get(&key) {
                    socket.send_to(count.to_string().as_bytes(), from).unwrap();
                }
            }
            _ => {}
        }
    }
}

fn ask_oddly(delay: Duration, answers: Answers, load: Load, rate: f64) -> ReplyLedger {
    let server = OddServer::start(delay, answers);
    let get = GetPolicy { timeout: Duration::from_secs(2), ..GetPolicy::default() };
    let summary = send(load, &ClientConfig { get, pacing: pacing(rate), ..ClientConfig::new(server.addr) });
    server.end();
    summary.replies.unwrap()
}

#[test]
fn every_number_and_share_is_sent_exactly() {
    for (n, p) in [0, 1, 7, 99, 100, 101].into_iter().flat_map(|n| [0, 1, 30, 50, 99, 100].map(|p| (n, p))) {
        for io in BOTH {
            let (socket, addr) = sink();
            let summary = send(load(n, p, 0), &ClientConfig { io, ..ClientConfig::new(addr) });
            let invalid = n * u64::from(p) / 100;
            let expected = SentCounts { put: n - invalid, invalid, ..SentCounts::default() };
            assert_eq!(summary.sent, expected, "{n} packets, {p} %, {io}");
            assert_eq!((summary.intended, summary.bytes), (n, n * 15));
            let mut buffer = [0; 64];
            let arrived = (0..n).filter(|_| {
                let len = socket.recv(&mut buffer).unwrap();
                Request::parse(&buffer[..len]).is_err()
            });
            assert_eq!(arrived.count() as u64, invalid, "{n} packets, {p} %, {io}");
        }
    }
}

#[test]
fn packets_of_one_socket_leave_in_the_order_of_the_mix() {
    let (socket, addr) = sink();
    send(load(20, 40, 0), &ClientConfig { io: Io::Simple, ..ClientConfig::new(addr) });
    let mut buffer = [0; 64];
    let kinds = (0..20).map(|_| {
        let len = socket.recv(&mut buffer).unwrap();
        if Request::parse(&buffer[..len]).is_ok() { 'P' } else { 'x' }
    });
    assert_eq!(kinds.collect::<String>(), "PPxPxPPxPxPPxPxPPxPx");
}

#[test]
fn threads_sockets_bursts_and_arrivals_change_no_total() {
    let (_socket, addr) = sink();
    for (sockets, threads) in [(1, 1), (3, 1), (2, 2), (6, 3)] {
        for (burst, arrivals, io) in [
            (1, Arrivals::Constant, Io::Simple),
            (7, Arrivals::Poisson, Io::Simple),
            (70, Arrivals::Constant, Io::Batch),
        ] {
            let burst = NonZeroU32::new(burst).unwrap();
            let pacing = pacing(1e5).map(|pacing| Pacing { arrivals, burst, ..pacing });
            let config = ClientConfig { io, pacing, fan: fan(sockets, threads), ..ClientConfig::new(addr) };
            let summary = send(load(3001, 33, 0), &config);
            let expected = SentCounts { put: 2011, invalid: 990, ..SentCounts::default() };
            assert_eq!(summary.sent, expected, "{config:?}");
            assert_eq!(summary.threads.len(), threads as usize);
            assert!(summary.threads.iter().all(|thread| thread.sockets == sockets / threads));
            assert_eq!(summary.gso, io == Io::Batch);
        }
    }
}

#[test]
fn every_socket_keeps_the_share() {
    let (socket, addr) = sink();
    send(load(100, 25, 0), &ClientConfig { fan: fan(4, 2), io: Io::Simple, ..ClientConfig::new(addr) });
    let mut by_socket: HashMap<_, (u64, u64)> = HashMap::new();
    let mut buffer = [0; 64];
    for _ in 0..100 {
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        let (packets, invalid) = by_socket.entry(from).or_default();
        *packets += 1;
        *invalid += u64::from(Request::parse(&buffer[..len]).is_err());
    }
    assert_eq!(by_socket.len(), 4);
    assert!(by_socket.values().all(|&(packets, invalid)| packets == 25 && (6..=7).contains(&invalid)));
    assert_eq!(by_socket.values().map(|(_, invalid)| invalid).sum::<u64>(), 25);
}

#[test]
fn a_load_at_a_rate_takes_its_time() {
    let (_socket, addr) = sink();
    let summary = send(load(101, 0, 0), &ClientConfig { pacing: pacing(1000.0), ..ClientConfig::new(addr) });
    let elapsed = summary.last_sent_at.unwrap().since(summary.load_started_at.unwrap());
    let pace = summary.pace.unwrap();
    let first_lag = Duration::from_nanos(pace.lag.unwrap().max_ns);
    assert!(
        elapsed + first_lag >= Duration::from_millis(100),
        "101 packets at 1000/s left within {elapsed:?}"
    );
    assert_eq!(pace.achieved_ratio, summary.achieved_rate.map(|rate| rate / 1000.0));
}

#[test]
fn the_time_ends_a_load_and_what_was_due_is_accounted_for() {
    let (_socket, addr) = sink();
    let timed = Load { duration: Some(Duration::from_millis(50)), ..load(u64::MAX, 50, 0) };
    let paced = send(timed, &ClientConfig { pacing: pacing(2000.0), ..ClientConfig::new(addr) });
    assert_eq!(paced.intended, 100);
    let impossible = ClientConfig { pacing: pacing(1e7), fan: fan(2, 2), ..ClientConfig::new(addr) };
    let behind = send(timed, &impossible);
    assert_eq!(behind.intended, 500_000);
    assert!(behind.unsent > 0 && behind.sent.total() > 0, "{behind:?}");
    let free = send(timed, &ClientConfig::new(addr));
    assert!(free.intended > 0 && free.unsent == 0);
    assert_eq!(send(Load { packets: 3, ..timed }, &ClientConfig::new(addr)).intended, 3);
}

#[test]
fn a_server_answers_every_get_of_a_load() {
    for (io, sockets) in BOTH.into_iter().zip([1, 4]) {
        let server = Running::start(config(io));
        let client = ClientConfig {
            io,
            pacing: pacing(2000.0),
            fan: fan(sockets, 1),
            ..ClientConfig::new(server.addr)
        };
        let summary = send(load(200, 50, 40), &client);
        let replies = summary.replies.clone().unwrap();
        assert_eq!((replies.sent, replies.answered, replies.untimed), (40, 40, 0), "{io}");
        assert_eq!((replies.duplicates, replies.unexpected), (0, 0), "{io}");
        let requests = server.end().requests;
        assert_eq!((requests.put, requests.get), (summary.sent.put, summary.sent.get), "{io}");
        assert_eq!((requests.invalid, requests.delete), (100, summary.sent.delete), "{io}");
        assert_eq!(summary.sent.put - summary.prepared.put, 60, "{io}");
    }
}

#[test]
fn latency_counts_from_the_moment_that_a_get_was_due() {
    let right = |_, key: u32| vec![key.to_string().into_bytes()];
    // No sender keeps this rate, so every GET leaves behind its moment, and no reply can be faster than that.
    let server = OddServer::start(Duration::ZERO, right);
    let summary =
        send(load(60, 0, 100), &ClientConfig { pacing: pacing(1e7), ..ClientConfig::new(server.addr) });
    server.end();
    let (latency, lag) = (summary.replies.unwrap().latency.unwrap(), summary.pace.unwrap().lag.unwrap());
    assert_eq!((latency.count, lag.count), (60, 60));
    assert!(latency.p50_ns >= lag.p50_ns && latency.max_ns >= lag.max_ns, "{latency:?} {lag:?}");
}

#[test]
fn a_server_that_stalls_shows_in_every_get_that_was_due_meanwhile() {
    let right = |_, key: u32| vec![key.to_string().into_bytes()];
    let replies = ask_oddly(Duration::from_millis(300), right, load(100, 0, 100), 1000.0);
    assert_eq!(replies.answered, 100);
    // The GET due after i ms waits 300 - i ms or more.
    let latency = replies.latency.unwrap();
    assert!(latency.max_ns >= 299_000_000 && latency.p50_ns >= 249_000_000, "{latency:?}");
}

#[test]
fn replies_that_are_missing_odd_or_double_are_told_apart() {
    let answers = |n, key: u32| match n % 3 {
        0 => vec![key.to_string().into_bytes(); 2],
        1 => vec![b"10".to_vec(), b"nonsense".to_vec(), vec![b'7'; 40], key.to_string().into_bytes()],
        _ => vec![],
    };
    let replies = ask_oddly(Duration::ZERO, answers, load(30, 0, 100), 1000.0);
    assert_eq!((replies.sent, replies.answered, replies.unanswered), (30, 20, 10));
    assert_eq!((replies.duplicates, replies.unexpected, replies.late), (10, 30, 0));
}

#[test]
fn gets_without_a_server_name_what_is_missing() {
    let (_socket, addr) = sink();
    let get = GetPolicy { timeout: Duration::from_millis(5), attempts: 2, ..GetPolicy::default() };
    let steps = [Step::Load(load(10, 0, 50))];
    let error = client::run("load", &steps, &ClientConfig { get, ..ClientConfig::new(addr) }, &mut |_| {})
        .unwrap_err();
    assert!(matches!(error, ClientError::Unprepared { missing: 6, keys: 6, attempts: 2, .. }), "{error}");
}

#[test]
fn packets_too_long_for_udp_are_refused_one_by_one() {
    for io in BOTH {
        for pacing in
            [None, pacing(1e4).map(|pacing| Pacing { burst: NonZeroU32::new(10).unwrap(), ..pacing })]
        {
            let (_socket, addr) = sink();
            let too_long = Load { invalid: Payload::Bad { len: 65_508 }, ..load(100, 30, 0) };
            let summary = send(too_long, &ClientConfig { io, pacing, ..ClientConfig::new(addr) });
            assert_eq!(summary.sent, SentCounts { put: 70, ..SentCounts::default() }, "{io}");
            assert_eq!(summary.refused_kinds, SentCounts { invalid: 30, ..SentCounts::default() }, "{io}");
            assert_eq!(summary.refused_by.get("EMSGSIZE"), Some(&30), "{io}");
            assert_eq!((summary.refused_in_gso, summary.bytes), (0, 70 * 15), "{io}");
        }
    }
}

#[test]
fn a_closed_port_refuses_packets_that_are_counted() {
    for io in BOTH {
        let (socket, addr) = sink();
        drop(socket);
        let summary = send(load(1000, 50, 0), &ClientConfig { io, ..ClientConfig::new(addr) });
        assert!(summary.refused > 0 && summary.nobody_listens(), "{io}: {summary:?}");
        assert_eq!(summary.refused_by.keys().collect::<Vec<_>>(), ["ECONNREFUSED"], "{io}");
    }
}

#[test]
fn the_ceiling_is_what_was_sent_in_the_time() {
    for like in ["127.0.0.1:1", "[::1]:1"] {
        let sink = Sink::open(like.parse().unwrap()).unwrap();
        let time = Duration::from_millis(50);
        let summary = client::ceiling(&load(1, 50, 0), &ClientConfig::new(sink.addr()), time).unwrap();
        assert!(summary.is_accounted_for(), "{summary:?}");
        assert_eq!((summary.intended, summary.gso), (500_000, false));
        let rate = summary.achieved_rate.unwrap();
        assert!(rate > 0.0 && rate * time.as_secs_f64() <= 500_000.0, "{rate}");
    }
}

#[test]
fn a_cpu_that_there_is_not_is_named() {
    let (_socket, addr) = sink();
    let config = ClientConfig { pin: vec![0, 1023], ..ClientConfig::new(addr) };
    let error = client::run("load", &[Step::Load(load(1, 0, 0))], &config, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("CPU 1023"), "{error}");
}

#[test]
fn a_pinned_thread_says_where_it_ran() {
    let (_socket, addr) = sink();
    let usable = nix::sched::sched_getaffinity(nix::unistd::Pid::this()).unwrap();
    let cpu = (0..nix::sched::CpuSet::count()).find(|&cpu| usable.is_set(cpu).unwrap()).unwrap();
    let summary =
        send(load(100, 0, 0), &ClientConfig { pin: vec![cpu], fan: fan(2, 2), ..ClientConfig::new(addr) });
    assert!(summary.threads.iter().all(|thread| thread.cpu == Some(cpu)));
}
