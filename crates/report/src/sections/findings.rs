//! What the numbers say, in sentences that claim no more than the intervals show.

use std::collections::{BTreeMap, BTreeSet};

use weir_records::Mix;
use weir_results::{
    cell::{Dimension, Placement, Value},
    figure::Figure,
    number::{estimate, number, ratio},
    stats::{EndsKind, Estimate, RUNS_FOR_INTERVAL},
};

use crate::{
    grid::{CellPair, CellRuns, Contrast, SampleGrid},
    place::Place,
};

/// The findings, the most telling first: the answer to the experiment's question at the highest invalid share.
pub(super) fn findings(grid: &SampleGrid) -> Vec<String> {
    if grid.sound().next().is_none() {
        return vec!["No sound run: nothing can be said of this experiment.".to_owned()];
    }
    let contrasts = [Contrast::Toolkit, Contrast::Placement].map(|contrast| grid.compared(contrast));
    let mut found = Vec::new();
    if contrasts.iter().all(Vec::is_empty) {
        found.push(
            "No comparison of kernel and user space: no cell was run in both placements under equal conditions."
                .to_owned(),
        );
    }
    let all: Vec<_> = contrasts.iter().flatten().collect();
    let told = told(grid, &all);
    for place in told_places(grid, &told) {
        for comparison in told.iter().filter(|comparison| comparison.place() == place) {
            // At a rate that is kept, the load lasts as long as it was told to.
            let is_given = |figure| figure == Figure::Wall && comparison.cell.cell.conditions.rate.is_some();
            let figures = Figure::WITH_RATIO.into_iter().filter(|&figure| !is_given(figure));
            found.extend(figures.map(|figure| ratio_finding(grid, comparison, figure)));
        }
        found.extend(loss_finding(grid, &place));
    }
    if grid.dimensions.len() > 1 {
        for quotient in all.iter().map(|comparison| comparison.quotient()).collect::<BTreeSet<_>>() {
            found.extend(Figure::WITH_RATIO.map(|figure| tally(&all, &quotient, figure)));
        }
    }
    found
}

/// As many comparisons of a kind, or places, as a reader takes in; the tables have the rest.
const TOLD: usize = 4;

/// The comparisons to tell: those under the highest load. Of more than [`TOLD`] with the same quotient, the two between
/// which all others lie in server CPU time.
fn told<'a>(grid: &SampleGrid, all: &[&'a CellPair<'a>]) -> Vec<&'a CellPair<'a>> {
    let places = most_loaded(grid);
    let mut of_quotient: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for &comparison in all.iter().filter(|comparison| places.contains(&comparison.place())) {
        of_quotient.entry(comparison.quotient()).or_default().push(comparison);
    }
    of_quotient
        .into_values()
        .flat_map(|alike| if alike.len() > TOLD { extremes(alike) } else { alike })
        .collect()
}

/// The comparisons with the smallest and the largest ratio of server CPU time.
fn extremes<'a>(comparisons: Vec<&'a CellPair<'a>>) -> Vec<&'a CellPair<'a>> {
    let ratio = |comparison: &CellPair<'_>| Some(comparison.ratio(Figure::ServerCpu)?.median);
    let mut with_ratio: Vec<_> =
        comparisons.into_iter().filter_map(|comparison| Some((ratio(comparison)?, comparison))).collect();
    with_ratio.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let ends = [with_ratio.first(), with_ratio.last()].into_iter().flatten();
    ends.map(|&(_, comparison)| comparison).collect()
}

