//! A service of a guard as a filter: its program, and what that has decided.

use std::{os::fd::AsRawFd as _, sync::Arc};

use aya_obj::generated::bpf_attach_type::BPF_CGROUP_INET_EGRESS;
use weir_asm::{Endian, Object, maps::PerCpuArray, read_elf};
use weir_filters::{
    Hook, Owner, Site,
    fun::service::{
        DECISIONS, GUARD, KNOWING, LOST_SAMPLES, SAMPLES, SampledPacket, WrittenService, exported_object,
        service_object,
    },
};
use weir_guard::meaning::{Decision, Service};
use weir_records::{DecisionCount, VerdictCounts};

use crate::{
    Attached, Direction, HookError, KernelFilter, Map, Obstacle, Owners, ProgramType,
    attaching::call_with_reason, filter::Loaded, kernel_features, loader, maps::Records,
    occupant::guard_name, program_type,
};

impl KernelFilter {
    /// Loads the service's program for `site`, with the service's lists in its maps: verified, not yet attached. It judges what
    /// goes to the site's endpoint, whatever the guard says that it listens to.
    ///
    /// Needs root, or CAP_BPF alone at the socket and CAP_NET_ADMIN too elsewhere, with CAP_PERFMON at xdp and where it
    /// [`reads_anywhere`](weir_filters::fun::service::reads_anywhere). Minimum kernel 5.8, at xdp 5.18.
    ///
    /// # Errors
    /// The service can't be a program there; or what the kernel says, with the verifier's log.
    pub fn load_service(service: &Arc<Service>, site: &Site) -> Result<Self, HookError> {
        let mut filter = Self::programs(service, site, None)?;
        filter.reads_gso = site.gso.is_some();
        filter.set_lists(service)?;
        filter.service = Some(Arc::clone(service));
        Ok(filter)
    }

    /// The service's programs, with nothing in their maps.
    fn programs(
        service: &Service,
        site: &Site,
        written: Option<WrittenService<'_>>,
    ) -> Result<Self, HookError> {
        let what = format!("the guard of '{}'", service.name);
        let other = |reason| HookError::Other { doing: "making a program", what: what.clone(), reason };
        let site = &Site { features: kernel_features(), ..*site };
        let object = match written {
            Some(written) => exported_object(service, site, written),
            None => service_object(service, site),
        };
        let mut object = object.map_err(|refusal| other(refusal.to_string()))?;
        // By its name it is known to others of the same port.
        let name = guard_name(site.endpoint.port);
        let judging = object.programs.iter_mut().filter(|program| program.name == GUARD);
        judging.for_each(|program| program.name.clone_from(&name));
        until_compiled(&mut object, |object| {
            let elf = object.to_elf(Endian::NATIVE).map_err(|error| other(error.to_string()))?;
            let traced = |mut error: HookError, program: &str| {
                if let HookError::Load { site: made_for, .. } = &mut error {
                    *made_for = Some(Box::new(*site));
                }
                match written.and_then(|_| read_elf(&elf).ok()) {
                    Some(file) => error.with_line_of(&file, program),
                    None => error,
                }
            };
            let mut ebpf =
                loader::without_kernel_btf().load(&elf).map_err(|error| HookError::object(&what, &error))?;
            if let Some(knowing) = ebpf.program_mut(KNOWING) {
                let needed = ProgramType::of(knowing).map_or(&[][..], ProgramType::needed);
                let loaded = program_type::load(knowing);
                loaded
                    .map_err(|error| traced(HookError::program("loading", &what, needed, error), KNOWING))?;
            }
            Self::load_program(what.clone(), ebpf, name.clone(), site).map_err(|error| traced(error, &name))
        })
    }

    /// Attaches the program that sees what the service sends, where the guard asks which sources it has answered: on the way out of
    /// the same interface for hooks of one, and of the control group for others, the socket's hook too.
    ///
    /// Needs CAP_NET_ADMIN.
    ///
    /// # Errors
    /// What it belongs to is none of `owners`; or what the kernel says.
    pub fn attach_knowing(&self, owners: Owners<'_>) -> Result<Option<Attached>, HookError> {
        let Some(program) = self.knowing()? else { return Ok(None) };
        match (self.site.hook.owner(), owners) {
            (Owner::Interface, Owners { interface: Some(interface), .. }) => {
                self.at_tc(interface, Direction::Egress, program).map(Some)
            }
            (Owner::Socket | Owner::ControlGroup, Owners { group: Some(group), .. }) => {
                let link = self.held_link(program, group.as_raw_fd() as u32, BPF_CGROUP_INET_EGRESS, 0);
                let link = link.map_err(|error| {
                    let call = call_with_reason(Hook::Cgroup, "BPF_LINK_CREATE", &error);
                    HookError::call("attaching", &self.what, ProgramType::CgroupSkb.needed(), call, error)
                })?;
                Ok(Some(self.attached(link)))
            }
            _ => Err(self.other("attaching", "nothing was given whose answers it could see".to_owned())),
        }
    }

