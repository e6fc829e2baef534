//! What this process may do, and what keeps it from a call that the kernel refuses.

use std::{fmt, fs, io};

/// A capability that calls on programs and maps ask for (capabilities(7)); its number is that of linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Reading every folder: before Linux 5.14 the descriptors of another user's process are shown to who may.
    DacReadSearch = 2,
    /// Attaching anywhere but at sockets.
    NetAdmin = 12,
    /// Looking at what another user's process has, and taking its sockets.
    SysPtrace = 19,
    /// BPF statistics, network namespaces, mounting.
    SysAdmin = 21,
    /// Programs that handle addresses: at XDP, and at tracepoints.
    Perfmon = 38,
    /// Loading any program, and making maps. Minimum kernel 5.8.
    Bpf = 39,
}

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u64);

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(all: I) -> Self {
        Self(all.into_iter().fold(0, |set, capability| set | capability.bit()))
    }
}

impl Capabilities {
    fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.0 & capability.bit() != 0)
    }
}

/// What loading an object's maps, and commands on them, ask for.
pub(crate) const MAPS: &[Capability] = &[Capability::Bpf];

impl Capability {
    /// In the order in which they are named.
    const ALL: [Self; 6] =
        [Self::Bpf, Self::NetAdmin, Self::Perfmon, Self::SysPtrace, Self::DacReadSearch, Self::SysAdmin];

    /// Its bit in sets of capabilities.
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// Its name in capabilities(7).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

/// What a thread may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// The set of effective capabilities, a bit each.
    effective: u64,
    /// Whether they count in the first user namespace, which bpf(2) asks for.
    is_in_first_user_namespace: bool,
    /// Whether a seccomp filter judges its system calls.
    has_seccomp_filter: bool,
}

/// The inode number of the first user namespace (PROC_USER_INIT_INO, include/linux/proc_ns.h).
const FIRST_USER_NAMESPACE: &str = "user:[4026531837]";

impl Privileges {
    /// Of the calling thread, which has its own (capabilities(7)), as proc(5) says.
    ///
    /// # Errors
    /// /proc isn't mounted.
    pub fn of_this_thread() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/thread-self/status")?;
        let namespace = fs::read_link("/proc/thread-self/ns/user").ok();
        Ok(Self::read(&status, namespace.as_deref().and_then(|link| link.to_str())))
    }

    fn read(status: &str, namespace: Option<&str>) -> Self {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let effective = field("CapEff:").and_then(|mask| u64::from_str_radix(mask, 16).ok());
        Self {
            effective: effective.unwrap_or_default(),
            // Kernels without user namespaces have the first one alone.
            is_in_first_user_namespace: namespace.is_none_or(|name| name == FIRST_USER_NAMESPACE),
            // SECCOMP_MODE_FILTER, linux/seccomp.h.
            has_seccomp_filter: field("Seccomp:") == Some("2"),
        }
    }

    /// Whether the capability is effective in the process's own user namespace.
    pub fn has(&self, capability: Capability) -> bool {
        self.effective & capability.bit() != 0
    }

    /// Whether its capabilities count for bpf(2).
    pub fn is_in_first_user_namespace(&self) -> bool {
        self.is_in_first_user_namespace
    }

    /// Why a call that asks for these is refused on permission.
    fn obstacle(&self, needed: &[Capability]) -> Obstacle {
        let lacking: Capabilities = needed.iter().copied().filter(|needed| !self.has(*needed)).collect();
        if lacking != Capabilities::default() {
            Obstacle::Capabilities { needed: needed.iter().copied().collect(), lacking }
        } else if !self.is_in_first_user_namespace {
            Obstacle::UserNamespace
        } else if self.has_seccomp_filter {
            Obstacle::Seccomp
        } else {
            Obstacle::Policy
        }
    }
}

/// Why the kernel refused a call on a program or a map. What it displays is what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The process lacks a capability.
    Capabilities {
        /// What the call asks for.
        needed: Capabilities,
        /// What of it the process lacks.
        lacking: Capabilities,
    },
    /// The process has capabilities, in a user namespace that isn't the first one.
    UserNamespace,
    /// A seccomp filter judges the process's calls, and nothing else is known that would refuse one.
    Seccomp,
    /// The process has what is known to be needed.
    Policy,
    /// The process may lack a capability: /proc, which would say so, isn't mounted.
    Unknown(Capabilities),
    /// The kernel is built without bpf(2).
    NoBpf,
    /// Kernels before 5.11 charge maps and programs to RLIMIT_MEMLOCK.
    Memory,
    /// The program is longer than what a socket may spend on options, `net.core.optmem_max`: 8 bytes an instruction, those of the
    /// program before among them where it is replaced (net/core/filter.c, `__sk_attach_prog`).
    OptionMemory,
    /// The verifier refuses the program.
    Verifier,
    /// The verifier refuses the program, to a process that lacks CAP_PERFMON.
    VerifierWithoutPerfmon,
    /// The verifier found a fault of its own (`verifier_bug`, include/linux/bpf_verifier.h, Linux 6.16): it answers EFAULT.
    VerifierBug,
    /// The verifier takes the program, and the kernel's compiler to machine code doesn't (ENOTSUPP, `bpf_prog_select_runtime`,
    /// kernel/bpf/core.c).
    Compiler,
    /// The kernel has no tracepoints for system calls.
    NoTracepoint,
    /// tracefs is mounted, where the process can't read it.
    Tracefs,
    /// Only root may count events.
    PerfEvents,
}

