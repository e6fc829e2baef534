//! What docs/differences.md says of weir beside the originals.

use std::{path::Path, process::Command, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;
use weir_testing::{Test, folder};
use weir_wire::Request;

use crate::running::{Server, ask, run};

pub(crate) const ANYWHERE: &[Test] = &[
    ("requests_have_exactly_one_length", requests_have_exactly_one_length),
    ("a_key_may_begin_with_any_byte", || any_key(&["--hook", "user"])),
    ("a_count_that_would_overflow_is_refused", overflow),
    ("verbose_says_more_and_drops_nothing", || verbose(&["--hook", "user"])),
    ("the_haskell_clients_spelling_is_taken", haskell),
    ("make_run_begins_with_the_originals_filter", make_run),
];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("a_key_may_begin_with_any_byte_behind_a_program", || any_key(&[])),
    ("verbose_drops_nothing_behind_a_program_either", || verbose(&[])),
    ("the_generated_socketfilter_decides_short_commands_rightly", socketfilter),
];

/// The server's record, after `payloads` and a GET that shows that it still serves.
fn record_of(arguments: &[&str], payloads: &[&[u8]]) -> Value {
    let folder = folder();
    let path = folder.path().join("summary.json");
    let server = Server::start(&[arguments, &["--summary", path.to_str().expect("UTF-8")]].concat());
    let socket = server.socket();
    for payload in payloads {
        socket.send(payload).expect("send");
    }
    socket.send(&Request::Put { key: 1, value: 3 }.to_bytes()).expect("send");
    assert_eq!(ask(&socket, &Request::Get { key: 1 }.to_bytes()).as_deref(), Some("3"));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().status, Some(0));
    serde_json::from_slice(&std::fs::read(path).expect("it was written")).expect("JSON")
}

fn requests_have_exactly_one_length() {
    let put = Request::Put { key: 10, value: 5 }.to_bytes();
    let (get, delete, stop) = (
        Request::Get { key: 10 }.to_bytes(),
        Request::Delete { key: 10 }.to_bytes(),
        Request::Stop.to_bytes(),
    );
    let all: [&[u8]; 4] = [&put, &get, &delete, &stop];
    let shorter = all.map(|request| request[..request.len() - 1].to_vec());
    let longer = all.map(|request| [request, b"x"].concat());
    let payloads: Vec<&[u8]> = shorter.iter().chain(&longer).map(Vec::as_slice).collect();
    for io in ["batch", "simple"] {
        let record =
            record_of(&["--hook", "user", "--filter", "simple-socket-filter", "--io", io], &payloads);
        assert_eq!(record["requests"]["invalid"], 8, "{record}");
        assert_eq!(
            (&record["requests"]["put"], &record["requests"]["get"]),
            (&1.into(), &1.into()),
            "{record}"
        );
        assert_eq!(record["requests"]["stop"], 0, "{record}");
    }
}

/// A letter, and what Latin-1 calls one, as the key's first byte.
fn any_key(arguments: &[&str]) {
    let server = Server::start(arguments);
    let socket = server.socket();
    for key in [u32::from(b'A'), 0x6162_6364, 0xffff_ffff] {
        socket.send(&Request::Put { key, value: 7 }.to_bytes()).expect("send");
        assert_eq!(ask(&socket, &Request::Get { key }.to_bytes()).as_deref(), Some("7"), "{key:#x}");
    }
}

fn overflow() {
    let put = |value| Request::Put { key: 10, value }.to_bytes();
    let (most, one) = (put(i64::MAX), put(1));
    let record = record_of(&["--hook", "user"], &[&most, &one]);
    assert_eq!(record["requests"]["refused"]["overflow"], 1, "{record}");
}

fn verbose(arguments: &[&str]) {
    let served = |more: &[&str]| {
        let server = Server::start(&[arguments, &["--filter", "parameterized-filter"], more].concat());
        let socket = server.socket();
        socket.send(&Request::Put { key: 1, value: 3 }.to_bytes()).expect("send");
        if more.contains(&"drop") {
            socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        }
        ask(&socket, &Request::Get { key: 1 }.to_bytes())
    };
    assert_eq!(served(&[]).as_deref(), Some("3"));
    assert_eq!(served(&["-v"]).as_deref(), Some("3"));
    assert_eq!(served(&["--parameter", "drop"]), None);
    assert_eq!(served(&["--parameter", "drop", "-v"]), None);
}

fn haskell() {
    let server = Server::start(&["--hook", "user"]);
    let address = server.address.to_string();
    let words = ["client", "-b", "frey2", "--packets", "50", "--percent", "20", "--server", &address];
    let client = run(&words);
    assert_eq!(client.status, Some(0), "{client:?}");
    assert!(client.stdout.contains("40 PUT, 1 GET, 1 STOP, 10 invalid"), "{client:?}");
    assert_eq!(server.ended().status, Some(0));
}

/// The words that `make run` would give to weir.
fn made(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut make = Command::new("make");
    make.args(["--dry-run", "run"]).args(arguments).current_dir(root);
    // What a `make test` around this one was given is not for it.
    let output = make.env_remove("MAKEFLAGS").env_remove("MAKEOVERRIDES").output().expect("make starts");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let serve = lines.lines().find_map(|line| line.split_once(" serve "));
    serve.unwrap_or_else(|| panic!("no server in: {lines}")).1.trim().to_owned()
}

fn make_run() {
    assert_eq!(made(&[]), "--filter simple-socket-filter");
    assert_eq!(made(&["server=simple-server"]), "--filter simple-socket-filter --server simple-server");
    let all = ["filter=print-filter", "server=print-server", "flags=-v -c 5"];
    assert_eq!(made(&all), "--filter print-filter --server print-server -v -c 5");
    // Which are their own filter.
    for server in ["socketfilter", "snoop-filter"] {
        assert_eq!(made(&[&format!("server={server}")]), format!("--filter valid-command --server {server}"));
    }
}

fn socketfilter() {
    let short: [&[u8]; 4] = [b"PUT", b"GET", b"DELETE", b"xxxxTE"];
    let record = record_of(&["--server", "socketfilter"], &short);
    assert_eq!(record["toolkit"], "fun", "{record}");
    assert_eq!(record["verdicts"]["dropped"], 1, "{record}");
    // The three words reach the server, whose grammar wants more than the word.
    assert_eq!(record["requests"]["invalid"], 3, "{record}");
}
