//! A running guard's process keeps what it takes from then on, and gives up everything else.

use std::{fs, io};

use nix::libc;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use seccompiler::{SeccompAction, SeccompFilter, TargetArch, apply_filter_all_threads};
use thiserror::Error;
use weir_hooks::Capability;

use super::calls;

/// Why the process isn't confined, or not wholly.
#[derive(Debug, Error)]
pub(crate) enum ConfiningError {
    #[error("giving up capabilities: {what}: {cause}")]
    Capabilities { what: &'static str, cause: io::Error },
    #[error("thread {thread} has more capabilities than the guard keeps: start it behind that")]
    Thread { thread: String },
    #[error("a seccomp filter: {0}; the kernel may lack CONFIG_SECCOMP_FILTER")]
    Seccomp(#[from] seccompiler::Error),
    #[error("a seccomp filter: {0}")]
    Filter(#[from] seccompiler::BackendError),
}

/// Gives up all capabilities but those of `needed`, in this thread and those that it starts from now on; gives those of them that it
/// has.
///
/// # Errors
/// The kernel's; what was given up before stays so.
pub(crate) fn keep_capabilities(needed: &[Capability]) -> Result<Vec<Capability>, ConfiningError> {
    let failed =
        |what| move |cause: rustix::io::Errno| ConfiningError::Capabilities { what, cause: cause.into() };
    let had = capabilities(None).map_err(failed("capget(2)"))?;
    let has = |capability: &Capability| had.permitted.bits() & capability.bit() != 0;
    let kept: Vec<_> = needed.iter().copied().filter(has).collect();
    let set = CapabilitySet::from_bits_retain(set_of(&kept));
    // Only who has CAP_SETPCAP may change what programs that are begun could get; none can be begun.
    if had.effective.contains(CapabilitySet::SETPCAP) {
        let others = (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit));
        for other in others.filter(|other| !set.contains(*other)) {
            // The kernel knows no capability of a higher number.
            let Ok(is_there) = capability_is_in_bounding_set(other) else { break };
            if is_there {
                remove_capability_from_bounding_set(other).map_err(failed("PR_CAPBSET_DROP"))?;
            }
        }
    }
    clear_ambient_capability_set().map_err(failed("PR_CAP_AMBIENT_CLEAR_ALL"))?;
    let sets = CapabilitySets { effective: set, permitted: set, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(failed("capset(2)"))?;
    Ok(kept)
}

fn set_of(capabilities: &[Capability]) -> u64 {
    capabilities.iter().fold(0, |set, each| set | each.bit())
}

/// A capability is a thread's own: whether one of this process has others than these (proc_pid_status(5)).
fn no_thread_beyond(kept: &[Capability]) -> Result<(), ConfiningError> {
    let failed = |cause| ConfiningError::Capabilities { what: "looking at /proc/self/task", cause };
    for thread in fs::read_dir("/proc/self/task").map_err(failed)? {
        // One that is gone has none.
        let Ok(status) = fs::read_to_string(thread.map_err(failed)?.path().join("status")) else { continue };
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let permitted = field("CapPrm:").and_then(|set| u64::from_str_radix(set, 16).ok());
        if permitted.is_none_or(|permitted| permitted & !set_of(kept) != 0) {
            let thread = [field("Pid:"), field("Name:")].map(Option::unwrap_or_default).join(", ");
            return Err(ConfiningError::Thread { thread });
        }
    }
    Ok(())
}

/// Refuses all system calls but those of guards (EPERM), in all threads, each of which has `kept` at most; and to open files for writing,
/// where it doesn't `write` some.
///
/// # Errors
/// A thread has more: it was begun before [`keep_capabilities`]. Or the kernel has no such filters.
pub(crate) fn keep_calls(kept: &[Capability], writes: bool) -> Result<(), ConfiningError> {
    no_thread_beyond(kept)?;
    filter_calls(writes)
}

fn filter_calls(writes: bool) -> Result<(), ConfiningError> {
    let here: TargetArch = std::env::consts::ARCH.try_into()?;
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let known = SeccompFilter::new(calls::kept(writes)?, refused, SeccompAction::Allow, here)?;
    // Its flags are in memory, where no filter looks: the C library takes clone(2) in place of it then.
    let unlooked = SeccompFilter::new(
        [(libc::SYS_clone3, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        here,
    )?;
    for filter in [unlooked, known] {
        let program: seccompiler::BpfProgram = filter.try_into()?;
        apply_filter_all_threads(&program)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::CString,
        fmt::Debug,
        fs::{self, File, OpenOptions},
        io::{self, IoSliceMut, Write as _},
        net::UdpSocket,
        path::PathBuf,
        process::{Command, Stdio},
    };

    use nix::{
        sched::{CloneFlags, unshare},
        sys::uio::{RemoteIoVec, process_vm_readv},
        unistd::{Pid, execv, getpid},
    };
    use weir_hooks::Privileges;

    use super::*;

    /// What this test's process finds out again, once it is confined.
    const INSIDE: &str = "WEIR_TEST_CONFINED";

    #[test]
    fn what_a_guard_does_not_take_is_refused_and_what_it_takes_is_not() {
        if let Some(folder) = std::env::var_os(INSIDE) {
            inside(&PathBuf::from(folder));
            std::process::exit(0);
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("there"), "there").expect("our folder");
        let name = "guards::confined::tests::what_a_guard_does_not_take_is_refused_and_what_it_takes_is_not";
        let mut again = Command::new(std::env::current_exe().expect("it runs"));
        again.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, folder.path());
        let ended = again.stdin(Stdio::null()).output().expect("it starts");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let left: Vec<_> = fs::read_dir(folder.path()).expect("our folder").collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(fs::read_to_string(folder.path().join("written")).expect("it is open before"), "whole");
    }

    fn inside(folder: &std::path::Path) {
        let there = folder.join("there");
        let program = CString::new("/bin/true").expect("no NUL in it");
        let mut written = File::create(folder.join("written")).expect("nothing is given up yet");
        let had = Privileges::of_this_thread().expect("/proc is mounted");
        let parent = Pid::parent();

        let kept = keep_capabilities(&[Capability::Bpf, Capability::SysPtrace]).expect("anybody may");
        // The harness has a thread of its own, which keeps what it has.
        let beyond = no_thread_beyond(&kept);
        assert_eq!(matches!(beyond, Err(ConfiningError::Thread { .. })), had.has(Capability::SysAdmin));
        filter_calls(false).expect("anybody may");
        assert!(kept.iter().all(|kept| had.has(*kept)));
        let status = fs::read_to_string("/proc/thread-self/status").expect("files may be read");
        let field =
            |name| status.lines().find_map(|line| line.strip_prefix(name)).expect("it says so").trim();
        assert_eq!((field("Seccomp:"), field("NoNewPrivs:")), ("2", "1"));
        let kept = format!("{:016x}", set_of(&kept));
        assert_eq!((field("CapPrm:"), field("CapEff:")), (kept.as_str(), kept.as_str()));
        assert_eq!((field("CapInh:"), field("CapAmb:")), ("0000000000000000", "0000000000000000"));

        fn refused<T: Debug>(what: &str, answer: Result<T, impl Into<io::Error>>) {
            let answer = answer.map_err(|error| error.into().raw_os_error());
            assert_eq!(answer.err(), Some(Some(libc::EPERM)), "{what}");
        }
        refused("execve", execv(&program, &[&program]));
        refused("a process", Command::new("/bin/true").spawn());
        refused("kill", nix::sys::signal::kill(parent, None));
        let mut byte = [0];
        let memory = RemoteIoVec { base: byte.as_ptr() as usize, len: 1 };
        refused("memory of others", process_vm_readv(getpid(), &mut [IoSliceMut::new(&mut byte)], &[memory]));
        refused("a namespace", unshare(CloneFlags::CLONE_NEWUSER));
        refused("a socket", UdpSocket::bind("127.0.0.1:0"));
        refused("a new file", File::create(folder.join("new")));
        refused("writing", OpenOptions::new().append(true).open(&there));
        refused(
            "emptying",
            nix::fcntl::open(&there, nix::fcntl::OFlag::O_TRUNC, nix::sys::stat::Mode::empty()),
        );
        refused("renaming", fs::rename(&there, folder.join("gone")));
        refused("a folder", fs::create_dir(folder.join("new")));

        assert_eq!(fs::read_to_string(&there).expect("files may be read"), "there");
        written.write_all(b"whole").expect("it was open before");
        // A thread is no process, and under the same filter.
        let thread = std::thread::spawn(move || File::create(there).map_err(|error| error.raw_os_error()));
        assert_eq!(thread.join().expect("it doesn't panic").err(), Some(Some(libc::EPERM)));
    }
}
