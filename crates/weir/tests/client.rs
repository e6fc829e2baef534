//! `weir client` as its users meet it: what it prints, what it writes, and how it ends.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    process::{Command, Output},
    thread,
};

use weir_service::{ClientSummary, LoopRecord, Server, ServerConfig};

fn client(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).arg("client").args(args).output().unwrap()
}

/// Runs a client against a server that its behaviour stops.
fn serve(args: impl FnOnce(&str) -> Vec<String>) -> (Output, LoopRecord) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerConfig::default()).unwrap();
    let (addr, stop) = (server.local_addr().to_string(), server.stop_handle());
    let serving = thread::spawn(move || server.run().unwrap());
    let args = args(&addr);
    let output = client(&args.iter().map(String::as_str).collect::<Vec<_>>());
    stop.stop();
    (output, serving.join().unwrap())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs a client that must end with `status` and say `complaint` on stderr.
fn check_failure(args: &[&str], status: i32, complaint: &str) {
    let output = client(args);
    assert_eq!(output.status.code(), Some(status), "{args:?}");
    let stderr = text(&output.stderr);
    assert!(stderr.contains(complaint), "{args:?}: {stderr}");
}

#[test]
fn odin_prints_both_replies_and_what_it_sent() {
    let (output, record) = serve(|addr| ["-b", "odin", "--server", addr].map(str::to_owned).to_vec());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!(lines[..2], ["GET 10 -> 7", "GET 10 -> 14"]);
    assert!(lines[2].starts_with("sent 11 packets (8 PUT, 2 GET, 1 STOP), 138 bytes, "), "{}", lines[2]);
    assert_eq!(text(&output.stderr), "", "no progress bar in a pipe");
    assert_eq!(record.requests.put, 8);
}

#[test]
fn nothing_valid_to_send_is_expected_silence() {
    for (packets, percent) in [("0", "0"), ("20", "100")] {
        let (output, record) = serve(|addr| {
            ["-b", "frigg", "-n", packets, "-p", percent, "--server", addr].map(str::to_owned).to_vec()
        });
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with("GET 10 -> no reply (expected)\n"));
        assert_eq!(record.requests.invalid.to_string(), packets);
    }
}

#[test]
fn the_summary_holds_what_the_client_did() {
    let path = std::env::temp_dir().join(format!("weir-client-{}.json", std::process::id()));
    let (output, record) = serve(|addr| {
        let args = ["-b", "frey2", "--number_of_packets", "50", "-p", "20", "--invalid-size", "15"];
        let more = ["--seed", "7", "--rate", "5000", "--server", addr, "--summary", path.to_str().unwrap()];
        args.into_iter().chain(more).map(str::to_owned).collect()
    });
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: ClientSummary = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(
        (summary.behaviour.as_str(), summary.seed, summary.offered_rate),
        ("frey", Some(7), Some(5000.0))
    );
    assert_eq!((summary.sent.put, summary.sent.invalid, summary.sent.stop), (40, 10, 1));
    assert_eq!(summary.gets[0].reply, Some(40));
    assert_eq!(summary.bytes, record.bytes);
    assert_eq!((record.requests.put, record.requests.invalid), (40, 10));
}

#[test]
fn each_spelling_of_the_originals_flags_is_taken() {
    for spelling in [
        &["--behaviour", "frey", "--percent", "20", "--number-of-packets", "50"][..],
        &["--behaviour=frey", "--percent=20", "--number_of_packets=50"],
        &["--behaviour", "frey2", "--percent", "20", "--packets", "50", "--verbose"],
        &["-b", "frey", "-p", "20", "-n", "50", "-v"],
        &["-bfrey", "-p20", "-n50"],
    ] {
        let (output, record) =
            serve(|addr| spelling.iter().copied().chain(["--server", addr]).map(str::to_owned).collect());
        assert!(output.status.success(), "{spelling:?}: {}", text(&output.stderr));
        assert_eq!((record.requests.put, record.requests.invalid), (40, 10), "{spelling:?}");
    }
}

#[test]
fn a_load_tells_how_its_schedule_and_its_gets_went() {
    let (output, record) = serve(|addr| {
        let args =
            ["-b", "load", "--duration", "100ms", "--rate", "1000", "--arrivals", "poisson", "--seed", "3"];
        let more = ["-p", "50", "--gets", "50", "--threads", "2", "--server", addr];
        args.into_iter().chain(more).map(str::to_owned).collect()
    });
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    for part in
        ["GET 10 -> ", "packets/s of 1000 offered", "behind schedule: ", " GETs answered, 50 % within "]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    assert!(record.requests.invalid > 0);
}

