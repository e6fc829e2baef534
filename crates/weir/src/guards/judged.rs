//! Packets of a service as the interpreter judged them, by decision.

use std::{collections::HashMap, net::IpAddr};

use serde::Serialize;
use weir_filters::CarriedUdp;
use weir_guard::meaning::{Decision, Memory, Packet, Service, UnjudgedKind};

use super::words;

/// Bytes of a packet that are shown.
const EXAMPLE: usize = 16;

/// A service, and what became of its packets.
pub(super) struct JudgedService<'a> {
    pub(super) service: &'a Service,
    memory: Memory,
    counts: HashMap<Decision, Tally>,
    pub(super) packets: u64,
}

/// Packets that were decided alike.
struct Tally {
    packets: u64,
    bytes: u64,
    /// ns since the capture's beginning.
    first: u64,
    last: u64,
    example: Vec<u8>,
}

/// What is said of packets that were decided alike.
#[derive(Debug, Serialize)]
pub(crate) struct DecisionReport {
    pub(super) decision: &'static str,
    pub(super) words: String,
    pub(super) dropped: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    pub(super) packets: u64,
    /// Of payload.
    pub(super) bytes: u64,
    pub(super) share: f64,
    pub(super) first_s: f64,
    pub(super) last_s: f64,
    /// The first bytes of the first packet's payload, in hex.
    pub(super) example: String,
}

impl<'a> JudgedService<'a> {
    pub(super) fn of(service: &'a Service) -> Self {
        Self { service, memory: Memory::default(), counts: HashMap::new(), packets: 0 }
    }

    /// What becomes of a packet to it.
    pub(super) fn judge(&mut self, udp: &CarriedUdp<'_>, now: u64) -> Decision {
        let packet = Packet { source: udp.source, payload: udp.payload, len: udp.len };
        let decision = self.service.decide(&packet, &mut self.memory, now);
        self.note(decision, udp.payload, udp.len, now)
    }

    /// What becomes of the first fragment of a packet to it.
    pub(super) fn judge_fragment(&mut self, source: IpAddr, now: u64) -> Decision {
        let decision = self.service.decide_unjudged(UnjudgedKind::Fragment, source);
        self.note(decision, &[], 0, now)
    }

    fn note(&mut self, decision: Decision, payload: &[u8], len: u16, now: u64) -> Decision {
        let tally = self.counts.entry(decision).or_insert_with(|| Tally {
            packets: 0,
            bytes: 0,
            first: now,
            last: now,
            example: payload[..payload.len().min(EXAMPLE)].to_vec(),
        });
        tally.packets += 1;
        tally.bytes += u64::from(len);
        tally.last = now;
        self.packets += 1;
        decision
    }

    /// Takes note of a packet that it sent.
    pub(super) fn answered(&mut self, udp: &CarriedUdp<'_>, now: u64) {
        let answer = Packet { source: udp.source, payload: udp.payload, len: udp.len };
        self.service.answered(&answer, udp.destination, &mut self.memory, now);
    }

    /// The decisions that there were, those of most packets first.
    pub(super) fn decisions(&self) -> Vec<DecisionReport> {
        let report = |(&decision, tally): (&Decision, &Tally)| DecisionReport {
            decision: decision.name(),
            words: words::sentence(decision, self.service),
            dropped: !decision.is_accepted(),
            message: decision.message().map(|id| self.service.protocol.message(id).name.clone()),
            packets: tally.packets,
            bytes: tally.bytes,
            share: tally.packets as f64 / self.packets as f64,
            first_s: seconds(tally.first),
            last_s: seconds(tally.last),
            example: tally.example.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let mut reports: Vec<_> = self.counts.iter().map(report).collect();
        reports.sort_by(|one, other| (other.packets, &one.words).cmp(&(one.packets, &other.words)));
        reports
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
