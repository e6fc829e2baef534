//! What a loaded filter's maps hold, read and set from user space.

use weir_asm::maps::{Array, MapSpec, MapType, PerCpuArray};
use weir_filters::{
    Parameter,
    maps::{CAPTURE, COUNTER, CaptureSlot, PARAMETER, VERDICTS},
};
use weir_records::VerdictCounts;
use weir_wire::maps::{CAPTURE_LEN, Capture};

use crate::{HookError, KernelFilter, Map, guard, maps::Update};

/// The last packet that a CPU saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedPacket {
    /// The CPU.
    pub cpu: usize,
    /// Packets that this CPU saw.
    pub seen: u64,
    /// Length of the packet from its UDP header on, bytes.
    pub len: usize,
    /// The first of those bytes, at most 500.
    pub bytes: Vec<u8>,
}

impl KernelFilter {
    /// The filter's own verdict counts, or nothing where it keeps none: because it accepts everything, or is classic BPF. Those
    /// of a guard's program are made of its [`KernelFilter::decisions`].
    pub fn verdicts(&self) -> Result<Option<VerdictCounts>, HookError> {
        if self.service.is_some() {
            return Ok(Some(guard::verdicts_of(&self.decisions()?)));
        }
        if self.ebpf().is_none_or(|ebpf| ebpf.map(VERDICTS.name()).is_none()) {
            return Ok(None);
        }
        let mut counts = VerdictCounts::default();
        for [accepted, dropped] in self.per_cpu(VERDICTS)? {
            counts.accepted += accepted;
            counts.dropped += dropped;
        }
        Ok(Some(counts))
    }

    /// `count-filter`: packets seen, CPU by CPU.
    pub fn counter(&self) -> Result<Vec<u64>, HookError> {
        self.per_cpu(COUNTER)
    }

    /// `print-filter`: the last packet of each CPU that saw one.
    pub fn captured(&self) -> Result<Vec<CapturedPacket>, HookError> {
        let slots = self.per_cpu(CAPTURE)?;
        let packets = slots.iter().enumerate().map(|(cpu, CaptureSlot(slot))| parse_capture(cpu, slot));
        Ok(packets.filter(|packet| packet.seen > 0).collect())
    }

    /// A handle on the map that holds the parameter, to change it while the program runs. It lives on its own.
    pub fn parameter_map(&self) -> Result<ParameterMap, HookError> {
        Ok(ParameterMap(self.map(PARAMETER)?))
    }

    /// The only value of an array, CPU by CPU.
    fn per_cpu<V: MapType>(&self, spec: MapSpec<PerCpuArray<V>>) -> Result<Vec<V>, HookError> {
        Ok(self.map(spec)?.get(0)?.unwrap_or_default())
    }
}

fn parse_capture(cpu: usize, slot: &[u8; size_of::<Capture>()]) -> CapturedPacket {
    let u32_at = |offset: usize| {
        let bytes = slot[offset..].first_chunk().expect("the field lies inside the slot");
        u32::from_ne_bytes(*bytes) as usize
    };
    let seen = slot.first_chunk().expect("the field lies inside the slot");
    let bytes = &slot[std::mem::offset_of!(Capture, bytes)..][..CAPTURE_LEN];
    let captured = u32_at(std::mem::offset_of!(Capture, captured)).min(CAPTURE_LEN);
    CapturedPacket {
        cpu,
        seen: u64::from_ne_bytes(*seen),
        len: u32_at(std::mem::offset_of!(Capture, len)),
        bytes: bytes[..captured].to_vec(),
    }
}

/// The map that holds the parameter of `parameterized-filter`.
pub struct ParameterMap(Map<Array<u32>>);

impl ParameterMap {
    /// What the program does from the next packet on.
    pub fn set(&mut self, parameter: Parameter) -> Result<(), HookError> {
        Ok(self.0.update(0, parameter.value(), Update::Any)?)
    }

    /// What the program does now.
    pub fn get(&self) -> Result<Parameter, HookError> {
        let is_accept = self.0.get(0)? == Some(Parameter::Accept.value());
        Ok(if is_accept { Parameter::Accept } else { Parameter::Drop })
    }
}
