//! What is done on kernels that lack something, on this one, told by WEIR_WITHOUT to do without: tests of this binary once
//! more.

use std::{env, process::Command};

use crate::{Test, once};

pub(crate) const TESTS: &[Test] =
    &[once("without_newer_features_every_hook_and_every_program_works", every_hook_and_every_program_works)];

/// Parts of the names of tests.
const AGAIN: [&str; 9] = [
    "decides_frames_as_the_reference",
    "decides_datagrams_as_the_reference",
    "what_is_attached_decides",
    "cycles_of_attaching",
    "swapping_programs",
    "a_process_killed_while",
    "a_burst_passes",
    "tokens_come_back",
    "known_key",
];

fn every_hook_and_every_program_works() {
    for part in AGAIN {
        let ran = Command::new(env::current_exe().expect("it runs"))
            .arg(part)
            .env("WEIR_WITHOUT", "xdp-frags,compare-exchange,tcx")
            .output()
            .expect("this binary starts");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{part}:\n{said}");
        assert!(!said.contains("running 0 tests"), "no test has {part} in its name");
    }
}
