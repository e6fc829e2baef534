//! CPU time of server and sender, and loss, where one packet leaves a send.

use weir_results::{
    cell::Placement,
    sample::Sample,
    stats::{paired_differences, paired_ratios},
};
use weir_service::{Io, Moderation};

use crate::promises::{
    Bound, PromisedFigure, Runner,
    loads::{self, ServedLoad, each},
};

const PACKETS: u64 = 200_000;
const INVALID_PERCENT: [u8; 2] = [1, 50];
const PLACEMENTS: [Placement; 2] = [Placement::User, Placement::Kernel];

/// Runs for each that was asked for: of six, the one that somebody else took the core from is an end of the interval.
const RUNS_FOR_ONE: u32 = 2;

pub(super) fn measure(runs: u32, runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let floods = PLACEMENTS.into_iter().flat_map(|placement| {
        INVALID_PERCENT.map(|invalid_percent| ServedLoad {
            packets: PACKETS,
            placement,
            invalid_percent,
            ..loads::SIMPLE
        })
    });
    let floods: Vec<_> = floods.map(Flood::of).collect();
    let loads: Vec<_> = floods.iter().flat_map(|flood| [flood.simple, flood.off, flood.auto]).collect();
    let samples = runner.interleaved(&loads, RUNS_FOR_ONE * runs, |_| Ok(()))?;
    let mut figures = Vec::new();
    for Flood { simple, off, auto } in floods {
        let where_ = format!("{} % invalid, {}", simple.invalid_percent, simple.placement.name());
        let ratio =
            |of: fn(&Sample) -> f64| paired_ratios(&each(&samples[&auto], of), &each(&samples[&simple], of));
        let lost = |load: &ServedLoad| each(&samples[load], |sample| sample.loss_percent().unwrap_or(100.0));
        figures.extend(figures! {
            format!("server CPU per packet, one a send, {where_}: moderated ÷ simple"), "":
                ratio(Sample::server_cpu_us_per_packet)
                => Bound::AtMostAndBelow { median: 0.7, interval: 0.8 };
            "  its sender's", "": ratio(client_cpu_us_per_packet) => Bound::AtMost(0.9);
            "  valid requests lost, moderated less off", "%":
                paired_differences(&lost(&auto), &lost(&off)) => Bound::NotShownAbove(0.0);
            "  of which off loses", "%": lost(&off).into_values().collect();
        });
    }
    Ok(figures)
}

/// What is sent, to three servers.
struct Flood {
    simple: ServedLoad,
    off: ServedLoad,
    auto: ServedLoad,
}

impl Flood {
    fn of(simple: ServedLoad) -> Self {
        let off = ServedLoad { server: Io::Batch, ..simple };
        Self { simple, off, auto: ServedLoad { moderation: Moderation::Auto, ..off } }
    }
}

fn client_cpu_us_per_packet(sample: &Sample) -> f64 {
    let sent = sample.valid_sent + sample.invalid_sent;
    let cpu: f64 = sample.clients.iter().map(|client| client.cost.cpu().as_secs_f64()).sum();
    cpu * 1e6 / sent.max(1) as f64
}
