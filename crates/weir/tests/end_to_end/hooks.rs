//! Servers behind a filter at every hook, on the loopback interface of a network namespace of the test's own; and
//! `weir doctor`.

use std::{
    net::{SocketAddr, UdpSocket},
    process::Command,
    time::Duration,
};

use nix::sys::{
    signal::Signal,
    socket::{setsockopt, sockopt::UdpGsoSegment},
};
use serde_json::Value;
use weir_filters::{FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{Interface, KernelFilter, Target, XdpMode, ethtool::Ethtool, in_own_network};
use weir_lab::topology::{Net, Settings};
use weir_results::{net::Side, topology::Topology};
use weir_testing::{Ended, Test, folder, send};
use weir_wire::Request;

use crate::{
    net::ByHand,
    running::{Server, ask, run},
};

pub(crate) const ANYWHERE: &[Test] = &[
    ("options_of_another_hook_are_refused", options_of_another_hook_are_refused),
    ("a_folder_that_is_no_control_group_stays_as_it_is", a_folder_that_is_no_control_group_stays),
    ("the_doctor_has_a_row_for_every_hook", the_doctor_has_a_row_for_every_hook),
];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("a_server_is_kept_from_invalid_packets_at_every_hook", a_server_is_kept_from_invalid_packets),
    ("every_hook_serves_ipv6", every_hook_serves_ipv6),
    ("a_server_at_any_hook_ends_by_a_signal_and_leaves_nothing", a_server_ends_by_a_signal),
    ("a_server_killed_at_any_hook_leaves_no_more_than_doctor_removes", a_killed_server_leaves_no_more),
    ("over_a_pair_only_the_servers_port_is_filtered", over_a_pair_only_the_servers_port_is_filtered),
    ("a_filter_comes_back_with_its_interface", a_filter_comes_back_with_its_interface),
    ("nothing_is_served_at_tc_behind_generic_xdp", nothing_is_served_behind_generic_xdp),
];

/// Where loopback carries packets of several datagrams.
pub(crate) const ON_LOOPBACK: &[Test] =
    &[("where_super_packets_come_in_unseen_the_sockets_filter_decides", where_super_packets_come_in_unseen)];

/// What older kernels' loopback lacks.
pub(crate) fn no_super_packets_on_loopback() -> Option<String> {
    let name = "tx-udp-segmentation";
    let sends = in_own_network(move || {
        let features = Ethtool::open().and_then(|ethtool| ethtool.features("lo", &[name]));
        features.expect("lo can be asked").get(name) == Some(&true)
    });
    (!sends.expect("root may")).then(|| format!("lo has {name} off, and never on"))
}

/// Where the kernel tells a program that a packet is several datagrams.
pub(crate) const TOLD: &[Test] = &[
    ("by_fun_a_shared_ports_filter_decides_there", by_fun_a_shared_ports_filter_decides_there),
    (
        "where_the_driver_takes_none_xdp_becomes_generic_by_itself",
        where_the_driver_takes_none_xdp_becomes_generic,
    ),
];

const HOOKS: [&str; 5] = ["socket", "reuseport", "cgroup", "tc", "xdp"];

pub(crate) fn in_namespace(run: impl FnOnce() + Send + 'static) {
    in_own_network(|| {
        cut_super_packets();
        run();
    })
    .expect("root may");
}

/// Has loopback in this network namespace carry each datagram by itself, where no program could tell several from one.
pub(crate) fn cut_super_packets() {
    Ethtool::open()
        .and_then(|ethtool| ethtool.set_features("lo", &["tx-udp-segmentation"], false))
        .expect("root may");
}

fn at(hook: &str) -> [&str; 4] {
    ["--hook", hook, "--toolkit", "fun"]
}

