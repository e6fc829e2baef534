//! The veth pair: made, used by server and client, and gone whatever ends it.

use std::{
    fs,
    io::Read as _,
    net::UdpSocket,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, CpuSet, sched_getaffinity, setns},
    unistd::Pid,
};
use serde_json::Value;
use weir_lab::topology::{LinkCounters, Net, NetError, Settings};
use weir_results::{
    net::{Side, Sided},
    topology::{Segmentation, Topology},
};
use weir_service::process::confine;
use weir_testing::{Ended, Test};

use crate::running::{Server, run, weir};

/// Over a pair that packets of several datagrams cross whole.
pub(crate) const WHOLE: &[Test] = &[
    ("a_pair_by_hand_comes_up_serves_and_leaves_nothing", a_pair_by_hand),
    ("a_super_packet_crosses_whole_or_cut_up_as_asked", a_super_packet_crosses_as_asked),
];

/// What older kernels' veth lacks.
pub(crate) fn no_whole_super_packets() -> Option<String> {
    let segmentation = Segmentation::On;
    match Net::up(Topology::Veth, &Settings { segmentation, ..Settings::default() }) {
        Err(error @ NetError::NoEffect { .. }) => Some(error.to_string()),
        _ => None,
    }
}

pub(crate) const TESTS: &[Test] = &[
    ("a_pair_that_is_up_is_not_made_again", a_pair_that_is_up_is_not_made_again),
    ("the_rest_of_a_pair_is_taken_down", the_rest_of_a_pair_is_taken_down),
    ("taking_down_says_who_is_still_there", taking_down_says_who_is_still_there),
    ("what_is_out_of_the_question_is_refused_before_anything_is_made", out_of_the_question),
    ("without_root_the_reason_is_said", without_root_the_reason_is_said),
    ("an_experiment_s_processes_run_at_their_ends", processes_run_at_their_ends),
    ("the_filter_runs_on_the_core_that_receives", the_filter_runs_on_the_core_that_receives),
    ("a_dropped_pair_is_gone_and_the_host_untouched", a_dropped_pair_is_gone),
    ("a_killed_holder_leaves_nothing", a_killed_holder_leaves_nothing),
];

/// The names are the machine's: tests that use them take turns, and what a test leaves is taken down.
pub(crate) struct ByHand(#[expect(dead_code, reason = "it is held")] fs::File);

impl ByHand {
    pub(crate) fn begin() -> Self {
        let path = std::env::temp_dir().join("weir-end-to-end-net.lock");
        let file = fs::File::create(path).expect("a temporary file");
        file.lock().expect("locks work");
        assert_eq!(run(&["net", "down"]).status, Some(0));
        Self(file)
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = weir(&["net", "down"]).output();
    }
}

fn status() -> Value {
    let status = run(&["net", "status", "--json"]);
    assert_eq!(status.status, Some(0), "{status:?}");
    serde_json::from_str(&status.stdout).expect("JSON")
}

fn names() -> Vec<&'static str> {
    let there = |name: &&str| Path::new("/run/netns").join(name).exists();
    ["weir-server", "weir-client"].into_iter().filter(there).collect()
}

