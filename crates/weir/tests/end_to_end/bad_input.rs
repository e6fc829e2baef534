//! Wrong input: what is said, and the exit status.

use std::net::UdpSocket;

use weir_testing::{Ended, Test};

use crate::running::{run, weir};

pub(crate) const ANYWHERE: &[Test] = &[
    ("unknown_names_list_what_there_is", unknown_names_list_what_there_is),
    ("parts_that_do_not_fit_are_refused", parts_that_do_not_fit_are_refused),
    ("numbers_out_of_range_are_refused", numbers_out_of_range_are_refused),
    ("a_port_in_use_is_named", a_port_in_use_is_named),
    ("a_client_without_a_server_fails_and_says_so", a_client_without_a_server_fails_and_says_so),
    ("a_summary_that_cannot_be_written_is_an_error", a_summary_that_cannot_be_written_is_an_error),
];

pub(crate) fn check(ended: &Ended, status: i32, parts: &[&str]) {
    assert_eq!(ended.status, Some(status), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "no '{part}' in: {}", ended.stderr);
    }
    assert!(ended.stdout.is_empty(), "{ended:?}");
}

fn unknown_names_list_what_there_is() {
    let filters = ["unknown filter 'nope'", "valid-command", "count-filter"];
    check(&run(&["serve", "--filter", "nope"]), 2, &filters);
    check(&run(&["serve", "--server", "nope"]), 2, &["unknown server 'nope'", "ebpf-stats-server"]);
    check(&run(&["serve", "--toolkit", "nope"]), 2, &["unknown toolkit 'nope'", "rust", "aya", "fun"]);
    check(&run(&["serve", "--hook", "nope"]), 2, &["unknown hook 'nope'", "user", "socket"]);
    check(&run(&["serve", "--io", "nope"]), 2, &["nope", "batch", "simple"]);
    check(
        &run(&["serve", "--moderation", "nope"]),
        2,
        &["nope", "auto", "off", "from 20 to 500 microseconds"],
    );
    check(&run(&["serve", "--allow-stop", "nope"]), 2, &["nope", "loopback", "any", "never"]);
    check(&run(&["client", "-b", "nope"]), 2, &["nope", "thor", "frigg", "getstop"]);
    check(&run(&["completions", "nope"]), 2, &["nope", "bash"]);
    check(&run(&["nope"]), 2, &["nope"]);
}

fn parts_that_do_not_fit_are_refused() {
    check(
        &run(&["serve", "--server", "print-server"]),
        2,
        &["print-server needs print-filter", "valid-command"],
    );
    check(&run(&["serve", "--hook", "user", "--toolkit", "aya"]), 2, &["BPF runs in the kernel"]);
    check(&run(&["serve", "--hook", "user", "--toolkit", "fun"]), 2, &["BPF runs in the kernel"]);
    check(&run(&["serve", "--hook", "user", "--filter", "print-filter"]), 2, &["print-filter", "hook user"]);
    check(&run(&["serve", "--hook", "user", "--server", "ebpf-stats-server"]), 2, &["a kernel program"]);
    for moderation in ["auto", "100"] {
        let arguments = ["serve", "--hook", "user", "--io", "simple", "--moderation", moderation];
        check(&run(&arguments), 2, &[&format!("--moderation {moderation} is for --io batch"), "--io simple"]);
    }
    check(&run(&["serve", "--parameter", "drop"]), 2, &["valid-command has no parameter"]);
    let classic = |arguments: &[&str]| run(&[&["serve", "--toolkit", "cbpf"], arguments].concat());
    check(&classic(&["--filter", "parameterized-filter"]), 2, &["no maps", "--bind constant"]);
    check(&classic(&["--filter", "count-filter"]), 2, &["classic BPF has no maps"]);
    check(&classic(&["--hook", "tc"]), 2, &["classic BPF at sockets alone"]);
    check(&classic(&["--stats"]), 2, &["no statistics of classic BPF"]);
    check(&classic(&["--server", "ebpf-stats-server"]), 2, &["a toolkit other than cbpf"]);
}

fn numbers_out_of_range_are_refused() {
    for percent in ["-1", "101", "x"] {
        check(&run(&["client", "-b", "frey", &format!("--percent={percent}")]), 2, &["percent"]);
    }
    check(&run(&["serve", "--capacity=-1"]), 2, &["capacity"]);
    for nap in ["0", "19", "501"] {
        check(&run(&["serve", "--moderation", nap]), 2, &[nap, "from 20 to 500 microseconds"]);
    }
    for address in ["localhost", "localhost:12345", "127.0.0.1", "127.0.0.1:99999", "::1:5"] {
        let said = [address, "such as 127.0.0.1:12345 or [::1]:12345"];
        check(&run(&["serve", "--listen", address]), 2, &said);
        check(&run(&["client", "--server", address]), 2, &said);
    }
}

fn a_port_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let ended = run(&["serve", "--hook", "user", "--listen", &address.to_string()]);
    check(&ended, 1, &[&format!("listening on {address}"), "is taken", "listen on another port"]);
}

fn a_client_without_a_server_fails_and_says_so() {
    // A port that was free a moment ago.
    let address = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let server = address.to_string();
    let arguments =
        ["client", "-b", "odin", "--get-timeout", "50", "--get-attempts", "2", "--server", &server];
    let ended = Ended::from(weir(&arguments).output().expect("the binary starts"));
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("nothing listens on"), "{ended:?}");
}

fn a_summary_that_cannot_be_written_is_an_error() {
    let nowhere = ["--summary", "/dev/null/summary.json"];
    let said = ["writing /dev/null/summary.json", "check that its folder exists"];
    check(&run(&[&["serve", "--hook", "user", "--listen", "127.0.0.1:0"], &nowhere[..]].concat()), 1, &said);
    check(&run(&[&["client", "-b", "thor"], &nowhere[..]].concat()), 1, &said);
}
