//! Filters with a memory, changed while a server serves.

use std::{
    fs,
    net::UdpSocket,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;
use weir_filters::{Filter, FilterName, Site, Toolkit};
use weir_hooks::{KernelFilter, maps::Update};
use weir_service::{Server as BagServer, ServerConfig};
use weir_testing::{Ended, Test, folder};
use weir_wire::Request;

use crate::running::{Server, ask, run};

pub(crate) const ANYWHERE: &[Test] = &[
    ("the_server_in_user_space_is_changed_through_its_control_socket", in_user_space),
    ("who_asks_for_what_is_not_there_hears_why", who_asks_for_what_is_not_there_hears_why),
];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("a_prefix_is_blocked_listed_and_unblocked_while_it_serves", blocked_while_it_serves),
    ("a_quota_is_changed_while_it_serves", a_quota_is_changed_while_it_serves),
    ("the_parameter_is_set_through_the_control_socket", the_parameter_is_set),
    ("many_prefixes_are_blocked_by_one_command", many_prefixes_are_blocked),
    ("a_swap_keeps_what_is_blocked_and_counts_both_filters", a_swap_keeps_what_is_blocked),
    ("a_swap_to_classic_bpf_and_back", a_swap_to_classic_bpf_and_back),
    ("a_swap_to_known_key_knows_the_bags_keys", a_swap_to_known_key_knows_the_bags_keys),
    ("after_each_datagram_every_key_of_the_bag_is_known", every_key_of_the_bag_is_known),
    ("a_full_map_makes_room_for_the_bags_keys", a_full_map_makes_room),
    ("the_map_has_room_for_a_bag_of_any_size", the_map_has_room_for_a_bag_of_any_size),
    ("a_hundred_swaps_under_load_lose_no_request_and_leave_none_undecided", a_hundred_swaps_lose_nothing),
    ("a_killed_server_with_a_control_socket_is_started_again_there", a_killed_server_is_started_again_there),
];

/// A server with a control socket in a folder of its own.
struct Controlled {
    server: Server,
    folder: tempfile::TempDir,
}

impl Controlled {
    fn start(arguments: &[&str]) -> Self {
        let folder = folder();
        let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
        let (control, summary) = (path("control"), path("summary.json"));
        let server = Server::start(&[arguments, &["--control", &control, "--summary", &summary]].concat());
        Self { server, folder }
    }

    /// `weir filter` with those words.
    fn filter(&self, words: &str) -> Ended {
        let control = self.folder.path().join("control");
        let control = ["--control", control.to_str().expect("UTF-8")];
        run(&[&["filter"], &words.split(' ').collect::<Vec<_>>()[..], &control].concat())
    }

    fn done(&self, words: &str, said: &str) {
        let ended = self.filter(words);
        assert_eq!(ended.status, Some(0), "{words}: {ended:?}");
        assert!(ended.stdout.contains(said), "{words}: {ended:?}");
    }

    fn refused(&self, words: &str, said: &[&str]) {
        let ended = self.filter(words);
        assert_eq!(ended.status, Some(1), "{words}: {ended:?}");
        assert!(said.iter().all(|part| ended.stderr.contains(part)), "{words}: {ended:?}");
    }

    fn json(&self, words: &str) -> Value {
        let said = self.filter(&format!("{words} --json")).stdout;
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words}: {error}: {said}"))
    }

    /// Whether a GET from that address is answered.
    fn answers(&self, source: &str, key: u32) -> bool {
        let socket = UdpSocket::bind((source, 0)).expect("an address of this machine");
        socket.connect(self.server.address).expect("UDP connects at once");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
        ask(&socket, &Request::Get { key }.to_bytes()).is_some()
    }

    fn put(&self, key: u32) {
        self.server.socket().send(&Request::Put { key, value: 1 }.to_bytes()).expect("send");
    }

    fn summary(self) -> Value {
        self.server.signal(Signal::SIGTERM);
        let ended = self.server.ended();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(!self.folder.path().join("control").exists(), "the control socket is gone");
        let summary = std::fs::read(self.folder.path().join("summary.json")).expect("it was written");
        serde_json::from_slice(&summary).expect("JSON")
    }
}

