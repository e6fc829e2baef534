//! Compiles the programs in C with clang; where it is missing the build goes on without them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{compiler::Compiler, header, rows};

pub(crate) const SOURCES: &str = "../../bpf/c";
pub(crate) const SUFFIX: &str = ".bpf.c";

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
    for name in rows::names(SOURCES, SUFFIX)? {
        let source = Path::new(SOURCES).join(format!("{name}{SUFFIX}"));
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
