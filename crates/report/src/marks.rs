//! The marks of a plot: what stands for a median, its ends, a run, a tile.

use serde::Serialize;
use weir_results::number::{estimate, ratio};

use crate::{
    axis::Axis,
    frame::{AxisFrame, LEFT, RIGHT, px},
    plot::{Curve, CurveForm, Dot, PALETTE, Point, Tile},
};

/// Share of the axis that all lines at one place take together, at most.
const MOST_DODGE: f64 = 0.09;
const DODGE: f64 = 0.026;
/// Share of the room between two columns that their bars take together.
const BARS: f64 = 0.7;

/// A path: what kind it is decides about fill and stroke.
#[derive(Serialize)]
pub(super) struct PathShape {
    kind: &'static str,
    color: usize,
    fill: Option<String>,
    path: String,
    /// Empty for what only decorates a mark.
    title: String,
}

/// A word in a mark or above it.
#[derive(Serialize)]
pub(super) struct Text {
    x: String,
    y: String,
    text: String,
    fill: &'static str,
    /// Empty where the colour belongs to a tile, which has its own ground.
    class: &'static str,
}

/// A line across the panel.
pub(super) fn reference(frame: &AxisFrame<'_>, height: f64) -> PathShape {
    let path = format!("M{LEFT},{}H{RIGHT}", px(frame.y(height)));
    PathShape { kind: "reference", color: 0, fill: None, path, title: String::new() }
}

/// The mark that a legend shows for `line`, at most 14 units wide.
pub(super) fn sample(line: &Curve, left: f64, middle: f64) -> String {
    match line.form {
        CurveForm::Bars => rectangle(left + 1.0, middle - 5.0, left + 13.0, middle + 5.0),
        CurveForm::Joined => marker(left + 7.0, middle, line.style),
        CurveForm::Dots(_) => circle(left + 7.0, middle, 4.6),
    }
}

/// The marks of the line that is the `number`th of its panel, and the words above them.
pub(super) fn line(frame: &AxisFrame<'_>, line: &Curve, number: usize) -> (Vec<PathShape>, Vec<Text>) {
    let lines = &frame.panel.lines;
    let stand_at = |lines: &[Curve], x: f64| {
        lines.iter().filter(|line| line.points.iter().any(|point| point.x == x)).count() as f64
    };
    let step = match line.form {
        CurveForm::Joined => {
            let most = line.points.iter().map(|point| stand_at(lines, point.x)).fold(1.0, f64::max);
            DODGE.min(MOST_DODGE / most)
        }
        CurveForm::Bars => BARS * frame.plot.x.share_of_a_step() / lines.len() as f64,
        CurveForm::Dots(_) => 0.0,
    } * AxisFrame::WIDTH;
    let x = |point: &Point| {
        let (before, all) = (stand_at(&lines[..number], point.x), stand_at(lines, point.x));
        frame.x(point.x) + (before - (all - 1.0) / 2.0) * step
    };
    let (mut shapes, mut texts) = (Vec::new(), Vec::new());
    if line.form == CurveForm::Joined && line.points.len() > 1 {
        let at = |point: &Point| format!("{},{}", px(x(point)), px(frame.y(point.median)));
        let path: Vec<_> = line.points.iter().map(at).collect();
        shapes.push(shape(line, "line", format!("M{}", path.join("L")), String::new()));
    }
    for point in &line.points {
        let (x, y) = (x(point), frame.y(point.median));
        let mark = |kind, path| shape(line, kind, path, title(frame, line, point, &point.text()));
        match line.form {
            CurveForm::Joined => {
                shapes.extend(runs(frame, line, point, x + (step / 2.0).max(4.0)));
                shapes.push(ends(frame, line, point, x));
                shapes.push(mark("mark", marker(x, y, line.style)));
            }
            CurveForm::Bars => {
                // Where the figure is known from below alone, the bar isn't closed off.
                let kind = if point.at_least { "bound" } else { "bar" };
                shapes.push(mark(kind, rectangle(x - step * 0.46, y, x + step * 0.46, frame.bottom)));
                shapes.extend(runs(frame, line, point, x + step * 0.25));
                shapes.push(ends(frame, line, point, x));
                texts.extend(bound(frame, point, x));
            }
            CurveForm::Dots(dot) => shapes.push(mark(dot.kind(), dot.path(x, y))),
        }
    }
    (shapes, texts)
}

fn shape(line: &Curve, kind: &'static str, path: String, title: String) -> PathShape {
    PathShape { kind, color: line.style % PALETTE.len(), fill: None, path, title }
}

fn bound(frame: &AxisFrame<'_>, point: &Point, x: f64) -> Option<Text> {
    let y = frame.y(point.high.max(point.median)) - 5.0;
    point.at_least.then(|| Text { x: px(x), y: px(y), text: "≥".to_owned(), fill: "#222222", class: "ink" })
}

