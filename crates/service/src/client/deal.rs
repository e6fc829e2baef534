//! A load, whose packets keep their shares in every stretch, and how sockets divide it.

use std::{num::NonZeroU32, time::Duration};

use super::{
    payload::{Payload, PayloadKind},
    workload::Percent,
};

/// A load: PUTs of key 10, invalid packets and GETs, evenly interleaved.
///
/// Packet i is invalid where ⌊(i + 1)·p ÷ 100⌋ exceeds ⌊i·p ÷ 100⌋, and the GETs lie among the valid packets by the same
/// rule: the first n packets have exactly ⌊n·p ÷ 100⌋ invalid ones for every n and p, and any n in a row one more or
/// less at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Packets at most.
    pub packets: u64,
    /// How long packets are due at most.
    pub duration: Option<Duration>,
    /// Share of invalid packets.
    pub invalid_share: Percent,
    /// What an invalid packet is.
    pub invalid: Payload,
    /// Share of GETs among the valid ones.
    pub get_share: Percent,
}

impl Load {
    /// What packet `index` of the sequence is.
    pub(super) const fn kind(&self, index: u64) -> PayloadKind {
        if self.invalid_share.falls_on(index) {
            return PayloadKind::Invalid;
        }
        let valid_before = index - self.invalid_share.of(index);
        if self.get_share.falls_on(valid_before) { PayloadKind::Get } else { PayloadKind::Put }
    }
}

/// How a load is divided: moment i of the schedule belongs to socket i mod `sockets`, and socket s to thread s mod
/// `threads`. So threads and sockets change neither what is sent nor when.
///
/// Each socket takes a stretch of the load's sequence for its own packets. Were they dealt out in turn, a share that the
/// number of sockets divides would give one socket all invalid packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deal {
    pub(super) packets: u64,
    pub(super) burst: NonZeroU32,
    pub(super) sockets: NonZeroU32,
}

impl Deal {
    /// Moments that have a packet.
    pub(super) const fn moments(&self) -> u64 {
        self.packets.div_ceil(self.burst.get() as u64)
    }

    /// Packets of moment `i`, which is one of the [`Self::moments`]: a burst, or what the last one has left.
    pub(super) fn packets_of(&self, moment: u64) -> u64 {
        let burst = u64::from(self.burst.get());
        burst.min(self.packets - moment * burst)
    }

    /// Packets of socket `socket`.
    pub(super) fn packets_of_socket(&self, socket: u32) -> u64 {
        let (moments, sockets) = (self.moments(), u64::from(self.sockets.get()));
        let own = moments / sockets + u64::from(u64::from(socket) < moments % sockets);
        let has_last = moments > 0 && (moments - 1) % sockets == u64::from(socket);
        let burst = u128::from(self.burst.get());
        let missing = if has_last { u128::from(moments) * burst - u128::from(self.packets) } else { 0 };
        (u128::from(own) * burst - missing) as u64
    }

    /// Where in the load's sequence the stretch of `socket` begins.
    pub(super) fn start_of_socket(&self, socket: u32) -> u64 {
        (0..socket).map(|before| self.packets_of_socket(before)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::client::Workload;

    fn load(invalid_percent: u8, get_percent: u8) -> Load {
        Load {
            packets: u64::MAX,
            duration: None,
            invalid_share: Percent::new(invalid_percent).unwrap(),
            invalid: Payload::bad(256),
            get_share: Percent::new(get_percent).unwrap(),
        }
    }

    fn deal(packets: u64, burst: u32, sockets: u32) -> Deal {
        Deal { packets, burst: NonZeroU32::new(burst).unwrap(), sockets: NonZeroU32::new(sockets).unwrap() }
    }

    fn count(load: &Load, indices: std::ops::Range<u64>, kind: PayloadKind) -> u64 {
        indices.filter(|&index| load.kind(index) == kind).count() as u64
    }

    fn check(load: Load, expected: &str) {
        let kinds: String = (0..expected.len() as u64)
            .map(|index| match load.kind(index) {
                PayloadKind::Put => 'P',
                PayloadKind::Get => 'G',
                _ => 'x',
            })
            .collect();
        assert_eq!(kinds, expected);
    }

    #[test]
    fn kinds_alternate_as_evenly_as_they_go() {
        check(load(0, 0), "PPPPPPPP");
        check(load(50, 0), "PxPxPxPx");
        check(load(25, 0), "PPPxPPPx");
        check(load(75, 0), "PxxxPxxx");
        check(load(40, 0), "PPxPxPPxPx");
        check(load(50, 50), "PxGxPxGx");
        check(load(0, 25), "PPPGPPPG");
        check(load(100, 50), "xxxx");
        check(load(0, 100), "GGGG");
    }

    proptest! {
        #[test]
        fn every_beginning_has_the_exact_counts(n in 0..3000_u64, p in 0..=100_u8, g in 0..=100_u8) {
            let (load, workload) = (load(p, g), Workload {
                packets: n, invalid_share: Percent::new(p).unwrap(), get_share: Percent::new(g).unwrap(),
                ..Workload::default()
            });
            prop_assert_eq!(count(&load, 0..n, PayloadKind::Invalid), workload.invalid());
            prop_assert_eq!(count(&load, 0..n, PayloadKind::Put), workload.puts());
            prop_assert_eq!(count(&load, 0..n, PayloadKind::Get), workload.valid() - workload.puts());
        }

        #[test]
        fn every_window_keeps_the_share(start in 0..u64::MAX / 2, len in 1..2000_u64, p in 0..=100_u8) {
            let invalid = count(&load(p, 0), start..start + len, PayloadKind::Invalid);
            prop_assert!(invalid.abs_diff(Percent::new(p).unwrap().of(len)) <= 1, "{}", invalid);
        }

        #[test]
        fn sockets_together_send_every_packet_once(n in 0..5000_u64, burst in 1..70_u32, sockets in 1..9_u32) {
            let deal = deal(n, burst, sockets);
            let mut sent = vec![0; sockets as usize];
            for moment in 0..deal.moments() {
                prop_assert!(deal.packets_of(moment) > 0);
                sent[(moment % u64::from(sockets)) as usize] += deal.packets_of(moment);
            }
            let mut start = 0;
            for (socket, &packets) in (0..).zip(&sent) {
                prop_assert_eq!(deal.packets_of_socket(socket), packets);
                prop_assert_eq!(deal.start_of_socket(socket), start);
                start += packets;
            }
            prop_assert_eq!(start, n);
        }

        #[test]
        fn a_load_without_a_bound_can_be_divided(burst in 1..70_u32, sockets in 1..100_u32) {
            let deal = deal(u64::MAX, burst, sockets);
            let last = sockets - 1;
            prop_assert_eq!(deal.start_of_socket(last) + deal.packets_of_socket(last), u64::MAX);
        }
    }
}
