//! BPF run statistics: how often a program ran, and for how long.

use std::os::fd::OwnedFd;

use aya::sys::{Stats, enable_stats};
use weir_records::ProgramRuns;

use crate::{HookError, KernelFilter};

/// Keeps the kernel's BPF statistics on; they go off again when the last such guard of the machine is dropped
/// (`BPF_ENABLE_STATS`, Linux 5.8). They cost every program two clock reads a run.
#[derive(Debug)]
#[must_use = "dropping the guard switches statistics off"]
pub struct Statistics {
    _enabled: OwnedFd,
}

impl Statistics {
    /// Switches them on. Needs CAP_SYS_ADMIN.
    pub fn enable() -> Result<Self, HookError> {
        let enabled = enable_stats(Stats::RunTime).map_err(|error| HookError::Statistics(error.io_error))?;
        Ok(Self { _enabled: enabled })
    }
}

impl KernelFilter {
    /// The program's runs while statistics were on.
    pub fn runs(&self) -> Result<ProgramRuns, HookError> {
        let info = self.info()?;
        Ok(ProgramRuns { count: info.run_count(), time_ns: info.run_time().as_nanos() as u64 })
    }
}
