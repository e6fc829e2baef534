//! `weir guard run`: guards in front of servers that run already and know nothing of them.

mod changing;
mod following;
mod guard;
mod keeping;
mod refused;
mod units;
mod watched;

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    os::unix::net::UnixDatagram,
    process::Command,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use weir_filters::{FilterName, Hook, Site, Toolkit};
use weir_hooks::{KernelFilter, STAYS, SocketRefusal, follows_speculation, in_own_network};
use weir_testing::{ControlGroup, Test, received, send};
use weir_wire::Request;

use crate::{
    guards::{ENFORCE, bag, decisions, has_guards, send_some},
    hooks::{Neighbour, cut_super_packets, in_namespace},
    privileges::{NOBODY, copy_for_nobody},
    running::{ask, weir},
    watching::wait_until_unloaded,
};
use guard::{Guard, PORT, at, filter_on, invalid, ip, lent, serve};
use units::{UnitGroup, cgroup2};

pub(crate) const CHANGING: &[Test] = changing::TESTS;
pub(crate) const FOLLOWING: &[Test] = following::TESTS;

/// Where guards are at xdp.
pub(crate) const AT_XDP: &[Test] =
    &[("where_xdp_is_taken_a_guard_goes_to_tc", refused::where_xdp_is_taken_it_goes_to_tc)];

pub(crate) const ANYWHERE: &[Test] = &[
    ("what_a_guard_cannot_stand_before_is_refused", refused::what_cannot_be_is_refused),
    ("guards_that_do_not_run_are_not_shown", watched::what_does_not_run_is_not_shown),
];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("a_guard_stands_before_a_running_server_at_every_hook", a_guard_stands_at_every_hook),
    ("a_running_guard_that_observes_drops_nothing", one_that_observes_drops_nothing),
    ("a_running_guard_lets_only_answered_sources_through", answered_sources_are_known),
    ("a_server_that_is_not_there_yet_is_waited_for", a_server_is_waited_for),
    ("every_socket_of_a_port_is_guarded_whoever_has_it", every_socket_is_guarded),
    ("a_running_guard_says_how_it_is", watched::one_that_runs_says_how_it_is),
    ("guards_on_a_terminal_end_when_it_goes", watched::top_ends_with_its_terminal),
    ("a_guard_is_found_without_a_path", watched::one_is_found_without_a_path),
    ("a_units_control_group_is_guarded_before_it_is_there", a_unit_is_guarded),
    ("what_a_killed_guard_leaves_at_a_socket_is_replaced_by_the_next", what_a_killed_one_leaves_is_replaced),
    ("a_second_guard_of_a_port_is_refused_at_every_hook", refused::a_second_one_is_refused),
    ("a_guard_stands_in_another_network_namespace_at_every_hook", in_another_namespace),
    ("where_one_service_cannot_be_guarded_none_is", refused::where_one_cannot_none_is),
    ("a_guard_without_cap_net_admin_goes_to_the_socket", without_net_admin_at_the_socket),
    ("counts_that_cannot_be_read_are_not_taken_for_none", unread_counts_are_told),
    ("readiness_of_a_guard_is_told", readiness_is_told),
    ("the_page_of_guards_shows_what_a_running_one_says", the_page_shows_what_it_says),
];

fn a_guard_stands_at_every_hook() {
    let hooks = Hook::of_the_kernel().filter(|hook| *hook != Hook::Reuseport && has_guards(hook));
    let hooks = hooks.map(Hook::as_str).chain(["auto"]);
    for (hook, listen) in hooks.flat_map(|hook| [(hook, "127.0.0.1"), (hook, "[::1]")]) {
        in_namespace(move || {
            let group = ControlGroup::new();
            let server = group.within(|| serve(&format!("{listen}:{PORT}"), &[]));
            let guard = Guard::start(&at(hook), &[]);
            assert_eq!(send_some(&server).as_deref(), Some("10"), "at {hook}");
            assert_eq!(filter_on(PORT).is_some(), hook == "socket");
            let (record, ended) = guard.ended();
            let service = &record["services"][0];
            assert_eq!((&service["service"], &service["mode"]), (&json!("bag"), &json!("enforce")));
            assert_eq!(service["hook"], if hook == "auto" { "tc" } else { hook });
            assert_eq!(service["verdicts"], json!({"accepted": 11, "dropped": 20}), "at {hook}: {record}");
            assert_eq!(service["decisions"], decisions(true), "at {hook}");
            assert!(ended.stderr.contains("weir: guarding bag (enforce) at "), "{ended:?}");
            let kept = match hook {
                "socket" if follows_speculation() => "CAP_BPF CAP_PERFMON CAP_SYS_PTRACE",
                "socket" => "CAP_BPF CAP_SYS_PTRACE",
                "tc" | "cgroup" | "auto" if !follows_speculation() => "CAP_BPF CAP_NET_ADMIN",
                _ => "CAP_BPF CAP_NET_ADMIN CAP_PERFMON",
            };
            // Before Linux 5.14 one more at the socket.
            let has_said = |kept: &str| ended.stderr.contains(&format!("weir: kept: {kept}, and "));
            let older = kept.replace("CAP_PERFMON", "CAP_DAC_READ_SEARCH CAP_PERFMON");
            assert!(has_said(kept) || (hook == "socket" && has_said(&older)), "{ended:?}");
            assert!(
                ended.stdout.contains("| bag     | unwelcome  | delete  | 10      | dropped |"),
                "{ended:?}"
            );

            // Nothing is kept from the server any more.
            assert_eq!(filter_on(PORT), None);
            assert_eq!(send_some(&server).as_deref(), Some("20"));
            assert_eq!(invalid(server), "10", "at {hook}");
        });
    }
}