fn interfaces_here() -> Vec<String> {
    let table = fs::read_to_string("/proc/thread-self/net/dev").expect("/proc");
    table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

fn odin_over(server: Server, client: &[&str]) {
    let client = run(&[&["client", "-b", "odin"], client].concat());
    assert_eq!(client.status, Some(0), "{client:?}");
    let replies: Vec<_> = client.stdout.lines().filter(|line| line.starts_with("GET")).collect();
    assert_eq!(replies, ["GET 10 -> 7", "GET 10 -> 14"], "{client:?}");
    assert_eq!(server.ended().status, Some(0));
}

fn a_pair_by_hand() {
    let _turn = ByHand::begin();
    let before = interfaces_here();
    assert_eq!(status(), serde_json::json!({ "state": "down" }));
    let up = run(&["net", "up", "--segmentation", "on", "--mtu", "1400", "--receive-on", "0"]);
    assert_eq!(up.status, Some(0), "{up:?}");
    assert!(up.stdout.starts_with("up\n"), "{up:?}");
    assert_eq!(interfaces_here(), before);
    assert_eq!(names(), ["weir-server", "weir-client"]);

    let status = status();
    assert_eq!(status["state"], "up");
    let server = &status["interfaces"]["server"];
    assert_eq!(server["mtu"], 1400);
    assert_eq!(server["receive_on"], serde_json::json!([0]));
    assert_eq!(server["features"]["tx-udp-segmentation"], true);
    assert_eq!(status["interfaces"]["client"]["receive_on"], serde_json::json!([]));

    let server = Server::of(weir(&["serve", "--net"]));
    assert_eq!(server.address.to_string(), "198.18.0.1:12345");
    odin_over(server, &["--net"]);
    let server = Server::of(weir(&["serve", "--net", "--listen", "[2001:2::1]:0"]));
    let address = server.address.to_string();
    odin_over(server, &["--net", "--server", &address]);

    assert_eq!(run(&["net", "down"]).stdout, "down\n");
    assert_eq!(names(), [""; 0]);
    assert_eq!(interfaces_here(), before);
    assert_eq!(run(&["net", "down"]).stdout, "nothing to take down\n");
    let client = run(&["client", "--net"]);
    assert_eq!(client.status, Some(1));
    assert!(client.stderr.contains("`weir net up` makes it"), "{client:?}");
}

fn a_pair_that_is_up_is_not_made_again() {
    let _turn = ByHand::begin();
    assert_eq!(run(&["net", "up"]).status, Some(0));
    let before = status();
    let again = run(&["net", "up", "--mtu", "1400"]);
    assert_eq!(again.status, Some(1));
    assert!(again.stderr.contains("`weir net down` takes it down"), "{again:?}");
    assert_eq!(status(), before);
}

fn the_rest_of_a_pair_is_taken_down() {
    let _turn = ByHand::begin();
    assert_eq!(run(&["net", "up"]).status, Some(0));
    // As if `up` had been killed between the two names.
    let client = Path::new("/run/netns/weir-client");
    nix::mount::umount2(client, nix::mount::MntFlags::MNT_DETACH).expect("it is mounted");
    assert_eq!(status()["state"], "broken");
    let up = run(&["net", "up"]);
    assert_eq!(up.status, Some(1), "{up:?}");
    fs::remove_file(client).expect("a file");
    assert_eq!(status()["state"], "broken");

    assert_eq!(run(&["net", "down"]).stdout, "down\n");
    assert_eq!(names(), [""; 0]);
    assert_eq!(run(&["net", "up"]).status, Some(0));
}

fn taking_down_says_who_is_still_there() {
    let _turn = ByHand::begin();
    assert_eq!(run(&["net", "up"]).status, Some(0));
    let server = Server::of(weir(&["serve", "--net", "--hook", "user"]));
    let inside = status()["processes"]["server"].clone();
    assert_eq!(inside.as_array().map(Vec::len), Some(1), "{inside}");
    let down = run(&["net", "down"]);
    assert_eq!(down.status, Some(0), "{down:?}");
    assert!(down.stderr.contains(&format!("[{}]", inside[0])), "{down:?}");
    assert_eq!(names(), [""; 0]);
    drop(server);
}

fn out_of_the_question() {
    let _turn = ByHand::begin();
    for arguments in [["--mtu", "1279"], ["--segmentation", "perhaps"], ["--receive-on", "x"]] {
        let up = run(&[&["net", "up"], arguments.as_slice()].concat());
        assert_eq!(up.status, Some(2), "{up:?}");
    }
    // No machine has so many cores: the kernel refuses the mask when the pair is half made.
    let up = run(&["net", "up", "--receive-on", "100000"]);
    assert_eq!(up.status, Some(1), "{up:?}");
    assert!(up.stderr.contains("[100000]") && up.stderr.contains("rps_cpus"), "{up:?}");
    assert_eq!(names(), [""; 0]);
}

fn without_root_the_reason_is_said() {
    let _turn = ByHand::begin();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("weir");
    // By another process: what this one holds open for writing another test's child may hold still, and nobody could run it.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_weir")).arg(&path).status().expect("cp starts");
    assert!(copied.success(), "room for a copy");
    for (path, mode) in [(folder.path(), 0o755), (&path, 0o755)] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("it is ours");
    }
    let up = Command::new(path).args(["net", "up"]).uid(65534).gid(65534).output().expect("it starts");
    let up = Ended::from(up);
    assert_eq!(up.status, Some(1), "{up:?}");
    assert!(up.stderr.contains("unshare") && up.stderr.contains("or root"), "{up:?}");
}

fn veth(settings: &Settings) -> Net {
    Net::up(Topology::Veth, settings).expect("a pair")
}

