//! Draws a plot: lines with error bars, as SVG, and the same picture as PNG.
//!
//! The font comes with the program, because a server has none; colours are those of Okabe and Ito, which people with
//! any kind of colour vision tell apart, and each line has its own marker as well.

use std::{
    iter,
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
const TEXT: RGBColor = RGBColor(34, 34, 34);
const GRID: RGBColor = RGBColor(221, 221, 221);
const FONT: &str = "sans-serif";
/// Share of the axis between two lines at the same place.
const DODGE: f64 = 0.012;

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
        let (head, body) = root.split_vertically(92);
        self.draw_head(&head)?;
        let mut chart = ChartBuilder::on(&body)
            .margin_right(28)
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
        for (i, line) in self.lines.iter().enumerate() {
            let share = (i as f64 - (self.lines.len() as f64 - 1.0) / 2.0) * DODGE;
            let color = color_of(line.style);
            let x = |point: &Point| self.x.shifted(point.x, share);
            let path: Vec<_> = line.points.iter().map(|point| (x(point), point.median)).collect();
            chart.draw_series(LineSeries::new(path.iter().copied(), color.stroke_width(2)))?;
            let runs = line.points.iter().flat_map(|point| {
                let beside = self.x.shifted(x(point), DODGE / 2.2);
                point.runs.iter().map(move |&run| (beside, run))
            });
            chart.draw_series(runs.map(|at| Circle::new(at, 3, color.mix(0.45).filled())))?;
            chart.draw_series(line.points.iter().map(|point| {
                ErrorBar::new_vertical(
                    x(point),
                    point.low,
                    point.median,
                    point.high,
                    color.stroke_width(2),
                    10,
                )
            }))?;
            chart.draw_series(path.iter().map(|&at| Marker { at, style: line.style }))?;
        }
        root.present()?;
        Ok(())
    }

    fn draw_head(&self, head: &Canvas<'_>) -> Result<(), Box<dyn std::error::Error>> {
        head.draw(&Text::new(self.title.clone(), (24, 14), font(22)))?;
        head.draw(&Text::new(self.subtitle.clone(), (24, 44), font(14)))?;
        let mut left = 24;
        for line in &self.lines {
            let color = color_of(line.style);
            let middle = 76;
            head.draw(&PathElement::new([(left, middle), (left + 30, middle)], color.stroke_width(2)))?;
            head.draw(&Marker { at: (left + 15, middle), style: line.style })?;
            head.draw(&Text::new(line.label.clone(), (left + 38, middle - 9), font(16)))?;
            let (width, _) = head.estimate_text_size(&line.label, &font(16))?;
            left += 38 + width as i32 + 28;
        }
        Ok(())
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
        match self.style % 3 {
            0 => backend.fill_polygon([(x, y - 8), (x + 7, y + 5), (x - 7, y + 5)], &color),
            1 => backend.draw_circle((x, y), 6, &color, true),
            _ => backend.draw_rect((x - 5, y - 5), (x + 5, y + 5), &color, true),
        }
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
