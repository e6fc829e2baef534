//! Advice from measured results: where to filter, at this share of invalid requests and this rate.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use serde::Serialize;
use weir_results::{
    cell::{Cell, Dimension, Placement},
    figure::Figure,
    number::{count, estimate, number},
    sample::Sample,
    stats::{EndsKind, Estimate, Repetition},
    store,
};

use crate::{
    grid::{CellRuns, SampleGrid, like},
    place::Place,
};

/// Loss of valid requests, percent, from which the CPU time of a server that decides is told too low to keep quiet.
const TELLING_LOSS: f64 = 1.0;

/// What somebody wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Wish {
    /// Share of invalid requests, percent.
    pub invalid_percent: f64,
    /// Requests per second, valid and invalid.
    pub rate: f64,
}

/// What the results say to a [`Wish`].
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    wish: Wish,
    /// Where the server decides: behind no program, or behind the accept-all one.
    against: &'static str,
    /// What the runs used have in common, where the folder has others too: toolkit, hook and conditions.
    measured_with: String,
    /// How many other combinations of them the folder has, which are not used.
    others: usize,
    /// Packets per second that the slower of the two sides reached at those shares.
    reached_rate: Option<f64>,
    /// The measured shares of invalid requests, percent, that the answer lies between.
    between: (u8, u8),
    /// Cores that the server's process is busy with when it decides, and when the kernel does.
    server_cores: (LossEnds, LossEnds),
    /// Cores saved by filtering in the kernel, the receiving of server and filter included.
    saved_cores: LossEnds,
    /// Share of invalid requests, percent, from which the kernel saves; nothing where that isn't between the shares
    /// measured.
    pays_from_percent: Option<LossEnds>,
    /// The lowest measured share of invalid requests, percent, at which it was shown that the kernel saves.
    pays_at_percent: Option<u8>,
    /// Whether the kernel saves at the lowest share measured.
    pays_at_lowest: bool,
    /// Largest median loss of valid requests among the runs used, percent: what a server never read cost it nothing.
    lost_percent: f64,
    /// Loss of valid requests nearest above that rate, by placement, percent; empty where no rate was measured.
    loss: Vec<Loss>,
}

#[derive(Clone, Debug, Serialize)]
struct Loss {
    placement: &'static str,
    rate: u64,
    invalid_percent: u8,
    percent: LossEnds,
}

/// A median with its ends.
#[derive(Clone, Copy, Debug, Serialize)]
struct LossEnds {
    median: f64,
    low: f64,
    high: f64,
    runs: usize,
    interval: bool,
}

impl From<Estimate> for LossEnds {
    fn from(e: Estimate) -> Self {
        Self {
            median: e.median,
            low: e.low,
            high: e.high,
            runs: e.runs,
            interval: e.kind == EndsKind::Interval,
        }
    }
}

/// CPU time of a run in µs per packet: the server's process alone, and with it all that sent and received.
#[derive(Clone, Copy)]
struct Spent {
    server: f64,
    total: f64,
}

/// By share of invalid requests, each repetition's cost on both sides: the server decides, the kernel decides.
type CostPairs = BTreeMap<u8, BTreeMap<Repetition, (Spent, Spent)>>;

