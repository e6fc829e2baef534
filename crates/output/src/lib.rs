//! What commands give out: text on stdout and stderr, tables, files that are whole or not there, and exit statuses.

pub mod exit;
pub mod terminal;
#[macro_use]
mod visible;

pub use visible::Visible;

use std::{
    fmt::Display,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
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
    write_whole(path, &json_of(record)?)
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

/// A file that is opened now, for who may open none once it is written. What was in it stays until then.
pub struct OpenedFile {
    path: PathBuf,
    file: File,
    is_regular: bool,
}

impl OpenedFile {
    /// Opens the file, which is made where there is none.
    ///
    /// # Errors
    /// Says which file can't be written, and why.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let open = || {
            // A pipe, a device or a link gets the bytes written to its end.
            let is_regular = fs::symlink_metadata(path).map_or(true, |metadata| metadata.is_file());
            let mut how = OpenOptions::new();
            let file =
                if is_regular { how.write(true).create(true).truncate(false) } else { how.append(true) };
            Ok::<_, io::Error>(Self { path: path.to_owned(), file: file.open(path)?, is_regular })
        };
        open().with_context(|| cannot_write(path))
    }

    /// Writes `record` as JSON in place of what is there. Unlike with [`write_json`] a reader may find a part meanwhile.
    ///
    /// # Errors
    /// Says which file could not be written, and why.
    pub fn write_json(mut self, record: &impl Serialize) -> anyhow::Result<()> {
        let json = json_of(record)?;
        let mut write = || {
            if self.is_regular {
                self.file.set_len(0)?;
            }
            self.file.write_all(&json)?;
            if self.is_regular { self.file.sync_all() } else { Ok(()) }
        };
        write().with_context(|| cannot_write(&self.path))
    }
}

fn json_of(record: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(record).context("making JSON of a record")?;
    json.push(b'\n');
    Ok(json)
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
    fn a_file_that_is_opened_before_keeps_what_it_held_until_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        for (before, record) in [("", 1), ("1\n", 2)] {
            let opened = OpenedFile::open(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), before);
            opened.write_json(&record).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{record}\n"));
        }
        fs::write(&path, "longer than what comes").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        OpenedFile::open(&link).unwrap().write_json(&3).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "longer than what comes3\n");
        assert!(OpenedFile::open(&folder.path().join("none/record.json")).is_err());
    }

    #[test]
    fn an_error_names_the_file() {
        let error = write_json(Path::new("/nonexistent/record.json"), &1).unwrap_err();
        assert!(format!("{error:#}").starts_with("writing /nonexistent/record.json: "), "{error:#}");
    }
}
