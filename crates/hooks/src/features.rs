//! What this kernel can, asked by trying it: distributions take newer features into older kernels, so that a version says
//! little.

use std::{io, os::fd::BorrowedFd, sync::OnceLock};

use aya_obj::generated::{BPF_F_XDP_HAS_FRAGS, bpf_attach_type, bpf_prog_type};
use nix::sys::utsname::uname;
use thiserror::Error;
use weir_asm::{Code, Endian};
use weir_asm_macros::ebpf;
use weir_filters::{Features, Filter, Hook, Site};

use crate::sys;

/// Something that a kernel can or can't, and that weir does another way where it can't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// [`Features::xdp_frags`].
    XdpFrags,
    /// [`Features::compare_exchange`].
    CompareExchange,
    /// tcx links: Linux 6.6. Without, a program is a filter of the qdisc clsact.
    Tcx,
    /// Kernel functions that show a program the kernel's own structures (`bpf_rdonly_cast`): Linux 6.2. With them it tells
    /// packets of several datagrams where its context doesn't.
    GsoSize,
}

/// Names, separated by commas, of features that are not to be used, so that a newer kernel shows what an older one does.
const WITHOUT: &str = "WEIR_WITHOUT";

/// The environment variable `WEIR_WITHOUT` names something that weir doesn't know how to do without.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{WITHOUT}: '{0}' is no feature that weir does without; there are {names}", names = Feature::ALL.map(Feature::name).join(", "))]
pub struct UnknownFeature(String);

/// Whether the environment variable `WEIR_WITHOUT` names features alone that there are: with another name in it, everything
/// would be as it is without.
///
/// # Errors
/// The first name of none.
pub fn check_without() -> Result<(), UnknownFeature> {
    names_alone(&std::env::var(WITHOUT).unwrap_or_default())
}

fn names_alone(without: &str) -> Result<(), UnknownFeature> {
    let is_known = |name: &&str| name.is_empty() || Feature::ALL.iter().any(|known| known.name() == *name);
    match without.split(',').map(str::trim).find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(UnknownFeature(name.to_owned())),
    }
}

impl Feature {
    const ALL: [Self; 4] = [Self::XdpFrags, Self::CompareExchange, Self::Tcx, Self::GsoSize];

    /// Its name in the environment variable `WEIR_WITHOUT`.
    const fn name(self) -> &'static str {
        match self {
            Self::XdpFrags => "xdp-frags",
            Self::CompareExchange => "compare-exchange",
            Self::Tcx => "tcx",
            Self::GsoSize => "gso-size",
        }
    }

    /// Whether it isn't to be used, whatever the kernel can.
    pub(crate) fn is_switched_off(self) -> bool {
        let names = std::env::var(WITHOUT).unwrap_or_default();
        names.split(',').any(|name| name.trim() == self.name())
    }

    /// Whether a program that needs it loads. A kernel that lets nobody ask is taken for one that can: loading what is
    /// meant then says what is lacking.
    fn is_loaded(self) -> bool {
        static LOADED: [OnceLock<bool>; 2] = [const { OnceLock::new() }; 2];
        let known = &LOADED[self as usize];
        if let Some(known) = known.get() {
            return *known;
        }
        match self.load() {
            Ok(()) => *known.get_or_init(|| true),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => true,
            Err(_) => *known.get_or_init(|| false),
        }
    }

    fn load(self) -> io::Result<()> {
        let (program_type, flags, code): (_, _, Code) = match self {
            Self::XdpFrags => {
                let code = ebpf! {
                    call xdp_get_buff_len
                    mov r0, 2
                    exit
                };
                (bpf_prog_type::BPF_PROG_TYPE_XDP, BPF_F_XDP_HAS_FRAGS, code)
            }
            Self::CompareExchange => {
                let code = ebpf! {
                    mov r0, 0
                    stxdw [r10 - 8], r0
                    mov r2, 1
                    lock cmpxchg [r10 - 8], r2
                    exit
                };
                (bpf_prog_type::BPF_PROG_TYPE_SOCKET_FILTER, 0, code)
            }
            Self::Tcx | Self::GsoSize => unreachable!("attaching, and the kernel's types, tell it"),
        };
        let instructions = code.encode(Endian::NATIVE).map_err(io::Error::other)?;
        sys::load_program(program_type, &instructions, flags).map(drop)
    }

    fn is_there(self) -> bool {
        !self.is_switched_off() && self.is_loaded()
    }
}

