//! Which plots a report has, made from the grid.

use weir_results::{
    cell::{Dimension, Placement, Value},
    figure::Figure,
    stats::EndsKind,
};

use crate::{
    axis::Axis,
    grid::{CellRuns, SampleGrid, Series},
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
    let panels = Panels::of(grid, x);
    let figures = if panels.lines.len() > 1 { &PLOTTED_OFTEN[..] } else { &PLOTTED };
    let mut plots: Vec<_> = panels.crossover(grid).into_iter().collect();
    let mut figures: Vec<_> = told(grid, figures).collect();
    // Whoever raises the rate asks what is lost.
    figures.sort_by_key(|&figure| (x == Dimension::Rate) && figure != Figure::Loss);
    for figure in figures {
        plots.extend(panels.lines.iter().filter_map(|panel| plot(grid, figure, x, panel, &panels.rest)));
    }
    plots
}

/// Those of `figures` that say something: where a rate was kept throughout, the load lasts as long as it was told to.
pub(super) fn told(grid: &SampleGrid, figures: &[Figure]) -> impl Iterator<Item = Figure> {
    let is_paced = grid.cells().all(|runs| runs.cell.conditions.rate.is_some());
    figures.iter().copied().filter(move |&figure| figure != Figure::Wall || !is_paced)
}

/// What stands still in each of the plots of a figure.
struct Panels {
    x: Dimension,
    rest: Vec<Dimension>,
    lines: Vec<Place>,
}

impl Panels {
    fn of(grid: &SampleGrid, x: Dimension) -> Self {
        let rest: Vec<_> = grid.dimensions.iter().copied().filter(|&dimension| dimension != x).collect();
        Self { x, lines: grid.lines(&rest), rest }
    }

    /// CPU time per valid request against the share of invalid ones, where that isn't a plot already: at the last of
    /// what else varies, which has the most packets or the highest rate.
    fn crossover(&self, grid: &SampleGrid) -> Option<Plot> {
        let share = Dimension::InvalidPercent;
        if self.x == share || grid.values(share).len() < 2 {
            return None;
        }
        let panels = Self::of(grid, share);
        plot(grid, Figure::TotalCpuPerValid, share, panels.lines.last()?, &panels.rest)
            .map(|plot| Plot { slug: "crossover".to_owned(), ..plot })
    }
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

fn plot(grid: &SampleGrid, figure: Figure, x: Dimension, panel: &Place, rest: &[Dimension]) -> Option<Plot> {
    let places: Vec<_> = grid.places.iter().filter(|place| place.only(rest) == *panel).collect();
    let values: Vec<_> = places.iter().map(|place| place.along(x)).collect();
    let horizontal = Horizontal::of(x, &values);
    let lines = lines(grid, |series| {
        let cells = places.iter().map(|place| (horizontal.at(place.along(x)), grid.cell(series, place)));
        points(cells, figure)
    })?;
    let heights = heights(&lines);
    let held = [panel.phrase(rest), grid.constants()];
    let held: Vec<_> = held.into_iter().filter(|text| !text.is_empty()).collect();
    Some(Plot {
        slug: format!("{}{}", figure.slug(), panel.slug(rest)),
        title: figure.title().to_owned(),
        subtitle: held.join(", "),
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
        x: horizontal.axis,
        panels: vec![Panel {
            y_label: figure.axis_label(),
            y: Axis::around(&heights),
            lines,
            ..Panel::default()
        }],
    })
}

/// The horizontal axis, and where values lie on it: numbers at their size, or side by side where one is no number.
struct Horizontal {
    values: Vec<Value>,
    numeric: bool,
    axis: Axis,
}

impl Horizontal {
    fn of(dimension: Dimension, values: &[Value]) -> Self {
        let number = |value: &Value| match value {
            Value::Number(number) => Some(*number as f64),
            _ => None,
        };
        let mut values = values.to_vec();
        values.dedup();
        match values.iter().map(number).collect::<Option<Vec<_>>>() {
            Some(numbers) => {
                let shares = dimension == Dimension::InvalidPercent;
                let axis = if shares { Axis::at(&numbers) } else { Axis::spread(&numbers) };
                Self { values, numeric: true, axis }
            }
            None => {
                let names = values.iter().map(|&value| value_text(dimension, value));
                let axis = Axis::of_names(names.collect());
                Self { values, numeric: false, axis }
            }
        }
    }

    fn at(&self, value: Value) -> f64 {
        match value {
            Value::Number(number) if self.numeric => number as f64,
            _ => self.values.iter().position(|&one| one == value).unwrap_or(0) as f64,
        }
    }
}

/// The lines that have points; nothing where none has.
fn lines(grid: &SampleGrid, points: impl Fn(&Series) -> Vec<Point>) -> Option<Vec<Curve>> {
    let styles = styles(grid);
    let series = grid.series.iter().zip(styles);
    let lines = series.map(|(series, style)| {
        let label = grid.label(series);
        Curve { label, style, form: CurveForm::Joined, points: points(series) }
    });
    let lines: Vec<_> = lines.filter(|line| !line.points.is_empty()).collect();
    (!lines.is_empty()).then_some(lines)
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

fn points<'a>(cells: impl Iterator<Item = (f64, Option<&'a CellRuns>)>, figure: Figure) -> Vec<Point> {
    cells.filter_map(|(x, runs)| Point::of(x, runs?.values(figure))).collect()
}

fn heights(lines: &[Curve]) -> Vec<f64> {
    let points = lines.iter().flat_map(|line| &line.points);
    points.flat_map(|point| [point.low, point.high].into_iter().chain(point.runs.iter().copied())).collect()
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
