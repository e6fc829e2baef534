//! Figures of servers and clients under load.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use weir_filters::{FilterName, Hook, Toolkit};
use weir_lab::experiment::{
    definition::Definition,
    measure,
    schedule::{self, Scheduled},
};
use weir_results::{cell::Placement, sample::Sample, stats::paired_ratios};
use weir_service::{Io, Moderation};

use super::{Bound, PromisedFigure, Runner};

const DEFINITION: &str = r#"
name = "bench"
title = "The figures that weir promises"
question = "Are they met on this machine?"
runs = 1
grid = { invalid_percent = [0], packets = [1000000] }

[[placements]]
placement = "kernel"
filter = "valid-command"
toolkit = "aya"
hook = "socket"
"#;

/// Of the definition's clients.
pub(super) const BEHAVIOUR: &str = "frigg";

const MILLION: u64 = 1_000_000;

/// A load: how client and server do their I/O, what is sent, where it is filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServedLoad {
    pub(super) client: Io,
    pub(super) server: Io,
    pub(super) moderation: Moderation,
    pub(super) placement: Placement,
    pub(super) invalid_percent: u8,
    pub(super) packets: u64,
    pub(super) audited: bool,
}

pub(super) const BATCH: ServedLoad = ServedLoad {
    client: Io::Batch,
    server: Io::Batch,
    moderation: Moderation::Off,
    placement: Placement::Kernel,
    invalid_percent: 0,
    packets: MILLION,
    audited: false,
};
pub(super) const SIMPLE: ServedLoad = ServedLoad { client: Io::Simple, server: Io::Simple, ..BATCH };
const SIMPLE_SERVER: ServedLoad = ServedLoad { server: Io::Simple, ..BATCH };
const KERNEL_99: ServedLoad = ServedLoad { invalid_percent: 99, ..BATCH };
const USER_99: ServedLoad = ServedLoad { placement: Placement::User, ..KERNEL_99 };

/// What the audit costs is told where almost every packet is a drop. A sender of single packets takes its time.
const SIMPLE_99: ServedLoad = ServedLoad { packets: MILLION / 4, invalid_percent: 99, ..SIMPLE };
const AUDITED_99: ServedLoad = ServedLoad { audited: true, ..KERNEL_99 };
const AUDITED_SIMPLE_99: ServedLoad = ServedLoad { audited: true, ..SIMPLE_99 };

/// Lengths of the runs whose memory is compared.
const SHORT: ServedLoad = ServedLoad { packets: MILLION / 10, ..BATCH };
const LONG: ServedLoad = ServedLoad { packets: 10 * MILLION, ..BATCH };

/// Runs of the memory comparison: what a process holds hardly varies.
const MEMORY_RUNS: u32 = 2;

pub(super) type LoadRuns = BTreeMap<u32, Sample>;

pub(super) fn measure(runs: u32, runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    runner.run(&SHORT, 0)?; // Warms up, and isn't counted.
    let compared =
        [BATCH, SIMPLE, SIMPLE_SERVER, KERNEL_99, USER_99, AUDITED_99, SIMPLE_99, AUDITED_SIMPLE_99];
    let loads = runner.interleaved(&compared, runs, |_| Ok(()))?;
    let lengths = runner.interleaved(&[SHORT, LONG], MEMORY_RUNS, |_| Ok(()))?;
    let ratio = |a: &ServedLoad, b: &ServedLoad, of: fn(&Sample) -> f64| {
        paired_ratios(&each(&loads[a], of), &each(&loads[b], of))
    };
    let cpu = |a: &ServedLoad, b: &ServedLoad| ratio(a, b, cpu_per_packet_read);
    let memory = paired_ratios(&each(&lengths[&LONG], peak_kib), &each(&lengths[&SHORT], peak_kib));
    let ready = loads.values().flat_map(BTreeMap::values).filter_map(ready_mib).collect();
    let losses =
        |load: &ServedLoad| loads[load].values().filter_map(Sample::loss_percent).collect::<Vec<_>>();
    Ok(figures! {
        "client, 10⁶ valid packets: packets/s, batch ÷ simple", "":
            ratio(&BATCH, &SIMPLE, client_rate) => Bound::AtLeast(3.0);
        "server CPU per packet read under that load, batch ÷ simple", "":
            cpu(&BATCH, &SIMPLE) => Bound::AtMost(0.7);
        "  the same where both servers get the batch client's load", "": cpu(&BATCH, &SIMPLE_SERVER);
        "server CPU at 99 % invalid, kernel ÷ user", "":
            ratio(&KERNEL_99, &USER_99, Sample::server_cpu_us_per_packet)
            => Bound::AtMostAndBelow { median: 0.4, interval: 1.0 };
        "loss of valid requests at 99 % invalid, kernel", "%": losses(&KERNEL_99) => Bound::Always(0.0);
        "  the same, user", "%": losses(&USER_99);
        "memory of the server after 10⁷ packets to one key ÷ after 10⁵", "": memory => Bound::AtMost(1.1);
        "memory of the server before the first packet", "MB": ready => Bound::AtMost(10.0);
        "packets/s at 99 % invalid, audited ÷ not, one packet a send", "":
            ratio(&AUDITED_SIMPLE_99, &SIMPLE_99, client_rate);
        "  the same, sent in batches", "": ratio(&AUDITED_99, &KERNEL_99, client_rate);
        "client, batch", "packets/s": values(&loads[&BATCH], client_rate);
        "client, simple", "packets/s": values(&loads[&SIMPLE], client_rate);
        "server CPU per packet sent, 10⁶ packets, 99 % invalid, user", "µs":
            values(&loads[&USER_99], Sample::server_cpu_us_per_packet);
        "  the same, kernel", "µs": values(&loads[&KERNEL_99], Sample::server_cpu_us_per_packet);
    })
}

