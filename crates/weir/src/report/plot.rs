//! Draws a plot: lines with error bars, as SVG, and the same picture as PNG.
//!
//! The font comes with the program, because a server has none; colours are those of Okabe and Ito, which people with
//! any kind of colour vision tell apart, and each line has its own marker as well.

use std::{
    iter, slice,
    sync::{LazyLock, Once},
};

use anyhow::{Context, anyhow};
use plotters::{
    coord::Shift,
    element::{Drawable, PointCollection},
    prelude::*,
    style::{FontStyle, register_font},
};
use plotters_backend::{BackendCoord, DrawingErrorKind};
use resvg::{tiny_skia, usvg};

use super::axis::Axis;
use crate::stats::Kind;

/// A plot before it is drawn.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// File name without extension; unique in a report.
    pub(super) slug: String,
    /// What it shows.
    pub(super) title: String,
    /// What the bars and dots are.
    pub(super) subtitle: String,
    /// Name and unit of the horizontal axis.
    pub(super) x_label: String,
    /// Name and unit of the vertical axis.
    pub(super) y_label: String,
    /// The horizontal axis.
    pub(super) x: Axis,
    /// The vertical axis.
    pub(super) y: Axis,
    /// The lines.
    pub(super) lines: Vec<Line>,
}

/// One line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Its name in the legend.
    pub(super) label: String,
    /// Row of [`PALETTE`].
    pub(super) style: usize,
    /// Its points, from left to right.
    pub(super) points: Vec<Point>,
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
    /// Every run, drawn as a dot; may be empty.
    pub(super) runs: Vec<f64>,
}

/// Okabe & Ito, Color Universal Design (2008); black and yellow are left out, which vanish on one background or other.
pub(super) const PALETTE: [RGBColor; 6] = [
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

const SIZE: (u32, u32) = (900, 540);
/// Where titles and legends begin.
const LEFT: i32 = 24;
const LEGEND_ROW: i32 = 24;
const TEXT: RGBColor = RGBColor(34, 34, 34);
const GRID: RGBColor = RGBColor(221, 221, 221);
const FONT: &str = "sans-serif";
/// Share of the axis between two lines at the same place.
const DODGE: f64 = 0.026;
/// Share of the axis that all lines at one place take together, at most.
const MOST_DODGE: f64 = 0.09;

/// Pixels of a PNG for each unit of the SVG: sharp on dense displays.
const PNG_SCALE: f32 = 2.0;

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Plot {
    /// The plot as SVG.
    pub(super) fn to_svg(&self) -> anyhow::Result<String> {
        register_the_font();
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|error| anyhow!("drawing {}: {error}", self.slug))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let legend = self.legend(&root)?;
        let (head, body) = root.split_vertically(legend.last().map_or(74, |&(_, middle)| middle) + 18);
        self.draw_head(&head, &legend)?;
        let mut chart = ChartBuilder::on(&body)
            .margin_right(28)
            .margin_left(14)
            .margin_bottom(8)
            .margin_top(6)
            .x_label_area_size(58)
            .y_label_area_size(84)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(TEXT)
            .label_style(font(16))
            .axis_desc_style(font(17))
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .draw()?;
        let dodge = DODGE.min(MOST_DODGE / self.lines.len() as f64);
        for (i, line) in self.lines.iter().enumerate() {
            let share = (i as f64 - (self.lines.len() as f64 - 1.0) / 2.0) * dodge;
            let color = color_of(line.style);
            let x = |point: &Point| self.x.shifted(point.x, share);
            let path: Vec<_> = line.points.iter().map(|point| (x(point), point.median)).collect();
            chart.draw_series(LineSeries::new(path.iter().copied(), color.stroke_width(2)))?;
            let runs = line.points.iter().flat_map(|point| {
                let beside = self.x.shifted(x(point), dodge / 2.0);
                point.runs.iter().map(move |&run| (beside, run))
            });
            chart.draw_series(runs.map(|at| Circle::new(at, 3, color.mix(0.45).filled())))?;
            chart.draw_series(line.points.iter().map(|point| {
                let ends = [point.low, point.high].map(|end| (x(point), end));
                Whisker { ends, style: line.style }
            }))?;
            chart.draw_series(path.iter().map(|&at| Marker { at, style: line.style }))?;
        }
        root.present()?;
        Ok(())
    }

    fn draw_head(&self, head: &Canvas<'_>, legend: &[(i32, i32)]) -> Result<(), Box<dyn std::error::Error>> {
        head.draw(&Text::new(self.title.clone(), (LEFT, 14), font(22)))?;
        head.draw(&Text::new(self.subtitle.clone(), (LEFT, 44), font(14)))?;
        for (line, &(left, middle)) in self.lines.iter().zip(legend) {
            let color = color_of(line.style);
            head.draw(&PathElement::new([(left, middle), (left + 30, middle)], color.stroke_width(2)))?;
            head.draw(&Marker { at: (left + 15, middle), style: line.style })?;
            head.draw(&Text::new(line.label.clone(), (left + 38, middle - 7), font(16)))?;
        }
        Ok(())
    }

    /// Where each line's legend begins: side by side, and on the next row where there is no room left.
    fn legend(&self, canvas: &Canvas<'_>) -> Result<Vec<(i32, i32)>, Box<dyn std::error::Error>> {
        let (mut left, mut middle) = (LEFT, 74);
        let place = |line: &Line| {
            let (text, _) = canvas.estimate_text_size(&line.label, &font(16))?;
            let width = 38 + text as i32;
            if left > LEFT && left + width > SIZE.0 as i32 - LEFT {
                (left, middle) = (LEFT, middle + LEGEND_ROW);
            }
            let at = (left, middle);
            left += width + 28;
            Ok(at)
        };
        self.lines.iter().map(place).collect()
    }
}

