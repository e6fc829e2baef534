//! Compiles the BPF programs with whichever compilers this machine has for them.

mod c;
mod compiler;
mod header;
mod rows;

use std::{env, process::Command};

use anyhow::{Context as _, bail};
use aya_build::{Package, Toolchain};

/// The name under which scripts/setup.sh links Debian's rustc, which comes with `core` for BPF.
const LINKED_TOOLCHAIN: &str = "debian-bpf";

fn main() {
    if let Err(error) = build() {
        // A line of advice; anyhow's own way out would add a backtrace where one is asked for.
        println!("cargo::error={error:#}");
    }
}

fn build() -> anyhow::Result<()> {
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=../wire/src");
    c::build()?;
    let toolchain = choose_toolchain()?;
    if matches!(toolchain, Toolchain::Custom(_)) {
        // SAFETY: a build script's main thread, before it starts another.
        // Those two crates may use an unstable feature (asm_experimental_arch) on a stable compiler; since that is not
        // this package's name, aya-build leaves out -Zbuild-std, which that compiler doesn't need.
        unsafe { env::set_var("RUSTC_BOOTSTRAP", "aya_ebpf,weir_bpf") };
    }
    // SAFETY: as above. aya-build forwards every line that cargo prints as a warning.
    unsafe { env::set_var("CARGO_TERM_QUIET", "true") };
    let bpf = Package { name: "weir-bpf", root_dir: "../../bpf", ..Package::default() };
    aya_build::build_ebpf([bpf], toolchain).context(
        "compiling the BPF programs failed; `scripts/setup.sh --check` says whether a tool is missing",
    )?;
    rows::write()
}

fn choose_toolchain() -> anyhow::Result<Toolchain<'static>> {
    if Command::new("bpf-linker").arg("--version").output().is_err() {
        bail!("bpf-linker is not on PATH; run scripts/setup.sh (or `make setup`), which installs it");
    }
    if rustc_of("nightly", &["--print", "sysroot"])
        .is_some_and(|sysroot| std::path::Path::new(sysroot.trim()).join(CORE_SOURCES).exists())
    {
        return Ok(Toolchain::Nightly);
    }
    if rustc_of(LINKED_TOOLCHAIN, &["--version"]).is_some() {
        return Ok(Toolchain::Custom(LINKED_TOOLCHAIN));
    }
    bail!(
        "no Rust compiler here has `core` for BPF: neither a nightly with rust-src nor the toolchain \
         '{LINKED_TOOLCHAIN}'; run scripts/setup.sh (or `make setup`), which installs one or says how"
    )
}

const CORE_SOURCES: &str = "lib/rustlib/src/rust/library/core/src/lib.rs";

fn rustc_of(toolchain: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("rustup").args(["run", toolchain, "rustc"]).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
