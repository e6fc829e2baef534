//! Which clang compiles the programs in C, and how it is called.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::bail;

/// Those that Debian 12 has.
const VERSIONS: std::ops::RangeInclusive<u32> = 14..=22;

/// Every clang on PATH that compiles for BPF: what a distribution calls just `clang`, then the newest first.
pub(crate) fn installed() -> impl Iterator<Item = PathBuf> {
    let versions = VERSIONS.rev().map(|version| format!("clang-{version}"));
    let names = std::iter::once("clang".to_owned()).chain(versions);
    names.map(PathBuf::from).filter(|clang| knows_bpf(clang))
}

fn knows_bpf(clang: &Path) -> bool {
    let output = Command::new(clang).args(["--print-targets"]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("bpf"))
}

/// A clang that compiles the programs in C.
pub(crate) struct Compiler {
    clang: PathBuf,
    target: &'static str,
    includes: Vec<PathBuf>,
}

impl Compiler {
    /// A clang that compiles what the programs include, or what was not found. `generated` is a folder with `wire.h`.
    pub(crate) fn find(generated: &Path, target: &'static str) -> Result<Self, String> {
        let clang = match env::var_os("CLANG") {
            Some(named) => Some(PathBuf::from(named)).filter(|clang| knows_bpf(clang)),
            None => installed().next(),
        };
        let clang = clang.ok_or(
            "no clang was found when weir was built (in $CLANG, or on PATH as clang or clang-14 to clang-22)",
        )?;
        Self::with(clang, generated, target)
    }

    /// That clang, where it compiles what the programs include.
    pub(crate) fn with(clang: PathBuf, generated: &Path, target: &'static str) -> Result<Self, String> {
        // Where Debian has the headers of its architecture, which clang looks for at its own target's place.
        let multiarch = format!("/usr/include/{}-linux-gnu", env::consts::ARCH);
        let compiler = Self { clang, target, includes: vec![generated.to_owned(), multiarch.into()] };
        let probe = generated.join("probe.c");
        let has_headers = fs::write(&probe, "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n").is_ok()
            && compiler
                .command(&probe)
                .arg("-fsyntax-only")
                .output()
                .is_ok_and(|output| output.status.success());
        if has_headers {
            Ok(compiler)
        } else {
            Err("libbpf's headers (Debian's libbpf-dev) were not found when weir was built".to_owned())
        }
    }

    /// Compiles a source to an object.
    pub(crate) fn compile(&self, source: &Path, object: &Path) -> anyhow::Result<()> {
        let output = self.command(source).args(["-c", "-o"]).arg(object).output()?;
        if !output.status.success() {
            let (clang, source) = (self.clang.display(), source.display());
            bail!("{clang} doesn't compile {source}:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn command(&self, source: &Path) -> Command {
        let mut command = Command::new(&self.clang);
        command.args(["-O2", "-g", "-Wall", "-Werror", "-target", self.target]);
        // Comparisons of 32 bits (Linux 5.1): without them the verifier loses what a length was compared with, and up to
        // clang 19 leaves them out unless told.
        command.arg("-mcpu=v3");
        // Debug information names the source as the workspace has it, not where this machine does.
        command.args(["-ffile-compilation-dir=."]);
        for folder in &self.includes {
            command.arg("-idirafter").arg(folder);
        }
        command.arg(source);
        command
    }
}
