//! What a loaded filter's maps hold, read and set from user space.

use std::borrow::{Borrow, BorrowMut};

use aya::maps::{Array, MapData, MapError, PerCpuArray};
use serde::{Deserialize, Serialize};
use weir_filters::Parameter;
use weir_wire::maps::{self, CAPTURE_LEN, Capture};

use crate::{HookError, KernelFilter};

/// Packets that a filter accepted and dropped, over all CPUs, since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// Packets accepted.
    pub accepted: u64,
    /// Packets dropped.
    pub dropped: u64,
}

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
    /// The filter's own verdict counts, or nothing where it keeps none because it accepts everything.
    pub fn verdicts(&self) -> Result<Option<VerdictCounts>, HookError> {
        if self.ebpf.map(maps::VERDICTS).is_none() {
            return Ok(None);
        }
        let mut counts = VerdictCounts::default();
        for [accepted, dropped] in self.per_cpu::<[u64; 2]>(maps::VERDICTS)? {
            counts.accepted += accepted;
            counts.dropped += dropped;
        }
        Ok(Some(counts))
    }

    /// `count-filter`: packets seen, CPU by CPU.
    pub fn counter(&self) -> Result<Vec<u64>, HookError> {
        self.per_cpu(maps::COUNTER)
    }

    /// `print-filter`: the last packet of each CPU that saw one.
    pub fn captured(&self) -> Result<Vec<CapturedPacket>, HookError> {
        let slots = self.per_cpu::<[u8; size_of::<Capture>()]>(maps::CAPTURE)?;
        let packets = slots.iter().enumerate().map(|(cpu, slot)| parse_capture(cpu, slot));
        Ok(packets.filter(|packet| packet.seen > 0).collect())
    }

    fn per_cpu<T: aya::Pod>(&self, name: &str) -> Result<Vec<T>, HookError> {
        let map = self.ebpf.map(name).ok_or_else(|| self.no_map(name))?;
        PerCpuArray::<_, T>::try_from(map)
            .and_then(|array| array.get(&0, 0))
            .map(|values| values.iter().copied().collect())
            .map_err(|error| self.map_error("reading a map", error))
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
pub struct ParameterMap<M = MapData> {
    array: Array<M, u32>,
}

impl<M: Borrow<MapData> + BorrowMut<MapData>> ParameterMap<M> {
    pub(crate) fn new<A>(map: A) -> Result<Self, MapError>
    where
        Array<M, u32>: TryFrom<A, Error = MapError>,
    {
        Ok(Self { array: map.try_into()? })
    }

    /// What the program does from the next packet on.
    pub fn set(&mut self, parameter: Parameter) -> Result<(), HookError> {
        self.array
            .set(0, parameter.value(), 0)
            .map_err(|error| HookError::map("setting the parameter", maps::PARAMETER, error))
    }

    /// What the program does now.
    pub fn get(&self) -> Result<Parameter, HookError> {
        let value = self
            .array
            .get(&0, 0)
            .map_err(|error| HookError::map("reading the parameter", maps::PARAMETER, error))?;
        Ok(if value == Parameter::Accept.value() { Parameter::Accept } else { Parameter::Drop })
    }
}
