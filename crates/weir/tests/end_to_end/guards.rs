//! Servers behind a guard's program, at every hook.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use weir_filters::Hook;
use weir_hooks::{in_own_network, kernel_features};
use weir_testing::{Ended, Test, send};
use weir_wire::Request;

use crate::{
    hooks::in_namespace,
    objects::Objects,
    running::{Server, ask, run, weir},
};

pub(crate) const ANYWHERE: &[Test] =
    &[("what_does_not_go_with_a_guard_is_refused_before_the_kernel", what_does_not_go_is_refused)];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("a_guard_decides_for_a_server_at_every_hook", a_guard_decides_at_every_hook),
    ("a_guard_that_observes_counts_and_drops_nothing", a_guard_that_observes_drops_nothing),
    ("a_guards_lists_and_limits_hold_before_a_server", lists_and_limits_hold),
    ("a_guards_own_place_is_where_it_stands", a_guards_own_place_is_where_it_stands),
];

/// Where loopback carries packets of several datagrams.
pub(crate) const ON_LOOPBACK: &[Test] =
    &[("a_guard_that_decides_at_the_sockets_instead_decides_once", a_guard_decides_once)];

/// A guard of weir's own server, with further lines.
pub(crate) fn bag(lines: &str) -> String {
    format!(
        "[[service]]\nname = \"bag\"\nlisten = \"udp/12345\"\nprotocol = \"bag\"\naccept = [\"put\", \"get\"]\n{lines}\n"
    )
}

pub(crate) const ENFORCE: &str = "mode = \"enforce\"";

const PUT: Request = Request::Put { key: 10, value: 1 };

/// Sends ten of each, of which the guard accepts the PUTs; what a GET says then.
pub(crate) fn send_some(server: &Server) -> Option<String> {
    let socket = server.socket();
    for _ in 0..10 {
        send(&socket, &PUT.to_bytes());
        send(&socket, b"BADBADB");
        send(&socket, &Request::Delete { key: 11 }.to_bytes());
    }
    ask(&socket, &Request::Get { key: 10 }.to_bytes())
}

/// Serves behind a guard, while something is done; what the server said, and its record.
fn served(guard: &str, arguments: &[&str], run: impl FnOnce(&Server)) -> (Ended, Value) {
    served_in(&[], guard, arguments, run)
}

fn served_in(
    environment: &[(&str, &str)],
    guard: &str,
    arguments: &[&str],
    run: impl FnOnce(&Server),
) -> (Ended, Value) {
    let files = Objects::new();
    let (guard, summary) = (files.file("bag.toml", guard.as_bytes()), files.file("summary.json", b""));
    let mut command = weir(&["serve", "--listen", "127.0.0.1:0", "--guard", &guard, "--summary", &summary]);
    command.args(arguments).envs(environment.iter().copied());
    let server = Server::of(command);
    run(&server);
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let record = std::fs::read(summary).expect("it was written");
    (ended, serde_json::from_slice(&record).expect("JSON"))
}

/// At xdp from Linux 5.18 on.
pub(crate) fn has_guards(hook: &Hook) -> bool {
    *hook != Hook::Xdp || kernel_features().xdp_frags
}

pub(crate) fn decisions(dropped: bool) -> Value {
    json!([
        {"decision": "no-message", "dropped": dropped, "packets": 10},
        {"decision": "accepted", "message": "put", "dropped": false, "packets": 10},
        {"decision": "accepted", "message": "get", "dropped": false, "packets": 1},
        {"decision": "unwelcome", "message": "delete", "dropped": dropped, "packets": 10},
    ])
}

fn a_guard_decides_at_every_hook() {
    for hook in Hook::of_the_kernel().filter(has_guards) {
        in_namespace(move || {
            let place = ["--hook", hook.as_str(), "--stats"];
            let (ended, record) = served(&bag(ENFORCE), &place, |server| {
                assert_eq!(send_some(server).as_deref(), Some("10"), "at {hook}");
            });
            assert_eq!((&record["filter"], &record["toolkit"]), (&json!("bag"), &json!("guard")));
            assert_eq!(record["hook"], hook.as_str());
            assert_eq!(record["verdicts"], json!({"accepted": 11, "dropped": 20}), "at {hook}");
            assert_eq!(record["decisions"], decisions(true), "at {hook}");
            assert_eq!(record["requests"]["put"], 10, "{record}");
            assert_eq!(record["requests"]["invalid"], 0, "{record}");
            assert!(record["runs"]["count"].as_u64().expect("a number") >= 31, "{record}");
            let dropped_by_the_socket = if hook.is_counted_by_the_socket() { 20 } else { 0 };
            assert_eq!(record["socket_drops"], dropped_by_the_socket, "{record}");
            assert!(ended.stderr.contains("behind bag (enforcing, of "), "{ended:?}");
            assert!(ended.stdout.contains("unwelcome delete: 10 packets, dropped\n"), "{ended:?}");
        });
    }
}

