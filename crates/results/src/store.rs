//! A results folder: its samples, read and appended, and files that appear whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use serde::Deserialize;
use thiserror::Error;

use crate::sample::{SCHEMA, Sample};

/// The samples of a results folder, one JSON object a line.
pub const SAMPLES: &str = "samples.jsonl";
/// The same, packed by gzip, in a folder that is kept.
pub const PACKED: &str = "samples.jsonl.gz";
/// The environment that the samples were made in: a JSON object.
pub const MANIFEST: &str = "manifest.json";
/// The experiment's definition as it was run.
pub const DEFINITION: &str = "definition.toml";

/// Why a results folder can't be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file or folder could not be read, written or locked.
    #[error("{tried} {}: {error}; {}", path.display(), remedy(tried, error))]
    Io {
        /// What was tried, such as `reading`.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// What came back.
        error: io::Error,
    },
    /// The samples are of another version of the format.
    #[error(
        "reading {}: line {line} has sample format {found}, this weir reads format {SCHEMA}; \
         use the weir that made the folder, or run the experiment again with this one", path.display()
    )]
    OtherSchema {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The format that the line names.
        found: u32,
    },
    /// A line that is not the last one is no sample.
    #[error(
        "reading {}: line {line} is no sample: {error}; the file was damaged after it was written: \
         restore it, or delete that line and run `weir experiment --resume` on the folder", path.display()
    )]
    BrokenLine {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What the parser said.
        error: serde_json::Error,
    },
    /// Two samples claim the same position in the schedule.
    #[error(
        "reading {}: lines {first} and {second} both hold sample {index}; a run counts once: delete one of them",
        path.display()
    )]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The position in the schedule.
        index: u64,
        /// Line number of the first, from 1.
        first: usize,
        /// Line number of the second, from 1.
        second: usize,
    },
    /// Another process has the folder open for appending.
    #[error(
        "locking {}: another weir writes to it; wait until it has ended, or choose another folder with --out",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

/// What is tried before there is a results folder.
const MAKING: &str = "making the folder";

fn remedy(tried: &str, error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound if tried == MAKING => {
            "no folder can be made there; choose another one with --out"
        }
        ErrorKind::NotFound => "is this a results folder? `weir experiment` makes one",
        ErrorKind::NotADirectory => "name a folder that is not below a file",
        ErrorKind::PermissionDenied => "check its owner and mode, or choose another folder",
        ErrorKind::ReadOnlyFilesystem => "choose a folder on a file system that can be written",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "make room, then go on with `weir experiment --resume`: the samples before this one are kept"
        }
        _ => "check the folder and the disk that it is on",
    }
}

fn failed<'a>(tried: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |error| StoreError::Io { tried, path: path.to_owned(), error }
}

/// What a results folder holds, in schedule order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// The samples, by their position in the schedule.
    pub samples: Vec<Sample>,
    /// What had to be left out, and why.
    pub warnings: Vec<String>,
}

/// Reads the samples of the results folder `dir`, packed by gzip where they are kept so.
///
/// A last line that was cut off while it was written is left out with a warning. Anything else that is wrong is an
/// error: a missing folder or file, a broken line before the end, another format, a sample that is there twice.
pub fn read(dir: &Path) -> Result<Saved, StoreError> {
    let (path, packed) = (dir.join(SAMPLES), dir.join(PACKED));
    if packed.is_file() && !path.exists() {
        let mut bytes = Vec::new();
        let unpacked = File::open(&packed).and_then(|file| GzDecoder::new(file).read_to_end(&mut bytes));
        unpacked.map_err(failed("unpacking", &packed))?;
        return parse(&packed, &bytes).map(|(saved, _)| saved);
    }
    let bytes = fs::read(&path).map_err(failed("reading", &path))?;
    parse(&path, &bytes).map(|(saved, _)| saved)
}

