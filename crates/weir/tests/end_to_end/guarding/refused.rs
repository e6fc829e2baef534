//! What no guard stands before, and what is said of it.

use std::net::UdpSocket;

use weir_filters::{FilterName, Site, Toolkit};
use weir_hooks::{KernelFilter, SocketRefusal, in_own_network};
use weir_testing::Ended;

use super::guard::{Guard, PORT, filter_on, invalid, ip, serve};
use crate::{guards::bag, objects::Objects, running::weir};

pub(super) fn run_refused(guard: &str, arguments: &[&str], status: i32, parts: &[&str]) {
    let files = Objects::new();
    let guard = files.file("guard.toml", guard.as_bytes());
    let mut command = weir(&["guard", "run", &guard, "--control"]);
    command.arg(files.path().join("control"));
    let ended = Ended::from(command.args(arguments).output().expect("the binary starts"));
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

pub(super) fn what_cannot_be_is_refused() {
    run_refused(
        &bag("at = \"tc\"\npid = 1"),
        &[],
        1,
        &["guard.toml:", "whoever has its sockets", "leave 'pid' out"],
    );
    run_refused(&bag(""), &["--service", "bog"], 2, &["no service 'bog'", "did you mean 'bag'?"]);
    run_refused(&bag("accepts = []"), &[], 1, &["accepts", "guard.toml"]);
    let metrics = ["--metrics", "203.0.113.1:9433"];
    run_refused(&bag(""), &metrics, 1, &["listening at 203.0.113.1:9433 for Prometheus"]);
    run_refused(&bag(""), &["--metrics", "somewhere"], 2, &["--metrics", "an address and a port"]);
    run_refused(&bag(""), &["--summary", "/nowhere/counts.json"], 1, &["/nowhere/counts.json"]);
}
