//! Servers and clients that work.

use std::{
    ffi::OsStr,
    net::UdpSocket,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use weir_testing::{Ended, Test, folder, received};
use weir_wire::Request;

use crate::running::{Server, ask, run, weir};

pub(crate) const ANYWHERE: &[Test] = &[
    ("a_client_and_a_server_without_a_program", || odin(&["--hook", "user"])),
    ("the_simple_server_answers_one_by_one", || odin(&["--hook", "user", "--io", "simple"])),
    ("the_user_filter_is_counted_apart", the_user_filter_is_counted_apart),
    ("the_receive_buffer_is_as_large_as_asked_for", the_receive_buffer_is_as_large_as_asked_for),
    ("signals_end_a_server_as_stop_does", signals_end_a_server_as_stop_does),
    ("stop_is_refused_where_it_is_not_allowed", stop_is_refused_where_it_is_not_allowed),
    ("a_client_ended_by_a_signal_says_what_it_sent", a_client_ended_by_a_signal_says_what_it_sent),
    ("readiness_is_said_through_sd_notify", readiness_is_said_through_sd_notify),
    ("the_filters_are_listed_as_json", the_filters_are_listed_as_json),
    ("completions_and_man_pages_are_written", completions_and_man_pages_are_written),
];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("a_client_and_a_server_behind_each_filter_that_lets_requests_through", each_filter),
    ("a_client_and_a_server_behind_each_generated_filter", each_generated_filter),
    ("a_client_and_a_server_behind_each_classic_filter", each_classic_filter),
    ("a_generated_filter_is_as_good_as_a_compiled_one", a_generated_filter_is_as_good_as_a_compiled_one),
    ("a_classic_filter_drops_the_same_and_counts_nothing", a_classic_filter_drops_the_same),
    ("a_server_listens_on_ipv6", a_server_listens_on_ipv6),
    ("the_kernel_filter_keeps_invalid_packets_from_the_server", the_kernel_filter_keeps_invalid_packets),
    ("sigusr1_flips_the_parameter", sigusr1_flips_the_parameter),
    ("sigusr1_does_nothing_to_a_constant", sigusr1_does_nothing_to_a_constant),
    ("the_print_server_shows_the_last_packet", the_print_server_shows_the_last_packet),
    ("the_count_server_shows_the_total", the_count_server_shows_the_total),
    ("the_ebpf_stats_server_shows_runs", the_ebpf_stats_server_shows_runs),
    ("a_killed_server_leaves_no_program", a_killed_server_leaves_no_program),
];

fn odin(arguments: &[&str]) {
    let server = Server::start(arguments);
    let client = run(&["client", "-b", "odin", "--server", &server.address.to_string()]);
    assert_eq!(client.status, Some(0), "{client:?}");
    let replies: Vec<_> = client.stdout.lines().filter(|line| line.starts_with("GET")).collect();
    assert_eq!(replies, ["GET 10 -> 7", "GET 10 -> 14"], "{client:?}");
    let server = server.ended();
    assert_eq!(server.status, Some(0), "{server:?}");
}

fn each_filter() {
    behind_each_filter("aya");
}

fn each_generated_filter() {
    behind_each_filter("fun");
}

fn behind_each_filter(toolkit: &str) {
    for filter in ["simple-socket-filter", "valid-command", "robust-valid-command", "parameterized-filter"] {
        odin(&["--toolkit", toolkit, "--filter", filter]);
    }
    for filter in ["print-filter", "count-filter"] {
        odin(&["--toolkit", toolkit, "--filter", filter, "--io", "simple"]);
    }
    odin(&["--toolkit", toolkit, "--filter", "parameterized-filter", "--bind", "constant"]);
}

fn each_classic_filter() {
    for filter in ["simple-socket-filter", "valid-command", "robust-valid-command"] {
        odin(&["--toolkit", "cbpf", "--filter", filter]);
    }
    odin(&["--toolkit", "cbpf", "--filter", "parameterized-filter", "--bind", "constant"]);
}

fn a_classic_filter_drops_the_same() {
    let summary = summary_of(&["--filter", "valid-command", "--toolkit", "cbpf"]);
    assert_eq!(summary["toolkit"], "cbpf");
    assert_eq!(summary["requests"]["put"], 10);
    assert_eq!(summary["requests"]["invalid"], 0);
    assert_eq!(summary["verdicts"], Value::Null);
    assert_eq!(summary["socket_drops"], 30);
}