fn runs(frame: &AxisFrame<'_>, line: &Curve, point: &Point, x: f64) -> Vec<PathShape> {
    let run = |&run: &f64| {
        let value = format!("{} (one run)", Axis::label(run));
        shape(line, "run", circle(x, frame.y(run), 2.2), title(frame, line, point, &value))
    };
    point.runs.iter().map(run).collect()
}

/// The ends of an estimate: a line between two short ones.
fn ends(frame: &AxisFrame<'_>, line: &Curve, point: &Point, x: f64) -> PathShape {
    let (left, right, x) = (px(x - 4.0), px(x + 4.0), px(x));
    let (low, high) = (px(frame.y(point.low)), px(frame.y(point.high)));
    let path = format!("M{left},{low}H{right}M{x},{low}V{high}M{left},{high}H{right}");
    shape(line, "whisker", path, String::new())
}

fn title(frame: &AxisFrame<'_>, line: &Curve, point: &Point, value: &str) -> String {
    let plot = frame.plot;
    let remark = if point.remark.is_empty() { String::new() } else { format!("; {}", point.remark) };
    let what = if plot.panels.len() > 1 { format!(" ({})", frame.panel.y_label) } else { String::new() };
    format!("{}: {value}{what}\n{}: {}{remark}", line.label, plot.x_label, plot.x.name(point.x))
}

/// A tile of a map, and the ratio that is written on it.
pub(super) fn tile(frame: &AxisFrame<'_>, tile: &Tile) -> (PathShape, Text) {
    let ends = [-0.5, 0.5].map(|half| (frame.x(tile.x + half), frame.y(tile.y + half)));
    let [(left, bottom), (right, top)] = ends;
    // Four times as much, or a quarter, is as deep as the colours go.
    let depth = (tile.ratio.median.max(1e-9).log2() / 2.0).clamp(-1.0, 1.0);
    let deepest: [f64; 3] = if depth < 0.0 { [0.0, 114.0, 178.0] } else { [190.0, 80.0, 0.0] };
    let [red, green, blue] = deepest.map(|end| (247.0 + (end - 247.0) * depth.abs()).round() as u8);
    let title = format!(
        "{}, {}: {} of {} pairs",
        frame.panel.y.name(tile.y),
        frame.plot.x.name(tile.x),
        estimate(&tile.ratio, ratio),
        tile.ratio.runs
    );
    let shape = PathShape {
        kind: "tile",
        color: 0,
        fill: Some(format!("#{red:02x}{green:02x}{blue:02x}")),
        path: rectangle(left + 1.0, top + 1.0, right - 1.0, bottom - 1.0),
        title,
    };
    let text = Text {
        x: px(f64::midpoint(left, right)),
        y: px(f64::midpoint(top, bottom) + 5.0),
        text: ratio(tile.ratio.median),
        fill: if depth.abs() > 0.6 { "#ffffff" } else { "#222222" },
        class: "",
    };
    (shape, text)
}

impl Dot {
    const fn kind(self) -> &'static str {
        match self {
            Self::Full => "run",
            Self::Hollow | Self::Cross => "hollow",
        }
    }

    fn path(self, x: f64, y: f64) -> String {
        match self {
            Self::Full => circle(x, y, 2.6),
            Self::Hollow => circle(x, y, 3.2),
            Self::Cross => {
                let [left, right] = [x - 3.2, x + 3.2].map(px);
                let [top, bottom] = [y - 3.2, y + 3.2].map(px);
                format!("M{left},{top}L{right},{bottom}M{left},{bottom}L{right},{top}")
            }
        }
    }
}

/// Shape tells lines apart where colour can't; where the colours begin again, the shapes go on.
fn marker(x: f64, y: f64, style: usize) -> String {
    let polygon = |corners: &[(f64, f64)]| {
        let corners: Vec<_> =
            corners.iter().map(|(right, down)| format!("{},{}", px(x + right), px(y + down))).collect();
        format!("M{}Z", corners.join("L"))
    };
    match (style + style / PALETTE.len()) % 4 {
        0 => polygon(&[(0.0, -6.0), (5.4, 4.0), (-5.4, 4.0)]),
        1 => circle(x, y, 4.6),
        2 => rectangle(x - 4.2, y - 4.2, x + 4.2, y + 4.2),
        _ => polygon(&[(0.0, -6.0), (6.0, 0.0), (0.0, 6.0), (-6.0, 0.0)]),
    }
}

fn circle(x: f64, y: f64, radius: f64) -> String {
    let around = px(radius * 2.0);
    format!(
        "M{},{}a{radius},{radius} 0 1,0 {around},0a{radius},{radius} 0 1,0 -{around},0Z",
        px(x - radius),
        px(y)
    )
}

fn rectangle(left: f64, top: f64, right: f64, bottom: f64) -> String {
    format!("M{},{}H{}V{}H{}Z", px(left), px(top), px(right), px(bottom), px(left))
}
