//! The files of a guard: read with a bound, and never waited for.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read as _},
    mem,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::OFlag,
    sys::statfs::{PROC_SUPER_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, fstatfs},
};
use weir_asm::text::nearest;
use weir_guard::{
    protocols,
    text::{Files, NamedText, Unavailable},
};
use weir_output::terminal::printable;

/// Bytes of a guard or a protocol that are read.
pub(super) const MOST_OF_RULES: u64 = 1 << 20;
/// Bytes of a list that are read.
const MOST_OF_LIST: u64 = 64 << 20;

/// What a guard in this folder names. A protocol is read once, and lists each time.
#[derive(Debug)]
pub(crate) struct Neighbours {
    folder: PathBuf,
    protocols: BTreeMap<String, NamedText>,
    lists: Vec<ListFile>,
}

/// A list that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// By which it is known again, as it was before it was read; nothing where it wasn't there.
    stamp: Option<Stamp>,
}

/// What is another where a file was written or replaced: its device, its inode, its length and when it was written, ns.
type Stamp = (u64, u64, u64, i128);

impl ListFile {
    /// As it is now.
    pub(super) fn at(path: PathBuf) -> Self {
        let stamp = path.metadata().ok().map(|file| {
            let written = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
            (file.dev(), file.ino(), file.len(), written)
        });
        Self { path, stamp }
    }

    /// Whether what stands there now is another one.
    pub(crate) fn has_changed(&self) -> bool {
        Self::at(self.path.clone()) != *self
    }
}

impl Neighbours {
    /// Those of a guard's file.
    pub(crate) fn of(guard: &Path) -> Self {
        let folder = guard.parent().unwrap_or(Path::new("")).to_owned();
        Self { folder, protocols: BTreeMap::new(), lists: Vec::new() }
    }

    /// The protocols that were read, by what the guard calls them.
    pub(super) fn protocols(&self) -> &BTreeMap<String, NamedText> {
        &self.protocols
    }

    /// The lists that were read since this was asked last, be they there or not.
    pub(crate) fn take_lists(&mut self) -> Vec<ListFile> {
        mem::take(&mut self.lists)
    }

    fn text(&self, path: &str, most: u64) -> Result<NamedText, Unavailable> {
        let path = self.folder.join(path);
        let bytes = read(&path, most)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Unavailable { message: format!("line {line} is no UTF-8 text"), help: None }
        })?;
        Ok(NamedText { name: path.display().to_string(), text })
    }
}

impl Files for Neighbours {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        if name.contains('/') || name.ends_with(".toml") {
            if let Some(text) = self.protocols.get(name) {
                return Ok(text.clone());
            }
            let text = self.text(name, MOST_OF_RULES)?;
            self.protocols.insert(name.to_owned(), text.clone());
            return Ok(text);
        }
        let Some(shipped) = protocols::find(name) else {
            return Err(Unavailable {
                message: "weir ships none of that name".to_owned(),
                help: Some(no_protocol_help(name)),
            });
        };
        let text = NamedText { name: format!("{name} (shipped)"), text: shipped.text.to_owned() };
        self.protocols.insert(name.to_owned(), text.clone());
        Ok(text)
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
        self.lists.push(ListFile::at(self.folder.join(path)));
        self.text(path, MOST_OF_LIST)
    }
}

/// What to write in place of a name that no protocol has.
pub(super) fn no_protocol_help(name: &str) -> String {
    match nearest(name, protocols::ALL.iter().map(|shipped| shipped.name)) {
        Some(near) => format!("did you mean '{near}'?"),
        None => "`weir guard protocols` lists those that are shipped; a path has a / in it or ends in .toml"
            .to_owned(),
    }
}

/// The bytes of a regular file of at most so many.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unavailable> {
    let failed = |error: io::Error| Unavailable {
        message: format!("{}: {error}", printable(&path.display().to_string())),
        help: (error.kind() == io::ErrorKind::NotFound)
            .then(|| "paths are relative to the folder of the file that names them".to_owned()),
    };
    let irregular = || Unavailable {
        message: format!("{} is no regular file", printable(&path.display().to_string())),
        help: Some("copy what it gives into a file".to_owned()),
    };
    // Opening a device may do something; opening a FIFO waits for whoever writes to it.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(irregular());
    }
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(irregular());
    }
    // To read there may do something too.
    let of_the_kernel = [PROC_SUPER_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC];
    if of_the_kernel.contains(&fstatfs(&file).map_err(|error| failed(error.into()))?.filesystem_type()) {
        return Err(irregular());
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        let message = format!("{} has more than {most} bytes", printable(&path.display().to_string()));
        return Err(Unavailable { message, help: None });
    }
    Ok(bytes)
}
