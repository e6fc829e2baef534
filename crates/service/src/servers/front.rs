//! Where a program at its hook isn't told that a packet is several datagrams, by the kernel or by its toolkit: the filter
//! decides at the server's sockets, before which the kernel takes such packets apart, so that each datagram is judged; and
//! what it can drop before, it drops at its hook.
//!
//! At the hook a program judges such a packet by its first datagram. What it drops goes whole; what it lets on is judged
//! again, datagram by datagram.

use weir_filters::{Binding, Filter, FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{HookError, KernelFilter, VerdictCounts};

use super::attachments::{AttachPlaces, heal};

/// A program at the hook, before the sockets.
pub(super) struct Front {
    pub(super) program: KernelFilter,
    pub(super) attached: AttachPlaces,
}

impl Front {
    /// The site at the hook, where packets of several datagrams go on to the sockets.
    pub(super) fn site(site: Site) -> Site {
        Site { super_packets: SuperPackets::Pass, gso: None, ..site }
    }

    /// What of the filter can decide before the sockets do: one that decides alike whenever it is asked, and that nobody
    /// changes. At a shared port it would decide at the same place, a moment before.
    pub(super) fn filter(filter: Filter, hook: Hook) -> Filter {
        let is_fixed = match filter.name {
            FilterName::Parameterized => filter.binding == Binding::Constant,
            // A map of verdicts and no other: nothing is remembered, and nothing is changed.
            name => name.entry().maps.len() == 1,
        };
        if hook == Hook::Xdp && is_fixed && !filter.is_dynamic() { filter } else { FilterName::Simple.into() }
    }

    /// Puts what of the filter can decide here in the place of what does, and gives what that dropped.
    pub(super) fn replace(&mut self, filter: Filter, toolkit: Toolkit) -> Result<u64, HookError> {
        let site = self.program.site();
        if site.hook == Hook::Reuseport {
            // It lets everything through and picks workers, which are seated in it.
            return Ok(0);
        }
        let decides = Self::filter(filter, site.hook);
        let toolkit = if decides == filter { toolkit } else { Toolkit::Fun };
        let next = KernelFilter::load(decides, toolkit, site)?;
        for (number, (attached, _)) in self.attached.iter().enumerate() {
            if let Err(error) = attached.replace(&next) {
                // It was attached there a moment ago.
                for (attached, _) in &self.attached[..number] {
                    let _ = attached.replace(&self.program);
                }
                return Err(error);
            }
        }
        let before = std::mem::replace(&mut self.program, next);
        dropped(&before)
    }

    pub(super) fn heal(&mut self) -> Result<Vec<String>, HookError> {
        heal(&mut self.attached, &self.program)
    }

    /// The counts of both: what goes on from here is counted at the sockets.
    pub(super) fn add_to(&self, counts: VerdictCounts) -> Result<VerdictCounts, HookError> {
        Ok(VerdictCounts { dropped: counts.dropped + dropped(&self.program)?, ..counts })
    }
}

fn dropped(program: &KernelFilter) -> Result<u64, HookError> {
    Ok(program.verdicts()?.map_or(0, |counts| counts.dropped))
}