/// The places of `told`, or of some cells where nothing is compared: those with the order of packets that a behaviour has
/// by itself first, the highest load first.
fn told_places(grid: &SampleGrid, told: &[&CellPair<'_>]) -> Vec<Place> {
    let compared: BTreeSet<_> = told.iter().map(|comparison| comparison.place()).collect();
    let places = if compared.is_empty() { most_loaded(grid) } else { compared.into_iter().collect() };
    let mut places: Vec<_> = places.into_iter().rev().take(2 * TOLD).collect();
    let is_own =
        |place: &Place| [Value::Usual, Value::Mix(Mix::FRIGG)].contains(&place.along(Dimension::Mix));
    places.sort_by_key(|place| !is_own(place));
    places
}

/// Of the places that differ in packets, rate and share of invalid packets alone, the one with the most of all.
fn most_loaded(grid: &SampleGrid) -> Vec<Place> {
    let load = [Dimension::Rate, Dimension::Packets, Dimension::InvalidPercent];
    let rest: Vec<_> = Dimension::ALL.into_iter().filter(|dimension| !load.contains(dimension)).collect();
    let most: BTreeMap<_, _> = grid.places.iter().map(|place| (place.only(&rest), place.clone())).collect();
    most.into_values().collect()
}

fn ratio_finding(grid: &SampleGrid, comparison: &CellPair<'_>, figure: Figure) -> String {
    let place = place(grid, comparison.cell);
    let noun = figure.noun();
    let Some(median) = comparison.ratio(figure) else {
        return format!("{place}, no pair of runs allows to compare the {noun}.");
    };
    let value = ratio(median.median);
    let evidence = evidence(&median);
    let quotient = comparison.quotient();
    let (this, that) = (doing(comparison, comparison.cell), doing(comparison, comparison.base));
    let found = match Tendency::of(&median) {
        Tendency::Below => format!("{place}, {this} takes {value} of the {noun} of {that} ({evidence})."),
        Tendency::Above => format!("{place}, {this} takes {value} times the {noun} of {that} ({evidence})."),
        Tendency::NotShown => {
            format!("{place}, no difference in {noun} was shown: {quotient} is {value} ({evidence}).")
        }
        Tendency::TooFew => format!(
            "{place}, {quotient} of the {noun} is {value} ({evidence}); that is too few for an interval, which \
             needs {RUNS_FOR_INTERVAL}."
        ),
    };
    match with_start_up(comparison, figure, &median) {
        Some(whole) => format!("{}; with the server's start-up it is {whole}.", found.trim_end_matches('.')),
        None => found,
    }
}

/// The ratio of the server's whole process, where its start-up was told apart.
fn with_start_up(comparison: &CellPair<'_>, figure: Figure, without: &Estimate) -> Option<String> {
    let whole =
        (figure == Figure::ServerCpu).then(|| comparison.ratio(Figure::ServerCpuProcess)).flatten()?;
    (whole != *without).then(|| estimate(&whole, ratio))
}

/// What is done in a cell, inside a sentence.
fn doing(comparison: &CellPair<'_>, runs: &CellRuns) -> String {
    match (comparison.contrast, runs.cell.placement) {
        (Contrast::Placement, Placement::Kernel) => "filtering in the kernel".to_owned(),
        (Contrast::Placement, _) => "filtering in user space".to_owned(),
        (Contrast::Toolkit, _) => format!("filtering with the program by {}", runs.cell.written_with()),
        (Contrast::Hook, _) => format!("filtering at {}", runs.cell.hook),
    }
}

/// What a ratio's estimate allows to say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tendency {
    Below,
    Above,
    NotShown,
    TooFew,
}

impl Tendency {
    fn of(ratio: &Estimate) -> Self {
        match ratio.kind {
            EndsKind::Range => Self::TooFew,
            EndsKind::Interval if ratio.contains(1.0) => Self::NotShown,
            EndsKind::Interval if ratio.high < 1.0 => Self::Below,
            EndsKind::Interval => Self::Above,
        }
    }
}

fn evidence(median: &Estimate) -> String {
    let (low, high, pairs) = (ratio(median.low), ratio(median.high), median.runs);
    match (median.kind, pairs) {
        (EndsKind::Interval, _) => format!("95 % interval {low} to {high}, {pairs} pairs"),
        (EndsKind::Range, 1) => "a single pair".to_owned(),
        (EndsKind::Range, _) => format!("range {low} to {high} of {pairs} pairs"),
    }
}

