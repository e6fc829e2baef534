//! Exit statuses: 0 done, 1 it failed, 2 it was asked for something that makes no sense.

use std::process::ExitCode;

use thiserror::Error;

/// The command line asks for something that can't be: exit status 2.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The exit status that `error` ends the process with.
pub fn code_of(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(|cause| cause.is::<UsageError>()) { ExitCode::from(2) } else { ExitCode::FAILURE }
}