/// `weir serve` at the server's end, as an experiment starts it.
fn serve_at(net: &Net, cores: &[usize], arguments: &[&str]) -> Server {
    let listen = format!("{}:0", net.address(Side::Server));
    let mut command = weir(&[&["serve", "--listen", &listen], arguments].concat());
    confine(&mut command, cores).expect("a core that there is");
    net.within(Side::Server, || Server::of(command)).expect("root may enter")
}

/// A client at its end; gives how many packets it sent.
fn client_at(net: &Net, cores: &[usize], server: &Server, arguments: &[&str]) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("client.json");
    let mut command = weir(&[&["client", "--server", &server.address.to_string()], arguments].concat());
    command.arg("--summary").arg(&path);
    confine(&mut command, cores).expect("a core that there is");
    let client = net.within(Side::Client, || command.output().expect("it starts")).expect("root may enter");
    let client = Ended::from(client);
    assert_eq!(client.status, Some(0), "{client:?}");
    let summary: Value = serde_json::from_slice(&fs::read(path).expect("it was written")).expect("JSON");
    let sent = summary["sent"].as_object().expect("counts by kind");
    sent.values().filter_map(Value::as_u64).sum()
}

fn processes_run_at_their_ends() {
    let here = fs::read_link("/proc/thread-self/ns/net").expect("/proc");
    let net = veth(&Settings::default());
    let server = serve_at(&net, &[], &["--allow-stop", "any"]);
    client_at(&net, &[], &server, &["-b", "frigg", "-n", "40", "-p", "75"]);
    let asked = net.within(Side::Client, || {
        let socket = UdpSocket::bind("198.18.0.2:0").expect("our address");
        socket.connect(server.address).expect("UDP connects at once");
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout can be set");
        let get = weir_wire::Request::Get { key: 10 }.to_bytes();
        let reply = crate::running::ask(&socket, &get);
        socket.send(b"STOP").expect("send");
        reply
    });
    assert_eq!(asked.expect("root may enter").as_deref(), Some("10"));
    let ended = server.ended();
    assert!(ended.stderr.contains("30 dropped by the filter"), "{ended:?}");
    assert_eq!(fs::read_link("/proc/thread-self/ns/net").expect("/proc"), here);
}

/// What the interfaces count while about 1 000 datagrams leave by UDP GSO, and how many those are exactly.
fn counted(segmentation: Segmentation) -> (Sided<LinkCounters>, u64) {
    let net = veth(&Settings { segmentation, ..Settings::default() });
    let record = net.record().expect("it can be read");
    let on = segmentation == Segmentation::On;
    assert_eq!(record.interfaces.server.features["tx-udp-segmentation"], on);
    assert_eq!(record.interfaces.client.features["tx-udp-segmentation"], on);
    assert!(!record.interfaces.server.features["rx-gro"]);

    let server = serve_at(&net, &[], &["--filter", "count-filter", "--allow-stop", "any"]);
    let before = net.counters().expect("they can be read");
    let sent = client_at(&net, &[], &server, &["-b", "frigg", "-n", "1000", "-p", "50", "--io", "batch"]);
    let after = net.counters().expect("they can be read");
    let stop = client_at(&net, &[], &server, &["-b", "stop"]);
    let ended = server.ended();
    // However they crossed, the socket's filter saw each datagram.
    assert!(ended.stdout.ends_with(&format!("total: {} packets\n", sent + stop)), "{ended:?}");
    (Sided { server: after.server.since(before.server), client: after.client.since(before.client) }, sent)
}

fn a_super_packet_crosses_as_asked() {
    // The kernel may send a few packets of its own (multicast listener reports).
    let (cut_up, sent) = counted(Segmentation::Off);
    assert!((sent..sent + 20).contains(&cut_up.server.received), "{cut_up:?}");
    assert!((sent..sent + 20).contains(&cut_up.client.sent), "{cut_up:?}");
    let (whole, sent) = counted(Segmentation::On);
    assert!(whole.server.received < sent * 7 / 10, "{whole:?}");
    assert_eq!((whole.server.dropped_received, whole.client.dropped_sent), (0, 0), "{whole:?}");
}

/// Two cores that we may use; the same one twice where there is no other.
pub(crate) fn two_cores() -> [usize; 2] {
    let usable = sched_getaffinity(Pid::this()).expect("it is known");
    let mut cores = (0..CpuSet::count()).filter(|core| usable.is_set(*core).unwrap_or(false));
    let first = cores.next().expect("we run on one");
    [first, cores.next().unwrap_or(first)]
}

