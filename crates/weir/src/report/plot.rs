//! A plot before it is drawn: lines, bars or dots with their intervals, or a map of tiles, between two axes.

use super::{axis::Axis, number::estimate, table::Table};
use crate::stats::{Estimate, Kind};

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
    /// Name and unit of the vertical axis.
    pub(super) y_label: String,
    /// The horizontal axis.
    pub(super) x: Axis,
    /// The vertical axis.
    pub(super) y: Axis,
    /// A height that others are to be seen against.
    pub(super) reference: Option<f64>,
    /// The lines.
    pub(super) lines: Vec<Line>,
    /// The tiles of a map.
    pub(super) tiles: Vec<Tile>,
}

/// One line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Its name in the legend.
    pub(super) label: String,
    /// Row of [`PALETTE`].
    pub(super) style: usize,
    /// How it is drawn.
    pub(super) form: Form,
    /// Its points, from left to right.
    pub(super) points: Vec<Point>,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Medians joined by a line, with their ends and runs.
    Joined,
    /// Bars from the bottom up to the medians, with their ends and runs.
    Bars,
    /// A dot for each point and nothing else.
    Dots,
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
    pub(super) kind: Kind,
    /// Every run, drawn as a dot.
    pub(super) runs: Vec<f64>,
    /// What is to be known beside the numbers; may be empty.
    pub(super) remark: String,
}

impl Point {
    /// The point of `runs` at `x`; nothing where there is no run.
    pub(super) fn of(x: f64, runs: Vec<f64>) -> Option<Self> {
        let Estimate { median, low, high, kind, .. } = Estimate::of(&runs)?;
        Some(Self { x, median, low, high, kind, runs, remark: String::new() })
    }

    /// Its numbers: "2.31 [2.25, 2.40]".
    pub(super) fn text(&self) -> String {
        let Self { median, low, high, kind, .. } = *self;
        let runs = self.runs.len().max(1);
        estimate(&Estimate { median, low, high, kind, runs, coverage: 0.0 }, Axis::label)
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
        let columns = ["series", &self.x_label, &self.y_label, "low", "high", "ends are", "runs"];
        let kind = |kind| match kind {
            Kind::Interval => "a 95 % interval",
            Kind::Range => "the range",
        };
        let point = |line: &Line, point: &Point| {
            let numbers = [point.median, point.low, point.high].map(|value| value.to_string());
            let [median, low, high] = numbers;
            let (x, runs) = (self.x.name(point.x), point.runs.len().max(1).to_string());
            vec![line.label.clone(), x, median, low, high, kind(point.kind).to_owned(), runs]
        };
        let points = self.lines.iter().flat_map(|line| line.points.iter().map(move |one| point(line, one)));
        let tile = |tile: &Tile| {
            let Estimate { median, low, high, runs, .. } = tile.ratio;
            let [median, low, high] = [median, low, high].map(|value| value.to_string());
            let kind = kind(tile.ratio.kind).to_owned();
            vec![self.y.name(tile.y), self.x.name(tile.x), median, low, high, kind, runs.to_string()]
        };
        let mut columns = columns.map(str::to_owned).to_vec();
        if !self.tiles.is_empty() {
            (columns[0], columns[2]) = (self.y_label.clone(), "ratio".to_owned());
        }
        Table {
            slug: self.slug.clone(),
            title: self.title.clone(),
            columns,
            rows: points.chain(self.tiles.iter().map(tile)).collect(),
            note: String::new(),
        }
    }
}
