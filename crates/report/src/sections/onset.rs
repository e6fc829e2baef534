//! From which offered rate on valid requests are lost.

use weir_results::{
    cell::{Dimension, Value},
    figure::Figure,
    number::{count, estimate, number},
};

use crate::{
    grid::{CellRuns, SampleGrid, Series},
    place::Place,
};

/// For each share of invalid requests (and what else varies), the highest first: where each series begins to lose;
/// nothing where a single rate was offered.
pub(super) fn findings(grid: &SampleGrid) -> Vec<String> {
    let rates = grid.values(Dimension::Rate);
    let (true, Some(Value::Number(highest))) = (rates.len() > 1, rates.iter().max()) else {
        return Vec::new();
    };
    let rest = grid.dimensions_but(Dimension::Rate);
    let sentence = |line: &Place| {
        let told = |series: &Series| {
            let here = grid.places.iter().filter(|place| place.only(&rest) == *line);
            let cells: Vec<_> = here.filter_map(|place| grid.cell(series, place)).collect();
            Some(format!("with {}, {}", grid.label(series), onset(&cells, *highest)?))
        };
        let told: Vec<_> = grid.series.iter().filter_map(told).collect();
        (!told.is_empty()).then(|| format!("At {}: {}.", line.phrase(&rest), told.join("; ")))
    };
    grid.lines(&rest).iter().rev().filter_map(sentence).collect()
}

/// The lowest rate at which the median run of a series loses valid requests, and how many at the highest.
fn onset(cells: &[&CellRuns], highest: u64) -> Option<String> {
    let losses =
        cells.iter().filter_map(|runs| Some((runs.cell.conditions.rate?, runs.estimate(Figure::Loss)?)));
    let losses: Vec<_> = losses.collect();
    let (_, most) = losses.iter().find(|(rate, _)| *rate == highest)?;
    let at_most = estimate(most, |percent| number(percent, Figure::Loss.digits()));
    Some(match losses.iter().find(|(_, loss)| loss.median > 0.0) {
        None => format!(
            "no valid request is lost in the median run up to {} packets/s offered ({at_most} %)",
            count(highest)
        ),
        Some((rate, _)) => format!(
            "valid requests are lost in the median run from {} packets/s offered on ({at_most} % at {})",
            count(*rate),
            count(highest)
        ),
    })
}