/// Packets that the filter saw on each core while the client ran on `client`.
fn seen_on(receive_on: &[usize], client: usize) -> String {
    let net = veth(&Settings { receive_on: receive_on.to_vec(), ..Settings::default() });
    assert_eq!(
        net.record().expect("it can be read").interfaces.server.receive_on.as_deref(),
        Some(receive_on)
    );
    let server = serve_at(&net, &[], &["--filter", "count-filter", "--allow-stop", "any"]);
    let sent = client_at(&net, &[client], &server, &["-b", "frigg", "-n", "100"]);
    let stop = client_at(&net, &[client], &server, &["-b", "stop"]);
    let shown = server.ended().stdout;
    assert!(shown.ends_with(&format!("total: {} packets\n", sent + stop)), "{shown}");
    shown
}

fn the_filter_runs_on_the_core_that_receives() {
    let [server, client] = two_cores();
    let all_on = |core: usize, text: &str| {
        let elsewhere = text.lines().filter(|line| line.starts_with("CPU") && !line.ends_with(": 0 packets"));
        let cores: Vec<_> = elsewhere.filter_map(|line| line.split([' ', ':']).nth(1)).collect();
        assert_eq!(cores, [core.to_string()], "{text}");
    };
    all_on(client, &seen_on(&[], client));
    all_on(server, &seen_on(&[server], client));
    all_on(client, &seen_on(&[client], server));
}

fn a_dropped_pair_is_gone() {
    let before = (interfaces_here(), names());
    let net = veth(&Settings::default());
    assert_eq!((interfaces_here(), names()), before);
    let inside = net.within(Side::Server, interfaces_here).expect("root may enter");
    assert_eq!(inside, ["lo", "weir-server"]);
    let (server, client) = (link_seen_by(&net, Side::Server), link_seen_by(&net, Side::Client));
    assert!(server && client);
    let Some(ends) = net.ends() else { panic!("a pair has ends") };
    assert_eq!(ends.server.processes().expect("/proc can be read"), [0; 0]);
    drop(net);
    assert_eq!((interfaces_here(), names()), before);
}

fn link_seen_by(net: &Net, side: Side) -> bool {
    net.within(side, || interfaces_here().iter().any(|name| name == side.name())).expect("root may enter")
}

/// What [`main`](crate::main) is told by, to hold a pair instead of testing.
pub(crate) const HOLD: &str = "WEIR_TEST_HOLDS_A_PAIR";

/// Holds a pair until it is killed, a minute at most; says on stdout when it has it.
pub(crate) fn hold() {
    let _net = veth(&Settings::default());
    println!("up");
    std::thread::sleep(Duration::from_secs(60));
}

/// The client's namespace, which we hold from outside, loses its interface with the server's namespace, which
/// nobody held but the killed process.
fn a_killed_holder_leaves_nothing() {
    let before = (interfaces_here(), names());
    let myself = std::env::current_exe().expect("it is known");
    let mut holder = Command::new(myself).env(HOLD, "1").stdout(Stdio::piped()).spawn().expect("it starts");
    let mut said = [0; 3];
    holder.stdout.take().expect("it is piped").read_exact(&mut said).expect("it says when it has a pair");
    let client = namespaces_of(&holder).find(|end| interfaces_of(end).contains(&"weir-client".to_owned()));
    let client = client.expect("the holder has the client's namespace");
    holder.kill().expect("it runs");
    holder.wait().expect("it is our child");

    let deadline = Instant::now() + Duration::from_secs(10);
    while interfaces_of(&client) != ["lo"] {
        assert!(Instant::now() < deadline, "there is still {:?}", interfaces_of(&client));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!((interfaces_here(), names()), before);
}

/// The network namespaces that a process holds by descriptors.
fn namespaces_of(holder: &Child) -> impl Iterator<Item = fs::File> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", holder.id())).expect("it runs");
    let held = descriptors.filter_map(|entry| Some(entry.ok()?.path()));
    let is_namespace =
        |path: &PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("net:["));
    held.filter(is_namespace).filter_map(|path| fs::File::open(path).ok())
}

fn interfaces_of(namespace: &fs::File) -> Vec<String> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter");
            interfaces_here()
        });
        thread.join().expect("it only reads")
    })
}
