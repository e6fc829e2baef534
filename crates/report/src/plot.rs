//! A plot before it is drawn: lines, bars or dots with their intervals, or a map of tiles, in panels over one axis.

use weir_results::{
    number::estimate,
    stats::{EndsKind, Estimate},
};

use crate::{axis::Axis, table::Table};

/// A plot before it is drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Plot {
    /// File name without extension; unique in a report.
    pub(super) slug: String,
    /// What it shows.
    pub(super) title: String,
    /// Under which conditions.
    pub(super) subtitle: String,
    /// What the bars and dots are.
    pub(super) reading: String,
    /// Name and unit of the horizontal axis.
    pub(super) x_label: String,
    /// The horizontal axis, which all panels share.
    pub(super) x: Axis,
    /// What stands above it: one panel, or several below each other.
    pub(super) panels: Vec<Panel>,
}

/// An area between the horizontal axis of a plot and a vertical one of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Panel {
    /// Name and unit of the vertical axis.
    pub(super) y_label: String,
    /// The vertical axis.
    pub(super) y: Axis,
    /// A height that others are to be seen against.
    pub(super) reference: Option<f64>,
    /// The lines.
    pub(super) lines: Vec<Curve>,
    /// The tiles of a map.
    pub(super) tiles: Vec<Tile>,
}

/// One line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// Its name in the legend.
    pub(super) label: String,
    /// Row of [`PALETTE`].
    pub(super) style: usize,
    /// How it is drawn.
    pub(super) form: CurveForm,
    /// Its points, from left to right.
    pub(super) points: Vec<Point>,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CurveForm {
    /// Medians joined by a line, with their ends and runs.
    Joined,
    /// Bars from the bottom up to the medians, with their ends and runs.
    Bars,
    /// A dot for each point and nothing else.
    Dots(Dot),
}

/// How a dot looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dot {
    /// Filled: it counts.
    Full,
    /// A ring.
    Hollow,
    /// A cross: it doesn't count.
    Cross,
}

/// A median with its ends and the runs that it is made of.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// Where it stands.
    pub(super) x: f64,
    /// The median.
    pub(super) median: f64,
    /// Lower end.
    pub(super) low: f64,
    /// Upper end.
    pub(super) high: f64,
    /// What the ends are.
    pub(super) kind: EndsKind,
    /// Every run, drawn as a dot.
    pub(super) runs: Vec<f64>,
    /// What is to be known beside the numbers; may be empty.
    pub(super) remark: String,
    /// Whether the median and its ends are known from below alone.
    pub(super) at_least: bool,
}

impl Point {
    /// The point of `runs` at `x`; nothing where there is no run.
    pub(super) fn of(x: f64, runs: Vec<f64>) -> Option<Self> {
        let Estimate { median, low, high, kind, .. } = Estimate::of(&runs)?;
        Some(Self { x, median, low, high, kind, runs, remark: String::new(), at_least: false })
    }

    /// The estimate that it shows; its coverage isn't kept.
    fn estimate(&self) -> Estimate {
        let Self { median, low, high, kind, .. } = *self;
        Estimate { median, low, high, kind, runs: self.runs.len(), coverage: 0.0 }
    }

    /// Its numbers: "2.31 [2.25, 2.40]".
    pub(super) fn text(&self) -> String {
        let sign = if self.at_least { "≥ " } else { "" };
        format!("{sign}{}", estimate(&self.estimate(), Axis::label))
    }
}

/// One tile of a map.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    /// Column.
    pub(super) x: f64,
    /// Row.
    pub(super) y: f64,
    /// The ratio that gives its colour: below 1 to one side, above to the other.
    pub(super) ratio: Estimate,
}

/// Okabe & Ito, Color Universal Design (2008); black and yellow are left out, which vanish on one background or other.
pub(super) const PALETTE: [&str; 6] = ["#009e73", "#d55e00", "#0072b2", "#cc79a7", "#e69f00", "#56b4e9"];

impl Plot {
    /// What is drawn, as numbers.
    pub(super) fn data(&self) -> Table {
        let several = self.panels.len() > 1;
        let (y_label, is_map) = match self.panels.as_slice() {
            [panel] => (panel.y_label.as_str(), !panel.tiles.is_empty()),
            _ => ("value", false),
        };
        let heads = if is_map {
            [y_label, &self.x_label, "ratio", "low", "high", "ends are", "runs"]
        } else {
            ["series", &self.x_label, y_label, "low", "high", "ends are", "runs"]
        };
        let remarked = self.points().any(|point| !point.remark.is_empty());
        let columns = several.then_some("figure").into_iter().chain(heads);
        let rows = |panel: &Panel| {
            let label = several.then(|| panel.y_label.clone());
            let under = move |row: Vec<String>| label.clone().into_iter().chain(row).collect::<Vec<_>>();
            self.rows(panel, remarked).into_iter().map(under).collect::<Vec<_>>()
        };
        Table {
            slug: self.slug.clone(),
            title: self.title.clone(),
            columns: columns.chain(remarked.then_some("remark")).map(str::to_owned).collect(),
            rows: self.panels.iter().flat_map(rows).collect(),
            note: String::new(),
        }
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        self.panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| &line.points)
    }

    fn rows(&self, panel: &Panel, remarked: bool) -> Vec<Vec<String>> {
        let ends = |Estimate { median, low, high, runs, kind, .. }: Estimate| {
            let kind = match kind {
                EndsKind::Interval => "a 95 % interval",
                EndsKind::Range => "the range",
            };
            [median.to_string(), low.to_string(), high.to_string(), kind.to_owned(), runs.to_string()]
        };
        let point = |line: &Curve, point: &Point| {
            let mut ends = ends(point.estimate());
            if point.at_least {
                ends[3] += " of what is known from below";
            }
            let place = [line.label.clone(), self.x.name(point.x)];
            place.into_iter().chain(ends).chain(remarked.then(|| point.remark.clone())).collect()
        };
        let tile = |tile: &Tile| {
            let place = [panel.y.name(tile.y), self.x.name(tile.x)];
            place.into_iter().chain(ends(tile.ratio)).collect()
        };
        let points = panel.lines.iter().flat_map(|line| line.points.iter().map(move |one| point(line, one)));
        points.chain(panel.tiles.iter().map(tile)).collect()
    }
}
