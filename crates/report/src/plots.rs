//! Which plots a report has, made from the grid.

use weir_results::{
    cell::{Dimension, Placement, Value},
    figure::Figure,
    stats::EndsKind,
};

use crate::{
    axis::Axis,
    grid::SampleGrid,
    place::{Place, head, value_text},
    plot::{Curve, CurveForm, PALETTE, Panel, Plot, Point},
};

/// The figures that have a plot where any run has them, the most telling first.
const PLOTTED: [Figure; 9] = [
    Figure::TotalCpuPerValid,
    Figure::ServerCpuPerValid,
    Figure::Loss,
    Figure::Goodput,
    Figure::ServerCpu,
    Figure::ClientCpu,
    Figure::Wall,
    Figure::LatencyP50,
    Figure::LatencyP99,
];

/// The figures that have a plot where each takes several.
const PLOTTED_OFTEN: [Figure; 5] =
    [Figure::TotalCpuPerValid, Figure::Loss, Figure::ServerCpu, Figure::Wall, Figure::LatencyP99];

/// The plots of `grid`: of each figure one for every combination of what isn't on the horizontal axis.
pub(super) fn plots(grid: &SampleGrid) -> Vec<Plot> {
    let x = across(grid);
    let held = grid.lines(&grid.dimensions_but(x));
    let figures = if held.len() > 1 { &PLOTTED_OFTEN[..] } else { &PLOTTED };
    let mut plots: Vec<_> = crossover(grid, x).into_iter().collect();
    let mut figures: Vec<_> = told(grid, figures).collect();
    // Whoever raises the rate asks what is lost.
    figures.sort_by_key(|&figure| (x == Dimension::Rate) && figure != Figure::Loss);
    for figure in figures {
        plots.extend(held.iter().filter_map(|held| plot(grid, figure, x, held)));
    }
    plots
}

/// Those of `figures` that say something: where a rate was kept throughout, the load lasts as long as it was told to.
pub(super) fn told(grid: &SampleGrid, figures: &[Figure]) -> impl Iterator<Item = Figure> {
    let is_paced = grid.cells().all(|runs| runs.cell.conditions.rate.is_some());
    figures.iter().copied().filter(move |&figure| figure != Figure::Wall || !is_paced)
}

/// CPU time per valid request against the share of invalid ones, where that isn't on the axis `x` of the plots already:
/// at the last of what else varies, which has the most packets or the highest rate.
fn crossover(grid: &SampleGrid, x: Dimension) -> Option<Plot> {
    let share = Dimension::InvalidPercent;
    if x == share || grid.values(share).len() < 2 {
        return None;
    }
    let held = grid.lines(&grid.dimensions_but(share));
    let plot = plot(grid, Figure::TotalCpuPerValid, share, held.last()?)?;
    Some(Plot { slug: "crossover".to_owned(), ..plot })
}

/// The dimension that goes on the horizontal axis: packets in a grid of the report's shape, as there; else that with
/// the most numbers, and among names that with the most.
fn across(grid: &SampleGrid) -> Dimension {
    let numbers = |dimension: &Dimension| {
        grid.values(*dimension).iter().filter(|value| matches!(value, Value::Number(_))).count()
    };
    let several = |dimension: &&Dimension| grid.values(**dimension).len() > 1;
    if grid.is_of_the_reports_shape() && grid.dimensions.contains(&Dimension::Packets) {
        return Dimension::Packets;
    }
    let most = grid.dimensions.iter().filter(several).max_by_key(|dimension| {
        (numbers(dimension) > 1, numbers(dimension).max(grid.values(**dimension).len()))
    });
    most.copied().unwrap_or(Dimension::InvalidPercent)
}