impl Obstacle {
    /// Whether it would be gone with another privilege, or on another machine; a refusal of the verifier's, or of somebody who
    /// isn't known, may be our fault.
    pub(crate) fn is_a_lack(self) -> bool {
        match self {
            Self::Capabilities { .. }
            | Self::UserNamespace
            | Self::Unknown(_)
            | Self::NoBpf
            | Self::NoTracepoint
            | Self::Tracefs
            | Self::PerfEvents => true,
            Self::Seccomp
            | Self::Policy
            | Self::Memory
            | Self::OptionMemory
            | Self::Verifier
            | Self::VerifierWithoutPerfmon
            | Self::VerifierBug
            | Self::Compiler => false,
        }
    }

    /// What it means that the verifier walked through a program and refused it. From who has CAP_PERFMON it takes more
    /// (`bpf_allow_ptr_leaks`, `bpf_bypass_spec_v1`, include/linux/bpf.h).
    pub(crate) fn of_verifier() -> Self {
        match Privileges::of_this_thread() {
            Ok(found) if found.has(Capability::Perfmon) && found.is_in_first_user_namespace => Self::Verifier,
            Ok(_) => Self::VerifierWithoutPerfmon,
            Err(_) => Self::Verifier,
        }
    }

    /// What it means that a program that traces was refused where the process has the capabilities for it. Debian's kernels
    /// have a `kernel.perf_event_paranoid` of 3, at which the older ones, 5.10 among them, ask for CAP_SYS_ADMIN.
    pub(crate) fn of_probe(errno: Option<i32>, needed: &[Capability]) -> Option<Self> {
        let is_kept = || {
            let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok();
            level.and_then(|level| level.trim().parse::<i32>().ok()).is_some_and(|level| level > 2)
        };
        let has_admin =
            || Privileges::of_this_thread().is_ok_and(|privileges| privileges.has(Capability::SysAdmin));
        match Self::of(errno, needed)? {
            Self::Policy if is_kept() && !has_admin() => Some(Self::PerfEvents),
            obstacle => Some(obstacle),
        }
    }