fn one_that_observes_drops_nothing() {
    in_namespace(|| {
        let server = serve(&format!("127.0.0.1:{PORT}"), &[]);
        let guard = Guard::start(&bag("at = \"socket\""), &[]);
        assert_eq!(send_some(&server).as_deref(), Some("10"));
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["verdicts"], json!({"accepted": 31, "dropped": 0}));
        assert_eq!(record["services"][0]["decisions"], decisions(false));
        assert_eq!(invalid(server), "10");
    });
}

/// For each hook that guards have on this kernel, in a network namespace of its own.
fn at_every_hook(run: impl Fn(&'static str) + Clone + Send + 'static) {
    for hook in ["socket", "cgroup", "tc", "xdp"] {
        if hook == "xdp" && !has_guards(&Hook::Xdp) {
            continue;
        }
        let run = run.clone();
        in_namespace(move || run(hook));
    }
}

fn answered_sources_are_known() {
    const KNOWN: &str = "mode = \"enforce\"\nallow = [\"127.0.0.2\"]\nknown = { after = \"count\", by = \"source/32,/64\", for = \"1h\" }";
    at_every_hook(move |hook| {
        let group = ControlGroup::new();
        let server = group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
        let lines = format!("{KNOWN}\nat = \"{hook}\"");
        let guard = bag(&lines).replace("\"put\"", "{ message = \"put\", from = \"known\" }");
        let guard = Guard::start(&guard, &[]);
        let friend = UdpSocket::bind("127.0.0.2:0").expect("a free port");
        friend.connect(server.address).expect("UDP connects at once");
        let put = Request::Put { key: 10, value: 1 }.to_bytes();
        let get = Request::Get { key: 10 }.to_bytes();
        send(&friend, &put);
        let stranger = server.socket();
        send(&stranger, &put);
        assert_eq!(ask(&stranger, &get).as_deref(), Some("1"), "at {hook}");
        send(&stranger, &put);
        assert_eq!(ask(&stranger, &get).as_deref(), Some("2"), "it is known now, at {hook}");
        let (record, _) = guard.ended();
        let verdicts = &record["services"][0]["verdicts"];
        assert_eq!(*verdicts, json!({"accepted": 4, "dropped": 1}), "at {hook}: {record}");
    });
}

fn a_server_is_waited_for() {
    for hook in ["socket", "cgroup"] {
        in_namespace(move || {
            let group = ControlGroup::new();
            let mut guard = Guard::start(&at(hook), &[]);
            guard.wait_until_said("weir: waiting for bag");
            assert!(guard.read("said").contains("weir: ready: waiting for bag\n"));
            let server = group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
            guard.wait_until_said("weir: guarding bag");
            assert_eq!(send_some(&server).as_deref(), Some("10"), "at {hook}");
            let (record, _) = guard.ended();
            assert_eq!(record["services"][0]["decisions"], decisions(true), "at {hook}");
        });
    }
    // One that never comes is no failure.
    in_namespace(|| {
        let (record, ended) = Guard::start(&at("socket"), &[]).ended();
        assert_eq!(record["services"][0]["decisions"], json!([]));
        assert!(ended.stdout.contains("none"), "{ended:?}");
    });
}

/// A socket that others may share the port of.
fn sharing(listen: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("it can be");
    socket.set_nonblocking(true).expect("it can be");
    socket.bind(&listen.into()).expect("the port is shared");
    socket.into()
}

const SENDERS: usize = 64;

/// From so many ports that each socket of the server's port is hit.
fn send_from_everywhere(to: SocketAddr, payload: &[u8]) {
    for _ in 0..SENDERS {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.connect(to).expect("UDP connects at once");
        send(&socket, payload);
    }
}

fn every_socket_is_guarded() {
    in_namespace(|| {
        let server = serve(&format!("127.0.0.1:{PORT}"), &["--workers", "2"]);
        let own = sharing(server.address);
        let guard = Guard::start(&at("socket"), &[]);
        send_from_everywhere(server.address, b"BADBADB");
        assert_eq!(received(&own), Vec::<Vec<u8>>::new());
        let (record, _) = guard.ended();
        let service = &record["services"][0];
        assert_eq!(service["attached_to"].as_array().map(Vec::len), Some(3), "{record}");
        assert_eq!(service["verdicts"]["dropped"], SENDERS, "{record}");
        send_from_everywhere(server.address, b"BADBADB");
        let through = received(&own).len();
        assert!(through > 0, "one of {SENDERS} comes to it");

        // Those of one process alone.
        let guard = Guard::start(&bag(&format!("{ENFORCE}\npid = {}", server.process())), &[]);
        assert!(guard.read("said").contains("auto, since it is of one process"));
        send_from_everywhere(server.address, b"BADBADB");
        let more = received(&own).len();
        assert!(more > 0, "it isn't guarded");
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["verdicts"]["dropped"], SENDERS - more, "{record}");
        assert_eq!(invalid(server), (SENDERS - through).to_string());
    });
}

