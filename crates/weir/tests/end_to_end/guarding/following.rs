//! What comes and goes while a guard runs: servers, control groups, interfaces.

use std::path::PathBuf;

use serde_json::json;
use weir_filters::Hook;
use weir_hooks::in_own_network;
use weir_testing::{ControlGroup, Test, received, scaled, send, wait_until};
use weir_wire::Request;

use super::{
    at_every_hook,
    guard::{Guard, PORT, at, invalid, ip, serve},
    units::{UnitGroup, cgroup2},
};
use crate::{
    guards::{ENFORCE, bag, has_guards, send_some},
    hooks::{Neighbour, in_namespace},
    privileges::refusing,
    running::{Server, ask},
};

pub(super) const TESTS: &[Test] = &[
    ("a_server_that_is_started_again_is_guarded_again", a_server_is_started_again),
    ("every_worker_that_comes_later_is_guarded", workers_that_come_later),
    ("restarts_are_followed_where_nobody_tells_of_them", restarts_without_being_told),
    ("a_control_group_that_is_made_again_is_guarded_again", a_group_is_made_again),
    ("interfaces_that_come_or_come_back_are_guarded", interfaces_come_and_go),
];

/// Waits until the guard says that it stands before the server.
fn wait_for(guard: &mut Guard, server: &Server) {
    guard.wait_until_said(&format!("of process {}", server.process()));
}

fn a_server_is_started_again() {
    let rounds = scaled(20).max(2) as u64;
    at_every_hook(move |hook| {
        let group = ControlGroup::new();
        let mut guard = Guard::start(&at(hook), &[]);
        for round in 0..rounds {
            let listen = if round % 2 == 0 { "127.0.0.1" } else { "[::1]" };
            let server = group.within(|| serve(&format!("{listen}:{PORT}"), &[]));
            match hook {
                "socket" => wait_for(&mut guard, &server),
                "cgroup" => guard.wait_until_said("weir: guarding bag"),
                _ => {}
            }
            assert_eq!(send_some(&server).as_deref(), Some("10"), "round {round} at {hook}");
            assert_eq!(invalid(server), "0", "round {round} at {hook}");
        }
        let (record, ended) = guard.ended();
        let service = &record["services"][0];
        let verdicts = json!({"accepted": 11 * rounds, "dropped": 20 * rounds});
        assert_eq!(service["verdicts"], verdicts, "at {hook}: {record}");
        let times = match hook {
            "socket" => rounds,
            "cgroup" => 1,
            _ => 0,
        };
        assert_eq!(service["unguarded"]["times"], times, "at {hook}: {record}");
        assert_eq!(ended.stderr.contains("bag: unguarded "), times > 0, "{ended:?}");
    });
}

fn workers_that_come_later() {
    in_own_network(|| {
        let mut guard = Guard::start(&at("socket"), &[]);
        let server = serve(&format!("127.0.0.1:{PORT}"), &["--workers", "2"]);
        let both =
            format!("of process {0}, the socket on udp/127.0.0.1:{PORT} of process {0}", server.process());
        guard.wait_until_said(&both);
        // One of another process, while the others live.
        let own = super::sharing(server.address);
        guard.wait_until_said(&format!("of process {}", std::process::id()));
        super::send_from_everywhere(server.address, b"BADBADB");
        assert_eq!(received(&own), Vec::<Vec<u8>>::new());
        assert_eq!(invalid(server), "0");
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["verdicts"]["dropped"], super::SENDERS, "{record}");
        drop(own);
    })
    .expect("root may");
}