fn loss_finding(grid: &SampleGrid, place: &Place) -> Option<String> {
    let cells: Vec<_> = grid.series.iter().filter_map(|series| grid.cell(series, place)).collect();
    cells.iter().any(|runs| !runs.sound.is_empty()).then(|| {
        let losses = losses_in(grid, &cells);
        let place = place_of(grid, place);
        if losses.is_empty() {
            format!("{place}, no valid request was sent, so none could be lost.")
        } else {
            format!("{place}, the median loss of valid requests is {}.", losses.join("; "))
        }
    })
}

/// The loss of each cell, those with the same together.
fn losses_in(grid: &SampleGrid, cells: &[&CellRuns]) -> Vec<String> {
    let mut labels: Vec<(String, Vec<String>)> = Vec::new();
    for runs in cells {
        let Some(loss) = loss_in(runs) else { continue };
        let label = grid.label_of(&runs.cell);
        match labels.iter_mut().find(|(known, _)| *known == loss) {
            Some((_, labels)) => labels.push(label),
            None => labels.push((loss, vec![label])),
        }
    }
    match labels.as_slice() {
        [(loss, all)] if all.len() > 2 => vec![format!("{loss} for each of the {} series", all.len())],
        _ => labels.iter().map(|(loss, labels)| format!("{loss} for {}", labels.join(" and "))).collect(),
    }
}

fn loss_in(runs: &CellRuns) -> Option<String> {
    let values = runs.values(Figure::Loss);
    let median = Estimate::of(&values)?.median;
    let text = |value| number(value, Figure::Loss.digits());
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let spread = match values.len() {
        1 => "one run".to_owned(),
        n if smallest == largest => format!("the same in all {n} runs"),
        n => format!("range {} to {} of {n} runs", text(smallest), text(largest)),
    };
    Some(format!("{} % ({spread})", text(median)))
}

fn tally(comparisons: &[&CellPair<'_>], quotient: &str, figure: Figure) -> String {
    let ratios: Vec<_> = comparisons
        .iter()
        .filter(|comparison| comparison.quotient() == quotient)
        .filter_map(|comparison| comparison.ratio(figure))
        .collect();
    let of = |verdict| ratios.iter().filter(|ratio| Tendency::of(ratio) == verdict).count();
    let medians = ratios.iter().map(|ratio| ratio.median);
    let lowest = medians.clone().fold(f64::INFINITY, f64::min);
    let highest = medians.fold(f64::NEG_INFINITY, f64::max);
    let span = match ratios.as_slice() {
        [] | [_] => String::new(),
        _ => format!(" with medians from {} to {}", ratio(lowest), ratio(highest)),
    };
    format!(
        "Over the whole grid, {} comparisons of {}{span}: {} show {quotient} below 1, {} above, {} no difference, {} have \
         too few pairs. Each interval misses the truth about one time in twenty.",
        ratios.len(),
        figure.noun(),
        of(Tendency::Below),
        of(Tendency::Above),
        of(Tendency::NotShown),
        of(Tendency::TooFew)
    )
}

fn place(grid: &SampleGrid, kernel: &CellRuns) -> String {
    let label = grid.label_of(&kernel.cell);
    let telling = label != Placement::Kernel.name();
    let series = if telling { format!(" ({label})") } else { String::new() };
    format!("{}{series}", place_of(grid, &Place::of(&kernel.cell)))
}

fn place_of(grid: &SampleGrid, place: &Place) -> String {
    // The share of invalid packets, which is in every report, stands first.
    let (share, rest): (Vec<_>, Vec<_>) =
        grid.dimensions.iter().partition(|&&dimension| dimension == Dimension::InvalidPercent);
    let phrases: Vec<_> = share.into_iter().chain(rest).map(|&one| place.phrase(&[one])).collect();
    match phrases.split_last() {
        Some((last, before)) if !before.is_empty() => format!("At {} and {last}", before.join(", ")),
        _ => format!("At {}", phrases.concat()),
    }
}