impl Advice {
    /// Answers `wish` from the results folder `dir`.
    ///
    /// # Errors
    /// The folder can't be read, has no pair of placements, or measured no share around the one asked for.
    pub fn read(dir: &Path, wish: Wish) -> anyhow::Result<Self> {
        let grid = SampleGrid::of(&store::read(dir)?.samples);
        let Used { against, kernels, pairs, others } = used(&grid).with_context(|| {
            format!(
                "{} has no runs of the server deciding and of the kernel deciding under the same conditions, as fast as \
                 can be; `weir experiment kernel-or-user` makes them",
                dir.display()
            )
        })?;
        let between = around(&pairs, wish.invalid_percent).with_context(|| {
            let shares: Vec<_> = pairs.keys().map(u8::to_string).collect();
            format!(
                "{} measured {} % invalid, and {} % lies outside: nothing is extrapolated; run \
                 `weir experiment kernel-or-user --profile standard`, which goes from 0 to 99 %",
                dir.display(),
                shares.join(", "),
                wish.invalid_percent
            )
        })?;
        let at = at(&pairs, between, wish.invalid_percent);
        let cores = |of: &dyn Fn(&(Spent, Spent)) -> f64| {
            let values: Vec<_> = at.iter().map(|pair| of(pair) * wish.rate / 1e6).collect();
            Estimate::of(&values).map(LossEnds::from).context("no pair of runs has both shares")
        };
        let pays_at_percent = shares_that_pay(&pairs).next();
        let pays_at_lowest = pays_at_percent.is_some() && pays_at_percent.as_ref() == pairs.keys().next();
        let is_here = |runs: &&CellRuns| {
            let cell = &runs.cell;
            [between.0, between.1].contains(&cell.invalid_percent)
                && kernels.iter().any(|&one| cell == one || (cell.placement == against && like(cell, one)))
        };
        let cells: Vec<_> = grid.cells().filter(is_here).collect();
        let reached = cells.iter().filter_map(|runs| reached(runs));
        let lost = cells.iter().filter_map(|runs| Some(runs.estimate(Figure::Loss)?.median));
        Ok(Self {
            wish,
            against: against.name(),
            measured_with: if others > 0 { with(&grid, kernels[0]) } else { String::new() },
            others,
            reached_rate: reached.reduce(f64::min),
            between,
            server_cores: (cores(&|(user, _)| user.server)?, cores(&|(_, kernel)| kernel.server)?),
            saved_cores: cores(&|(user, kernel)| user.total - kernel.total)?,
            pays_from_percent: crossover(&pairs),
            pays_at_percent,
            pays_at_lowest,
            lost_percent: lost.fold(0.0, f64::max),
            loss: losses(&grid, wish),
        })
    }

    /// For people: the answer first.
    pub fn to_text(&self) -> String {
        let Wish { invalid_percent, rate } = self.wish;
        let rate_text = count(rate.round() as u64);
        let saved = &self.saved_cores;
        let cost = saved.negated();
        let (what, ends) = if saved.median < 0.0 { ("costs", &cost) } else { ("saves", saved) };
        let more = if what == "costs" { " more" } else { "" };
        let answer = match (saved.interval, saved.low > 0.0, saved.high < 0.0) {
            (true, true, _) => "Filter in the kernel: it".to_owned(),
            (true, _, true) => "Filter in the server: the kernel".to_owned(),
            (true, ..) => "Either will do, no difference was shown: the kernel".to_owned(),
            (false, ..) => "Too few runs to be sure: the kernel".to_owned(),
        };
        let mut text = format!(
            "{answer} {what} {} of a core{more} at {invalid_percent} % invalid and {rate_text} requests/s ({} pairs of \
             runs).\n",
            ends.text(3),
            saved.runs
        );
        let (user, kernel) = &self.server_cores;
        text += &format!(
            "The server's process is busy with {} of a core when it decides ({}), and with {} when the kernel does.\n",
            user.text(3),
            self.against,
            kernel.text(3)
        );
        text += &match (&self.pays_from_percent, self.pays_at_percent) {
            (_, Some(_)) if self.pays_at_lowest => {
                "The kernel saves at every share of invalid requests from the lowest measured on.\n"
                    .to_owned()
            }
            (Some(share), _) => format!("The kernel saves from {} % invalid on.\n", share.text(2)),
            (None, Some(share)) => format!(
                "At {share} % invalid it was shown that the kernel saves; below, where the saving begins can't be told \
                 from these runs.\n"
            ),
            (None, None) => {
                "At no share of invalid requests that was measured was it shown that the kernel saves.\n"
                    .to_owned()
            }
        };
        if self.others > 0 {
            text += &format!(
                "Measured with {}; {} other combinations in these results are not used.\n",
                self.measured_with, self.others
            );
        }
        if let Some(reached) = self.reached_rate.filter(|&reached| rate > reached) {
            text += &format!(
                "Trust this less: these runs reached {} requests/s, and what more would cost is extrapolated.\n",
                count(reached.round() as u64)
            );
        }
        for Loss { placement, rate, invalid_percent, percent } in &self.loss {
            text += &format!(
                "Loss of valid requests at {} packets/s, {invalid_percent} % invalid, {placement}: {} %.\n",
                count(*rate),
                percent.text(3)
            );
        }
        if self.lost_percent >= TELLING_LOSS {
            text += &format!(
                "Trust this less: servers in these runs lost up to {} % of the valid requests, and what they never read \
                 cost them nothing. Measure on a quieter machine, or at a rate that they can serve.\n",
                number(self.lost_percent, 3)
            );
        }
        let (low, high) = self.between;
        if low != high {
            text +=
                &format!("Between the measured {low} % and {high} % invalid, a straight line is assumed.\n");
        }
        text + "Savings count the CPU time of both ends: over loopback the filter runs on the sender's, on a real network on \
                the receiver's.\n"
    }

