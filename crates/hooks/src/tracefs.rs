//! tracefs, where the kernel says which tracepoints it has: many machines have it mounted nowhere.

use std::path::Path;

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::statfs::{TRACEFS_MAGIC, statfs},
};

use crate::HookError;

/// Where it belongs (Documentation/trace/ftrace.rst).
pub(crate) const TRACEFS: &str = "/sys/kernel/tracing";

/// Does something while tracefs is at [`TRACEFS`], for the thread that does it.
///
/// Where it isn't, it is mounted for a thread of its own, in a mount namespace that nobody else sees and that ends
/// with the thread: nothing has to be unmounted, whatever becomes of the process.
pub(crate) fn mounted<T: Send>(task: impl FnOnce() -> Result<T, HookError> + Send) -> Result<T, HookError> {
    if is_mounted() {
        return task();
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            mount_privately()?;
            task()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn is_mounted() -> bool {
    statfs(TRACEFS).is_ok_and(|file_system| file_system.filesystem_type() == TRACEFS_MAGIC)
}

fn mount_privately() -> Result<(), HookError> {
    let nothing = None::<&str>;
    let failed = |error| HookError::Tracefs(std::io::Error::from(error));
    unshare(CloneFlags::CLONE_NEWNS).map_err(failed)?;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).map_err(failed)?;
    let harmless = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tracefs"), Path::new(TRACEFS), Some("tracefs"), harmless, nothing).map_err(failed)
}
