//! Who watches a running guard: Prometheus asks it, and its samples are opened.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::Path,
};

use serde_json::Value;
use weir_filters::{Hook, Owner};
use weir_hooks::kernel_features;
use weir_lab::topology::{Net, Settings};
use weir_results::{net::Side, topology::Topology};
use weir_testing::{ControlGroup, Test, folder, wait_until};

use crate::processes::{Running, run};

pub(crate) const TESTS: &[Test] = &[
    ("prometheus_asks_a_running_guard", prometheus_asks),
    ("tshark_opens_the_samples_of_a_running_guard", tshark_opens_samples),
    ("a_guard_goes_on_without_room_for_samples", a_guard_goes_on_without_room),
];

/// What the guard stands before.
const PORT: u16 = 12345;

/// An empty message of `bag` is none.
const GUARD: &str = "\
[[service]]
name = \"bag\"
listen = \"udp/12345\"
protocol = \"bag\"
accept = [\"put\", \"get\"]
";

const SAMPLE: &str = "sample = { dropped = \"1000/s\", to = \"samples/bag.pcapng\" }\n";

const GARBAGE: usize = 20;

const PROMETHEUS: &str =
    "exec prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address=$SERVER:9090";

/// A service, and the guard before it.
struct Watched {
    net: Net,
    folder: tempfile::TempDir,
    service: UdpSocket,
    guard: Running,
    _group: ControlGroup,
}

impl Watched {
    fn start(guard: &str, arguments: &str) -> Self {
        Self::by(guard, &format!("exec $WEIR guard run guard.toml --control control {arguments}"))
    }

    /// With a line that starts it.
    fn by(guard: &str, line: &str) -> Self {
        let folder = folder();
        let net = Net::up(Topology::Veth, &Settings::default()).expect("root may");
        // At a control group a guard judges what comes for sockets of other namespaces, too.
        let group = ControlGroup::new();
        let service = group.within(|| net.within(Side::Server, || UdpSocket::bind(("0.0.0.0", PORT))));
        let service = service.expect("root may enter").expect("nobody has it");
        fs::create_dir(folder.path().join("samples")).expect("our folder");
        fs::write(folder.path().join("guard.toml"), guard).expect("our folder");
        let mut guard = Running::start(&net, Side::Server, folder.path(), "guard", line);
        guard.wait_until("it stands there", |said| said.contains("weir: ready: guarding bag"));
        Self { net, folder, service, guard, _group: group }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Sends what is no message.
    fn send(&self, count: usize) {
        let from = || UdpSocket::bind((self.net.address(Side::Client), 0)).expect("a free port");
        let from = self.net.within(Side::Client, from).expect("root may enter");
        for _ in 0..count {
            from.send_to(b"garbage", SocketAddr::new(self.net.address(Side::Server), PORT))
                .expect("it is sent");
        }
    }

    /// What a line at the client's end prints.
    fn printed(&self, line: &str) -> String {
        let ended = run(&self.net, self.path(), line);
        assert_eq!(ended.status, Some(0), "{line}: {ended:?}\n{}", self.guard.said());
        ended.stdout
    }
}

fn prometheus_asks() {
    let watched = Watched::start(&format!("{GUARD}at = \"socket\"\n{SAMPLE}"), "--metrics $SERVER:9433");
    assert!(watched.guard.said().contains("weir: metrics at http://"), "{}", watched.guard.said());
    watched.send(GARBAGE);
    let metrics = "curl -sSf http://$SERVER:9433/metrics";
    let exported = watched.printed(metrics);
    assert_eq!(watched.printed(&format!("set -o pipefail; {metrics} | promtool check metrics 2>&1")), "");

    let config = "\
global:
  scrape_interval: 200ms
scrape_configs:
  - job_name: weir
    static_configs: [{targets: [\"SERVER:9433\"]}]
";
    let config = config.replace("SERVER", &watched.net.address(Side::Server).to_string());
    fs::write(watched.path().join("prometheus.yml"), config).expect("our folder");
    let mut prometheus = Running::start(&watched.net, Side::Server, watched.path(), "prometheus", PROMETHEUS);
    prometheus.wait_until("it is ready", |said| said.contains("Server is ready to receive web requests"));
    let ask = |query: &str| -> Value {
        let line = format!("curl -sS -G http://$SERVER:9090/api/v1/query --data-urlencode 'query={query}'");
        let answer: Value = serde_json::from_str(&watched.printed(&line)).expect("JSON");
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].clone()
    };
    let value = |query: &str| ask(query)[0]["value"][1].as_str().map(str::to_owned);
    let garbage =
        "sum(weir_guard_packets_total{service=\"bag\",decision=\"no-message\",verdict=\"would-drop\"})";
    wait_until("it was asked", || value(garbage) == Some(GARBAGE.to_string()));
    watched.send(GARBAGE);
    wait_until("it was asked again", || value(garbage) == Some((2 * GARBAGE).to_string()));
    assert_eq!(value("weir_guard_attached{hook=\"socket\"}").as_deref(), Some("1"));
    assert_eq!(value("up{job=\"weir\"}").as_deref(), Some("1"));

    // What the dashboard asks is exported, and Prometheus understands it.
    let dashboard = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/grafana/weir-guard.json");
    let dashboard: Value = serde_json::from_slice(&fs::read(dashboard).expect("it is there")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("a list");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a list"));
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().expect("a query")).collect();
    assert!(queries.len() >= panels.len() && !panels.is_empty());
    for query in queries {
        for name in names(query) {
            assert!(exported.contains(&format!("\n# TYPE {name} ")), "{name} of '{query}' in: {exported}");
        }
        ask(&query.replace("$service", ".*").replace("$__rate_interval", "1m"));
    }
    let page = include_str!("../../../../docs/guard.md");
    for name in exported.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(page.contains(&format!("`{name}")), "docs/guard.md doesn't say what {name} is");
    }
}

/// How many samples were written, and not.
fn samples(watched: &Watched) -> [u64; 2] {
    let said = watched.printed("$WEIR guard status --json --control control");
    let said: Value = serde_json::from_str(&said).expect("JSON");
    ["written", "unwritten"].map(|fate| said[0]["services"][0]["samples"][fate].as_u64().expect("a number"))
}

fn tshark_opens_samples() {
    let hooks = [Hook::Socket, Hook::Cgroup, Hook::Tc, Hook::Xdp];
    for hook in hooks.into_iter().filter(|hook| *hook != Hook::Xdp || kernel_features().xdp_frags) {
        for (mode, comment) in [("observe", "would be dropped: "), ("enforce", "dropped: ")] {
            let interfaces = if hook.owner() == Owner::Interface {
                format!("interfaces = [\"{}\"]\n", Side::Server.name())
            } else {
                String::new()
            };
            let guard = format!("{GUARD}{SAMPLE}at = \"{hook}\"\nmode = \"{mode}\"\n{interfaces}");
            let watched = Watched::start(&guard, "");
            watched.send(3);
            wait_until("they are written", || samples(&watched) == [3, 0]);
            let fields =
                "tshark -r samples/bag.pcapng -T fields -e frame.comment -e udp.dstport -e udp.payload";
            let row = format!("{comment}no message of the protocol\t{PORT}\t67617262616765\n");
            assert_eq!(watched.printed(fields), row.repeat(3), "at {hook}");
            assert_eq!(watched.printed("stat -c %a samples/bag.pcapng"), "600\n");
            let now = "test $(tshark -r samples/bag.pcapng -T fields -e frame.time_epoch -c 1 | cut -d. -f1) -gt $(($(date +%s) - 600))";
            watched.printed(now);
        }
    }
}

/// The guard's own mount, with room for a few samples beside what fills it.
const FULL: &str = "exec unshare --mount bash -euc 'mount -t tmpfs -o size=64k tmpfs samples; head -c 40k /dev/zero > samples/filler; \
                    exec $WEIR guard run guard.toml --control control'";

fn a_guard_goes_on_without_room() {
    let mut watched = Watched::by(&format!("{GUARD}{SAMPLE}at = \"socket\"\nmode = \"enforce\"\n"), FULL);
    let seen_by_guard = watched.path().display().to_string();
    wait_until("there is no room any more", || {
        watched.send(GARBAGE);
        samples(&watched)[1] > 0
    });
    watched.guard.wait_until("it says so", |said| said.contains("samples aren't written, the guard goes on"));
    let before = samples(&watched);
    assert!(before[0] > 0, "{before:?}");
    let process = watched.printed(
        "$WEIR guard status --json --control control | grep -o '\"process\": [0-9]*' | cut -d' ' -f2",
    );
    let inside = format!("/proc/{}/root{seen_by_guard}/samples", process.trim());
    let whole = format!(
        "tshark -r {inside}/bag.pcapng -T fields -e frame.comment | grep -c 'no message of the protocol'"
    );
    assert_eq!(watched.printed(&whole).trim(), before[0].to_string());

    fs::remove_file(format!("{inside}/filler")).expect("root may");
    wait_until("they are written again", || {
        watched.send(1);
        samples(&watched)[0] > before[0]
    });
    watched.guard.wait_until("it says so", |said| said.contains("samples are written again; "));
    watched.service.set_nonblocking(true).expect("it can be");
    assert!(weir_testing::received(&watched.service).is_empty(), "all was dropped");
}

/// The metrics of weir in a query.
fn names(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|each: char| !each.is_ascii_alphanumeric() && each != '_');
    words.filter(|word| word.starts_with("weir_"))
}
