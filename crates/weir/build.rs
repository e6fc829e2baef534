//! Notes which compiler and which commit the command is made of, for the manifest of an experiment.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    note("WEIR_RUSTC", &rustc, &["--version"]);
    // Built from an archive there is no commit, and then the manifest has none.
    note("WEIR_COMMIT", "git", &["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]);
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = output("git", &["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn note(name: &str, program: &str, arguments: &[&str]) {
    if let Some(value) = output(program, arguments) {
        println!("cargo::rustc-env={name}={value}");
    }
}

/// The first line that the program writes, if it succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}