fn a_server_listens_on_ipv6() {
    let server = Server::start_on("[::1]:0", &[]);
    let socket = server.socket();
    socket.send(&Request::Put { key: 1, value: 5 }.to_bytes()).expect("send");
    assert_eq!(ask(&socket, &Request::Get { key: 1 }.to_bytes()).as_deref(), Some("5"));
}

/// Ten PUTs and thirty BADs.
fn frigg(server: &Server) {
    let address = server.address.to_string();
    let client = run(&["client", "-b", "frigg", "-n", "40", "-p", "75", "--server", &address]);
    assert_eq!(client.status, Some(0), "{client:?}");
    assert!(client.stdout.contains("GET 10 -> 10"), "{client:?}");
}

fn summary_of(arguments: &[&str]) -> Value {
    let folder = folder();
    let path = folder.path().join("summary.json");
    let path_text = path.to_str().expect("UTF-8");
    let server = Server::start(&[arguments, &["--summary", path_text]].concat());
    frigg(&server);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().status, Some(0));
    serde_json::from_slice(&std::fs::read(path).expect("it was written")).expect("JSON")
}

fn the_kernel_filter_keeps_invalid_packets() {
    let summary = summary_of(&["--filter", "valid-command"]);
    assert_eq!(summary["requests"]["put"], 10);
    assert_eq!(summary["requests"]["invalid"], 0);
    assert_eq!(summary["verdicts"]["dropped"], 30);
    assert_eq!(summary["socket_drops"], 30);

    let summary = summary_of(&["--filter", "simple-socket-filter", "--stats"]);
    assert_eq!(summary["requests"]["invalid"], 30);
    assert_eq!(summary["verdicts"], Value::Null);
    assert_eq!(summary["runs"]["count"], 41);
}

fn a_generated_filter_is_as_good_as_a_compiled_one() {
    let summary = summary_of(&["--filter", "valid-command", "--toolkit", "fun"]);
    assert_eq!(summary["toolkit"], "fun");
    assert_eq!(summary["requests"]["put"], 10);
    assert_eq!(summary["requests"]["invalid"], 0);
    assert_eq!(summary["verdicts"]["dropped"], 30);

    let shown = stopped(&["--filter", "print-filter", "--toolkit", "fun"], b"hello");
    assert!(shown.contains("53 54 4f 50") && shown.contains("STOP"), "{shown}");
    let shown = stopped(&["--filter", "count-filter", "--toolkit", "fun"], b"hello");
    assert!(shown.ends_with("total: 2 packets\n"), "{shown}");
}

fn the_receive_buffer_is_as_large_as_asked_for() {
    let buffer = |arguments: &[&str]| {
        let summary = summary_of(&[&["--hook", "user"], arguments].concat());
        summary["receive_buffer"].as_u64().expect("a number")
    };
    let larger = 1 << 20;
    assert!(buffer(&[]) < larger);
    // The kernel doubles what it is asked for (socket(7)).
    assert_eq!(buffer(&["--receive-buffer", &larger.to_string()]), 2 * larger);
}

fn the_user_filter_is_counted_apart() {
    let summary = summary_of(&["--filter", "valid-command", "--hook", "user"]);
    assert_eq!(summary["requests"]["filtered"], 30);
    assert_eq!(summary["requests"]["invalid"], 0);
    assert_eq!(summary["toolkit"], "rust");
}

fn sigusr1_flips_the_parameter() {
    let server = Server::start(&["--filter", "parameterized-filter", "--parameter", "drop"]);
    let socket = server.socket();
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
    let put = Request::Put { key: 1, value: 1 }.to_bytes();
    let get = Request::Get { key: 1 }.to_bytes();
    socket.send(&put).expect("send");
    assert_eq!(ask(&socket, &get), None);

    server.signal(Signal::SIGUSR1);
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout can be set");
    let replied = (0..100).any(|_| {
        socket.send(&put).expect("send");
        ask(&socket, &get).is_some()
    });
    assert!(replied, "the filter still drops");
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert!(ended.stderr.contains("the parameter is now accept"), "{ended:?}");
}

