//! `weir verify` through the binary: programs against the reference, guards, planted faults, captures, wrong input.
//!
//! Where the kernel or the privilege is missing, the tests that run programs count as ignored, with the reason in
//! brackets.

mod captures;
mod guards;
mod wrong_input;

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;
use weir_filters::{Combination, Hook, Toolkit};
use weir_hooks::KernelFilter;
use weir_testing::{Group, Test};

/// Packets for each combination; `weir verify -n 1000000` is the long run.
const PACKETS: u64 = 20_000;

/// Faults that must have been planted for the check to say something.
const FEWEST_FAULTS: usize = 20;

const IN_KERNEL: &[Test] = &[
    ("every_program_decides_as_the_reference", every_program_decides_as_the_reference),
    ("every_planted_fault_is_caught", every_planted_fault_is_caught),
    ("a_chain_is_compared_from_the_turn_that_is_named", a_chain_is_compared),
    ("one_packet_is_decided_by_both_and_shown", one_packet_is_decided_by_both),
    ("the_same_seed_gives_the_same_counts", the_same_seed_gives_the_same_counts),
    ("the_speed_of_both_sides_is_measured", the_speed_of_both_sides_is_measured),
];

fn main() {
    let obstacle = KernelFilter::lack();
    let in_kernel = [IN_KERNEL, captures::IN_KERNEL, guards::IN_KERNEL];
    let in_kernel = in_kernel.map(|tests| Group::of(tests).skipped_for(obstacle.clone()));
    let anywhere = [wrong_input::ANYWHERE, guards::ANYWHERE].map(Group::of);
    weir_testing::run(in_kernel.into_iter().chain(anywhere));
}

/// What a run of `weir verify` gave.
struct Run {
    status: i32,
    stdout: String,
    stderr: String,
}

fn verify(args: &[&str]) -> Run {
    let output =
        Command::new(env!("CARGO_BIN_EXE_weir")).arg("verify").args(args).output().expect("weir runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes UTF-8");
    Run {
        status: output.status.code().expect("it ends by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

impl Run {
    fn json(&self) -> Value {
        assert_eq!(self.status, 0, "{}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).expect("it is JSON")
    }
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} is a number in {value}"))
}

/// Every program that the matrix has for the kernel.
fn compared() -> BTreeSet<(String, String, String)> {
    let is_compared = |combination: &Combination| {
        weir_hooks::available(*combination).is_ok() && combination.hook != Hook::User
    };
    let names = |Combination { filter, toolkit, hook }| {
        (filter.to_string(), Toolkit::to_string(&toolkit), Hook::to_string(&hook))
    };
    Combination::all().filter(is_compared).map(names).collect()
}

fn names_of(row: &Value) -> (String, String, String) {
    let text = |field: &str| row[field].as_str().expect("a name").to_owned();
    (text("filter"), text("toolkit"), text("hook"))
}

fn every_program_decides_as_the_reference() {
    let document = verify(&["--json", "-n", &PACKETS.to_string()]).json();
    let rows = document["rows"].as_array().expect("rows");
    let found: BTreeSet<_> = rows.iter().map(names_of).collect();
    assert!(found.is_superset(&compared()), "some of {:?} are missing", compared());
    for row in rows {
        let (packets, not_runnable) = (number(row, "packets"), number(row, "not_runnable"));
        assert!(packets + not_runnable >= PACKETS, "{row}");
        assert!(packets > not_runnable, "most of the packets were refused: {row}");
        assert_eq!(number(row, "disagreements"), 0, "{row}");
    }
}

fn every_planted_fault_is_caught() {
    let document = verify(&["--mutants", "--json", "-n", &PACKETS.to_string()]).json();
    let mutants = document.as_array().expect("a list");
    let caught = mutants.iter().filter(|mutant| mutant["outcome"] == "caught");
    assert!(caught.clone().count() >= FEWEST_FAULTS, "{document:#}");
    let places: BTreeSet<_> = caught.map(names_of).map(|(_, toolkit, hook)| (toolkit, hook)).collect();
    let expected: BTreeSet<_> = compared().into_iter().map(|(_, toolkit, hook)| (toolkit, hook)).collect();
    assert!(places.is_superset(&expected), "{places:?} have planted faults, {expected:?} should");
}

/// At turn 1 the sender 10.9.8.7 is blocked, at turn 0 nobody.
fn a_chain_is_compared() {
    let get = "4500002312340000401100000a090807c00002819c403039000fabcd47455401020304";
    for (turn, verdict) in [("0", "accept"), ("1", "drop")] {
        for toolkit in ["aya", "fun"] {
            let chain = ["--filter", "blocklist+valid-command", "--toolkit", toolkit, "--hook", "cgroup"];
            let endpoint = ["--endpoint", "192.0.2.129:12345", "--turn", turn, "--packet", get];
            let run = verify(&[&chain[..], &endpoint].concat());
            let expected = format!("the reference says {verdict}, the program {verdict}");
            assert!(run.status == 0 && run.stdout.contains(&expected), "{}{}", run.stdout, run.stderr);
        }
    }
}

fn one_packet_is_decided_by_both() {
    let check = |packet: &str, verdict: &str| {
        let place = ["--filter", "valid-command", "--toolkit", "fun", "--hook", "socket", "--packet", packet];
        let run = verify(&place);
        let expected = format!(
            "valid-command with fun at socket: the reference says {verdict}, the program {verdict}\n"
        );
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert!(run.stdout.ends_with(&expected), "{}", run.stdout);
        assert!(run.stdout.contains("UDP: to port 12345, length 11; 3 bytes follow"), "{}", run.stdout);
    };
    check("9c403039000babcd505554", "accept");
    check("9c40 3039 000b abcd 505555", "drop");
    let run =
        verify(&["--filter", "parameterized-filter", "--toolkit", "fun", "--hook", "tc", "--packet", "00"]);
    assert!(run.stdout.starts_with("too short for its first header\n"), "{}", run.stdout);
    let named = |line: &&str| line.contains("(--parameter ") && line.contains(" --endpoint ");
    let lines: Vec<_> = run.stdout.lines().filter(named).collect();
    let different: std::collections::BTreeSet<_> = lines.iter().collect();
    assert!(lines.len() > 1 && different.len() == lines.len(), "{}", run.stdout);
}

fn the_same_seed_gives_the_same_counts() {
    let counts = |seed: &str| {
        let place = ["--filter", "valid-command", "--toolkit", "fun", "--json", "-n", "9000", "--seed", seed];
        let document = verify(&place).json();
        let rows = document["rows"].as_array().expect("rows").clone();
        let count = |row: &Value| (number(row, "packets"), number(row, "not_runnable"));
        (document["seed"].clone(), rows.iter().map(count).collect::<Vec<_>>())
    };
    assert_eq!(counts("7"), counts("7"));
}

fn the_speed_of_both_sides_is_measured() {
    let document = verify(&[
        "--speed",
        "--json",
        "--filter",
        "simple-socket-filter",
        "--toolkit",
        "fun",
        "--hook",
        "socket",
    ])
    .json();
    for field in ["bare_calls_per_second", "verify_packets_per_second"] {
        assert!(document[0][field].as_f64().is_some_and(|rate| rate > 0.0), "{document}");
    }
}