fn blocked_while_it_serves() {
    let server = Controlled::start(&["--filter", "blocklist+valid-command"]);
    server.put(1);
    assert!(server.answers("127.0.0.1", 1) && server.answers("127.0.0.2", 1));
    server.done("block 127.0.0.2/31", "127.0.0.2/31 is blocked until it is unblocked");
    assert!(server.answers("127.0.0.1", 1) && !server.answers("127.0.0.2", 1));
    server.done("block 127.0.0.9 --for 1h", "127.0.0.9/32 is blocked for 3600s");
    server.done("list", "127.0.0.2/31 until it is unblocked");
    assert_eq!(server.json("list")["prefixes"].as_array().expect("a list").len(), 2);
    server.done("unblock 127.0.0.2/31", "not blocked any more");
    server.refused("unblock 127.0.0.2", &["127.0.0.2/32 was not blocked as such"]);
    assert!(server.answers("127.0.0.2", 1));
    server.done("block 127.0.0.3 --for 1s", "is blocked for 1s");
    assert!(!server.answers("127.0.0.3", 1));
    let is_over = || server.json("list")["prefixes"].as_array().expect("a list").len() == 1;
    assert!((0..200).any(|_| is_over() || (thread::sleep(Duration::from_millis(50)), false).1));
    assert!(server.answers("127.0.0.3", 1));
    let summary = server.summary();
    assert_eq!(summary["filter"], "blocklist+valid-command");
    assert_eq!(summary["verdicts"]["dropped"], 2);
}

fn many_prefixes_are_blocked() {
    let server = Controlled::start(&["--filter", "blocklist+valid-command"]);
    server.put(1);
    let path = server.folder.path().join("prefixes");
    let listed = format!("@{}", path.to_str().expect("UTF-8"));
    let mut text = "# those that nobody has\n127.0.0.2 2001:db8::/32 # two\n\n127.0.0.4/30\n".to_owned();
    for number in 0..20_000 {
        text += &format!("10.{}.{}.0/24\n2001:db8:{number:x}::/48\n", number / 256, number % 256);
    }
    // One twice counts once.
    fs::write(&path, text.clone() + "127.0.0.2/32\n").expect("it is written");
    server.done(&format!("block {listed}"), "40003 prefixes are blocked");
    for (source, is_answered) in
        [("127.0.0.1", true), ("127.0.0.2", false), ("127.0.0.3", true), ("127.0.0.5", false)]
    {
        assert_eq!(server.answers(source, 1), is_answered, "{source}");
    }
    assert_eq!(server.json("status")["blocked"], 40_003);
    assert_eq!(server.json("list")["prefixes"].as_array().expect("a list").len(), 40_003);
    server.done("unblock 127.0.0.4/30", "not blocked any more");
    assert!(server.answers("127.0.0.5", 1));

    // A longer prefix that ends sooner opens no hole, whichever of them came first.
    fs::write(&path, "127.0.0.6\n").expect("it is written");
    server.done(&format!("block {listed} --for 1s"), "1 prefixes are blocked");
    server.done("block 127.0.0.6/31", "is blocked until");
    thread::sleep(Duration::from_millis(1500));
    assert!(!server.answers("127.0.0.6", 1));

    fs::write(&path, "127.0.0.1\n\n10.0.0.0/33\n").expect("it is written");
    server
        .refused(&format!("block {listed}"), &["line 3", "'10.0.0.0/33' is neither an address nor a prefix"]);
    assert!(server.answers("127.0.0.1", 1), "nothing of it was done");
}

fn a_quota_is_changed_while_it_serves() {
    let server = Controlled::start(&["--filter", "quota+valid-command", "--quota", "1/1"]);
    server.put(1);
    assert!(!server.answers("127.0.0.1", 1), "the PUT took the only token");
    assert!(server.answers("127.0.0.2", 2) || server.json("status")["quota"] == "1/1");
    server.done("quota 1000/500", "1000 packets/s, 500 at once");
    server.put(1);
    assert!((0..20).all(|_| server.answers("127.0.0.1", 1)));
    server
        .refused("block 127.0.0.1", &["has no blocklist", "weir filter swap blocklist+quota+valid-command"]);
}