/// The samples of a results folder, open for appending; at most one process has them so at a time.
#[derive(Debug)]
pub struct Samples {
    path: PathBuf,
    file: File,
    len: u64,
    saved: Saved,
}

impl Samples {
    /// Opens the samples of `dir`, which must exist; makes the file where there is none. A last line that was cut off
    /// while it was written is removed.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(SAMPLES);
        let open = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = open.map_err(failed("opening", &path))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked { path: path.clone() },
            TryLockError::Error(error) => failed("locking", &path)(error),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("reading", &path))?;
        let (saved, whole) = parse(&path, &bytes)?;
        file.set_len(whole as u64).map_err(failed("repairing", &path))?;
        let mut samples = Self { path, file, len: whole as u64, saved };
        if whole > 0 && bytes[whole - 1] != b'\n' {
            samples.write(b"\n")?;
        }
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("syncing", dir))?;
        Ok(samples)
    }

    /// What the folder held when it was opened.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// Appends `sample` as one line; when this returns, it is on the disk. On an error the file is as it was before.
    pub fn append(&mut self, sample: &Sample) -> Result<(), StoreError> {
        let mut line =
            serde_json::to_vec(sample).expect("a sample has no map with keys that are not strings");
        line.push(b'\n');
        self.write(&line)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Best effort: what remains of the line would be repaired when the folder is opened again.
            let _ = self.file.set_len(self.len);
            return Err(failed("appending to", &self.path)(error));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

/// The samples in `bytes`, and the length of the part that is whole.
fn parse(path: &Path, bytes: &[u8]) -> Result<(Saved, usize), StoreError> {
    let mut saved = Saved::default();
    let mut whole = 0;
    let mut lines_by_index = BTreeMap::new();
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let number = number + 1;
        match parse_line(path, number, line) {
            Err(StoreError::BrokenLine { .. }) if !line.ends_with(b"\n") => {
                saved.warnings.push(format!(
                    "line {number} of {SAMPLES} was cut off while it was written ({} bytes) and is left out",
                    line.len()
                ));
                break;
            }
            Err(error) => return Err(error),
            Ok(None) => {}
            Ok(Some(sample)) => {
                if let Some(first) = lines_by_index.insert(sample.index, number) {
                    let (path, index) = (path.to_owned(), sample.index);
                    return Err(StoreError::Duplicate { path, index, first, second: number });
                }
                saved.samples.push(sample);
            }
        }
        whole += line.len();
    }
    saved.samples.sort_by_key(|sample| sample.index);
    Ok((saved, whole))
}

#[derive(Deserialize)]
struct SchemaVersion {
    schema: u32,
}

fn parse_line(path: &Path, line: usize, bytes: &[u8]) -> Result<Option<Sample>, StoreError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let broken = |error| StoreError::BrokenLine { path: path.to_owned(), line, error };
    let SchemaVersion { schema } = serde_json::from_slice(bytes).map_err(broken)?;
    if schema != SCHEMA {
        return Err(StoreError::OtherSchema { path: path.to_owned(), line, found: schema });
    }
    serde_json::from_slice(bytes).map(Some).map_err(broken)
}

/// Makes the folder `dir`, and those above it, where they are missing.
pub fn create_folder(dir: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(dir).map_err(failed(MAKING, dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_not_be_made_is_not_taken_for_one_of_results() {
        let message = create_folder(Path::new("/proc/results")).unwrap_err().to_string();
        assert!(message.contains("making the folder /proc/results: No such file"), "{message}");
        assert!(message.ends_with("choose another one with --out"), "{message}");
    }

    #[test]
    fn a_full_disk_is_named_as_such() {
        let path = PathBuf::from("/dev/full");
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        let mut samples = Samples { path, file, len: 0, saved: Saved::default() };
        let message = samples.write(b"{}\n").unwrap_err().to_string();
        assert!(message.contains("appending to /dev/full: No space left on device"), "{message}");
        assert!(message.contains("make room"), "{message}");
    }
}