    /// What `error` means of a call that asks for these capabilities.
    pub(crate) fn of(errno: Option<i32>, needed: &[Capability]) -> Option<Self> {
        match errno? {
            libc::EPERM | libc::EACCES => Some(match Privileges::of_this_thread() {
                Ok(privileges) => privileges.obstacle(needed),
                Err(_) => Self::Unknown(needed.iter().copied().collect()),
            }),
            // Container runtimes answer so to calls that their filter doesn't know.
            libc::ENOSYS => {
                let privileges = Privileges::of_this_thread();
                let is_filtered = privileges.is_ok_and(|privileges| privileges.has_seccomp_filter);
                Some(if is_filtered { Self::Seccomp } else { Self::NoBpf })
            }
            libc::ENOMEM => Some(Self::Memory),
            _ => None,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |capabilities: &Capabilities| {
            let names: Vec<_> = capabilities.iter().map(Capability::as_str).collect();
            (names.join(" and "), names.join(",").to_lowercase())
        };
        match self {
            Self::Capabilities { needed, lacking } => {
                let (all, list) = names(needed);
                write!(f, "needs root, or {all} (`setcap {list}+ep` on the binary)")?;
                if lacking == needed { Ok(()) } else { write!(f, "; {} lacks", names(lacking).0) }
            }
            Self::UserNamespace => f.write_str(
                "this process's capabilities are those of a user namespace, and bpf(2) asks for capabilities in the first \
                 one: start it outside of the namespace",
            ),
            Self::Seccomp => f.write_str(
                "this process has the capabilities, and a seccomp filter that may refuse the call: let bpf(2) through \
                 (systemd: SystemCallFilter=bpf; a container: its seccomp profile)",
            ),
            Self::Policy => f.write_str(
                "this process has the capabilities; a security module, or a kernel locked down to confidentiality \
                 (kernel_lockdown(7)), may refuse it",
            ),
            Self::Unknown(needed) => {
                write!(f, "needs root, or {}; mount /proc, and it is said what lacks", names(needed).0)
            }
            Self::NoBpf => f.write_str("this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)"),
            Self::Memory => f.write_str(
                "kernels before 5.11 charge BPF memory to RLIMIT_MEMLOCK: raise it (`ulimit -l unlimited`)",
            ),
            Self::OptionMemory => f.write_str(
                "it is too long for a socket, which keeps 8 bytes for each instruction in at most net.core.optmem_max (20480 on \
                 older kernels, 131072 on newer ones): raise that (`sysctl net.core.optmem_max=131072`), or attach it at another \
                 hook",
            ),
            Self::Verifier => f.write_str("the verifier refuses it"),
            Self::VerifierWithoutPerfmon => f.write_str(
                "the verifier refuses it to a process without CAP_PERFMON: comparing a packet's addresses needs that, or \
                 root, and so does, on older kernels, a program with ways that only speculation takes",
            ),
            Self::VerifierBug => f.write_str(
                "this kernel's verifier found a fault of its own, not the program's: load it with CAP_PERFMON, or as root, \
                 which spares it the ways that only speculation takes, or on another kernel",
            ),
            Self::Compiler => f.write_str(
                "the verifier takes it, and the kernel's compiler to machine code (JIT) doesn't, which `dmesg` may explain: \
                 write it a little longer, or switch that off (net.core.bpf_jit_enable) where the kernel lets you",
            ),
            Self::NoTracepoint => {
                f.write_str("this kernel has no such tracepoint: it needs CONFIG_FTRACE_SYSCALLS")
            }
            Self::PerfEvents => f.write_str(
                "this process has CAP_BPF and CAP_PERFMON; kernel.perf_event_paranoid is above 2, and this kernel asks for \
                 root or CAP_SYS_ADMIN then: `sysctl kernel.perf_event_paranoid=2`",
            ),
            Self::Tracefs => f.write_str(
                "tracefs is mounted and this user can't read it; needs root, CAP_DAC_READ_SEARCH, or a group that it lets \
                 in: `mount -o remount,mode=750,gid=GROUP /sys/kernel/tracing`",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HookError;
    use crate::error::ENOTSUPP;

    const ALL: &str = "Name:\tweir\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n";

    #[test]
    fn what_keeps_a_process_from_a_call_is_told_apart() {
        let needed = [Capability::Bpf, Capability::Perfmon];
        let check = |status: &str, namespace, expected| {
            assert_eq!(Privileges::read(status, namespace).obstacle(&needed), expected, "{status}");
        };
        let (first, other) = (Some(FIRST_USER_NAMESPACE), Some("user:[4026532999]"));
        check(ALL, first, Obstacle::Policy);
        check(ALL, None, Obstacle::Policy);
        check(ALL, other, Obstacle::UserNamespace);
        let filtered = ALL.replace("Seccomp:\t0", "Seccomp:\t2");
        check(&filtered, first, Obstacle::Seccomp);
        check(&filtered, other, Obstacle::UserNamespace);
        let bpf_alone = ALL.replace("000001ffffffffff", "0000008000000000");
        let lacking = |lacking: &[Capability]| Obstacle::Capabilities {
            needed: needed.into_iter().collect(),
            lacking: lacking.iter().copied().collect(),
        };
        check(&bpf_alone, first, lacking(&[Capability::Perfmon]));
        check("", other, lacking(&needed));
    }

    #[test]
    fn a_missing_privilege_is_a_lack_and_a_verifiers_no_is_none() {
        let refused = |errno, log: &str| {
            let error =
                HookError::load("it".to_owned(), &[], io::Error::from_raw_os_error(errno), log.to_owned());
            error.lack()
        };
        assert!(Privileges::read("", None).obstacle(&[Capability::Bpf]).is_a_lack());
        assert_eq!(refused(libc::EACCES, "R1 invalid mem access"), None);
        assert_eq!(refused(libc::EINVAL, ""), None);
        let bug = HookError::load(
            "it".to_owned(),
            &[],
            io::Error::from_raw_os_error(libc::EFAULT),
            "verifier bug: it may not".to_owned(),
        );
        assert_eq!(bug.obstacle(), Some(Obstacle::VerifierBug));
        let uncompiled = io::Error::from_raw_os_error(ENOTSUPP);
        let uncompiled =
            HookError::load("a program".to_owned(), &[], uncompiled, "processed 3 insns".to_owned());
        assert_eq!(uncompiled.obstacle(), Some(Obstacle::Compiler));
        assert!(Obstacle::NoBpf.is_a_lack());
    }

    #[test]
    fn an_errno_says_what_to_do() {
        let of = |errno| Obstacle::of(Some(errno), &[Capability::Bpf]);
        assert_eq!(of(libc::ENOMEM), Some(Obstacle::Memory));
        assert_eq!(of(libc::EINVAL), None);
        assert_eq!(Obstacle::of(None, &[Capability::Bpf]), None);
        assert!(matches!(of(libc::ENOSYS), Some(Obstacle::NoBpf | Obstacle::Seccomp)));
        let needed = [Capability::NetAdmin, Capability::Bpf];
        let lacks = |lacking: &[Capability]| {
            let lacking = lacking.iter().copied().collect();
            Obstacle::Capabilities { needed: needed.into_iter().collect(), lacking }.to_string()
        };
        let said =
            "needs root, or CAP_BPF and CAP_NET_ADMIN (`setcap cap_bpf,cap_net_admin+ep` on the binary)";
        assert_eq!(lacks(&needed), said);
        assert_eq!(lacks(&[Capability::NetAdmin]), format!("{said}; CAP_NET_ADMIN lacks"));
    }
}
