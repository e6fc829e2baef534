//! CPUs for sending threads.

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use super::ClientError;

/// The calling thread.
const THIS: Pid = Pid::from_raw(0);

/// Says whether this process may run on all of `cpus`.
pub(super) fn check(cpus: &[usize]) -> Result<(), ClientError> {
    let allowed = sched_getaffinity(THIS).map_err(|cause| ClientError::Pin { cpu: None, cause })?;
    for &cpu in cpus {
        if !allowed.is_set(cpu).unwrap_or(false) {
            return Err(ClientError::Pin { cpu: Some(cpu), cause: nix::errno::Errno::EINVAL });
        }
    }
    Ok(())
}

/// Confines the calling thread, the `number`-th, to its CPU: they are dealt out in turn. Nothing where none is named or
/// it was taken away since [`check`].
pub(super) fn this_thread(cpus: &[usize], number: u32) -> Option<usize> {
    let cpu = *cpus.get(number as usize % cpus.len().max(1))?;
    let mut set = CpuSet::new();
    set.set(cpu).and_then(|()| sched_setaffinity(THIS, &set)).ok().map(|()| cpu)
}