fn the_parameter_is_set() {
    let server = Controlled::start(&["--filter", "parameterized-filter", "--parameter", "drop"]);
    server.put(1);
    assert!(!server.answers("127.0.0.1", 1));
    server.done("set accept", "the parameter is now accept");
    server.put(1);
    assert!(server.answers("127.0.0.1", 1));
    assert_eq!(server.json("status")["parameter"], "accept");
    server.refused("swap valid-command", &["parameterized-server needs parameterized-filter"]);
    server.refused("list", &["has no blocklist", "swap blocklist+parameterized-filter"]);
}

fn a_swap_keeps_what_is_blocked() {
    let server = Controlled::start(&["--filter", "valid-command"]);
    server.put(1);
    assert!(server.answers("127.0.0.2", 1));
    server.done(
        "swap blocklist+valid-command",
        "blocklist+valid-command by aya decides in place of valid-command",
    );
    server.done("block 127.0.0.2", "is blocked");
    assert!(!server.answers("127.0.0.2", 1));
    server.done("swap quota+blocklist+robust-valid-command --toolkit fun", "by fun");
    assert!(!server.answers("127.0.0.2", 1) && server.answers("127.0.0.1", 1));
    server.done("swap valid-command --toolkit aya", "valid-command by aya");
    assert!(server.answers("127.0.0.2", 1));
    assert_eq!(server.json("status")["replaced"].as_array().expect("a list").len(), 3);
    let summary = server.summary();
    assert_eq!(summary["verdicts"], serde_json::json!({"accepted": 4, "dropped": 2}));
    assert_eq!(summary["replaced"][0]["verdicts"]["accepted"], 2);
    assert_eq!(summary["toolkit"], "aya");
}

fn a_swap_to_classic_bpf_and_back() {
    let served = Controlled::start(&["--stats"]);
    served.put(1);
    assert!(served.answers("127.0.0.1", 1));
    served.done("swap reject-filter --toolkit cbpf", "reject-filter by cbpf decides");
    assert!(!served.answers("127.0.0.1", 1));
    served.refused("swap count-filter --toolkit cbpf", &["classic BPF has no maps"]);
    served.done("status", "not counted: ");
    served.done("swap valid-command --toolkit fun", "in place of reject-filter");
    assert!(served.answers("127.0.0.1", 1));
    served.done("swap valid-command --toolkit cbpf", "valid-command by cbpf decides");
    assert!(served.answers("127.0.0.1", 1));
    let summary = served.summary();
    assert_eq!(summary["toolkit"], "cbpf");
    assert_eq!((&summary["runs"], &summary["verdicts"]), (&Value::Null, &Value::Null));
    assert_eq!(summary["socket_drops"], 1);
}

fn a_swap_to_known_key_knows_the_bags_keys() {
    let server = Controlled::start(&["--filter", "simple-socket-filter"]);
    for key in 0..100 {
        server.put(key);
    }
    assert!(server.answers("127.0.0.1", 99));
    server.done("swap known-key", "known-key by aya");
    assert!((0..100).step_by(9).all(|key| server.answers("127.0.0.1", key)));
    assert!(!server.answers("127.0.0.1", 100));
    server.put(100);
    assert!(server.answers("127.0.0.1", 100), "a GET follows its PUT");
    server.server.socket().send(&Request::Delete { key: 100 }.to_bytes()).expect("send");
    assert!(server.answers("127.0.0.1", 1), "the DELETE was handled before this");
    server.done("swap valid-command", "valid-command");
    server.put(101);
    server.done("swap blocklist+known-key", "blocklist+known-key");
    assert!(server.answers("127.0.0.1", 101) && !server.answers("127.0.0.1", 100));
}