/// The plot of `figure` along `x`, where the rest is as in `held`; nothing where no run has it.
fn plot(grid: &SampleGrid, figure: Figure, x: Dimension, held: &Place) -> Option<Plot> {
    let rest = grid.dimensions_but(x);
    let places: Vec<_> = grid.places.iter().filter(|place| place.only(&rest) == *held).collect();
    let (axis, stands) = horizontal(x, &places);
    let line = |(series, style)| {
        let cells = places.iter().map(|place| grid.cell(series, place)).zip(&stands);
        let points = cells.filter_map(|(runs, &at)| Point::of(at, runs?.values(figure))).collect();
        Curve { label: grid.label(series), style, form: CurveForm::Joined, points }
    };
    let lines = grid.series.iter().zip(styles(grid)).map(line).filter(|line| !line.points.is_empty());
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        return None;
    }
    let points = lines.iter().flat_map(|line| &line.points);
    let heights = points.flat_map(|one| [one.low, one.high].into_iter().chain(one.runs.iter().copied()));
    Some(Plot {
        slug: format!("{}{}", figure.slug(), held.slug(&rest)),
        title: figure.title().to_owned(),
        subtitle: conditions(grid, held, &rest),
        reading: [reading(&lines), figure.scope().to_owned(), grid.sleep_notes(figure)]
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| text.trim_end_matches('.'))
            .collect::<Vec<_>>()
            .join(". "),
        x_label: if x == Dimension::InvalidPercent {
            "share of invalid packets, %".to_owned()
        } else {
            head(x)
        },
        x: axis,
        panels: vec![Panel {
            y_label: figure.axis_label(),
            y: Axis::around(&heights.collect::<Vec<_>>()),
            lines,
            ..Panel::default()
        }],
    })
}

/// Under which conditions the runs at `place` were made, beside what is on an axis.
pub(super) fn conditions(grid: &SampleGrid, place: &Place, dimensions: &[Dimension]) -> String {
    let texts = [place.phrase(dimensions), grid.constants()];
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The horizontal axis, and where `places` lie on it: numbers at their size, or side by side where one is no number.
fn horizontal(x: Dimension, places: &[&Place]) -> (Axis, Vec<f64>) {
    let mut values: Vec<_> = places.iter().map(|place| place.along(x)).collect();
    let number = |value: &Value| match value {
        Value::Number(number) => Some(*number as f64),
        _ => None,
    };
    if let Some(numbers) = values.iter().map(number).collect::<Option<Vec<_>>>() {
        let mut ticks = numbers.clone();
        ticks.dedup();
        let axis = if x == Dimension::InvalidPercent { Axis::at(&ticks) } else { Axis::spread(&ticks) };
        return (axis, numbers);
    }
    values.dedup();
    let at = |place: &&Place| values.iter().position(|&one| one == place.along(x)).unwrap_or(0) as f64;
    let names = values.iter().map(|&value| value_text(x, value)).collect();
    (Axis::of_names(names), places.iter().map(at).collect())
}

/// A style for each series: that of its placement while it is free, so that a placement looks the same in every
/// report, and then the next one that is.
pub(super) fn styles(grid: &SampleGrid) -> Vec<usize> {
    let mut free = Free::styles(grid.series.len());
    grid.series.iter().map(|series| free.take(style_of(series.placement()))).collect()
}

/// Styles that no line has yet.
pub(super) struct Free(Vec<usize>);

impl Free {
    /// Enough for so many lines.
    pub(super) fn styles(lines: usize) -> Self {
        Self((0..lines.max(PALETTE.len())).collect())
    }

    /// The wanted one, or else the next that no placement has.
    pub(super) fn take(&mut self, wanted: usize) -> usize {
        let position = |is_right: &dyn Fn(usize) -> bool| self.0.iter().position(|&style| is_right(style));
        let at = position(&|style| style == wanted).or_else(|| position(&|style| style > 2));
        self.0.remove(at.unwrap_or(0))
    }
}

/// The row of [`PALETTE`] that a placement has in every report.
pub(super) const fn style_of(placement: Placement) -> usize {
    match placement {
        Placement::Plain => 0,
        Placement::User => 1,
        Placement::Kernel => 2,
        Placement::Sender => 3,
    }
}

fn reading(lines: &[Curve]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let some = |kind| points().any(|point| point.kind == kind);
    let bars = match (some(EndsKind::Interval), some(EndsKind::Range)) {
        (true, false) => "bars: 95 % intervals of the median",
        (false, _) => "bars: ranges from the smallest to the largest run (too few runs for intervals)",
        (true, true) => "bars: 95 % intervals of the median, ranges where there are fewer than 6 runs",
    };
    format!("Marks: medians; {bars}; pale dots: single runs")
}
