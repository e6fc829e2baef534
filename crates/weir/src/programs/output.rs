//! Bytes to standard output or a file: whole, and never on a terminal.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use weir_output::{exit::UsageError, to_stdout, write_whole};

/// Writes bytes that are no text to a file, whole or not at all, or to standard output where none or `-` is named.
///
/// # Errors
/// It can't be written; or standard output is a terminal, which is a usage error.
pub(crate) fn write_binary(out: Option<&Path>, bytes: &[u8]) -> anyhow::Result<()> {
    match out.filter(|path| path.as_os_str() != "-") {
        Some(path) => write_whole(path, bytes),
        None if io::stdout().is_terminal() => {
            let text = "standard output is a terminal, and the result is binary: name a file (-o FILE), or pipe it on";
            Err(UsageError(text.to_owned()).into())
        }
        None => to_stdout(|stdout| stdout.write_all(bytes)),
    }
}
