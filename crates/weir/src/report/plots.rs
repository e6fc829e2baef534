//! Which plots a report has, made from the grid.

use super::{
    axis::Axis,
    figure::Figure,
    grid::{CellRuns, Grid, Series},
    plot::{Line, PALETTE, Plot, Point},
};
use crate::{
    cell::Placement,
    stats::{Estimate, Kind},
};

/// The plots of `grid`: one for each figure and percent over packets, or, where there is a single packet count, one for
/// each figure over the invalid share.
pub(super) fn plots(grid: &Grid) -> Vec<Plot> {
    let figures = Figure::ALL.into_iter();
    if grid.packets.len() > 1 {
        figures
            .flat_map(|figure| {
                grid.percents.iter().filter_map(move |&percent| over_packets(grid, figure, percent))
            })
            .collect()
    } else {
        figures.filter_map(|figure| over_percents(grid, figure)).collect()
    }
}

fn over_packets(grid: &Grid, figure: Figure, percent: u8) -> Option<Plot> {
    let x: Vec<f64> = grid.packets.iter().map(|&packets| packets as f64).collect();
    let lines = lines(grid, |series| {
        let cells = grid.packets.iter().map(|&packets| (packets as f64, grid.cell(series, percent, packets)));
        points(cells, figure, false)
    })?;
    Some(Plot {
        slug: format!("{}-{percent}-percent", figure.slug()),
        title: format!("{} at {percent} % invalid", figure.title()),
        subtitle: subtitle(&lines),
        x_label: "packets sent".to_owned(),
        y_label: figure.axis_label().to_owned(),
        x: if x[0] > 0.0 { Axis::logarithmic_at(&x) } else { Axis::at(&x) },
        y: Axis::around(&heights(&lines)),
        lines,
    })
}

fn over_percents(grid: &Grid, figure: Figure) -> Option<Plot> {
    let x: Vec<f64> = grid.percents.iter().copied().map(f64::from).collect();
    let packets = *grid.packets.first()?;
    let lines = lines(grid, |series| {
        let cells =
            grid.percents.iter().map(|&percent| (f64::from(percent), grid.cell(series, percent, packets)));
        points(cells, figure, true)
    })?;
    Some(Plot {
        slug: figure.slug().to_owned(),
        title: format!("{}, {} packets a run", figure.title(), super::number::count(packets)),
        subtitle: subtitle(&lines),
        x_label: "share of invalid packets, %".to_owned(),
        y_label: figure.axis_label().to_owned(),
        x: Axis::at(&x),
        y: Axis::from_zero(&heights(&lines)),
        lines,
    })
}

/// The lines that have points; nothing where none has.
fn lines(grid: &Grid, points: impl Fn(&Series) -> Vec<Point>) -> Option<Vec<Line>> {
    let styles = styles(grid);
    let series = grid.series.iter().zip(styles);
    let lines =
        series.map(|(series, style)| Line { label: grid.label(series), style, points: points(series) });
    let lines: Vec<_> = lines.filter(|line| !line.points.is_empty()).collect();
    (!lines.is_empty()).then_some(lines)
}

/// A style for each series: that of its placement while it is free, so that a placement looks the same in every
/// report, and then the next one that is.
fn styles(grid: &Grid) -> Vec<usize> {
    let of_placement = |placement| match placement {
        Placement::Plain => 0,
        Placement::User => 1,
        Placement::Kernel => 2,
    };
    let mut free: Vec<usize> = (0..grid.series.len().max(PALETTE.len())).collect();
    let take = |free: &mut Vec<usize>, wanted: usize| {
        let at = free
            .iter()
            .position(|&style| style == wanted)
            .or_else(|| free.iter().position(|&style| style > 2));
        free.remove(at.unwrap_or(0))
    };
    grid.series.iter().map(|series| take(&mut free, of_placement(series.placement()))).collect()
}

fn points<'a>(
    cells: impl Iterator<Item = (f64, Option<&'a CellRuns>)>,
    figure: Figure,
    with_runs: bool,
) -> Vec<Point> {
    let point = |(x, runs): (f64, Option<&CellRuns>)| {
        let values = runs?.values(figure);
        let Estimate { median, low, high, kind, .. } = Estimate::of(&values)?;
        Some(Point { x, median, low, high, kind, runs: if with_runs { values } else { Vec::new() } })
    };
    cells.filter_map(point).collect()
}

fn heights(lines: &[Line]) -> Vec<f64> {
    let points = lines.iter().flat_map(|line| &line.points);
    points.flat_map(|point| [point.low, point.high].into_iter().chain(point.runs.iter().copied())).collect()
}

fn subtitle(lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let some = |kind| points().any(|point| point.kind == kind);
    let bars = match (some(Kind::Interval), some(Kind::Range)) {
        (true, false) => "bars: 95 % intervals of the median",
        (false, _) => "bars: ranges from the smallest to the largest run (too few runs for intervals)",
        (true, true) => "bars: 95 % intervals of the median, ranges where there are fewer than 6 runs",
    };
    let dots = if points().any(|point| !point.runs.is_empty()) { "; pale dots: single runs" } else { "" };
    format!("Lines: medians; {bars}{dots}")
}
