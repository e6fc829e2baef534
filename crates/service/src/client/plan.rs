//! What all threads of a load know.

use std::num::NonZeroU32;

use super::{
    ClientConfig,
    deal::{Deal, Load},
    sender::{MAX_SEGMENTS, PacketRuns},
};
use crate::Io;

/// What all threads know.
pub(super) struct LoadPlan<'a> {
    pub(super) load: &'a Load,
    pub(super) config: &'a ClientConfig,
    pub(super) deal: Deal,
    pub(super) runs: PacketRuns,
}

impl<'a> LoadPlan<'a> {
    pub(super) fn new(load: &'a Load, config: &'a ClientConfig) -> Self {
        let as_many_as_a_send_takes = NonZeroU32::new(MAX_SEGMENTS as u32).expect("it is more than 0");
        let burst = match (config.pacing, config.io) {
            (Some(pacing), _) => pacing.burst,
            (None, Io::Batch) => as_many_as_a_send_takes,
            (None, Io::Simple) => NonZeroU32::MIN,
        };
        let deal = Deal { packets: load.packets, burst, sockets: config.fan.sockets() };
        Self { load, config, deal, runs: PacketRuns::new(load.invalid, burst.get().into()) }
    }

    /// The sockets of thread `number`, in the order in which it uses them.
    pub(super) fn sockets_of(&self, number: u32) -> impl Iterator<Item = u32> + use<> {
        let (sockets, threads) = (self.config.fan.sockets().get(), self.config.fan.threads().get());
        (number..sockets).step_by(threads as usize)
    }
}