/// Linux forgets the length of the Ethernet header there, and a program at tc would judge nothing.
fn nothing_is_served_behind_generic_xdp() {
    in_namespace(|| {
        let endpoint: SocketAddr = "127.0.0.1:9".parse().expect("an address");
        let site = Site { super_packets: SuperPackets::Pass, ..Site::new(Hook::Xdp, endpoint) };
        let program = KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &site).expect("it loads");
        let loopback = Interface::named("lo").expect("it is there");
        let attached = program.attach(Target::Xdp(&loopback, XdpMode::Generic)).expect("there is room");
        let serve = ["serve", "--listen", "127.0.0.1:0", "--hook", "tc", "--toolkit", "fun"];
        let ended = run(&serve);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("runs there in generic XDP"), "{ended:?}");
        drop(attached);
        let server = Server::start(&at("tc"));
        let socket = server.socket();
        send(&socket, &Request::Put { key: 10, value: 1 }.to_bytes());
        assert_eq!(ask(&socket, &Request::Get { key: 10 }.to_bytes()).as_deref(), Some("1"));
    });
}

fn a_server_is_kept_from_invalid_packets() {
    for hook in HOOKS {
        in_namespace(move || {
            let folder = folder();
            let path = folder.path().join("summary.json");
            let path_text = path.to_str().expect("UTF-8");
            let server = Server::start(&[&at(hook)[..], &["--stats", "--summary", path_text]].concat());
            let socket = server.socket();
            for number in 0..20 {
                let put = Request::Put { key: 10, value: 1 }.to_bytes();
                let bad = b"BADBADB";
                send(&socket, if number % 2 == 0 { &put[..] } else { &bad[..] });
            }
            let sum = ask(&socket, &Request::Get { key: 10 }.to_bytes());
            assert_eq!(sum.as_deref(), Some("10"), "at {hook}");
            server.signal(Signal::SIGTERM);
            let ended = server.ended();
            assert_eq!(ended.status, Some(0), "{ended:?}");
            let written = std::fs::read(path).expect("it was written");
            let summary: Value = serde_json::from_slice(&written).expect("JSON");
            assert_eq!(summary["hook"], hook);
            assert_eq!(summary["requests"]["put"], 10, "{summary}");
            assert_eq!(summary["requests"]["invalid"], 0, "{summary}");
            assert_eq!(summary["verdicts"]["dropped"], 10, "{summary}");
            assert_eq!(summary["verdicts"]["accepted"], 11, "{summary}");
            assert!(summary["runs"]["count"].as_u64().expect("a number") >= 21, "{summary}");
            let reaches_the_socket = matches!(hook, "socket" | "cgroup");
            assert_eq!(summary["socket_drops"], if reaches_the_socket { 10 } else { 0 }, "{summary}");
            let attached = summary["attached_to"].as_array();
            let is_attached_to = |part: &str| {
                attached.is_some_and(|all| {
                    all.iter().any(|place| place.as_str().is_some_and(|at| at.contains(part)))
                })
            };
            match hook {
                "tc" => assert!(is_attached_to("lo"), "{summary}"),
                "xdp" => {
                    assert!(is_attached_to("lo (generic): lo takes no program in its driver"), "{summary}")
                }
                "cgroup" => assert!(is_attached_to("/weir-serve-"), "{summary}"),
                _ => assert_eq!(attached, None, "{summary}"),
            }
        });
    }
}

fn every_hook_serves_ipv6() {
    for hook in HOOKS {
        in_namespace(move || {
            let server = Server::start_on("[::1]:0", &at(hook));
            let socket = server.socket();
            socket.send(&Request::Put { key: 1, value: 5 }.to_bytes()).expect("send");
            assert_eq!(ask(&socket, &Request::Get { key: 1 }.to_bytes()).as_deref(), Some("5"), "at {hook}");
        });
    }
}

/// Programs of `robust-valid-command`, as fun names them; the kernel keeps the first 15 bytes.
fn programs() -> Vec<u32> {
    let programs = aya::programs::loaded_programs().filter_map(Result::ok);
    programs.filter(|program| program.name() == b"robust_valid_co").map(|program| program.id()).collect()
}

