//! Compiles the programs in C with clang; where it is missing the build goes on without them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::header;

const SOURCES: &str = "../../bpf/c";

/// The newest first: an older one is what a distribution calls just `clang`.
const VERSIONS: std::ops::RangeInclusive<u32> = 14..=22;

/// Compiles every `NAME.bpf.c` to `OUT_DIR/c/NAME`. Where there is nothing to compile them with, the objects are empty,
/// and the file `missing` beside them says what was not found, which is empty otherwise.
pub(crate) fn build() -> anyhow::Result<()> {
    println!("cargo:rerun-if-changed={SOURCES}");
    println!("cargo:rerun-if-env-changed=CLANG");
    let folder = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?).join("c");
    fs::create_dir_all(&folder)?;
    let is_little_endian = env::var("CARGO_CFG_TARGET_ENDIAN")? == "little";
    fs::write(folder.join("wire.h"), header::text(is_little_endian))?;
    let compiler = Compiler::find(&folder, if is_little_endian { "bpfel" } else { "bpfeb" });
    for source in fs::read_dir(SOURCES)? {
        let source = source?.path();
        let Some(name) = source.file_name().and_then(|name| name.to_str()?.strip_suffix(".bpf.c")) else {
            continue;
        };
        let object = folder.join(name);
        match &compiler {
            Ok(compiler) => compiler.compile(&source, &object)?,
            Err(_) => fs::write(object, [])?,
        }
    }
    let missing = compiler.err().unwrap_or_default();
    if !missing.is_empty() {
        println!("cargo:warning=the filters in C are left out: {missing}");
    }
    fs::write(folder.join("missing"), missing)?;
    Ok(())
}

struct Compiler {
    clang: PathBuf,
    target: &'static str,
    includes: Vec<PathBuf>,
}

impl Compiler {
    /// A clang that compiles what the programs include, or what was not found.
    fn find(generated: &Path, target: &'static str) -> Result<Self, String> {
        let named = env::var_os("CLANG").map(PathBuf::from);
        let usual = || {
            let versions = VERSIONS.rev().map(|version| format!("clang-{version}"));
            std::iter::once("clang".to_owned()).chain(versions).map(PathBuf::from)
        };
        let candidates: Vec<_> = named.map_or_else(|| usual().collect(), |clang| vec![clang]);
        let clang = candidates.into_iter().find(|clang| {
            let output = Command::new(clang).args(["--print-targets"]).output();
            output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("bpf"))
        });
        let clang = clang.ok_or(
            "no clang was found when weir was built (in $CLANG, or on PATH as clang or clang-14 to clang-22)",
        )?;
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

    fn compile(&self, source: &Path, object: &Path) -> anyhow::Result<()> {
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
