//! Draws a plot as SVG, and the same picture as PNG.
//!
//! Every mark says its value in a `title`, and carries classes by which a page can colour it. The font of the PNG comes
//! with the program, because a server has none.

use std::sync::LazyLock;

use anyhow::Context;
use minijinja::{AutoEscape, Environment, value::Serde};
use resvg::{tiny_skia, usvg};
use serde::Serialize;

use super::{
    axis::Axis,
    number::{estimate, ratio},
    plot::{Form, Line, PALETTE, Plot, Point, Tile},
};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 466.0;
const BOTTOM: f64 = 312.0;
/// Where titles and legends begin.
const MARGIN: f64 = 8.0;
const LEGEND_ROW: f64 = 18.0;
/// About what a character takes of a line of text.
const CHARACTER: f64 = 7.2;
/// Share of the axis that all lines at one place take together, at most.
const MOST_DODGE: f64 = 0.09;
const DODGE: f64 = 0.026;
/// Share of the room between two columns that their bars take together.
const BARS: f64 = 0.7;
/// Pixels of a PNG for each unit of the SVG: sharp on dense displays.
const PNG_SCALE: f32 = 2.0;

/// A plot, drawn.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    /// As SVG.
    pub(super) svg: String,
    /// The same as a PNG file's bytes.
    pub(super) png: Vec<u8>,
}

impl Picture {
    /// Draws `plot`.
    pub(super) fn of(plot: &Plot) -> anyhow::Result<Self> {
        let svg = plot.to_svg()?;
        Ok(Self { png: png_of(&svg)?, svg })
    }
}

/// What the template names.
#[derive(Default, Serialize)]
struct Scene<'a> {
    plot: &'a str,
    title: &'a str,
    subtitle: &'a str,
    reading: &'a str,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    middle: f64,
    top: String,
    bottom: f64,
    x_label: &'a str,
    y_label: &'a str,
    palette: [&'a str; 6],
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    legend: Vec<Entry<'a>>,
    shapes: Vec<Shape>,
    texts: Vec<Text>,
}

#[derive(Serialize)]
struct Tick {
    at: String,
    label: String,
}

#[derive(Serialize)]
struct Entry<'a> {
    x: String,
    y: String,
    label: &'a str,
    color: usize,
    marker: String,
}

impl<'a> Entry<'a> {
    fn of(line: &'a Line, (left, middle): (f64, f64)) -> Self {
        let marker = match line.form {
            Form::Bars => rectangle(left + 1.0, middle - 5.0, left + 13.0, middle + 5.0),
            _ => marker(left + 7.0, middle, line.style),
        };
        let color = line.style % PALETTE.len();
        Self { x: px(left + 18.0), y: px(middle), label: &line.label, color, marker }
    }
}

/// A path: what kind it is decides about fill and stroke.
#[derive(Serialize)]
struct Shape {
    kind: &'static str,
    color: usize,
    fill: Option<String>,
    path: String,
    /// Empty for what only decorates a mark.
    title: String,
}

#[derive(Serialize)]
struct Text {
    x: String,
    y: String,
    text: String,
    fill: &'static str,
}

/// Where the axes lie in the picture.
struct Frame<'a> {
    plot: &'a Plot,
    top: f64,
}

impl Frame<'_> {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.plot.x.share(value) * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - self.plot.y.share(value) * (BOTTOM - self.top)
    }
}

impl Plot {
    /// The plot as SVG.
    fn to_svg(&self) -> anyhow::Result<String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.add_template("plot", include_str!("plot.svg")).context("reading the SVG template")?;
        let template = environment.get_template("plot").context("finding the SVG template")?;
        let scene = template.render(Serde(&self.scene()));
        scene.with_context(|| format!("drawing {}", self.slug))
    }

    fn scene(&self) -> Scene<'_> {
        let (legend, top) = self.legend();
        let frame = Frame { plot: self, top };
        let mut scene = Scene {
            plot: &self.slug,
            title: &self.title,
            subtitle: &self.subtitle,
            reading: &self.reading,
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: RIGHT,
            middle: f64::midpoint(LEFT, RIGHT),
            top: px(top),
            bottom: BOTTOM,
            x_label: &self.x_label,
            y_label: &self.y_label,
            palette: PALETTE,
            x_ticks: ticks(&self.x, |value| frame.x(value), CHARACTER),
            y_ticks: ticks(&self.y, |value| frame.y(value), 0.0),
            legend,
            ..Scene::default()
        };
        if let Some(height) = self.reference {
            let y = px(frame.y(height));
            let path = format!("M{LEFT},{y}H{RIGHT}");
            scene.shapes.push(Shape { kind: "reference", color: 0, fill: None, path, title: String::new() });
        }
        for tile in &self.tiles {
            let (shape, text) = draw_tile(&frame, tile);
            scene.shapes.push(shape);
            scene.texts.push(text);
        }
        for (i, line) in self.lines.iter().enumerate() {
            scene.shapes.extend(draw_line(&frame, line, i));
        }
        scene
    }

    /// The legend side by side, on the next row where there is no room left; and where the plot's area begins below it.
    fn legend(&self) -> (Vec<Entry<'_>>, f64) {
        let head = if self.subtitle.is_empty() { 40.0 } else { 58.0 };
        let (mut left, mut middle) = (MARGIN, head);
        let mut entry = |line: &Line| {
            let width = 24.0 + line.label.chars().count() as f64 * CHARACTER;
            if left > MARGIN && left + width > RIGHT {
                (left, middle) = (MARGIN, middle + LEGEND_ROW);
            }
            let at = (left, middle);
            left += width + 10.0;
            at
        };
        let places: Vec<_> = self.lines.iter().map(&mut entry).collect();
        let entries: Vec<_> = self.lines.iter().zip(places).map(|(line, at)| Entry::of(line, at)).collect();
        let last = if entries.is_empty() { head - LEGEND_ROW } else { middle };
        (entries, last + 34.0)
    }
}