/// What is loaded when the kernel has done what it puts off.
fn is_unloaded(before: &[u32]) -> bool {
    (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        programs().iter().all(|id| before.contains(id))
    })
}

fn group_of(server: &Server) -> Option<std::path::PathBuf> {
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", server.process())).expect("it runs");
    let group = text.lines().find_map(|line| line.strip_prefix("0::/")).map(str::to_owned)?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    let root = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?.split(' ').nth(1)?;
    group.contains("weir-serve-").then(|| std::path::Path::new(root).join(group))
}

fn a_server_ends_by_a_signal() {
    let before = programs();
    for (hook, signal) in HOOKS.into_iter().zip([Signal::SIGINT, Signal::SIGTERM].into_iter().cycle()) {
        in_namespace(move || {
            let server = Server::start(&[&at(hook)[..], &["--filter", "robust-valid-command"]].concat());
            let group = group_of(&server);
            assert_eq!(group.is_some(), hook == "cgroup");
            server.signal(signal);
            assert_eq!(server.ended().status, Some(0));
            assert!(group.is_none_or(|group| !group.exists()));
        });
    }
    assert!(is_unloaded(&before), "still loaded: {:?}", programs());
}

fn a_killed_server_leaves_no_more() {
    // What the doctor removes may be what another test has just made.
    let _turn = ByHand::begin();
    let before = programs();
    for hook in HOOKS {
        in_namespace(move || {
            let server = Server::start(&[&at(hook)[..], &["--filter", "robust-valid-command"]].concat());
            let group = group_of(&server);
            drop(server); // by SIGKILL
            let Some(group) = group else { return };
            let shown = group.to_str().expect("UTF-8");
            assert!(run(&["doctor"]).stdout.contains(shown));
            let fixed = run(&["doctor", "--fix"]);
            assert_eq!(fixed.status, Some(0), "{fixed:?}");
            assert!(fixed.stderr.contains(&format!("weir: removed {shown}")), "{fixed:?}");
            assert!(!group.exists());
        });
    }
    assert!(is_unloaded(&before), "still loaded: {:?}", programs());
}

fn over_a_pair_only_the_servers_port_is_filtered() {
    let net = Net::up(Topology::Veth, &Settings::default()).expect("root may");
    let bind = |side: Side| {
        let socket =
            net.within(side, || UdpSocket::bind((side.ipv4(), 0))).expect("it is up").expect("a free port");
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout can be set");
        socket
    };
    for (hook, place) in [("tc", "attached to weir-server"), ("xdp", "attached to weir-server (native)\n")] {
        let listen = format!("{}:0", Side::Server.ipv4());
        let arguments = [&at(hook)[..], &["--filter", "reject-filter"]].concat();
        let server = net.within(Side::Server, || Server::start_on(&listen, &arguments)).expect("it is up");
        let (other, sender) = (bind(Side::Server), bind(Side::Client));
        for _ in 0..10 {
            sender.send_to(b"GET\x0a\0\0\0", server.address).expect("send");
            sender.send_to(b"x", other.local_addr().expect("it is bound")).expect("send");
            let from = other.recv_from(&mut [0; 8]).expect("the other port is untouched").1;
            other.send_to(b"y", from).expect("send");
            sender.recv(&mut [0; 8]).expect("replies are untouched");
        }
        server.signal(Signal::SIGTERM);
        let ended = server.ended();
        assert!(ended.stderr.contains(place), "{ended:?}");
        assert!(
            ended.stderr.contains("0 datagrams read, 0 of them invalid, 10 dropped by the filter"),
            "{ended:?}"
        );
    }
}

/// Starts a server and ends it; what it said, and its record.
fn ended_at_once(arguments: &[&str]) -> (Ended, Value) {
    let folder = folder();
    let path = folder.path().join("summary.json");
    let server = Server::start(&[arguments, &["--summary", path.to_str().expect("UTF-8")]].concat());
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    (ended, serde_json::from_slice(&std::fs::read(path).expect("it was written")).expect("JSON"))
}

