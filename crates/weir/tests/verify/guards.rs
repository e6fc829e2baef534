//! Guards' programs are compared with their rules, and planted faults are found by the packets made from these.

use std::{fs, path::Path};

use weir_hooks::kernel_features;
use weir_testing::Test;

use crate::{captures, number, verify};

/// Faults that must have been planted, and those of them that chance alone must not find, for the check to say something.
const FEWEST_FAULTS: usize = 20;
const FEWEST_HIDDEN: usize = 10;

pub(crate) const IN_KERNEL: &[Test] = &[
    ("guards_of_shipped_protocols_are_decided_as_their_rules_say", shipped_protocols_agree),
    ("captured_frames_are_sent_to_a_guard", captured_frames_are_sent),
    ("a_guard_without_a_program_is_said_to_have_none", a_guard_without_a_program),
    ("packets_made_from_rules_find_every_planted_fault", every_planted_fault_is_noticed),
    ("guards_that_nobody_would_write_are_decided_as_their_rules_say", random_guards_agree),
    ("what_the_kernels_compiler_gives_up_is_loaded_in_other_words", what_is_not_compiled_is_loaded),
];

pub(crate) const ANYWHERE: &[Test] = &[
    ("what_makes_no_sense_with_a_guard_is_refused", wrong_input_is_refused),
    ("a_guard_with_an_error_is_shown_with_its_line", errors_are_shown),
];

/// Writes a guard into a folder, and gives its name.
fn guard(folder: &Path, rules: &str) -> String {
    let path = folder.join("guard.toml");
    fs::write(&path, format!("[[service]]\nname = \"it\"\nlisten = \"udp/53\"\nmode = \"enforce\"\n{rules}"))
        .expect("the file is written");
    path.to_str().expect("a name in UTF-8").to_owned()
}

const DNS: &str = r#"protocol = "dns"
accept = ["query", { message = "notify", from = "203.0.113.64/26", when = "name under 'example.org'" }]
allow = ["192.0.2.0/24"]
block = ["2001:db8:bad::/48"]
limit = [{ message = "query", per = "source/24,/56", rate = "10/s", burst = 3 }, { per = "all", rate = "9/s", burst = 6 }]
"#;

fn shipped_protocols_agree() {
    let folder = weir_testing::folder();
    let others = [("coap", "request"), ("memcached", "get"), ("syslog", "rfc5424"), ("tftp", "read")];
    let others =
        others.map(|(protocol, message)| format!("protocol = \"{protocol}\"\naccept = [\"{message}\"]\n"));
    for rules in others.into_iter().chain([DNS.to_owned()]) {
        let document = verify(&["--guard", &guard(folder.path(), &rules), "--json", "-n", "2000"]).json();
        let rows = document["rows"].as_array().expect("rows");
        let hooks: Vec<_> = rows.iter().map(|row| row["hook"].as_str().expect("a name")).collect();
        assert_eq!(hooks, ["socket", "cgroup", "tc", "xdp"], "{rules}");
        for row in rows {
            if row["hook"] == "xdp" && !kernel_features().xdp_frags {
                assert!(row["not_compared"].as_str().is_some_and(|why| why.contains("xdp")), "{row:#}");
                continue;
            }
            assert_eq!(number(row, "disagreements"), 0, "{row:#}");
            assert!(number(row, "packets") > number(row, "not_runnable"), "{row:#}");
            assert!(number(row, "made_from_rules") > 100, "{row:#}");
        }
    }
}

fn captured_frames_are_sent() {
    let folder = weir_testing::folder();
    let frame = b"\x45\0\0\x2d\0\x01\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0\x02\x9c\x40\0\x35\0\x19\0\0\
        \0\x01\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01";
    let path = folder.path().join("capture");
    fs::write(&path, captures::pcap(101, &[frame.to_vec(), vec![0x45; 9]])).expect("the file is written");
    let path = path.to_str().expect("a name in UTF-8");
    let guard = guard(folder.path(), DNS);
    let count = |more: &[&str]| {
        let run = verify(&[&["--guard", &guard, "--hook", "tc", "--json", "-n", "1"][..], more].concat());
        let row = run.json()["rows"][0].clone();
        number(&row, "packets") + number(&row, "not_runnable")
    };
    assert_eq!(count(&["--pcap", path]), count(&[]) + 1);
}