/// As where a seccomp filter or an old kernel is in the way.
fn restarts_without_being_told() {
    in_own_network(|| {
        use seccompiler::{SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, SeccompCondition, SeccompRule};
        let is = |argument, value: i32| SeccompCondition::new(argument, Dword, Eq, value as u64);
        let joins = [is(1, nix::libc::SOL_NETLINK), is(2, nix::libc::NETLINK_ADD_MEMBERSHIP)];
        let joins = joins.into_iter().collect::<Result<_, _>>().and_then(SeccompRule::new).expect("a rule");
        let command = refusing(nix::libc::SYS_setsockopt, vec![joins], nix::libc::EPERM, &[]);
        let mut guard = Guard::of(command, &at("socket"), &[]);
        assert!(guard.read("said").contains("is noticed within a second only"), "{}", guard.read("said"));
        for _ in 0..2 {
            let server = serve(&format!("127.0.0.1:{PORT}"), &[]);
            wait_for(&mut guard, &server);
            assert_eq!(send_some(&server).as_deref(), Some("10"));
            assert_eq!(invalid(server), "0");
        }
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["unguarded"]["times"], 2, "{record}");
    })
    .expect("root may");
}

fn a_group_is_made_again() {
    in_namespace(|| {
        let path: PathBuf = format!("{}/weir-test-{}.again", cgroup2(), std::process::id()).into();
        for lines in [format!("cgroup = {path:?}"), "at = \"cgroup\"".to_owned()] {
            let group = UnitGroup::new(path.clone());
            let server = group.serve();
            let mut guard = Guard::start(&bag(&format!("{ENFORCE}\n{lines}")), &[]);
            assert_eq!(send_some(&server).as_deref(), Some("10"));
            assert_eq!(invalid(server), "0");
            drop(group);
            guard.wait_until_said("weir: waiting for bag");
            for round in 1..=2 {
                let group = UnitGroup::new(path.clone());
                let server = group.serve();
                let said = "; unguarded for ";
                wait_until("it is guarded again", || guard.read("said").matches(said).count() == round);
                assert_eq!(send_some(&server).as_deref(), Some("10"), "round {round}: {lines}");
                assert_eq!(invalid(server), "0", "round {round}: {lines}");
                drop(group);
                // It says so only once it has seen it.
                let waits = "weir: waiting for bag";
                wait_until("it is gone", || guard.read("said").matches(waits).count() == round + 1);
            }
            let (record, _) = guard.ended();
            let service = &record["services"][0];
            assert_eq!(service["verdicts"], json!({"accepted": 33, "dropped": 60}), "{lines}");
            assert_eq!(service["unguarded"]["times"], 2, "{record}");
        }
    });
}

fn interfaces_come_and_go() {
    let put = Request::Put { key: 10, value: 1 }.to_bytes();
    let get = Request::Get { key: 10 }.to_bytes();
    for hook in Hook::of_the_kernel().filter(|hook| matches!(hook, Hook::Tc | Hook::Xdp) && has_guards(hook))
    {
        for named in ["", "\ninterfaces = [\"weir0\", \"lo\"]"] {
            in_namespace(move || {
                let neighbour = Neighbour::begin();
                if !named.is_empty() {
                    neighbour.connect();
                }
                let server = serve(&format!("0.0.0.0:{PORT}"), &[]);
                let lines = format!("{ENFORCE}\nat = \"{hook}\"{named}");
                let mut guard = Guard::start(&bag(&lines), &[]);
                let come = usize::from(named.is_empty());
                for round in 0..3 {
                    if round + come > 0 {
                        neighbour.connect();
                        wait_until("it stands there", || {
                            guard.read("said").matches("; unguarded for ").count() == round + come
                        });
                    }
                    neighbour.run(|| {
                        let socket = std::net::UdpSocket::bind("198.18.7.2:0").expect("a free port");
                        socket.connect(("198.18.7.1", PORT)).expect("UDP connects at once");
                        (0..10).for_each(|_| send(&socket, b"BADBADB"));
                        send(&socket, &put);
                        let sum = format!("{}", round + 1);
                        assert_eq!(ask(&socket, &get), Some(sum), "round {round} at {hook}");
                    });
                    ip(&["link delete weir0"]);
                }
                guard.wait_until_said("weir: ready");
                assert_eq!(invalid(server), "0", "at {hook}");
                let (record, _) = guard.ended();
                let service = &record["services"][0];
                assert_eq!(service["verdicts"], json!({"accepted": 6, "dropped": 30}), "at {hook}: {record}");
                assert_eq!(service["unguarded"]["times"], 2 + come, "{record}");
            });
        }
    }
}