fn a_guard_that_observes_drops_nothing() {
    let (ended, record) = served(&bag(""), &[], |server| {
        assert_eq!(send_some(server).as_deref(), Some("10"));
    });
    assert_eq!(record["verdicts"], json!({"accepted": 31, "dropped": 0}));
    assert_eq!(record["decisions"], decisions(false));
    assert_eq!(record["requests"]["invalid"], 10, "{record}");
    assert!(ended.stderr.contains("(observing, of "), "{ended:?}");
}

fn lists_and_limits_hold() {
    let limited = bag(&format!(
        "{ENFORCE}\nlimit = [{{ message = \"put\", per = \"all\", rate = \"1/h\", burst = 3 }}]"
    ));
    let (_, record) = served(&limited, &[], |server| {
        assert_eq!(send_some(server).as_deref(), Some("3"));
    });
    assert_eq!(record["verdicts"], json!({"accepted": 4, "dropped": 27}));
    let over = json!({"decision": "over-limit", "message": "put", "limit": 0, "dropped": true, "packets": 7});
    let found = record["decisions"].as_array().is_some_and(|all| all.contains(&over));
    assert!(found, "{record}");

    let blocking = bag(&format!("{ENFORCE}\nblock = [\"127.0.0.0/8\"]"));
    let (_, record) = served(&blocking, &[], |server| {
        let socket = server.socket();
        (0..5).for_each(|_| send(&socket, &PUT.to_bytes()));
    });
    assert_eq!(record["decisions"], json!([{"decision": "blocked", "dropped": true, "packets": 5}]));
}

fn a_guards_own_place_is_where_it_stands() {
    in_namespace(|| {
        let guard = bag(&format!("{ENFORCE}\nat = \"tc\"\ninterfaces = [\"lo\"]"));
        let files = Objects::new();
        let guard = files.file("bag.toml", guard.as_bytes());
        let server = Server::of(weir(&["serve", "--guard", &guard]));
        assert_eq!(server.address.to_string(), "127.0.0.1:12345");
        assert_eq!(send_some(&server).as_deref(), Some("10"));
        server.signal(Signal::SIGTERM);
        let ended = server.ended();
        assert!(
            ended.stderr.contains("attached to lo\n") || ended.stderr.contains("attached to lo:"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("20 dropped by the filter"), "{ended:?}");
    });
}

/// At the hook nothing takes a token before the sockets do.
fn a_guard_decides_once() {
    in_own_network(|| {
        let limited = bag(&format!(
            "{ENFORCE}\nlimit = [{{ message = \"put\", per = \"all\", rate = \"1/h\", burst = 3 }}]"
        ));
        let without = [("WEIR_WITHOUT", "gso-size")];
        for hook in [Hook::Reuseport, Hook::Xdp].into_iter().filter(has_guards) {
            let (_, record) = served_in(&without, &limited, &["--hook", hook.as_str()], |server| {
                assert_eq!(send_some(server).as_deref(), Some("3"), "at {hook}");
            });
            let decided = record["decisions"].as_array().expect("it counts").iter();
            let packets: u64 = decided.map(|count| count["packets"].as_u64().expect("a number")).sum();
            assert_eq!(packets, 31, "all at the sockets: {record}");
            assert_eq!(record["decides_at"], "socket", "{record}");
            assert_eq!(record["verdicts"], json!({"accepted": 4, "dropped": 27}), "at {hook}");
        }
    })
    .expect("root may");
}

fn what_does_not_go_is_refused() {
    let files = Objects::new();
    let one = files.file("bag.toml", bag(ENFORCE).as_bytes());
    let second = bag("").replace("\"bag\"\nlisten", "\"other\"\nlisten").replace("12345", "12346");
    let two = files.file("two.toml", format!("{}{second}", bag("")).as_bytes());
    let known = bag("known = { after = \"count\", by = \"source/32,/64\", for = \"60s\" }");
    let known = files.file("known.toml", known.as_bytes());
    let wrong = files.file("wrong.toml", bag("accepts = []").as_bytes());
    let refused = |arguments: &[&str], parts: &[&str]| {
        let ended = run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        for part in parts {
            assert!(ended.stderr.contains(part), "no '{part}' in: {}", ended.stderr);
        }
        ended.status
    };
    for (arguments, parts) in [
        (&["--guard", &one, "--filter", "reject-filter"][..], &["--filter"][..]),
        (&["--guard", &one, "--control", "weir.sock"], &["--control"]),
        (&["--service", "bag"], &["--guard"]),
        (&["--guard", &one, "--hook", "user"], &["guard of 'bag'", "the hooks socket, "]),
        (&["--guard", &one, "--hook", "reuseport", "--workers", "2"], &["--workers", "another hook"]),
        (&["--guard", &one, "--server", "count-server"], &["count-server", "simple-server"]),
        (&["--guard", &known], &["`known`"]),
        (&["--guard", &two], &["several services", "bag, other"]),
        (&["--guard", &two, "--service", "othr"], &["no service 'othr'", "did you mean 'other'?"]),
        (&["--guard", "/nowhere/bag.toml"], &["/nowhere/bag.toml"]),
    ] {
        assert_eq!(refused(arguments, parts), Some(2), "{arguments:?}");
    }
    assert_eq!(refused(&["--guard", &wrong], &["accepts", "wrong.toml"]), Some(1));
}
