//! Who watches a running guard: Prometheus asks it, and its samples are opened.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::Path,
};

use serde_json::Value;
use weir_lab::topology::{Net, Settings};
use weir_results::{net::Side, topology::Topology};
use weir_testing::{Test, folder, wait_until};

use crate::processes::{Running, run};

pub(crate) const TESTS: &[Test] = &[("prometheus_asks_a_running_guard", prometheus_asks)];

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

const GARBAGE: usize = 20;

const PROMETHEUS: &str =
    "exec prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address=$SERVER:9090";

/// A service, and the guard before it.
struct Watched {
    net: Net,
    folder: tempfile::TempDir,
    _service: UdpSocket,
    guard: Running,
}

impl Watched {
    fn start(guard: &str, arguments: &str) -> Self {
        let folder = folder();
        let net = Net::up(Topology::Veth, &Settings::default()).expect("root may");
        let service = net.within(Side::Server, || UdpSocket::bind(("0.0.0.0", PORT)));
        let service = service.expect("root may enter").expect("nobody has it");
        fs::write(folder.path().join("guard.toml"), guard).expect("our folder");
        let line = format!("exec $WEIR guard run guard.toml --control control {arguments}");
        let mut guard = Running::start(&net, Side::Server, folder.path(), "guard", &line);
        guard.wait_until("it stands there", |said| said.contains("weir: ready: guarding bag"));
        Self { net, folder, _service: service, guard }
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
    let watched = Watched::start(&format!("{GUARD}at = \"socket\"\n"), "--metrics $SERVER:9433");
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

/// The metrics of weir in a query.
fn names(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|each: char| !each.is_ascii_alphanumeric() && each != '_');
    words.filter(|word| word.starts_with("weir_"))
}