    /// How many packets a guard's program decided how, in the order of [`Service::decisions`]; only decisions that there were,
    /// and none of other programs.
    pub fn decisions(&self) -> Result<Vec<DecisionCount>, HookError> {
        let Some(service) = &self.service else { return Ok(Vec::new()) };
        let all = self.all_decisions()?.into_iter().filter(|(_, packets)| *packets > 0);
        Ok(all.map(|(decision, packets)| decision_count(service, decision, packets)).collect())
    }

    /// The reading end of the samples of what a guard's program drops, where the guard wants them; there is one.
    ///
    /// # Errors
    /// It was taken.
    pub fn take_samples(&mut self) -> Result<Option<Records<SampledPacket>>, HookError> {
        match (&self.service, &mut self.loaded) {
            (Some(service), Loaded::Object { ebpf, .. }) if service.sample.is_some() => {
                Ok(Some(Records::of(ebpf, SAMPLES)?))
            }
            _ => Ok(None),
        }
    }

    /// How many samples found no room between the program and [`Self::take_samples`].
    ///
    /// # Errors
    /// What the kernel says.
    pub fn lost_samples(&self) -> Result<u64, HookError> {
        if self.service.as_ref().is_none_or(|service| service.sample.is_none()) {
            return Ok(0);
        }
        Ok(self.map(LOST_SAMPLES)?.get(0)?.unwrap_or_default().into_iter().sum())
    }

    /// Has a guard's program search the lists of the service as it is now, as [`Self::set_lists`] says, where they alone are others.
    ///
    /// # Errors
    /// Those of [`Self::set_lists`].
    pub fn change_lists(&mut self, service: &Arc<Service>) -> Result<(), HookError> {
        self.set_lists(service)?;
        self.service = Some(Arc::clone(service));
        Ok(())
    }

    /// How many packets a guard's program decided how, in the order of [`Service::decisions`]; none of other programs.
    pub fn all_decisions(&self) -> Result<Vec<(Decision, u64)>, HookError> {
        let Some(service) = &self.service else { return Ok(Vec::new()) };
        decided(service, &self.map(DECISIONS)?)
    }
}

/// What the map has of each of the service's decisions.
pub(crate) fn decided(
    service: &Service,
    map: &Map<PerCpuArray<u64>>,
) -> Result<Vec<(Decision, u64)>, HookError> {
    let packets = |(number, decision)| Ok((decision, map.get(number)?.unwrap_or_default().into_iter().sum()));
    (0..).zip(service.decisions()).map(packets).collect()
}

impl HookError {
    /// Where it is a guard's program that the verifier refused: the same with the rule that the refused instruction comes from. The
    /// program is made and loaded once more for that, with the lines of its rules, which takes as long again.
    pub fn with_rule(self, service: &Service, written: WrittenService<'_>) -> Self {
        let Self::Load { site: Some(site), verifier_log, .. } = &self else { return self };
        // Without a log it didn't get as far as an instruction.
        if verifier_log.trim().is_empty() {
            return self;
        }
        match KernelFilter::programs(service, site, Some(written)) {
            Err(traced @ Self::Load { .. }) => traced,
            _ => self,
        }
    }
}

/// How long code is made at most, in copies of r10 for each.
const MOST_COPIES: usize = 4;

/// Loads programs, with the same in other words where the kernel's compiler to machine code doesn't get done with them: on x86 a jump back may
/// become longer while others become shorter by as much, after which it takes code that isn't what it measured for done ("bpf_jit: fatal
/// error", arch/x86/net/bpf_jit_comp.c, `do_jit`; seen on Linux 6.18, one of some 40 000 programs of random guards).
///
/// # Errors
/// Those of `load`.
pub fn until_compiled<T>(
    object: &mut Object,
    mut load: impl FnMut(&Object) -> Result<T, HookError>,
) -> Result<T, HookError> {
    let short = object.clone();
    let mut times = 1;
    loop {
        match load(object) {
            Err(error) if error.obstacle() == Some(Obstacle::Compiler) && times < MOST_COPIES => {
                times += 1;
                object.clone_from(&short);
                object.programs.iter_mut().for_each(|program| program.code.repeat_copies_of_r10(times));
            }
            loaded => return loaded,
        }
    }
}

/// How many packets were decided so, by the rules of that service.
pub fn decision_count(service: &Service, decision: Decision, packets: u64) -> DecisionCount {
    DecisionCount {
        decision: decision.name().to_owned(),
        message: decision.message().map(|id| service.protocol.message(id).name.clone()),
        limit: decision.limit().map(|limit| limit.0),
        dropped: !service.lets_through(decision),
        packets,
    }
}

/// What packets that were decided so came to.
pub fn verdicts_of(decisions: &[DecisionCount]) -> VerdictCounts {
    let mut verdicts = VerdictCounts::default();
    for DecisionCount { dropped, packets, .. } in decisions {
        *(if *dropped { &mut verdicts.dropped } else { &mut verdicts.accepted }) += packets;
    }
    verdicts
}
