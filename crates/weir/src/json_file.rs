//! Records in JSON files that are whole or not there.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::Serialize;

/// Writes `record` to `path` as JSON. A reader finds the old file or the whole new one, never a part: it is
/// written beside its place, synced, and renamed. Only a regular file, or none, is ever replaced so: a pipe, a
/// device or a link, such as `/dev/stdout`, stays what it is and gets the record written to its end.
///
/// # Errors
/// Says which file could not be written, and why.
pub fn write(path: &Path, record: &impl Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(record).context("making JSON of a record")?;
    json.push(b'\n');
    let written = match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(&json))
        }
        _ => replace(path, &json),
    };
    written.with_context(|| {
        format!("writing {}: check that its folder exists, is writable and has room", path.display())
    })
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
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

    /// Runs `test` with a folder of its own.
    fn in_folder(name: &str, test: impl FnOnce(&Path)) {
        let folder = std::env::temp_dir().join(format!("weir-json-file-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        test(&folder);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_written_record_replaces_the_old_one_and_leaves_nothing_beside_it() {
        in_folder("replaces", |folder| {
            let path = folder.join("record.json");
            for record in [1, 2] {
                write(&path, &record).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), format!("{record}\n"));
            }
            assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        });
    }

    #[test]
    fn a_link_stays_a_link_and_what_its_target_holds_is_kept() {
        in_folder("link", |folder| {
            let (target, link) = (folder.join("target"), folder.join("link"));
            fs::write(&target, "before\n").unwrap();
            std::os::unix::fs::symlink(&target, &link).unwrap();
            write(&link, &1).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read_to_string(&target).unwrap(), "before\n1\n");
        });
    }

    #[test]
    fn an_error_names_the_file() {
        in_folder("error", |folder| {
            let path = folder.join("absent").join("record.json");
            let error = format!("{:#}", write(&path, &1).unwrap_err());
            assert!(error.starts_with(&format!("writing {}: ", path.display())), "{error}");
        });
    }
}
