//! The rows of the objects that the library holds: one for each source that there is.

use std::{env, fs, path::PathBuf};

use anyhow::Context as _;

use crate::c;

/// Writes `OUT_DIR/objects.rs`: two tables of names and bytes, those by Aya and those in C.
pub(crate) fn write() -> anyhow::Result<()> {
    let folder = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let by_aya = table("AYA_OBJECTS", "", &names("../../bpf/src/bin", ".rs")?);
    let in_c = table("C_OBJECTS", "/c", &names(c::SOURCES, c::SUFFIX)?);
    fs::write(folder.join("objects.rs"), by_aya + &in_c)?;
    Ok(())
}

/// The names of a folder's sources without their suffix, in order.
pub(crate) fn names(folder: &str, suffix: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for source in fs::read_dir(folder)? {
        let file = source?.file_name();
        names.extend(file.to_str().and_then(|name| name.strip_suffix(suffix)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Of objects in a folder of `OUT_DIR`.
fn table(called: &str, folder: &str, names: &[String]) -> String {
    let row = |name: &String| {
        let path = format!("concat!(env!(\"OUT_DIR\"), \"{folder}/{name}\")");
        format!("    (\"{name}\", aya::include_bytes_aligned!({path})),\n")
    };
    let rows: String = names.iter().map(row).collect();
    format!("static {called}: &[(&str, &[u8])] = &[\n{rows}];\n")
}
