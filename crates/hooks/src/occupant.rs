//! Programs that are already where one is to be attached.

use std::{io, os::fd::AsRawFd as _};

use aya::programs::loaded_programs;
use aya_obj::generated::bpf_attach_type::{BPF_CGROUP_INET_INGRESS, BPF_TCX_INGRESS};
use rtnetlink::packet_route::link::{LinkAttribute, LinkXdp};
use thiserror::Error;

use crate::{HookError, Interface, KernelFilter, Owners, Target, clsact, route, sys};

/// A program that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Occupant {
    /// A guard of the same port, by the kernel's id.
    #[error(
        "program {0} guards that port there already, and both would judge; end the `weir guard run` that has it \
         (`bpftool prog show id {0}` names its process), or `weir guard remove` what one has left that is kept"
    )]
    Guard(u32),
    /// Somebody's, by the kernel's id, where there is room for one.
    #[error("program {0} is there already, and there is room for one; `bpftool prog show id {0}` shows it")]
    Program(u32),
    /// A program of generic XDP before tc, by the kernel's id.
    #[error(
        "program {0} runs there in generic XDP, behind which Linux shows programs at tc no Ethernet header, so that they would judge \
         nothing; attach it in the driver, or filter at socket or cgroup"
    )]
    GenericXdp(u32),
}

/// What the kernel says of a program that it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadedProgram {
    /// It is loaded, and called so.
    Named(String),
    /// There is none of that id.
    Gone,
    /// It can't be asked: that takes CAP_SYS_ADMIN.
    Untold,
}

impl LoadedProgram {
    /// The program of that id.
    pub fn of(id: u32) -> Self {
        let mut is_told = true;
        for program in loaded_programs() {
            match program {
                Ok(program) if program.id() == id => {
                    return Self::Named(program.name_as_str().unwrap_or_default().to_owned());
                }
                Ok(_) => {}
                Err(_) => is_told = false,
            }
        }
        if is_told { Self::Gone } else { Self::Untold }
    }

    /// Whether it is a guard of that port.
    pub fn guards(&self, port: u16) -> bool {
        *self == Self::Named(guard_name(port))
    }
}

/// The name that the kernel has of a guard's program.
pub(crate) fn guard_name(port: u16) -> String {
    format!("guard_{port}")
}

impl KernelFilter {
    /// Refuses what has a guard of the same port at this hook already, as far as this process may ask for programs' names
    /// (CAP_SYS_ADMIN), and at xdp what has any program. What a socket has is refused where it is attached to.
    ///
    /// # Errors
    /// It is [`HookError::Occupied`]; or what the kernel says.
    pub fn refuse_occupied(&self, owners: Owners<'_>) -> Result<(), HookError> {
        let (place, found) = match owners.target(self.site.hook) {
            Some(Target::Tc(interface)) => (format!("tc of {interface}"), at_tc(interface)),
            Some(Target::Xdp(interface, _)) => (format!("xdp of {interface}"), at_xdp(interface)),
            Some(Target::Cgroup(folder)) => {
                let found = sys::attached_programs(folder.as_raw_fd() as u32, BPF_CGROUP_INET_INGRESS);
                ("the control group".to_owned(), found)
            }
            _ => return Ok(()),
        };
        let found =
            found.map_err(|error| self.call_error("attaching", "asking for what is attached", error))?;
        // What is kept of it becomes its own.
        let kept = self.pins.as_ref().map(|pins| pins.programs()).unwrap_or_default();
        let found: Vec<_> = found.into_iter().filter(|id| !kept.contains(id)).collect();
        let port = self.site.endpoint.port;
        let guard =
            found.iter().find(|id| LoadedProgram::of(**id).guards(port)).map(|id| Occupant::Guard(*id));
        let only = found.first().map(|id| Occupant::Program(*id));
        let occupant = guard.or(only.filter(|_| self.site.hook == weir_filters::Hook::Xdp));
        match occupant {
            Some(occupant) => Err(HookError::Occupied { what: self.what.clone(), place, occupant }),
            None => Ok(()),
        }
    }
}

impl KernelFilter {
    /// Refuses an interface at tc that has a program of generic XDP. Where that makes a packet anew, for want of room before it, the new one
    /// has no `mac_len`, and tc begins at the IP header (net/core/dev.c, `netif_skb_check_for_xdp`; seen on Linux 6.18).
    ///
    /// # Errors
    /// It is [`HookError::Occupied`]; or what the kernel says.
    pub fn refuse_behind_generic_xdp(&self, interface: &Interface) -> Result<(), HookError> {
        let said = said_of_xdp(interface);
        let said = said.map_err(|error| self.call_error("attaching", "asking for XDP programs", error))?;
        let generic = said.iter().find_map(|said| match said {
            LinkXdp::SkbProgId(id) => Some(*id),
            _ => None,
        });
        generic.map_or(Ok(()), |id| {
            let place = format!("tc of {interface}");
            Err(HookError::Occupied { what: self.what.clone(), place, occupant: Occupant::GenericXdp(id) })
        })
    }
}

fn at_tc(interface: &Interface) -> io::Result<Vec<u32>> {
    // Before Linux 6.6 the kernel knows no such question.
    let linked = sys::attached_programs(interface.index(), BPF_TCX_INGRESS).unwrap_or_default();
    Ok([linked, clsact::held_programs(interface)?].concat())
}

fn at_xdp(interface: &Interface) -> io::Result<Vec<u32>> {
    let id = |said| match said {
        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) | LinkXdp::HwProgId(id) => {
            Some(id)
        }
        _ => None,
    };
    Ok(said_of_xdp(interface)?.into_iter().filter_map(id).collect())
}

/// What the kernel says of an interface's XDP programs.
fn said_of_xdp(interface: &Interface) -> io::Result<Vec<LinkXdp>> {
    let link = route::link(interface.index())?;
    let said = link.attributes.into_iter().filter_map(|attribute| match attribute {
        LinkAttribute::Xdp(said) => Some(said),
        _ => None,
    });
    Ok(said.flatten().collect())
}