fn where_super_packets_come_in_unseen() {
    in_own_network(|| {
        for hook in ["reuseport", "xdp"] {
            let place = ["--hook", hook, "--toolkit", "aya"];
            let (ended, summary) = ended_at_once(&place);
            assert!(ended.stderr.contains("they are one by one here"), "{ended:?}");
            assert_eq!(summary["decides_at"], "socket", "{summary}");
            let (ended, summary) = ended_at_once(&[&place[..], &["--super-packets", "pass"]].concat());
            assert!(!ended.stderr.contains("several datagrams"), "{ended:?}");
            assert_eq!(summary.get("decides_at"), None, "{summary}");
        }
    })
    .expect("root may");
}

/// A process in a network namespace of its own, which ends with this.
pub(crate) struct Neighbour(std::process::Child);

impl Neighbour {
    pub(crate) fn begin() -> Self {
        let neighbour =
            Self(Command::new("unshare").args(["-n", "sleep", "60"]).spawn().expect("util-linux is there"));
        let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
        let own = namespace("thread-self");
        weir_testing::wait_until("it is in its namespace", || namespace(&neighbour.id()) != own);
        neighbour
    }

    pub(crate) fn id(&self) -> String {
        self.0.id().to_string()
    }

    /// A pair of interfaces between here and there, with addresses.
    pub(crate) fn connect(&self) {
        let ip = |words: &str| {
            let done = Command::new("ip").args(words.split(' ')).status().expect("iproute2 is there");
            assert!(done.success(), "ip {words}");
        };
        let there = |words: &str| {
            let entered = ["-t", &self.id(), "-n", "ip"];
            let done = Command::new("nsenter").args(entered).args(words.split(' ')).status();
            assert!(done.expect("util-linux is there").success(), "ip {words} there");
        };
        ip(&format!("link add weir0 type veth peer name weir1 netns {}", self.id()));
        ip("address add 198.18.7.1/24 dev weir0");
        ip("link set weir0 up");
        there("address add 198.18.7.2/24 dev weir1");
        there("link set weir1 up");
    }

    /// Does it there.
    pub(crate) fn run<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", self.id())).expect("it runs");
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("root may");
                run()
            });
            inside.join().expect("it doesn't panic")
        })
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_filter_comes_back_with_its_interface() {
    for hook in ["tc", "xdp"] {
        in_own_network(move || {
            let neighbour = Neighbour::begin();
            neighbour.connect();
            let server =
                Server::start_on("198.18.7.1:0", &[&at(hook)[..], &["--interface", "weir0"]].concat());
            let address = server.address;
            let asks = |payload: &[u8]| {
                neighbour.run(|| {
                    let socket = UdpSocket::bind("198.18.7.2:0").expect("a free port");
                    socket.connect(address).expect("UDP connects at once");
                    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
                    ask(&socket, payload)
                })
            };
            let put = Request::Put { key: 1, value: 2 }.to_bytes();
            let get = Request::Get { key: 1 }.to_bytes();
            let is_served = || (0..30).any(|_| asks(&put).is_none() && asks(&get).is_some());
            assert!(is_served(), "at {hook}");
            assert_eq!(asks(b"BADBADB"), None);

            let deleted = Command::new("ip").args(["link", "delete", "weir0"]).status();
            assert!(deleted.expect("iproute2 is there").success());
            neighbour.connect();
            assert!(is_served(), "at {hook}, again");
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(asks(b"BADBADB"), None);
            server.signal(Signal::SIGTERM);
            let ended = server.ended();
            assert_eq!(ended.status, Some(0), "{ended:?}");
            for part in ["weir0 was deleted and made again", " 0 of them invalid, 2 dropped by the filter"] {
                assert!(ended.stderr.contains(part), "at {hook}, no '{part}' in: {}", ended.stderr);
            }
        })
        .expect("root may");
    }
}

