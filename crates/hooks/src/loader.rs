//! aya loaders that parse the kernel's BTF only where an object needs it.
//!
//! aya 0.14 parses /sys/kernel/btf/vmlinux in `EbpfLoader::new`, the only way to a loader: about 30 MB and 50 ms for
//! type information that a program without CO-RE relocations never looks at. aya 0.15 reads it when it is needed
//! (and asks for Rust 1.98); until then the loader is made on a thread that can't open files.

use std::{collections::BTreeMap, sync::Once, thread};

use aya::EbpfLoader;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Kernels before 5.11 charge maps to the locked memory of their user, of which there is little by default.
fn raise_locked_memory() {
    static RAISED: Once = Once::new();
    // Where it isn't permitted, loading says what is lacking.
    RAISED.call_once(|| {
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    });
}

/// A loader for programs that need nothing of the kernel's BTF.
pub(crate) fn without_kernel_btf() -> EbpfLoader<'static> {
    raise_locked_memory();
    thread::spawn(|| {
        // Where seccomp is missing, the loader costs memory and time, and works.
        if let Some(no_files) = no_files() {
            let _ = seccompiler::apply_filter(&no_files);
        }
        EbpfLoader::new()
    })
    .join()
    .expect("making a loader doesn't panic")
}

/// A loader for anyone's object: one with the kernel's BTF where the object has CO-RE relocations, which aya would
/// otherwise leave undone and say nothing.
pub(crate) fn fit_for(has_core_relocations: bool) -> EbpfLoader<'static> {
    if !has_core_relocations {
        return without_kernel_btf();
    }
    raise_locked_memory();
    EbpfLoader::new()
}

/// A seccomp program under which opening a file says ENOENT (seccomp(2)); it holds for one thread.
fn no_files() -> Option<BpfProgram> {
    let calls = [libc::SYS_openat, libc::SYS_openat2].map(|call| (call, Vec::new()));
    SeccompFilter::new(
        BTreeMap::from(calls),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOENT as u32),
        std::env::consts::ARCH.try_into().ok()?,
    )
    .ok()?
    .try_into()
    .ok()
}