    /// For programs.
    ///
    /// # Errors
    /// Never in practice: every number is finite.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl LossEnds {
    fn negated(&self) -> Self {
        Self { median: -self.median, low: -self.high, high: -self.low, ..*self }
    }

    fn text(&self, digits: usize) -> String {
        let Self { median, low, high, runs, interval } = *self;
        let kind = if interval { EndsKind::Interval } else { EndsKind::Range };
        estimate(&Estimate { median, low, high, runs, kind, coverage: 0.0 }, |value| number(value, digits))
    }
}

/// What an answer is made of: one combination of toolkit, hook and conditions, at several shares of invalid requests.
struct Used<'a> {
    against: Placement,
    kernels: Vec<&'a Cell>,
    pairs: CostPairs,
    others: usize,
}

/// The kernel's cells that nothing slowed down, each with the cell of the server that decides: without a program where
/// that was measured, else behind the accept-all one. Of several combinations, the one with the most shares of invalid
/// requests, and of those the one with the longest runs.
fn used(grid: &SampleGrid) -> Option<Used<'_>> {
    [Placement::Plain, Placement::User].into_iter().find_map(|against| {
        let mut combinations: Vec<(Vec<&Cell>, CostPairs)> = Vec::new();
        let kernels = grid.cells().filter(|runs| runs.cell.placement == Placement::Kernel);
        for kernel in kernels.filter(|runs| runs.cell.conditions.rate.is_none()) {
            let counterpart =
                |runs: &&CellRuns| runs.cell.placement == against && like(&runs.cell, &kernel.cell);
            let Some(server) = grid.cells().find(counterpart) else { continue };
            let (server, kernel_runs) = (spent(server), spent(kernel));
            let both =
                kernel_runs.into_iter().filter_map(|(r, kernel)| Some((r, (*server.get(&r)?, kernel))));
            let both: BTreeMap<_, _> = both.collect();
            if both.is_empty() {
                continue;
            }
            let share = kernel.cell.invalid_percent;
            let elsewhere = |cell: &Cell| Cell { invalid_percent: share, ..cell.clone() } == kernel.cell;
            match combinations.iter_mut().find(|(cells, _)| elsewhere(cells[0])) {
                Some((cells, pairs)) => {
                    cells.push(&kernel.cell);
                    pairs.insert(share, both);
                }
                None => combinations.push((vec![&kernel.cell], CostPairs::from([(share, both)]))),
            }
        }
        let others = combinations.len().saturating_sub(1);
        // Of equals the first.
        let best =
            combinations.into_iter().rev().max_by_key(|(cells, pairs)| (pairs.len(), cells[0].packets));
        best.map(|(kernels, pairs)| Used { against, kernels, pairs, others })
    })
}

/// Toolkit and hook of `cell`, and the conditions that vary in `grid`.
fn with(grid: &SampleGrid, cell: &Cell) -> String {
    let conditions = Place::of(cell).phrase(&grid.dimensions_but(Dimension::InvalidPercent));
    let comma = if conditions.is_empty() { "" } else { ", " };
    format!("{} by {} at {}{comma}{conditions}", cell.filter, cell.writing(), cell.hook)
}

fn spent(runs: &CellRuns) -> BTreeMap<Repetition, Spent> {
    let of = |sample: &Sample| {
        let server = Figure::ServerCpu.of(sample)?;
        Some((sample.repetition, Spent { server, total: server + Figure::ClientCpu.of(sample)? }))
    };
    runs.sound.iter().filter_map(of).collect()
}

