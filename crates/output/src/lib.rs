//! What commands give out: text on stdout and stderr, tables, files that are whole or not there, and exit statuses.

pub mod exit;
pub mod terminal;
#[macro_use]
mod visible;

pub use visible::Visible;

use std::{
    fmt::Display,
    fs::{self, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use serde::Serialize;

/// Prints `text` to stdout, where it acts on no terminal ([`Visible`]). A reader that closed the pipe has read enough, which is no error.
///
/// # Errors
/// Stdout takes no more, such as a full disk.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    to_stdout(|out| write!(out, "{}", Visible(text)))
}

/// Has `write` write to stdout, as [`print()`] does but for what acts on a terminal.
///
/// # Errors
/// Stdout takes no more.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("writing to stdout"),
    }
}

/// Writes `record` as JSON, for people and machines, as [`write_whole`] does.
pub fn write_json(path: &Path, record: &impl Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(record).context("making JSON of a record")?;
    json.push(b'\n');
    write_whole(path, &json)
}

/// Writes a file so that a reader finds the old one or the whole new one, never a part: beside its place, synced,
/// and renamed. Only a regular file, or none, is ever replaced so: a pipe, a device or a link, such as
/// `/dev/stdout`, stays what it is and gets the bytes written to its end.
///
/// # Errors
/// Says which file could not be written, and why.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(bytes))
        }
        _ => replace(path, bytes),
    };
    written.with_context(|| cannot_write(path))
}

/// Says now what [`write_whole`] would only say when all is done: that nothing can be written to `path`.
pub fn check_writable(path: &Path) -> anyhow::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => OpenOptions::new().append(true).open(path).map(drop),
        _ => tempfile::tempfile_in(folder_of(path)).map(drop),
    };
    found.with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("writing {}: check that its folder exists, is writable and has room", path.display())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The mode that any new file gets, not the private one of a temporary file.
    let mode = Permissions::from_mode(0o666);
    let mut file =
        tempfile::Builder::new().prefix(".weir-").permissions(mode).tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
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
    fn a_link_stays_a_link_and_what_its_target_holds_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "before\n").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_json(&link, &1).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "before\n1\n");
    }

    #[test]
    fn an_error_names_the_file() {
        let error = write_json(Path::new("/nonexistent/record.json"), &1).unwrap_err();
        assert!(format!("{error:#}").starts_with("writing /nonexistent/record.json: "), "{error:#}");
    }
}