fn a_guard_without_a_program() {
    let folder = weir_testing::folder();
    let fields: String = (0..24).map(|at| format!("t{at} = \"text until ' ' @ {at}\"\n")).collect();
    let when = (0..24).map(|at| format!("t{at} == 'a'")).collect::<Vec<_>>().join(" and ");
    let protocol = format!(
        "name = \"it\"\nsource = \"made up\"\n[fields]\n{fields}[[message]]\nname = \"walked\"\nwhen = \"{when}\"\n"
    );
    fs::write(folder.path().join("it.toml"), protocol).expect("the file is written");
    let rules = "protocol = \"./it.toml\"\naccept = [\"walked\"]\n";
    let run = verify(&["--guard", &guard(folder.path(), rules)]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(
        run.stderr.contains("nothing was compared: 24 fields end where the packet says"),
        "{}",
        run.stderr
    );
}

fn every_planted_fault_is_noticed() {
    for hook in ["tc", "socket"] {
        let run = verify(&["--guard-mutants", "--hook", hook, "--json"]);
        let planted = run.json();
        let caught: Vec<_> =
            planted.as_array().expect("faults").iter().filter(|fault| fault["after"].is_u64()).collect();
        assert_eq!(run.status, 0, "{planted:#}");
        assert!(caught.len() >= FEWEST_FAULTS, "{planted:#}");
        let hidden = caught.iter().filter(|fault| fault["by_chance_after"].is_null());
        assert!(hidden.count() >= FEWEST_HIDDEN, "{planted:#}");
    }
}

fn random_guards_agree() {
    let document = verify(&["--random-guards", "10", "--seed", "100000", "--hook", "tc", "--json"]).json();
    let row = &document["rows"][0];
    assert_eq!(number(row, "disagreements"), 0, "{row:#}");
    assert!(number(row, "packets") + number(row, "not_runnable") == 2_500, "{row:#}");
    assert!(number(row, "made_from_rules") > 250, "{row:#}");
}

/// Of the program for this guard Linux 6.18 says "bpf_jit: fatal error", and ENOTSUPP, where it isn't written longer.
fn what_is_not_compiled_is_loaded() {
    let run = verify(&["--random-guards", "1", "--seed", "2001480", "--hook", "socket", "--json"]);
    let document = run.json();
    assert_eq!(run.status, 0, "{document:#}");
    assert_eq!(number(&document["rows"][0], "packets"), 250, "{document:#}");
}

fn wrong_input_is_refused() {
    let folder = weir_testing::folder();
    let guard = guard(folder.path(), DNS);
    let check = |args: &[&str], reason: &str| {
        let run = verify(args);
        assert_eq!(run.status, 2, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(reason), "{args:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{args:?}");
    };
    check(&["--guard", "/nonexistent.toml"], "the guard can't be read");
    check(&["--guard", &guard, "--filter", "valid-command"], "--filter");
    check(&["--guard", &guard, "--mutants"], "--mutants");
    check(&["--guard", &guard, "--random-guards", "1"], "--random-guards");
    check(&["--guard-mutants", "-n", "7"], "--packets");
    check(&["--guard", &guard, "--hook", "reuseport"], "at reuseport");
    check(&["--guard-mutants", "--hook", "reuseport"], "at reuseport");
    check(&["--guard", &guard, "--pcap", "/nonexistent.pcap"], "/nonexistent.pcap");
    let protocol = folder.path().join("protocol.toml");
    fs::write(
        &protocol,
        "name = \"it\"\nsource = \"made up\"\n[[message]]\nname = \"any\"\nwhen = \"true\"\n",
    )
    .expect("the file is written");
    check(&["--guard", protocol.to_str().expect("a name in UTF-8")], "is a protocol");
}

fn errors_are_shown() {
    let folder = weir_testing::folder();
    let run = verify(&["--guard", &guard(folder.path(), "protocol = \"dns\"\naccept = [\"qery\"]\n")]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stderr.contains("did you mean 'query'?"), "{}", run.stderr);
}