/// Whether a program of tc can be attached by a link. The kernel says that it knows no interface 0, or nothing of the way.
pub(crate) fn has_tcx(program: BorrowedFd<'_>) -> bool {
    let tried = || sys::create_link(program, 0, bpf_attach_type::BPF_TCX_INGRESS, 0);
    !Feature::Tcx.is_switched_off()
        && tried().map_or_else(|error| error.raw_os_error() != Some(libc::EINVAL), |_| true)
}

/// What programs can use on this kernel.
pub fn kernel_features() -> Features {
    Features {
        xdp_frags: Feature::XdpFrags.is_there(),
        compare_exchange: Feature::CompareExchange.is_there(),
        softirqs_apart: are_softirqs_apart(),
    }
}

/// [`Features::softirqs_apart`], as far as the kernel says.
fn are_softirqs_apart() -> bool {
    uname().is_ok_and(|system| {
        apart_in(&system.version().to_string_lossy(), &system.release().to_string_lossy())
    })
}

/// With PREEMPT_RT nobody tells whether CONFIG_PREEMPT_RT_NEEDS_BH_LOCK is set, which there is since Linux 6.18.
fn apart_in(version: &str, number: &str) -> bool {
    !version.contains("PREEMPT_RT") || release(number) < [6, 18]
}

/// Whether the verifier refuses programs of guards to who lacks CAP_PERFMON. Before Linux 6.18 it may: it follows ways that only speculation
/// takes until they are too many ("The sequence of 8193 jumps is too complex", seen of 5.10, 6.1 and 6.12 at cgroup and tc), and of 5.10
/// and 6.1 refuses what stores a number in two parts ("attempt to corrupt spilled pointer on stack").
pub fn follows_speculation() -> bool {
    uname().is_ok_and(|system| release(&system.release().to_string_lossy()) < [6, 18])
}

/// The numbers that a release begins with.
fn release(text: &str) -> [u32; 2] {
    let mut numbers = text.split(['.', '-']).map(|number| number.parse().unwrap_or(0_u32));
    [(); 2].map(|()| numbers.next().unwrap_or(0))
}

/// The site for a program of that filter on this kernel, which is asked for what the program would use.
pub(crate) fn fit(site: &Site, filter: Filter) -> Site {
    let asked = site.features;
    let features = Features {
        xdp_frags: asked.xdp_frags && (site.hook != Hook::Xdp || Feature::XdpFrags.is_there()),
        compare_exchange: asked.compare_exchange
            && (!filter.is_dynamic() || Feature::CompareExchange.is_there()),
        ..asked
    };
    Site { features, ..*site }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softirqs_come_between_each_other_on_new_kernels_with_preempt_rt() {
        let check =
            |version, release, apart| assert_eq!(apart_in(version, release), apart, "{version} {release}");
        check("#1 SMP PREEMPT_DYNAMIC Debian 7.3-1", "7.3.0-1-amd64", true);
        check("#1 SMP PREEMPT_RT Debian 6.12.57-1", "6.12.57+deb13-rt-amd64", true);
        check("#1 SMP PREEMPT_RT Debian 6.18.5-1", "6.18.5+deb14-rt-amd64", false);
        check("#1 SMP PREEMPT_RT", "7.0", false);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let all = Feature::ALL.map(Feature::name).join(", ");
        for known in ["", "tcx", "tcx,gso-size", &all] {
            assert_eq!(names_alone(known), Ok(()), "{known}");
        }
        for unknown in ["tcxx", "tcx,TCX", "all"] {
            assert!(names_alone(unknown).is_err(), "{unknown}");
        }
        let refused = names_alone("tcx,frags").expect_err("it is none").to_string();
        assert!(refused.contains("'frags'") && refused.contains("xdp-frags, compare-exchange"), "{refused}");
    }
}