fn what_a_killed_one_leaves_is_replaced() {
    in_namespace(|| {
        let group = ControlGroup::new();
        let server = group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
        for hook in ["cgroup", "socket", "socket"] {
            let mut guard = Guard::start(&at(hook), &[]);
            guard.child.kill().expect("it runs");
            guard.child.wait().expect("it is our child");
            if hook == "cgroup" {
                wait_until_unloaded(&guard.programs);
            }
        }
        assert_eq!(filter_on(PORT), Some(SocketRefusal::HasFilter("an eBPF program")));
        let guard = Guard::start(&at("socket"), &[]);
        assert_eq!(send_some(&server).as_deref(), Some("10"));
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["decisions"], decisions(true), "none was decided by those before");
        assert_eq!(filter_on(PORT), None);

        // Somebody has put a filter of his own there since.
        let mut guard = Guard::start(&at("socket"), &[]);
        guard.child.kill().expect("it runs");
        guard.child.wait().expect("it is our child");
        let lent = lent(PORT);
        let program = KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &Site::socket());
        let own = program.and_then(|filter| filter.attach(&lent)).expect("a socket takes another one");
        wait_until_unloaded(&guard.programs);
        refused::run_refused(&at("socket"), &[], 1, &["it has a filter already, an eBPF program"]);
        drop(own);
        assert_eq!(invalid(server), "0");
    });
}

fn a_unit_is_guarded() {
    in_namespace(|| {
        let root = cgroup2();
        let number = std::process::id();
        let slice = UnitGroup::new(format!("{root}/weir-test-{number}.slice").into());
        let unit = format!("weir-test-{number}.service");
        let lines = format!("{ENFORCE}\nat = \"cgroup\"\nunit = \"{unit}\"");
        let mut guard = Guard::start(&bag(&lines), &[]);
        guard.wait_until_said(&format!("no control group is called {unit}"));
        for round in 1..=2 {
            // As systemd does, which removes a stopped unit's group.
            let group = UnitGroup::new(slice.0.join(&unit));
            if round == 1 {
                guard.wait_until_said("weir: guarding bag (enforce) at cgroup");
            }
            let server = group.serve();
            assert_eq!(send_some(&server).as_deref(), Some("10"), "round {round}");
            assert_eq!(invalid(server), "0", "round {round}");
        }
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["attached_to"], json!([slice.0]));
        assert_eq!(record["services"][0]["verdicts"], json!({"accepted": 22, "dropped": 40}));

        // The one that is named.
        let guard = Guard::start(&bag(&format!("{ENFORCE}\ncgroup = {:?}", slice.0)), &[]);
        assert!(guard.read("said").contains("at cgroup (auto, since a control group is named)"));
        let group = UnitGroup::new(slice.0.join(&unit));
        assert_eq!(send_some(&group.serve()).as_deref(), Some("10"));
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["verdicts"], json!({"accepted": 11, "dropped": 20}));
    });
}

