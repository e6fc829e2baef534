//! What no guard stands before, and what is said of it.

use std::net::UdpSocket;

use serde_json::json;
use weir_filters::{FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{KernelFilter, SocketRefusal, Target, XdpMode, in_own_network};
use weir_testing::{ControlGroup, Ended, send};
use weir_wire::Request;

use super::{
    at_every_hook,
    guard::{Guard, PORT, at, filter_on, invalid, ip, serve},
};
use crate::{
    guards::bag,
    hooks::Neighbour,
    objects::Objects,
    running::{ask, weir},
};

fn run_guard(guard: &str, arguments: &[&str]) -> Ended {
    let files = Objects::new();
    let guard = files.file("guard.toml", guard.as_bytes());
    let mut command = weir(&["guard", "run", &guard, "--control"]);
    command.arg(files.path().join("control"));
    Ended::from(command.args(arguments).output().expect("the binary starts"))
}

pub(super) fn run_refused(guard: &str, arguments: &[&str], status: i32, parts: &[&str]) {
    let ended = run_guard(guard, arguments);
    assert_eq!(ended.status, Some(status), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "no '{part}' in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

/// The same guard under another name, of another port.
fn second(lines: &str, listen: &str) -> String {
    bag(lines).replace("\"bag\"\nlisten", "\"other\"\nlisten").replace("udp/12345", listen)
}

pub(super) fn where_one_cannot_none_is() {
    in_own_network(|| {
        let server = serve(&format!("127.0.0.1:{PORT}"), &[]);
        let of_another = UdpSocket::bind("127.0.0.1:12346").expect("a free port");
        let everybodys = UdpSocket::bind("0.0.0.0:12347").expect("a free port");
        let program = KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &Site::socket());
        let own = program.and_then(|filter| filter.attach(&of_another)).expect("a socket may have one");
        ip(&["link add tunnel type vxlan id 7 dstport 4789 local 127.0.0.1", "link set tunnel up"]);
        let at_socket = "at = \"socket\"";
        for (lines, listen, part) in [
            (at_socket, "udp/12346", "has a filter already, an eBPF program"),
            (at_socket, "udp/4789", "the kernel itself serves it"),
            ("at = \"cgroup\"", "udp/4789", "the kernel itself serves it"),
            (at_socket, "udp/127.0.0.1:12347", "takes packets for every address"),
            ("at = \"tc\"\ninterfaces = [\"no-such-if\"]", "udp/12348", "the interface no-such-if"),
        ] {
            let both = format!("{}\n{}", bag(at_socket), second(lines, listen));
            run_refused(&both, &[], 1, &["weir: guarding bag (observe) at socket", "guarding other: ", part]);
            assert_eq!(filter_on(PORT), None, "{part}");
            // The other one is fine.
            if listen != "udp/12347" {
                let guard = Guard::start(&both, &["--service", "bag"]);
                let (record, _) = guard.ended();
                assert_eq!(record["services"].as_array().map(Vec::len), Some(1));
            }
        }
        assert_eq!(filter_on(12346), Some(SocketRefusal::HasFilter("an eBPF program")), "it is left alone");
        drop((own, everybodys));
        assert_eq!(invalid(server), "0");
    })
    .expect("root may");
}

pub(super) fn a_second_one_is_refused() {
    at_every_hook(move |hook| {
        let group = ControlGroup::new();
        let server = group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
        let guard = Guard::start(&at(hook), &[]);
        let process = format!("of process {}, another `weir guard run`, guards it already", guard.child.id());
        let parts = if hook == "socket" {
            ["guarding bag: ", &process]
        } else {
            ["guarding bag: ", " guards that port there already"]
        };
        run_refused(&at(hook), &[], 1, &parts);
        // Its program is named.
        let ended = run_guard(&at(hook), &[]);
        let (_, rest) = ended.stderr.split_once(": program ").expect("it is named");
        let id = rest.split(' ').next().and_then(|id| id.parse().ok()).expect("a number");
        assert!(guard.programs.contains(&id), "at {hook}: {ended:?}");
        // That of another port is in nobody's way, but where there is room for one.
        if hook != "xdp" {
            Guard::start(&at(hook).replace("udp/12345", "udp/12346"), &[]).ended();
        }
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["decisions"], serde_json::json!([]));
        assert_eq!(invalid(server), "0");
    });
}

pub(super) fn where_xdp_is_taken_it_goes_to_tc() {
    in_own_network(|| {
        let neighbour = Neighbour::begin();
        neighbour.connect();
        let server = serve(&format!("0.0.0.0:{PORT}"), &[]);
        let endpoint = "127.0.0.1:9".parse().expect("an address");
        let site = Site { super_packets: SuperPackets::Pass, ..Site::new(Hook::Xdp, endpoint) };
        let program = KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &site).expect("it loads");
        let id = program.facts().expect("it is loaded").id;
        let interface = weir_hooks::Interface::named("weir0").expect("it is there");
        let attach = |mode| program.attach(Target::Xdp(&interface, mode)).expect("there is room");
        let at = |hook| at(hook).replace("mode =", "interfaces = [\"weir0\"]\nmode =");
        let taken = format!("to xdp of weir0: program {id} is there");

        let somebodys = attach(XdpMode::Native);
        let guard = Guard::start(&at("xdp"), &[]);
        let said = format!("at tc (since xdp can't be: attaching of the guard of 'bag' {taken}");
        assert!(guard.read("said").contains(&said), "{}", guard.read("said"));
        neighbour.run(|| {
            let socket = UdpSocket::bind("198.18.7.2:0").expect("a free port");
            socket.connect(("198.18.7.1", PORT)).expect("UDP connects at once");
            (0..10).for_each(|_| send(&socket, b"BADBADB"));
            send(&socket, &Request::Put { key: 10, value: 1 }.to_bytes());
            assert_eq!(ask(&socket, &Request::Get { key: 10 }.to_bytes()).as_deref(), Some("1"));
        });
        let (record, _) = guard.ended();
        assert_eq!(record["services"][0]["hook"], "tc");
        assert_eq!(record["services"][0]["verdicts"], json!({"accepted": 2, "dropped": 10}));
        drop(somebodys);

        // There nothing would be judged.
        let somebodys = attach(XdpMode::Generic);
        for hook in ["xdp", "tc"] {
            let said = format!("program {id} runs there in generic XDP");
            run_refused(&at(hook), &[], 1, &["guarding bag: ", &said]);
        }
        let auto = at("tc").replace("interfaces = [\"weir0\"]\n", "").replace("\"tc\"", "\"auto\"");
        let guard = Guard::start(&auto, &[]);
        assert!(
            guard.read("said").contains("at socket (auto, since tc can't be: "),
            "{}",
            guard.read("said")
        );
        guard.ended();
        drop(somebodys);

        // Nor where it comes later.
        let mut guard = Guard::start(&at("tc"), &[]);
        let somebodys = attach(XdpMode::Generic);
        guard.wait_until_said("weir: bag isn't guarded, or not all of it: ");
        drop(somebodys);
        guard.wait_until_said("; unguarded for ");
        guard.ended();
        assert_eq!(invalid(server), "0");
    })
    .expect("root may");
}

pub(super) fn what_cannot_be_is_refused() {
    run_refused(
        &bag("at = \"tc\"\npid = 1"),
        &[],
        1,
        &["guard.toml:", "whoever has its sockets", "leave 'pid' out"],
    );
    run_refused(&bag(""), &["--service", "bog"], 2, &["no service 'bog'", "did you mean 'bag'?"]);
    let elsewhere = bag("netns = \"no-such-namespace\"");
    run_refused(&elsewhere, &[], 1, &["the network namespace /run/netns/no-such-namespace: No such file"]);
    run_refused(&bag("netns = \"/etc/passwd\""), &[], 1, &["it is no namespace"]);
    run_refused(&bag("accepts = []"), &[], 1, &["accepts", "guard.toml"]);
    let metrics = ["--metrics", "203.0.113.1:9433"];
    run_refused(&bag(""), &metrics, 1, &["listening at 203.0.113.1:9433 for Prometheus"]);
    run_refused(&bag(""), &["--metrics", "somewhere"], 2, &["--metrics", "an address and a port"]);
    run_refused(&bag(""), &["--summary", "/nowhere/counts.json"], 1, &["/nowhere/counts.json"]);
}