fn sigusr1_does_nothing_to_a_constant() {
    let server = Server::start(&["--filter", "parameterized-filter", "--bind", "constant"]);
    let socket = server.socket();
    server.signal(Signal::SIGUSR1);
    socket.send(&Request::Put { key: 1, value: 1 }.to_bytes()).expect("send");
    assert_eq!(ask(&socket, &Request::Get { key: 1 }.to_bytes()).as_deref(), Some("1"));
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status, Some(0));
    assert!(ended.stderr.contains("no parameter that can change"), "{ended:?}");
}

fn stopped(arguments: &[&str], payload: &[u8]) -> String {
    let server = Server::start(arguments);
    let socket = server.socket();
    socket.send(payload).expect("send");
    ask(&socket, &Request::Stop.to_bytes());
    let ended = server.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.stdout
}

fn the_print_server_shows_the_last_packet() {
    let shown = stopped(&["--filter", "print-filter"], b"hello");
    assert!(shown.contains("53 54 4f 50") && shown.contains("STOP"), "{shown}");
}

fn the_count_server_shows_the_total() {
    let shown = stopped(&["--filter", "count-filter"], b"hello");
    assert!(shown.ends_with("total: 2 packets\n"), "{shown}");
}

fn the_ebpf_stats_server_shows_runs() {
    let shown = stopped(&["--server", "ebpf-stats-server"], b"hello");
    assert!(shown.starts_with("runs: 2\n") && shown.contains("ns a run"), "{shown}");
}

fn signals_end_a_server_as_stop_does() {
    // Who runs the tests under nohup has the servers ignore it too.
    let is_nohup = weir_service::process::ignores(Signal::SIGHUP as i32);
    let hangup = (!is_nohup).then_some(Signal::SIGHUP);
    for signal in [Signal::SIGINT, Signal::SIGTERM].into_iter().chain(hangup) {
        for io in ["batch", "simple"] {
            let server = Server::start(&["--hook", "user", "--io", io]);
            server.signal(signal);
            let ended = server.ended();
            assert_eq!(ended.status, Some(0), "{signal}, {io}: {ended:?}");
            assert!(ended.stderr.contains("weir: ended: 0 datagrams read"), "{ended:?}");
        }
    }
}

fn stop_is_refused_where_it_is_not_allowed() {
    let server = Server::start(&["--hook", "user", "--allow-stop", "never"]);
    let socket = server.socket();
    socket.send(&Request::Stop.to_bytes()).expect("send");
    socket.send(&Request::Put { key: 1, value: 3 }.to_bytes()).expect("send");
    assert_eq!(ask(&socket, &Request::Get { key: 1 }.to_bytes()).as_deref(), Some("3"));
}

fn readiness_is_said_through_sd_notify() {
    let folder = folder();
    let path = folder.path().join("notify");
    check_readiness(&UnixDatagram::bind(&path).expect("a unix socket"), path.as_os_str());
    // One that no file has (unix(7), abstract).
    let name = format!("weir-test-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    check_readiness(&UnixDatagram::bind_addr(&address).expect("a unix socket"), format!("@{name}").as_ref());
}

fn check_readiness(notify: &UnixDatagram, path: &OsStr) {
    notify.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    let mut child = weir(&["serve", "--hook", "user", "--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", path)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut buffer = [0; 512];
    let said = notify.recv(&mut buffer).map(|len| String::from_utf8_lossy(&buffer[..len]).into_owned());
    child.kill().expect("it runs");
    child.wait().expect("it is our child");
    let said = said.expect("a message came");
    assert!(said.contains("READY=1\n") && said.contains("X_WEIR_LISTEN=127.0.0.1:"), "{said}");
}

fn a_killed_server_leaves_no_program() {
    // The kernel keeps the first 15 bytes of a name.
    check_nothing_is_left("aya", b"socket_robust_c");
    check_nothing_is_left("fun", b"robust_valid_co");
}

fn check_nothing_is_left(toolkit: &str, name: &[u8]) {
    let ours = || -> Vec<u32> {
        let programs = aya::programs::loaded_programs().filter_map(Result::ok);
        programs.filter(|program| program.name() == name).map(|program| program.id()).collect()
    };
    let before = ours();
    let server = Server::start(&["--toolkit", toolkit, "--filter", "robust-valid-command"]);
    let with_server = ours();
    assert_eq!(with_server.len(), before.len() + 1, "{before:?} {with_server:?}");
    server.signal(Signal::SIGKILL);
    drop(server);
    // The kernel lets go of a dead process's socket, and of the program with it, within an RCU grace period.
    let gone = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        ours().iter().all(|id| before.contains(id))
    });
    assert!(gone, "still loaded: {:?}", ours());
}