/// The mark of a median: shape tells lines apart where colour can't.
struct Marker<C> {
    at: C,
    style: usize,
}

impl<'a, C> PointCollection<'a, C> for &'a Marker<C> {
    type Point = &'a C;
    type IntoIter = iter::Once<&'a C>;

    fn point_iter(self) -> Self::IntoIter {
        iter::once(&self.at)
    }
}

impl<C, B: DrawingBackend> Drawable<B> for Marker<C> {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        mut at: I,
        backend: &mut B,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<B::ErrorType>> {
        let Some((x, y)) = at.next() else { return Ok(()) };
        let color = color_of(self.style).filled();
        // Where the colours begin again, the shapes go on.
        match (self.style + self.style / PALETTE.len()) % 3 {
            0 => backend.fill_polygon([(x, y - 8), (x + 7, y + 5), (x - 7, y + 5)], &color),
            1 => backend.draw_circle((x, y), 6, &color, true),
            _ => backend.draw_rect((x - 5, y - 5), (x + 5, y + 5), &color, true),
        }
    }
}

/// The ends of an estimate: a line between two short ones.
struct Whisker<C> {
    ends: [C; 2],
    style: usize,
}

impl<'a, C> PointCollection<'a, C> for &'a Whisker<C> {
    type Point = &'a C;
    type IntoIter = slice::Iter<'a, C>;

    fn point_iter(self) -> Self::IntoIter {
        self.ends.iter()
    }
}

impl<C, B: DrawingBackend> Drawable<B> for Whisker<C> {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        mut ends: I,
        backend: &mut B,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<B::ErrorType>> {
        let (Some(low), Some(high)) = (ends.next(), ends.next()) else { return Ok(()) };
        let stroke = color_of(self.style).stroke_width(2);
        backend.draw_line(low, high, &stroke)?;
        [low, high].into_iter().try_for_each(|(x, y)| backend.draw_line((x - 7, y), (x + 7, y), &stroke))
    }
}

fn color_of(style: usize) -> RGBColor {
    PALETTE[style % PALETTE.len()]
}

fn font(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&TEXT)
}

/// plotters measures text with this font; a browser draws it with its own sans-serif.
fn register_the_font() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        if register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_err() {
            unreachable!("DejaVu Sans is a font");
        }
    });
}

/// Draws `svg` into a PNG file's bytes.
pub(super) fn png_of(svg: &str) -> anyhow::Result<Vec<u8>> {
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
