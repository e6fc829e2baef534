//! Child processes that are measured: where they run, that they never outlive their parent, and what they cost. And what this
//! process was told when it began.

use std::{
    io,
    mem::MaybeUninit,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus},
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::{prctl, signal::Signal},
    unistd::{Pid, getppid},
};

use crate::Cost;

/// Whether this process ignores a signal, as nohup(1) has what it starts do with SIGHUP (sigaction(2)).
pub fn ignores(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the kernel writes the present one, for which there is room, and changes nothing.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: the structure is plain data, for which zeroes are valid too.
    asked == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Confines what `command` starts to `cores` (anywhere if there are none), puts it in a process group of its own,
/// and has the kernel kill it when the thread that started it ends, however that ends (PR_SET_PDEATHSIG(2const)).
///
/// # Errors
/// A core number that the kernel's CPU set can't hold.
pub fn confine(command: &mut Command, cores: &[usize]) -> io::Result<()> {
    let mut allowed = CpuSet::new();
    for &core in cores {
        allowed.set(core)?;
    }
    let pin = !cores.is_empty();
    let parent = Pid::this();
    command.process_group(0);
    let prepare = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have ended between fork and prctl, and then the signal never comes.
        if getppid() != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if pin {
            sched_setaffinity(Pid::from_raw(0), &allowed)?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes three system calls on values that it owns; it neither
    // allocates nor locks.
    unsafe { command.pre_exec(prepare) };
    Ok(())
}

/// How a child ended and what it spent in its whole life.
#[derive(Clone, Copy, Debug)]
pub struct ChildEnd {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it and the children that it waited for spent.
    pub cost: Cost,
}

/// Waits for `child` to end and takes its resource use, as wait4(2).
///
/// # Errors
/// What the system call says; ECHILD where something else has waited for it already.
pub fn wait4(child: Child) -> io::Result<ChildEnd> {
    let pid = Pid::from_raw(child.id() as i32);
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    loop {
        // SAFETY: both pointers are to live, writable values of the types that wait4(2) fills.
        if unsafe { libc::wait4(pid.as_raw(), &mut status, 0, usage.as_mut_ptr()) } >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: all bit patterns are valid for this structure of integers, and the call has filled it.
    let usage = unsafe { usage.assume_init() };
    Ok(ChildEnd { status: ExitStatus::from_raw(status), cost: Cost::from(usage) })
}

#[cfg(test)]
mod tests {
    use nix::sched::sched_getaffinity;

    use super::*;

    #[test]
    fn a_confined_child_runs_on_its_core_and_leaves_its_cost() {
        let usable = sched_getaffinity(Pid::this()).unwrap();
        let core = (0..CpuSet::count()).find(|&core| usable.is_set(core).unwrap()).unwrap();
        let mut command = Command::new("grep");
        command.args(["-q", &format!("^Cpus_allowed_list:[[:space:]]*{core}$"), "/proc/self/status"]);
        confine(&mut command, &[core]).unwrap();
        let ended = wait4(command.spawn().unwrap()).unwrap();
        assert!(ended.status.success());
        assert!(ended.cost.peak_rss_kib > 0);
        assert!(ended.cost.minor_faults > 0);
    }

    #[test]
    fn the_status_of_a_killed_child_names_the_signal() {
        let mut command = Command::new("sleep");
        command.arg("60");
        confine(&mut command, &[]).unwrap();
        let mut child = command.spawn().unwrap();
        child.kill().unwrap();
        assert_eq!(wait4(child).unwrap().status.signal(), Some(9));
    }
}
