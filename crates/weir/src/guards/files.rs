//! The files of a guard: read with a bound, and never waited for.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
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

/// What a guard in this folder names.
pub(crate) struct Neighbours {
    folder: PathBuf,
}

impl Neighbours {
    /// Those of a guard's file.
    pub(crate) fn of(guard: &Path) -> Self {
        Self { folder: guard.parent().unwrap_or(Path::new("")).to_owned() }
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
            return self.text(name, MOST_OF_RULES);
        }
        let Some(shipped) = protocols::find(name) else {
            return Err(Unavailable {
                message: "weir ships none of that name".to_owned(),
                help: Some(no_protocol_help(name)),
            });
        };
        Ok(NamedText { name: format!("{name} (shipped)"), text: shipped.text.to_owned() })
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
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
