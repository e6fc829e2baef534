//! The order of an experiment's runs: random, the same for the same seed, with the runs that are compared side by side.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use weir_filters::FilterName;
use weir_results::{
    cell::{Cell, Conditions, ReceiveWork},
    topology::Topology,
};

use super::definition::{Definition, PlacementRow};

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

/// A point of the grid.
#[derive(Clone, Copy)]
struct GridPoint {
    invalid_percent: u8,
    packets: u64,
    invalid_size: Option<u32>,
    conditions: Conditions,
}

fn points(definition: &Definition) -> Vec<GridPoint> {
    let grid = &definition.grid;
    let usual =
        GridPoint { invalid_percent: 0, packets: 0, invalid_size: None, conditions: Conditions::default() };
    let points = vec![usual];
    let points = along(points, &grid.invalid_percent, |point, percent| point.invalid_percent = percent);
    let points = along(points, &grid.packets, |point, packets| point.packets = packets);
    let points = along(points, &grid.invalid_size, |point, size| point.invalid_size = Some(size));
    let points = along(points, &grid.mix, |point, mix| point.conditions.mix = Some(mix));
    let points = along(points, &grid.rate, |point, rate| {
        point.conditions.rate = Some(rate);
        if let Some(seconds) = definition.duration_s {
            point.packets = rate.saturating_mul(seconds);
        }
    });
    let points = along(points, &grid.receive_buffer, |point, bytes| {
        point.conditions.receive_buffer = Some(bytes);
    });
    let points = along(points, &grid.moderation, |point, how| point.conditions.moderation = how);
    let points = along(points, &grid.topology, |point, topology| point.conditions.topology = topology);
    let points = along(points, &grid.receive_work, |point, whose| point.conditions.receive_work = whose);
    let points = along(points, &grid.background, |point, who| point.conditions.background = who);
    let mut points = along(points, &grid.pinned, |point, pinned| point.conditions.pinned = Some(pinned));
    // What loopback receives stays where it was sent.
    points.retain(|point| {
        let Conditions { topology, receive_work, .. } = point.conditions;
        topology == Topology::Veth || receive_work == ReceiveWork::Sender
    });
    points
}

/// Each of `points` once for every one of `values`; as it is where there is none.
fn along<T: Copy>(points: Vec<GridPoint>, values: &[T], set: impl Fn(&mut GridPoint, T)) -> Vec<GridPoint> {
    if values.is_empty() {
        return points;
    }
    let at = |mut point: GridPoint, value| {
        set(&mut point, value);
        point
    };
    points
        .into_iter()
        .flat_map(|point| values.iter().map(|&value| at(point, value)).collect::<Vec<_>>())
        .collect()
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
