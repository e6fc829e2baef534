//! What is wrong in `ebpf!` is an error of the compiler at the token that is wrong.

use std::process::Command;

use weir_testing::Group;

/// The compiler whose own words stand in `types.stderr`; others word them otherwise.
const WORDED_BY: &str = "rustc 1.95.";

fn main() {
    let mut ours = Group::default();
    for file in ["rust", "text"] {
        ours.push(format!("what_is_wrong_in_{file}_is_pointed_at"), move || check(file));
    }
    let mut rustcs = Group::default();
    rustcs.push("splices_of_a_wrong_type_are_pointed_at", || check("types"));
    weir_testing::run([ours, rustcs.skipped_for(other_compiler())]);
}

fn check(file: &str) {
    trybuild::TestCases::new().compile_fail(format!("tests/compile_fail/{file}.rs"));
}

/// Why the messages can't be compared, where another compiler runs here.
fn other_compiler() -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("there is a compiler where tests are");
    let version = String::from_utf8_lossy(&output.stdout);
    let other = !version.starts_with(WORDED_BY);
    other.then(|| format!("its messages are those of {WORDED_BY}x, here is {}", version.trim()))
}
