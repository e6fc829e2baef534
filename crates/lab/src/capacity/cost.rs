//! What the servers spend at one and the same rate, which all of them carry.

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom as _};
use weir_results::{
    capacity::{Decider, Purpose, record::SearchRecord},
    cell::Cell,
    sample::Sample,
    stats::Estimate,
};

use super::{
    Unfinished,
    lab::{Lab, RunOrder},
    plan::SearchPlan,
    trial,
};

/// What a server spent in a run at the common rate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CostRun {
    pub(super) cell: Cell,
    /// Packets/s.
    pub(super) rate: u64,
    pub(super) repetition: u32,
    pub(super) us_per_packet: f64,
    /// The server's, of one core.
    pub(super) core_percent: f64,
    /// How busy the server's core was, receive work included; nothing where it has none of its own.
    pub(super) busy_percent: Option<f64>,
}

/// Runs at the lowest of the placements' capacities, by turns.
pub(super) fn measure(
    lab: &mut Lab<'_>,
    plan: &SearchPlan,
    searches: &[SearchRecord],
) -> Result<Vec<CostRun>, Unfinished> {
    let server_core = lab.server_core();
    let mut random = StdRng::seed_from_u64(lab.seed());
    let mut runs = Vec::new();
    let of = lab.cells().len() * plan.cost_runs as usize;
    for repetition in 0..plan.cost_runs {
        let mut cells = lab.cells();
        cells.shuffle(&mut random);
        for cell in cells {
            lab.tell(|progress| progress.compares(runs.len() + 1, of));
            let rate = common_rate(plan, searches, cell.invalid_percent);
            let order = RunOrder {
                purpose: Purpose::Cost,
                packets: (rate as f64 * plan.cost_time().as_secs_f64()) as u64,
                cell,
                rate,
                repetition,
            };
            runs.push(trial::usable(
                lab,
                &order,
                |sample| spent(sample, &order, server_core),
                &mut |_, _| {},
            )?);
        }
    }
    Ok(runs)
}

fn spent(sample: &Sample, order: &RunOrder, server_core: Option<usize>) -> Result<CostRun, String> {
    let wall_s = sample.wall_s.filter(|&wall_s| wall_s > 0.0).ok_or("no packet was handled")?;
    let us_per_packet = sample.server_cpu_us_per_packet();
    let packets = (sample.valid_sent + sample.invalid_sent) as f64;
    Ok(CostRun {
        cell: order.cell.clone(),
        rate: order.rate,
        repetition: order.repetition,
        us_per_packet,
        busy_percent: server_core.and_then(|core| busy_percent(sample, core, wall_s)),
        core_percent: us_per_packet * packets / 1e6 / wall_s * 100.0,
    })
}

/// Whoever's time it was: what is steered to a core counts as nobody's. Server and clients start and end outside of the
/// time under load, so that it may come out a little high.
fn busy_percent(sample: &Sample, core: usize, wall_s: f64) -> Option<f64> {
    let time = sample.surroundings.core_time.get(&core)?;
    let busy_us = time.user_us + time.system_us + time.softirq_us;
    Some(busy_us as f64 / 1e6 / wall_s * 100.0)
}

/// The lowest median of the first goal's rates among the placements at a share of invalid packets, packets/s.
fn common_rate(plan: &SearchPlan, searches: &[SearchRecord], invalid_percent: u8) -> u64 {
    let first = plan.goals.first().map(|named| named.name.as_str());
    let of = |decider| {
        let here = searches.iter().filter(|record| {
            Some(record.goal_name.as_str()) == first
                && (Decider::of(&record.cell), record.cell.invalid_percent) == (decider, invalid_percent)
        });
        Estimate::of(&here.map(SearchRecord::rate).collect::<Vec<_>>()).map(|estimate| estimate.median as u64)
    };
    plan.placements.iter().filter_map(|&decider| of(decider)).min().unwrap_or(0).max(plan.lowest)
}