fn by_fun_a_shared_ports_filter_decides_there() {
    in_own_network(|| {
        let (ended, summary) = ended_at_once(&at("reuseport"));
        assert!(!ended.stderr.contains("several datagrams"), "{ended:?}");
        assert_eq!(
            (summary["hook"].as_str(), summary.get("decides_at")),
            (Some("reuseport"), None),
            "{summary}"
        );
    })
    .expect("root may");
}

/// The mode is said, and the program is one for it: it ends what it can't judge.
fn where_the_driver_takes_none_xdp_becomes_generic() {
    in_own_network(|| {
        let folder = folder();
        let path = folder.path().join("summary.json");
        let server = Server::start(&[&at("xdp")[..], &["--summary", path.to_str().expect("UTF-8")]].concat());
        let socket = server.socket();
        let put = Request::Put { key: 10, value: 1 }.to_bytes();
        setsockopt(&socket, UdpGsoSegment, &(put.len() as i32)).expect("Linux 4.18");
        socket.send(&put.repeat(3)).expect("three datagrams in one packet");
        socket.send(&put).expect("one datagram");
        let sum = ask(&socket, &Request::Get { key: 10 }.to_bytes());
        assert_eq!(sum.as_deref(), Some("1"), "none of the three came");
        server.signal(Signal::SIGTERM);
        let ended = server.ended();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let summary: Value =
            serde_json::from_slice(&std::fs::read(&path).expect("it was written")).expect("JSON");
        assert_eq!(summary["verdicts"]["dropped"], 1, "{summary}");
        for part in [
            "attached to lo (generic): to tell packets of several datagrams",
            "lo takes no program in its driver",
        ] {
            assert!(ended.stderr.contains(part), "no '{part}' in: {ended:?}");
        }
    })
    .expect("root may");
}

fn a_folder_that_is_no_control_group_stays() {
    let folder = folder();
    let path = folder.path().to_str().expect("UTF-8");
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--hook", "cgroup", "--cgroup", path]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(path), "{refused:?}");
    assert!(refused.stderr.contains("it is no folder of cgroup2"), "{refused:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is made in it");
}

fn options_of_another_hook_are_refused() {
    for arguments in [
        &["--interface", "lo", "--hook", "socket", "--toolkit", "fun"][..],
        &["--cgroup", "/sys/fs/cgroup", "--hook", "tc", "--toolkit", "fun"],
        &["--xdp-mode", "native", "--hook", "tc", "--toolkit", "fun"],
        &["--stats", "--hook", "user"],
    ] {
        let refused = run(&[&["serve"], arguments].concat());
        assert_eq!(refused.status, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(arguments[0]), "{refused:?}");
    }
}

fn the_doctor_has_a_row_for_every_hook() {
    let examined = run(&["doctor", "--json"]);
    let examination: Value = serde_json::from_str(&examined.stdout).expect("JSON");
    let rows = examination["findings"].as_array().expect("an array");
    let programs = examination["programs"].as_array().expect("an array");
    for hook in HOOKS {
        let row = rows.iter().find(|row| row["what"] == format!("hook {hook}"));
        let row = row.unwrap_or_else(|| panic!("no row for {hook}: {rows:?}"));
        assert_eq!(row["state"] == "gap", row["remedy"].is_string(), "{row}");
    }
    let serves = rows.iter().any(|row| row["what"] == "hook socket" && row["state"] == "ok");
    let loads: Vec<_> = programs.iter().filter(|program| program["outcome"] != "loaded").collect();
    let is_refused = loads.iter().any(|program| program["outcome"] == "refused");
    assert_eq!(examined.status, Some(i32::from(!serves || is_refused)), "{examined:?}");
    assert!(!serves || loads.is_empty(), "this kernel takes not all: {loads:#?}");
    assert!(programs.len() > 100, "the catalogue has more than {}", programs.len());
}