fn the_filters_are_listed_as_json() {
    let ended = run(&["filters", "--json"]);
    let rows: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let rows = rows.as_array().expect("an array");
    assert_eq!(rows.len(), weir_filters::FilterName::ALL.len());
    for row in rows {
        for cell in row["combinations"].as_array().expect("an array") {
            let has_reason = cell["reason"].as_str().is_some_and(|reason| !reason.is_empty());
            assert_ne!(cell["available"].as_bool().expect("a truth"), has_reason, "{row}");
            assert_ne!(cell["super_packets"].is_string(), has_reason, "{row}");
        }
    }
    let text = run(&["filters"]).stdout;
    let (table, _) = text.split_once("\n\n").expect("tables");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let cell = |words: &str| words.split(' ').all(|word| table.contains(word));
    for entry in weir_filters::FilterName::ALL.map(|name| name.entry()) {
        assert!(cell(entry.decides) && entry.parameters.iter().all(|words| cell(words)), "{table}");
    }
    let table = text;
    assert!(
        table.contains("robust-valid-command") && table.contains("✓") && table.contains("\na: "),
        "{table}"
    );
}

fn completions_and_man_pages_are_written() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(&["completions", shell]);
        assert_eq!(ended.status, Some(0));
        assert!(ended.stdout.contains("allow-stop"), "{shell}");
    }
    let folder = folder();
    let ended = run(&["man", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let page = std::fs::read_to_string(folder.path().join("weir-serve.1")).expect("a page");
    assert!(page.contains(".SH NAME") && page.contains("allow\\-stop"), "{page}");
    assert!(page.contains(".SH EXAMPLES\n") && page.contains("\nweir serve \\-\\-toolkit fun  "), "{page}");
    assert!(folder.path().join("weir-filter-block.1").is_file());
}

fn a_client_ended_by_a_signal_says_what_it_sent() {
    for (signal, words) in [
        (Signal::SIGINT, "-b sylvie --rate 200"),
        (Signal::SIGTERM, "-b frigg -n 1000 -p 50 --rate 200 --burst 3"),
        (Signal::SIGINT, "-b load --duration 1h --rate 200 --threads 2 -p 30"),
        (Signal::SIGINT, "-b sylvie --rate 0.01"),
        (Signal::SIGTERM, "-b getstop --get-timeout 100 --get-attempts 10000"),
    ] {
        let (folder, server) = (folder(), UdpSocket::bind("127.0.0.1:0").expect("a free port"));
        server.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        let address = server.local_addr().expect("it is bound").to_string();
        let path = folder.path().join("summary.json");
        let ours = ["client", "--server", &address, "--summary", path.to_str().expect("UTF-8")];
        let words: Vec<_> = ours.into_iter().chain(words.split(' ')).collect();
        let client = weir(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        server.recv(&mut [0; 512]).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        kill(Pid::from_raw(client.id() as i32), signal).expect("it runs");
        let ended = Ended::from(client.wait_with_output().expect("it ends"));
        assert_eq!(ended.status, Some(130), "{words:?}: {ended:?}");
        assert!(ended.stdout.contains("sent ") && ended.stderr.contains("interrupted"), "{ended:?}");
        server.set_nonblocking(true).expect("a socket can be non-blocking");
        let received = 1 + received(&server).len();
        let summary: Value = serde_json::from_slice(&std::fs::read(&path).expect("written")).expect("JSON");
        assert_eq!(summary["halted"], true, "{summary}");
        let sent = summary["sent"].as_object().expect("counts").values().filter_map(Value::as_u64);
        assert_eq!(sent.sum::<u64>(), received as u64, "{words:?}: {summary}");
        assert_eq!(summary["sent"]["stop"], 0, "{summary}");
    }
}
