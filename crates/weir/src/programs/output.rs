//! Results to standard output or a file: whole, never binary on a terminal, and no fuss about a closed pipe.

use std::{
    fmt::Display,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::Path,
};

use anyhow::Context as _;
use serde::Serialize;
use weir_output::{Visible, exit::UsageError, write_whole};

/// Writes bytes that are no text to a file, whole or not at all, or to standard output where none or `-` is named.
///
/// # Errors
/// It can't be written; or standard output is a terminal, which is a usage error.
pub fn write_binary(out: Option<&Path>, bytes: &[u8]) -> anyhow::Result<()> {
    match out.filter(|path| path.as_os_str() != "-") {
        Some(path) => write_whole(path, bytes),
        None if io::stdout().is_terminal() => {
            let text = "standard output is a terminal, and the result is binary: name a file (-o FILE), or pipe it on";
            Err(UsageError(text.to_owned()).into())
        }
        None => write_stdout(|stdout| stdout.write_all(bytes)),
    }
}

/// Writes text to standard output, where it acts on no terminal ([`Visible`]).
///
/// # Errors
/// It can't be written; a reader that has gone away is no error.
pub fn write_text(text: impl Display) -> anyhow::Result<()> {
    write_stdout(|stdout| write!(stdout, "{}", Visible(text)))
}

/// Writes a line of JSON to standard output.
///
/// # Errors
/// As for [`write_text`].
pub fn write_json(value: &impl Serialize) -> anyhow::Result<()> {
    write_stdout(|stdout| {
        serde_json::to_writer(&mut *stdout, value)?;
        stdout.write_all(b"\n")
    })
}

fn write_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut stdout = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to standard output"),
    }
}
