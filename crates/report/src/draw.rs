//! Draws a plot as SVG, and the same picture as PNG.
//!
//! Every mark says its value in a `title`, and carries classes by which a page can colour it. The font of the PNG comes
//! with the program, because a server has none.

use std::{collections::BTreeSet, sync::LazyLock};

use anyhow::Context;
use minijinja::{Value, context, value::Serde};
use resvg::{tiny_skia, usvg};

use crate::{
    axis::Axis,
    frame::{AxisFrame, LEFT, RIGHT, px},
    marks,
    plot::{PALETTE, Plot},
    template::filled,
};

const WIDTH: f64 = 480.0;
/// Where the area of a single panel ends, unless the legend above leaves it less than [`LEAST`].
const BOTTOM: f64 = 312.0;
/// Least height of the area of a single panel.
const LEAST: f64 = 190.0;
/// Height of the area of each of several panels.
const PANEL: f64 = 116.0;
/// Room for what stands above a panel.
const PANEL_HEAD: f64 = 38.0;
/// Room for what stands below the last panel.
const FOOT: f64 = 48.0;
/// Where titles and legends begin.
const MARGIN: f64 = 8.0;
const LEGEND_ROW: f64 = 18.0;
/// About what a character takes of a line of text.
const CHARACTER: f64 = 7.2;
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

impl Plot {
    /// The plot as SVG.
    fn to_svg(&self) -> anyhow::Result<String> {
        let drawn = filled(include_str!("plot.svg"), self.scene());
        drawn.with_context(|| format!("drawing {}", self.slug))
    }

    /// What the template names.
    fn scene(&self) -> Value {
        let (legend, top) = self.legend();
        let frames = self.frames(top);
        let bottom = frames.last().map_or(BOTTOM, |frame| frame.bottom);
        let x = |value: f64| LEFT + self.x.share(value) * AxisFrame::WIDTH;
        context! {
            title => &self.title,
            subtitle => &self.subtitle,
            reading => &self.reading,
            width => WIDTH,
            height => bottom + FOOT,
            left => LEFT,
            right => RIGHT,
            middle => f64::midpoint(LEFT, RIGHT),
            bottom,
            x_label => self.x.title(&self.x_label),
            palette => Serde(PALETTE),
            x_ticks => ticks(&self.x, x, CHARACTER),
            legend => Value::from_iter(legend),
            panels => Value::from_iter(frames.iter().map(drawn)),
        }
    }

    /// A single panel fills the picture; several stand below each other.
    fn frames(&self, top: f64) -> Vec<AxisFrame<'_>> {
        let several = self.panels.len() > 1;
        let frame = |(i, panel)| {
            let top = top + i as f64 * (PANEL + PANEL_HEAD);
            let bottom = if several { (top + PANEL).round() } else { BOTTOM.max(top + LEAST) };
            AxisFrame { plot: self, panel, top, bottom }
        };
        self.panels.iter().enumerate().map(frame).collect()
    }

    /// The legend side by side, on the next row where there is no room left; and where the plot's area begins below it.
    fn legend(&self) -> (Vec<Value>, f64) {
        let head = if self.subtitle.is_empty() { 40.0 } else { 58.0 };
        let (mut left, mut middle) = (MARGIN, head);
        let (mut known, mut entries) = (BTreeSet::new(), Vec::new());
        let lines = self.panels.iter().flat_map(|panel| &panel.lines);
        for line in lines.filter(|line| known.insert(&line.label)) {
            let width = 24.0 + line.label.chars().count() as f64 * CHARACTER;
            if left > MARGIN && left + width > RIGHT {
                (left, middle) = (MARGIN, middle + LEGEND_ROW);
            }
            entries.push(context! {
                x => px(left + 18.0),
                y => px(middle),
                label => &line.label,
                color => line.style % PALETTE.len(),
                marker => marks::sample(line, left, middle),
            });
            left += width + 10.0;
        }
        let last = if entries.is_empty() { head - LEGEND_ROW } else { middle };
        (entries, last + 37.0)
    }
}

/// A panel as the template names it.
fn drawn(frame: &AxisFrame<'_>) -> Value {
    let panel = frame.panel;
    let (mut shapes, mut texts) = (Vec::new(), Vec::new());
    shapes.extend(panel.reference.map(|height| marks::reference(frame, height)));
    for (shape, text) in panel.tiles.iter().map(|tile| marks::tile(frame, tile)) {
        shapes.push(shape);
        texts.push(text);
    }
    for (i, line) in panel.lines.iter().enumerate() {
        let (more, told) = marks::line(frame, line, i);
        shapes.extend(more);
        texts.extend(told);
    }
    context! {
        top => px(frame.top),
        bottom => px(frame.bottom),
        y_label => panel.y.title(&panel.y_label),
        y_ticks => ticks(&panel.y, |value| frame.y(value), 0.0),
        shapes => Serde(shapes),
        texts => Serde(texts),
    }
}

/// The ticks with as many labels as have room, of so many pixels a character: the ends', and those between that fit.
fn ticks(axis: &Axis, at: impl Fn(f64) -> f64, character: f64) -> Value {
    let half = |value: f64| axis.name(value).chars().count() as f64 * character / 2.0;
    let ticks = axis.ticks();
    let last = ticks.last().map_or(f64::INFINITY, |&value| at(value) - half(value));
    let mut free_from = f64::NEG_INFINITY;
    let tick = |(i, &value): (usize, &f64)| {
        let (at, half) = (at(value), half(value));
        let is_between = i > 0 && i + 1 < ticks.len();
        let fits = character == 0.0 || (at - half > free_from && (!is_between || at + half + 2.0 < last));
        if fits {
            free_from = at + half + 2.0;
        }
        context! { at => px(at), label => if fits { axis.name(value) } else { String::new() } }
    };
    ticks.iter().enumerate().map(tick).collect()
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