fn in_another_namespace() {
    at_every_hook(move |hook| {
        let neighbour = Neighbour::begin();
        let group = ControlGroup::new();
        let path = format!("/proc/{}/ns/net", neighbour.id());
        let start = || {
            let serve = || group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
            neighbour.run(|| {
                ip(&["link set lo up"]);
                cut_super_packets();
                serve()
            })
        };
        let server = start();
        let mut guard = Guard::start(&bag(&format!("{ENFORCE}\nat = \"{hook}\"\nnetns = {path:?}")), &[]);
        assert_eq!(neighbour.run(|| send_some(&server)).as_deref(), Some("10"), "at {hook}");
        assert_eq!(invalid(server), "0", "at {hook}");
        let server = start();
        if hook == "socket" {
            guard.wait_until_said(&format!("of process {}", server.process()));
        }
        assert_eq!(neighbour.run(|| send_some(&server)).as_deref(), Some("10"), "at {hook}, again");
        let (record, _) = guard.ended();
        let verdicts = json!({"accepted": 22, "dropped": 40});
        assert_eq!(record["services"][0]["verdicts"], verdicts, "at {hook}: {record}");
        assert_eq!(neighbour.run(|| filter_on(PORT)), None);
        assert_eq!(neighbour.run(|| send_some(&server)).as_deref(), Some("20"), "at {hook}, unguarded");
        assert_eq!(invalid(server), "10", "at {hook}");
    });
}

fn without_net_admin_at_the_socket() {
    in_own_network(|| {
        let server = serve(&format!("127.0.0.1:{PORT}"), &[]);
        let (_folder, copy) = copy_for_nobody();
        let id = NOBODY.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        // Before Linux 5.14 descriptors of others are shown to who may read every folder.
        let info = fs::read_to_string("/proc/self/fdinfo/0").expect("/proc is mounted");
        let shown = if info.contains("ino:") { "" } else { ",+dac_read_search" };
        let caps = format!("-all,+bpf,+sys_ptrace{shown}");
        for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
            command.arg(format!("{set}={caps}"));
        }
        command.arg(copy);
        let guard = Guard::of(command, &bag(ENFORCE), &[]);
        assert!(guard.read("said").contains("at socket (auto, since tc takes CAP_NET_ADMIN)"));
        assert_eq!(send_some(&server).as_deref(), Some("10"));
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["decisions"], decisions(true));
        assert_eq!(filter_on(PORT), None);
    })
    .expect("root may");
}

/// Without /sys nobody tells how many CPUs a map counts on.
fn unread_counts_are_told() {
    in_own_network(|| {
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs none /sys && exec \"$0\" \"$@\"";
        command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_weir")]);
        let mut guard = Guard::of(command, &at("tc"), &[]);
        kill(Pid::from_raw(guard.child.id() as i32), Signal::SIGTERM).expect("it is our child");
        assert_eq!(guard.child.wait().expect("it is our child").code(), Some(1));
        let said = guard.read("said");
        assert!(said.contains("what was decided can't be told: ") && said.contains("mount /sys"), "{said}");
    })
    .expect("root may");
}

fn readiness_is_told() {
    in_own_network(|| {
        let folder = weir_testing::folder();
        let path = folder.path().join("notify");
        let notified = UnixDatagram::bind(&path).expect("our folder");
        notified.set_read_timeout(Some(Duration::from_secs(10))).expect("it can be");
        let mut command = weir(&[]);
        command.env("NOTIFY_SOCKET", &path);
        let guard = Guard::of(command, &at("socket"), &[]);
        let mut buffer = [0; 256];
        let len = notified.recv(&mut buffer).expect("it is told");
        assert_eq!(&buffer[..len], b"READY=1\nSTATUS=waiting for bag\n");
        guard.ended();
    })
    .expect("root may");
}

/// docs/guard.md, "In front of a service".
fn the_page_shows_what_it_says() {
    const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01";
    in_own_network(|| {
        let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guard.md"));
        let page = page.expect("it is there");
        let (_, guard) = page.split_once("<!-- dns.toml -->\n```toml\n").expect("the tutorial's guard");
        let (guard, _) = guard.split_once("```").expect("it ends");
        let (_, section) = page.split_once("\n## In front of a service\n").expect("the section");
        let (section, _) = section.split_once("\n## ").expect("another one follows");
        assert!(section.contains("\nsudo weir guard run dns.toml\n"));
        let shown: Vec<_> =
            section.split("```text\n").skip(1).filter_map(|text| text.split("```").next()).collect();

        ip(&["link add eth0 type veth peer name other", "link set eth0 up"]);
        let service = UdpSocket::bind("0.0.0.0:53").expect("nobody has it");
        service.set_nonblocking(true).expect("it can be");
        let guard = Guard::start(guard, &[]);
        let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        client.connect("127.0.0.1:53").expect("UDP connects at once");
        for payload in [QUERY, QUERY, b"no message"] {
            send(&client, payload);
        }
        assert_eq!(received(&service).len(), 3);
        let (_, ended) = guard.ended();
        let [said, counted] = shown[..] else { panic!("two blocks are shown: {shown:?}") };
        let stderr = ended.stderr.replace(&format!(": {STAYS}"), "");
        assert!(stderr.contains(said), "{said}\n{stderr}");
        assert!(ended.stdout.contains(counted), "{counted}\n{}", ended.stdout);
    })
    .expect("root may");
}
