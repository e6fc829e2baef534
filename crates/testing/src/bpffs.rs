//! A file system to pin programs in that nobody else sees.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    thread::spawn,
};

use nix::{
    mount::{MsFlags, mount, umount},
    sched::{CloneFlags, unshare},
};

/// Does something with a bpffs of its own: mounted where this thread, and what it starts, alone sees it. It and what
/// is pinned in it are gone with the thread.
///
/// # Panics
/// Where none can be mounted, which takes root; and as `pinned_there` does.
pub fn with_bpffs(pinned_there: impl FnOnce(&Path) + Send + 'static) {
    let thread = spawn(move || {
        // libbpf turns dots in paths to pin to into underlines.
        let folder = crate::folder();
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace of its own");
        let nothing = None::<&str>;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
            .expect("it is made private");
        mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), nothing).expect("a bpffs");
        let done = catch_unwind(AssertUnwindSafe(|| pinned_there(folder.path())));
        umount(folder.path()).expect("nothing holds it");
        done
    });
    thread.join().and_then(|done| done).unwrap_or_else(|panic| resume_unwind(panic));
}
