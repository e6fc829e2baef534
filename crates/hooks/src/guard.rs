//! A service of a guard as a filter: its program, and what that has decided.

use std::sync::Arc;

use weir_asm::Endian;
use weir_filters::{
    Site,
    fun::service::{DECISIONS, GUARD, service_object},
};
use weir_guard::meaning::{Decision, Service};
use weir_records::{DecisionCount, VerdictCounts};

use crate::{HookError, KernelFilter, kernel_features, loader};

impl KernelFilter {
    /// Loads the service's program for `site`, with the service's lists in its maps: verified, not yet attached. It judges what
    /// goes to the site's endpoint, whatever the guard says that it listens to.
    ///
    /// Needs root, or CAP_BPF alone at the socket and CAP_NET_ADMIN too elsewhere. Minimum kernel 5.8, at xdp 5.18.
    ///
    /// # Errors
    /// The service can't be a program there; or what the kernel says, with the verifier's log.
    pub fn load_service(service: &Arc<Service>, site: &Site) -> Result<Self, HookError> {
        let what = format!("the guard of '{}'", service.name);
        let other = |reason| HookError::Other { doing: "making a program", what: what.clone(), reason };
        let site = &Site { features: kernel_features(), ..*site };
        let object = service_object(service, site).map_err(|refusal| other(refusal.to_string()))?;
        let elf = object.to_elf(Endian::NATIVE).map_err(|error| other(error.to_string()))?;
        let ebpf =
            loader::without_kernel_btf().load(&elf).map_err(|error| HookError::object(&what, &error))?;
        let mut filter = Self::load_program(what, ebpf, GUARD.to_owned(), site)?;
        filter.reads_gso = site.gso.is_some();
        filter.set_lists(service)?;
        filter.service = Some(Arc::clone(service));
        Ok(filter)
    }

    /// How many packets a guard's program decided how, in the order of [`Service::decisions`]; only decisions that there were,
    /// and none of other programs.
    pub fn decisions(&self) -> Result<Vec<DecisionCount>, HookError> {
        let Some(service) = &self.service else { return Ok(Vec::new()) };
        let map = self.map(DECISIONS)?;
        let mut counts = Vec::new();
        for (number, decision) in (0..).zip(service.decisions()) {
            let packets = map.get(number)?.unwrap_or_default().into_iter().sum();
            if packets > 0 {
                counts.push(counted(service, decision, packets));
            }
        }
        Ok(counts)
    }
}

fn counted(service: &Service, decision: Decision, packets: u64) -> DecisionCount {
    DecisionCount {
        decision: decision.name().to_owned(),
        message: decision.message().map(|id| service.protocol.message(id).name.clone()),
        limit: match decision {
            Decision::OverLimit(_, limit) => Some(limit.0),
            _ => None,
        },
        dropped: !service.lets_through(decision),
        packets,
    }
}

/// What packets that were decided so came to.
pub(crate) fn verdicts(decisions: &[DecisionCount]) -> VerdictCounts {
    let mut verdicts = VerdictCounts::default();
    for DecisionCount { dropped, packets, .. } in decisions {
        *(if *dropped { &mut verdicts.dropped } else { &mut verdicts.accepted }) += packets;
    }
    verdicts
}