fn in_user_space() {
    let server = Controlled::start(&["--hook", "user", "--filter", "blocklist+quota+valid-command"]);
    server.put(1);
    assert!(server.answers("127.0.0.2", 1));
    server.done("block 127.0.0.2", "is blocked");
    assert!(!server.answers("127.0.0.2", 1) && server.answers("127.0.0.1", 1));
    server.done("quota 1/1", "1 packets/s");
    assert!(server.answers("127.0.0.5", 1) && !server.answers("127.0.0.5", 1));
    server.done("swap blocklist+known-key", "blocklist+known-key by rust");
    assert!(
        !server.answers("127.0.0.2", 1) && server.answers("127.0.0.1", 1) && !server.answers("127.0.0.1", 2)
    );
    server.refused("swap print-filter", &["there is none at this hook"]);
    server.done("status", "blocklist+known-key by rust at user");
    server.refused("set drop", &["no parameterized-filter", "swap blocklist+parameterized-filter"]);
    assert_eq!(server.summary()["requests"]["filtered"], 4);
}

fn who_asks_for_what_is_not_there_hears_why() {
    let ended = run(&["filter", "status", "--control", "/nonexistent/control"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("asking the server at /nonexistent/control"), "{ended:?}");
    let ended =
        run(&["serve", "--hook", "user", "--control", "/nonexistent/control", "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("the control socket /nonexistent/control"), "{ended:?}");
    for (words, said) in [
        ("filter block nowhere --control x", "such as 192.0.2.7"),
        ("filter quota 0 --control x", "RATE/BURST"),
        ("filter swap quota+quota --control x", "twice"),
        ("filter swap odd-length --control x", "unknown filter 'odd-length'"),
        ("filter block ::1 --for never --control x", "such as 500ms, 5s, 10m or 2h"),
        ("serve --filter valid-command --quota 5", "--quota is for a filter with a quota"),
        ("serve --filter valid-command+quota", "no source check"),
    ] {
        let ended = run(&words.split(' ').collect::<Vec<_>>());
        assert_eq!(ended.status, Some(2), "{words}: {ended:?}");
        assert!(ended.stderr.contains(said), "{words}: {ended:?}");
    }
}

/// The bag server itself, behind known-key, with its keys followed; `task` gets a connected socket, and a function that
/// checks that every key that the bag holds at that moment is known.
fn behind_known_key(
    toolkit: Toolkit,
    capacity: usize,
    task: impl FnOnce(&UdpSocket, &KernelFilter, &dyn Fn() -> usize),
) {
    let config = ServerConfig { capacity, ..ServerConfig::default() };
    let mut server = BagServer::open("127.0.0.1:0".parse().expect("an address"), config).expect("a socket");
    let filter = Filter { known_keys: 2 * capacity as u32, ..FilterName::KnownKey.into() };
    let filter = KernelFilter::load(filter, toolkit, &Site::socket()).expect("it loads");
    let _attached = filter.attach(&server.socket()).expect("attach");
    let inside = server.inside();
    let keys = || filter.key_map().expect("it has one");
    inside.follow(Some(keys()));
    let address = server.listen().expect("it listens");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(address).expect("UDP connects at once");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
    thread::scope(|scope| {
        let stop = server.stop_handle();
        let serving = scope.spawn(|| server.run().expect("it serves"));
        let check = || {
            inside.between_batches(|held| {
                let map = keys();
                for key in held {
                    assert_eq!(
                        map.get(*key).expect("read"),
                        Some(1),
                        "the bag holds {key}, and nobody knows it"
                    );
                }
                held.len()
            })
        };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task(&socket, &filter, &check)));
        stop.stop();
        serving.join().expect("it ends");
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// A bag for 20 of 40 keys, so that PUTs are refused; requests come in bursts, and the check runs in between and beside.
fn every_key_of_the_bag_is_known() {
    behind_known_key(Toolkit::Fun, 20, |socket, _, check| {
        let mut state = 7u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let mut most = 0;
        for _ in 0..400 {
            for _ in 0..random(30) {
                let key = random(40);
                let is_delete = random(3) == 0;
                let request =
                    if is_delete { Request::Delete { key } } else { Request::Put { key, value: 1 } };
                socket.send(&request.to_bytes()).expect("send");
            }
            most = most.max(check());
        }
        assert_eq!(most, 20, "the bag was full now and then");
    });
}

fn a_full_map_makes_room() {
    for toolkit in [Toolkit::Fun, Toolkit::Aya] {
        behind_known_key(toolkit, 1000, |socket, filter, check| {
            let mut keys = filter.key_map().expect("it has one");
            for stranger in 0..2000 {
                keys.update(1_000_000 + stranger, 1, Update::Any).expect("there is room");
            }
            for key in 0..50 {
                socket.send(&Request::Put { key, value: 1 }.to_bytes()).expect("send");
            }
            let all = (0..100).any(|_| check() == 50 || (thread::sleep(Duration::from_millis(50)), false).1);
            assert!(all, "the server handled them");
            assert_eq!(ask(socket, &Request::Get { key: 49 }.to_bytes()).as_deref(), Some("1"));
        });
    }
}

fn the_map_has_room_for_a_bag_of_any_size() {
    behind_known_key(Toolkit::Aya, 250_000, |socket, filter, _| {
        let mut keys = filter.key_map().expect("it has one");
        assert_eq!(keys.spec().max_entries(), 500_000);
        for key in 0..250_000 {
            keys.update(key, 1, Update::Any).expect("there is room");
        }
        socket.send(&Request::Put { key: 250_000, value: 1 }.to_bytes()).expect("send");
        assert_eq!(ask(socket, &Request::Get { key: 250_000 }.to_bytes()).as_deref(), Some("1"));
    });
    let server = Controlled::start(&["--filter", "known-key", "--capacity", "1000000"]);
    server.put(1);
    assert!(server.answers("127.0.0.1", 1) && !server.answers("127.0.0.1", 2));
}

fn a_hundred_swaps_lose_nothing() {
    let measured = crate::swapping::measure(100).expect("it is measured");
    assert_eq!(measured.swaps, 100);
    assert!(measured.valid > 100 * 50 && measured.invalid > 100 * 50, "{measured:?}");
    assert_eq!((measured.lost(), measured.unaccounted()), (0, 0), "{measured:?}");
    assert_eq!((measured.accepted, measured.dropped), (measured.valid, measured.invalid), "{measured:?}");

    // The same through the control socket of a server, with its record.
    let server =
        Controlled::start(&["--filter", "valid-command", "--toolkit", "aya", "--receive-buffer", "8388608"]);
    let stop = AtomicBool::new(false);
    let [valid, invalid] = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let socket = server.server.socket();
            let mut sent = [0u64; 2];
            while !stop.load(Ordering::Relaxed) {
                socket.send(&Request::Put { key: 1, value: 1 }.to_bytes()).expect("send");
                socket.send(b"BAD").expect("send");
                sent = [sent[0] + 1, sent[1] + 1];
                if sent[0] % 32 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            sent
        });
        for toolkit in ["fun", "aya", "fun", "aya", "fun"] {
            server.done(&format!("swap valid-command --toolkit {toolkit}"), "valid-command");
        }
        stop.store(true, Ordering::Relaxed);
        sending.join().expect("it sends")
    });
    let summary = server.summary();
    assert_eq!(summary["replaced"].as_array().expect("a list").len(), 5);
    assert_eq!(summary["verdicts"], serde_json::json!({"accepted": valid, "dropped": invalid}), "{summary}");
    let handled = summary["requests"]["put"].as_u64().expect("a number")
        + summary["unread"].as_u64().expect("a number");
    assert_eq!(handled, valid, "{summary}");
}

fn a_killed_server_is_started_again_there() {
    let server = Controlled::start(&["--filter", "blocklist+valid-command"]);
    let path = server.folder.path().join("control");
    server.server.signal(Signal::SIGKILL);
    let Controlled { server, folder } = server;
    assert_eq!(server.ended().status, None);
    assert!(path.exists(), "nobody was there to remove it");
    let again = Server::start(&["--filter", "blocklist+valid-command", "--control", path_text(&path)]);
    let taken = run(&["serve", "--hook", "user", "--listen", "127.0.0.1:0", "--control", path_text(&path)]);
    assert_eq!(taken.status, Some(1), "{taken:?}");
    assert!(taken.stderr.contains("a server that runs"), "{taken:?}");
    again.signal(Signal::SIGTERM);
    assert_eq!(again.ended().status, Some(0));
    drop(folder);
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