/// The nearest measured shares on both sides of `percent`.
fn around(pairs: &CostPairs, percent: f64) -> Option<(u8, u8)> {
    let below = pairs.keys().rev().find(|&&share| f64::from(share) <= percent)?;
    let above = pairs.keys().find(|&&share| f64::from(share) >= percent)?;
    Some((*below, *above))
}

/// What each repetition that has both shares would have cost at `percent`.
fn at(pairs: &CostPairs, (below, above): (u8, u8), percent: f64) -> Vec<(Spent, Spent)> {
    let weight = if below == above { 0.0 } else { (percent - f64::from(below)) / f64::from(above - below) };
    let mix = |a: f64, b: f64| a + (b - a) * weight;
    let spent = |a: Spent, b: Spent| Spent { server: mix(a.server, b.server), total: mix(a.total, b.total) };
    let both = pairs[&below].iter().filter_map(|(r, low)| Some((low, pairs[&above].get(r)?)));
    both.map(|(low, high)| (spent(low.0, high.0), spent(low.1, high.1))).collect()
}

/// The saving of a repetition at a share, µs per packet.
fn saved(pairs: &CostPairs, share: u8, r: &Repetition) -> Option<f64> {
    pairs[&share].get(r).map(|(user, kernel)| user.total - kernel.total)
}

/// The measured shares at which it was shown that the kernel saves.
fn shares_that_pay(pairs: &CostPairs) -> impl Iterator<Item = u8> {
    let pays = |share: &u8| {
        let savings: Vec<_> = pairs[share].keys().filter_map(|r| saved(pairs, *share, r)).collect();
        Estimate::of(&savings).is_some_and(|saving| saving.low > 0.0 && saving.kind == EndsKind::Interval)
    };
    pairs.keys().copied().filter(pays)
}

/// Where each repetition's saving first becomes one, as an estimate; nothing where that is typically not between two
/// of the shares. A repetition that saves at the lowest share counts as that, one that never does as the highest.
fn crossover(pairs: &CostPairs) -> Option<LossEnds> {
    let shares: Vec<u8> = pairs.keys().copied().collect();
    let (lowest, highest) = (f64::from(*shares.first()?), f64::from(*shares.last()?));
    let crossing = |r: &Repetition| {
        let between = shares.windows(2).find_map(|pair| {
            let (low, high) = (saved(pairs, pair[0], r)?, saved(pairs, pair[1], r)?);
            let (from, to) = (f64::from(pair[0]), f64::from(pair[1]));
            (low <= 0.0 && high > 0.0).then(|| from + (to - from) * -low / (high - low))
        });
        let at_lowest = saved(pairs, shares[0], r)? > 0.0;
        Some(if at_lowest { lowest } else { between.unwrap_or(highest) })
    };
    let crossings: Vec<_> = pairs[&shares[0]].keys().filter_map(crossing).collect();
    let found = Estimate::of(&crossings)?;
    (found.median > lowest && found.median < highest).then(|| found.into())
}

/// Packets per second from the first sent to the last handled: the median of the runs.
fn reached(runs: &CellRuns) -> Option<f64> {
    let rate = |sample: &Sample| Some((sample.valid_sent + sample.invalid_sent) as f64 / sample.wall_s?);
    Estimate::of(&runs.sound.iter().filter_map(rate).collect::<Vec<_>>()).map(|rate| rate.median)
}

fn losses(grid: &SampleGrid, wish: Wish) -> Vec<Loss> {
    let rates = grid.cells().filter_map(|runs| runs.cell.conditions.rate);
    let Some(rate) = rates.filter(|&rate| rate as f64 >= wish.rate).min() else { return Vec::new() };
    let here: Vec<_> = grid.cells().filter(|runs| runs.cell.conditions.rate == Some(rate)).collect();
    let distance = |percent: u8| (f64::from(percent) - wish.invalid_percent).abs();
    let shares = here.iter().map(|runs| runs.cell.invalid_percent);
    let Some(nearest) = shares.min_by(|&a, &b| distance(a).total_cmp(&distance(b))) else {
        return Vec::new();
    };
    let of = |runs: &&CellRuns| {
        let percent = runs.estimate(Figure::Loss)?.into();
        Some(Loss { placement: runs.cell.placement.name(), rate, invalid_percent: nearest, percent })
    };
    here.iter().filter(|runs| runs.cell.invalid_percent == nearest).filter_map(of).collect()
}
