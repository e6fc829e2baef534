//! The order of an experiment's runs: random, the same for the same seed, with the runs that are compared side by side.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use weir_filters::FilterName;
use weir_results::{
    cell::{Cell, Conditions, ReceiveWork},
    topology::Topology,
};

use super::{
    definition::{Definition, PlacementRow},
    grid::GridPoint,
};

/// One run that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Its position, from 0.
    pub index: u64,
    /// Which repetition of its cell it is, from 0.
    pub repetition: u32,
    /// Its cell.
    pub cell: Cell,
    /// Seed of its clients; the same for all placements of a point of the grid in one repetition.
    pub seed: u64,
    /// Whether the kernel's drops are traced by reason: such a run accounts for packets, and times nothing.
    pub audited: bool,
}

/// The whole schedule of `definition`: [`Definition::runs`] of each cell, and after them, where a precision is asked for,
/// those that are made where it isn't reached yet.
///
/// Repetition by repetition, the points of the grid come in random order, and at each point all placements run one
/// after another, in random order too: what drifts over minutes (heat, a neighbour's load) then meets all
/// placements alike, and a pair of runs with the same repetition lies close together. The generator is rand's
/// `StdRng`, whose numbers may change with its version; a results folder is therefore checked against the schedule
/// before it is continued.
pub fn of(definition: &Definition, seed: u64) -> Vec<Scheduled> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut runs = Vec::new();
    for repetition in 0..definition.most_runs() {
        let mut points = points(definition);
        points.shuffle(&mut random);
        for point in points {
            let seed = u64::from(random.random::<u32>());
            let mut rows: Vec<_> = definition.placements.iter().collect();
            rows.shuffle(&mut random);
            for row in rows {
                let cell = cell(definition, row, point);
                let audited_too = audits(definition, row, repetition);
                for audited in [false, true].into_iter().take(1 + usize::from(audited_too)) {
                    let index = runs.len() as u64;
                    runs.push(Scheduled { index, repetition, cell: cell.clone(), seed, audited });
                }
            }
        }
    }
    runs
}

/// Whether an audited run follows: one repetition in [`Definition::audit_every`], and every one where nobody but the
/// audit counts.
fn audits(definition: &Definition, row: &PlacementRow, repetition: u32) -> bool {
    let keeps_no_counts = !row.toolkit.can_be_asked() && row.filter != FilterName::Simple;
    let uncounted = row.external_server.is_some() || keeps_no_counts;
    definition.audit_every.is_some_and(|every| uncounted || repetition.is_multiple_of(every))
}

fn points(definition: &Definition) -> Vec<GridPoint> {
    let mut points = definition.grid.points();
    // What loopback receives stays where it was sent.
    points.retain(|point| {
        let Conditions { topology, receive_work, .. } = point.conditions;
        topology == Topology::Veth || receive_work == ReceiveWork::Sender
    });
    for point in &mut points {
        if let (Some(rate), Some(seconds)) = (point.conditions.rate, definition.duration_s) {
            point.packets = rate.saturating_mul(seconds);
        }
    }
    points
}

fn cell(definition: &Definition, row: &PlacementRow, point: GridPoint) -> Cell {
    Cell {
        placement: row.placement,
        filter: row.filter,
        toolkit: row.toolkit,
        hook: row.hook,
        io: row.io,
        invalid_percent: point.invalid_percent,
        packets: point.packets,
        invalid_size: point.invalid_size,
        behaviour: definition.behaviour.clone(),
        clients: definition.clients,
        external_server: row.external_server.clone(),
        external_client: row.external_client.clone(),
        guard: row.guard.clone(),
        conditions: point.conditions,
    }
}

/// What one client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Packets, valid and invalid together.
    pub packets: u64,
    /// How many of them are invalid.
    pub invalid: u64,
}

/// `cell`'s packets shared out among its clients as evenly as can be; a client without packets is left out.
pub fn shares(cell: &Cell) -> Vec<Share> {
    let clients = u64::from(cell.clients);
    let share = |client: u64| cell.packets / clients + u64::from(client < cell.packets % clients);
    let invalid = |packets: u64| (u128::from(packets) * u128::from(cell.invalid_percent) / 100) as u64;
    (0..clients)
        .map(share)
        .filter(|&packets| packets > 0)
        .map(|packets| Share { packets, invalid: invalid(packets) })
        .collect()
}
