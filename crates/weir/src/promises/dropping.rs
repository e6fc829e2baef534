//! What dropping costs the whole machine at xdp and at the socket, over a pair of interfaces of its own.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use weir_lab::experiment::{catalogue, definition::Definition, measure, schedule};
use weir_results::stats::{Repetition, paired_differences, paired_ratios};

use super::{Bound, PromisedFigure, Runner};

/// The experiment whose cells are run.
const EXPERIMENT: &str = "hooks";

const SENDER: &str = "sender";
const SOCKET: &str = "socket-fun";
const XDP: &str = "xdp-fun";

/// Runs for each of those asked for: a run is short, and the machine's time holds whatever else goes on.
const EACH: u32 = 3;

const INVALID_PERCENT: u8 = 99;
const PACKETS: u64 = 100_000;

/// Of the runs' order, for which any will do.
const SEED: u64 = 1;

/// CPU time of the whole machine per packet, µs, in each repetition.
type DropRuns = BTreeMap<Repetition, f64>;

pub(super) fn measure(runs: u32, runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let runs = EACH * runs;
    let definition = definition(runs)?;
    let mut costs: BTreeMap<&str, DropRuns> = BTreeMap::new();
    for scheduled in schedule::of(&definition, SEED) {
        let at = (scheduled.cell.placement, scheduled.cell.hook);
        let row = definition.placements.iter().find(|row| (row.placement, row.hook) == at);
        let place = row.expect("every cell is of one of the three").id();
        (runner.say)(&format!(
            "run {} of {runs}: {PACKETS} packets dropped at {place}",
            scheduled.repetition + 1
        ));
        let sample = measure::measure(&runner.bench(&definition), &scheduled)?;
        if !sample.is_sound() {
            bail!("a run that drops at {place} is invalid: {:?}", sample.flaws);
        }
        let cost = weir_results::figure::Figure::MachineCpu
            .of(&sample)
            .context("reading the cores' times in /proc/stat")?;
        costs.entry(place).or_default().insert(scheduled.repetition, cost);
    }
    Ok(figures(&costs[SENDER], &costs[SOCKET], &costs[XDP]))
}

/// The experiment's cells that are compared, alone.
fn definition(runs: u32) -> anyhow::Result<Definition> {
    let mut definition = catalogue::find(EXPERIMENT)?;
    definition.profiles.clear();
    definition.verdicts.clear();
    definition.runs = runs;
    definition.audit_every = None;
    definition.grid.invalid_percent = vec![INVALID_PERCENT];
    definition.grid.packets = vec![PACKETS];
    definition.placements.retain(|row| [SENDER, SOCKET, XDP].contains(&row.id()));
    Ok(definition)
}

fn figures(sender: &DropRuns, socket: &DropRuns, xdp: &DropRuns) -> Vec<PromisedFigure> {
    let less = |from: &DropRuns| -> DropRuns {
        let differences = paired_differences(from, sender);
        sender.keys().copied().zip(differences).collect()
    };
    let values = |runs: &DropRuns| runs.values().copied().collect::<Vec<_>>();
    figures! {
        "machine's CPU per packet at 99 % invalid over veth, one a send, valid-command by fun, xdp ÷ socket", "":
            paired_ratios(xdp, socket) => Bound::IntervalBelow(1.0);
        "  the same, the sender's own cost taken off", "": paired_ratios(&less(xdp), &less(socket));
        "  of which the socket takes", "µs": values(socket);
        "  xdp", "µs": values(xdp);
        "  and the sender by itself", "µs": values(sender);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_cells_are_those_of_the_experiment() {
        let definition = definition(6).expect("it is built in");
        let ids: Vec<_> = definition.placements.iter().map(|row| row.id()).collect();
        assert_eq!(ids, [SENDER, SOCKET, XDP]);
        assert_eq!(schedule::of(&definition, SEED).len(), 18);
    }

    #[test]
    fn the_senders_own_cost_is_taken_off_run_by_run() {
        let runs = |values: [f64; 2]| (0..).zip(values).collect::<DropRuns>();
        let figures = figures(&runs([1.0, 2.0]), &runs([5.0, 6.0]), &runs([3.0, 4.0]));
        assert_eq!(figures[0].values, [3.0 / 5.0, 4.0 / 6.0]);
        assert_eq!(figures[1].values, [0.5, 0.5]);
    }
}