fn draw_line(frame: &Frame<'_>, line: &Line, number: usize) -> Vec<Shape> {
    let plot = frame.plot;
    let lines = plot.lines.len() as f64;
    let step = match line.form {
        Form::Joined => DODGE.min(MOST_DODGE / lines),
        Form::Bars => BARS * plot.x.share_of_a_step() / lines,
        Form::Dots => 0.0,
    } * (RIGHT - LEFT);
    let x = |point: &Point| frame.x(point.x) + (number as f64 - (lines - 1.0) / 2.0) * step;
    let color = line.style % PALETTE.len();
    let shape = |kind, path, title| Shape { kind, color, fill: None, path, title };
    let mut shapes = Vec::new();
    if line.form == Form::Joined {
        let at = |point: &Point| format!("{},{}", px(x(point)), px(frame.y(point.median)));
        let path: Vec<_> = line.points.iter().map(at).collect();
        shapes.push(shape("line", format!("M{}", path.join("L")), String::new()));
    }
    for point in &line.points {
        let (x, y) = (x(point), frame.y(point.median));
        let title = title(plot, line, point, &point.text());
        if line.form == Form::Dots {
            shapes.push(shape("run", circle(x, y, 2.6), title));
            continue;
        }
        if line.form == Form::Bars {
            let bar = rectangle(x - step * 0.46, y, x + step * 0.46, BOTTOM);
            shapes.push(shape("bar", bar, title.clone()));
        }
        let beside = if line.form == Form::Bars { x + step * 0.25 } else { x + (step / 2.0).max(4.0) };
        shapes.extend(point.runs.iter().map(|&run| {
            let value = format!("{} (one run)", Axis::label(run));
            shape("run", circle(beside, frame.y(run), 2.2), self::title(plot, line, point, &value))
        }));
        shapes.push(shape("whisker", whisker(x, frame.y(point.low), frame.y(point.high)), String::new()));
        if line.form == Form::Joined {
            shapes.push(shape("mark", marker(x, y, line.style), title));
        }
    }
    shapes
}

fn title(plot: &Plot, line: &Line, point: &Point, value: &str) -> String {
    let remark = if point.remark.is_empty() { String::new() } else { format!("; {}", point.remark) };
    format!("{}: {value}\n{}: {}{remark}", line.label, plot.x_label, plot.x.name(point.x))
}

fn draw_tile(frame: &Frame<'_>, tile: &Tile) -> (Shape, Text) {
    let ends = [-0.5, 0.5].map(|half| (frame.x(tile.x + half), frame.y(tile.y + half)));
    let [(left, bottom), (right, top)] = ends;
    // Four times as much, or a quarter, is as deep as the colours go.
    let depth = (tile.ratio.median.max(1e-9).log2() / 2.0).clamp(-1.0, 1.0);
    let deepest: [f64; 3] = if depth < 0.0 { [0.0, 114.0, 178.0] } else { [190.0, 80.0, 0.0] };
    let [red, green, blue] = deepest.map(|end| (247.0 + (end - 247.0) * depth.abs()).round() as u8);
    let plot = frame.plot;
    let title = format!(
        "{}, {}: {} of {} pairs",
        plot.y.name(tile.y),
        plot.x.name(tile.x),
        estimate(&tile.ratio, ratio),
        tile.ratio.runs
    );
    let shape = Shape {
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
    };
    (shape, text)
}

/// The ticks with as many labels as have room, of so many pixels a character.
fn ticks(axis: &Axis, at: impl Fn(f64) -> f64, character: f64) -> Vec<Tick> {
    let mut free_from = f64::NEG_INFINITY;
    let tick = |value: f64| {
        let (name, at) = (axis.name(value), at(value));
        let half = name.chars().count() as f64 * character / 2.0;
        let fits = character == 0.0 || at - half > free_from;
        if fits {
            free_from = at + half + 2.0;
        }
        Tick { at: px(at), label: if fits { name } else { String::new() } }
    };
    axis.ticks().iter().copied().map(tick).collect()
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

/// The ends of an estimate: a line between two short ones.
fn whisker(x: f64, low: f64, high: f64) -> String {
    let (left, right, x) = (px(x - 4.0), px(x + 4.0), px(x));
    format!("M{left},{0}H{right}M{x},{0}V{1}M{left},{1}H{right}", px(low), px(high))
}

/// A length in the picture, to a tenth.
fn px(length: f64) -> String {
    // Minus zero reads badly, and differs from zero in a file.
    format!("{:.1}", (length * 10.0).round() / 10.0 + 0.0)
}

/// Draws `svg` into a PNG file's bytes.
fn png_of(svg: &str) -> anyhow::Result<Vec<u8>> {
    let tree = usvg::Tree::from_str(svg, &OPTIONS).context("reading back the SVG")?;
    let size = tree.size().to_int_size().scale_by(PNG_SCALE).context("sizing the PNG")?;
    let mut pixels =
        tiny_skia::Pixmap::new(size.width(), size.height()).context("making room for the PNG")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(PNG_SCALE, PNG_SCALE), &mut pixels.as_mut());
    pixels.encode_png().context("writing the PNG")
}

static OPTIONS: LazyLock<usvg::Options<'static>> = LazyLock::new(|| {
    let mut options = usvg::Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    options
});