impl Runner<'_> {
    /// The loads in turn, after what is done each time, so that what drifts meets all of them.
    pub(super) fn interleaved(
        &mut self,
        loads: &[ServedLoad],
        runs: u32,
        mut each_time: impl FnMut(u32) -> anyhow::Result<()>,
    ) -> anyhow::Result<BTreeMap<ServedLoad, LoadRuns>> {
        let mut samples: BTreeMap<ServedLoad, LoadRuns> = BTreeMap::new();
        for repetition in 0..runs {
            each_time(repetition)?;
            for load in loads {
                (self.say)(&format!(
                    "run {} of {runs}: {} packets, {} % invalid, client {}, server {}, moderation {}",
                    repetition + 1,
                    load.packets,
                    load.invalid_percent,
                    load.client,
                    load.server,
                    load.moderation
                ));
                let sample = self.run(load, repetition)?;
                samples.entry(*load).or_default().insert(repetition, sample);
            }
        }
        Ok(samples)
    }

    fn run(&self, load: &ServedLoad, repetition: u32) -> anyhow::Result<Sample> {
        let definition = definition(load)?;
        let first = schedule::of(&definition, 1).into_iter().next().context("the definition has no cell")?;
        let scheduled = Scheduled { repetition, audited: load.audited, ..first };
        let sample = measure::measure(&self.bench(&definition), &scheduled)?;
        if let Some(message) = sample.failure() {
            bail!("{message}");
        }
        if !sample.is_sound() {
            bail!(
                "a run is invalid: {:?}; end what else uses this machine's loopback and try again",
                sample.flaws
            );
        }
        Ok(sample)
    }
}

/// What makes one run of that load.
pub(super) fn definition(load: &ServedLoad) -> anyhow::Result<Definition> {
    let mut definition = Definition::parse(DEFINITION, "the bench's definition")?;
    definition.behaviour = BEHAVIOUR.into();
    definition.client_io = load.client;
    definition.grid.invalid_percent = vec![load.invalid_percent];
    definition.grid.packets = vec![load.packets];
    definition.grid.moderation = vec![load.moderation];
    let row = &mut definition.placements[0];
    row.io = load.server;
    row.placement = load.placement;
    (row.filter, row.toolkit, row.hook) = match load.placement {
        Placement::Plain => (FilterName::Simple, Toolkit::Rust, Hook::User),
        Placement::User => (FilterName::Simple, Toolkit::Aya, Hook::Socket),
        Placement::Kernel => (FilterName::ValidCommand, Toolkit::Aya, Hook::Socket),
        Placement::Sender => (FilterName::ValidCommand, Toolkit::Fun, Hook::Tc),
    };
    Ok(definition)
}

pub(super) fn each(runs: &LoadRuns, of: fn(&Sample) -> f64) -> BTreeMap<u32, f64> {
    runs.iter().map(|(&repetition, sample)| (repetition, of(sample))).collect()
}

pub(super) fn values(runs: &LoadRuns, of: fn(&Sample) -> f64) -> Vec<f64> {
    runs.values().map(of).collect()
}

pub(super) fn client_rate(sample: &Sample) -> f64 {
    sample.clients.first().and_then(|client| client.achieved_rate).unwrap_or(f64::NAN)
}

fn cpu_per_packet_read(sample: &Sample) -> f64 {
    let served = sample.server.as_ref().map(|server| &server.served);
    served.map_or(f64::NAN, |served| {
        served.cost.cpu().as_secs_f64() * 1e6 / served.requests.total().max(1) as f64
    })
}

fn peak_kib(sample: &Sample) -> f64 {
    sample.server_cost.peak_rss_kib as f64
}

fn ready_mib(sample: &Sample) -> Option<f64> {
    let kib = sample.server.as_ref()?.served.ready_rss_kib?;
    Some(kib as f64 * 1024.0 / 1e6)
}
