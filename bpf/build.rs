//! Lets the linker, which makes the code, read words wherever they stand.

use std::{env, process::Command};

/// LLVM's name of it, from version 22 on.
const FEATURE: &str = "allows-misaligned-mem-access";

/// Machines whose kernels have HAVE_EFFICIENT_UNALIGNED_ACCESS, so that the verifier takes any alignment in a packet
/// (kernel/bpf/verifier.c, check_ptr_alignment). Elsewhere a frame has at most the alignment of two bytes, and words are
/// read byte by byte, as they are where the linker is older.
const MACHINES: [&str; 5] = ["x86_64", "aarch64", "powerpc64", "s390x", "loongarch64"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let machine = env::var("CARGO_CFG_BPF_TARGET_ARCH").unwrap_or_default();
    if MACHINES.contains(&machine.as_str()) && linker_knows_it() {
        println!("cargo::rustc-link-arg-bins=--cpu-features=+{FEATURE}");
    }
}

fn linker_knows_it() -> bool {
    let help = Command::new("bpf-linker").arg("--help").output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains(FEATURE))
}
