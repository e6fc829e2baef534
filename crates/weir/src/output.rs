//! Files that are whole or not there.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;

/// Writes `record` as JSON, for people and machines, as [`write_whole`] does.
pub fn write_json(path: &Path, record: &impl Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(record).context("making JSON of a record")?;
    json.push(b'\n');
    write_whole(path, &json)
}

/// Writes a file so that a reader finds the old one or the whole new one, never a part: beside its place, synced,
/// and renamed. What is no regular file, such as a pipe, is written to directly.
///
/// # Errors
/// Says which file could not be written, and why.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => fs::write(path, bytes),
        _ => replace(path, bytes),
    };
    written.with_context(|| {
        format!("writing {}: check that its folder exists, is writable and has room", path.display())
    })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is left of a failed attempt is of no use; that it can't be removed is not the error to report.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_record_replaces_the_old_one_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        for record in [1, 2] {
            write_json(&path, &record).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{record}\n"));
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_file() {
        let error = write_json(Path::new("/nonexistent/record.json"), &1).unwrap_err();
        assert!(format!("{error:#}").starts_with("writing /nonexistent/record.json: "), "{error:#}");
    }
}