#[test]
fn ceilings_are_printed_for_a_sink_and_for_the_server() {
    let (output, record) = serve(|addr| {
        ["-b", "load", "--ceiling", "--duration", "20ms", "--server", addr].map(str::to_owned).to_vec()
    });
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert!(lines[0].starts_with("ceiling to a socket that nobody reads: "), "{lines:?}");
    assert!(lines[1].starts_with(&format!("ceiling to {}: ", record.listen)), "{lines:?}");
    assert!(record.requests.put > 0);
}

#[test]
fn usage_errors_end_with_2_and_say_what_there_is() {
    check_failure(
        &["-b", "freya"],
        2,
        "there are: thor, odin, loki, njord, sylvie, sif, frey, frigg, load, stop, getstop",
    );
    check_failure(&["-p", "101"], 2, "whole number from 0 to 100");
    check_failure(&["-p", "0"], 2, "--percent is for the behaviours frey, frigg, load; thor always sends");
    check_failure(&["-b", "sylvie", "-n", "5"], 2, "--number-of-packets is for");
    check_failure(&["-b", "odin", "--invalid-size", "5"], 2, "--invalid-size is for behaviours with BAD");
    check_failure(&["--rate", "0"], 2, "packets per second");
    check_failure(&["--invalid-size", "0"], 2, "from 1 to 65507");
    check_failure(&["--server", "127.0.0.1:0"], 2, "no server is at port 0");
    check_failure(&["--get-attempts", "0"], 2, "--get-attempts");
    check_failure(&["--duration", "5s"], 2, "--duration is for the behaviour load, not for thor");
    check_failure(&["-b", "load", "--duration", "soon"], 2, "such as 500ms, 5s");
    check_failure(&["-b", "load", "--sockets", "3", "--threads", "2"], 2, "a multiple of that");
    check_failure(&["-b", "load", "--arrivals", "poisson"], 2, "--rate");
    check_failure(&["-b", "load", "--rate", "1", "--arrivals", "late"], 2, "there are: constant, poisson");
    check_failure(&["--io", "both"], 2, "there are: batch, simple");
}

#[test]
fn a_closed_port_ends_with_1_and_names_the_remedy() {
    let addr = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for behaviour in ["stop", "thor", "getstop"] {
        let complaint = format!("nothing listens on {addr}");
        check_failure(&["-b", behaviour, "--server", &addr, "--get-timeout", "50"], 1, &complaint);
    }
}

#[test]
fn a_missing_reply_ends_with_1() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr: SocketAddr = silent.local_addr().unwrap();
    let args = ["-b", "odin", "--server", &addr.to_string(), "--get-timeout", "20", "--get-attempts", "2"];
    check_failure(&args, 1, "2 of 2 GETs had no reply");
}

#[test]
fn getstop_on_an_empty_bag_ends_with_0_and_says_how_often_it_asked() {
    for (attempts, told) in [("1", "1 attempt"), ("2", "2 attempts")] {
        let (output, record) = serve(|addr| {
            let args = ["-b", "getstop", "--server", addr, "--get-timeout", "20", "--get-attempts", attempts];
            args.map(str::to_owned).to_vec()
        });
        assert!(output.status.success(), "{}", text(&output.stderr));
        let expected = format!(
            "GET 10 -> no reply after {told}: the key is absent, or each was lost
"
        );
        assert!(text(&output.stdout).starts_with(&expected), "{}", text(&output.stdout));
        assert_eq!((record.requests.get.to_string().as_str(), record.requests.stop), (attempts, 1));
    }
}

#[test]
fn a_summary_that_cannot_be_written_ends_with_1_and_names_the_file() {
    let (output, _) = serve(|addr| {
        ["-b", "stop", "--server", addr, "--summary", "/nonexistent/summary.json"].map(str::to_owned).to_vec()
    });
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("writing /nonexistent/summary.json"), "{}", text(&output.stderr));
}

#[test]
fn a_single_packet_at_a_low_rate_is_told_in_the_singular_and_with_its_rate() {
    let (output, _) = serve(|addr| {
        ["-b", "load", "-n", "1", "-p", "100", "--rate", "0.5", "--server", addr].map(str::to_owned).to_vec()
    });
    let stdout = text(&output.stdout);
    assert!(stdout.contains(" of 0.500 offered"), "{stdout}");
    let (output, _) = serve(|addr| ["-b", "stop", "--server", addr].map(str::to_owned).to_vec());
    assert!(text(&output.stdout).starts_with("sent 1 packet (1 STOP), 4 bytes"), "{}", text(&output.stdout));
}
