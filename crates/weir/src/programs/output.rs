//! Results to standard output or a file: whole, never binary on a terminal, and no fuss about a closed pipe.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
};

use anyhow::Context as _;

use crate::{exit::UsageError, output::write_whole};

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
        None => write_stdout(bytes),
    }
}

/// Writes text to standard output.
///
/// # Errors
/// It can't be written; a reader that has gone away is no error.
pub fn write_text(text: &str) -> anyhow::Result<()> {
    write_stdout(text.as_bytes())
}

fn write_stdout(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to standard output"),
    }
}
