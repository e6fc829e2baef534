//! Plots of the whole grid at once: maps of ratios, and every run in the order in which they were made.

use std::collections::BTreeSet;

use weir_results::{
    cell::{Dimension, Value},
    figure::Figure,
};

use super::overview::quotient_of;
use crate::{
    axis::Axis,
    grid::{CellPair, Contrast, SampleGrid},
    place::{head, value_text},
    plot::{Curve, CurveForm, Dot, Panel, Plot, Point, Tile},
    plots::{styles, told},
};

/// Of each comparison of placements or toolkits, a map of the ratio over the two dimensions that vary; none where it
/// aren't two.
pub(super) fn maps(grid: &SampleGrid) -> Vec<Plot> {
    let &[down, across] = grid.dimensions.as_slice() else { return Vec::new() };
    let comparisons = [Contrast::Placement, Contrast::Toolkit].map(|one| grid.compared(one)).concat();
    let names: BTreeSet<_> = comparisons.iter().map(|one| quotient_of(grid, one)).collect();
    let of = |figure: Figure| {
        let comparisons = &comparisons;
        names.iter().enumerate().filter_map(move |(i, quotient)| {
            let here = comparisons.iter().filter(|one| quotient_of(grid, one) == *quotient);
            map(grid, figure, (down, across), &here.collect::<Vec<_>>()).map(|plot| Plot {
                slug: format!("map-{}-{}", figure.slug(), i + 1),
                title: format!("{}, one ÷ the other", figure.title()),
                subtitle: format!("{quotient}: median of paired ratios"),
                ..plot
            })
        })
    };
    told(grid, &[Figure::ServerCpu, Figure::Wall]).flat_map(of).collect()
}

fn map(
    grid: &SampleGrid,
    figure: Figure,
    (down, across): (Dimension, Dimension),
    comparisons: &[&CellPair<'_>],
) -> Option<Plot> {
    let names = |dimension| {
        let names = grid.values(dimension).into_iter().map(|value| match value {
            Value::Number(number) => Axis::label(number as f64),
            _ => value_text(dimension, value),
        });
        Axis::of_names(names.collect())
    };
    let at = |one: &CellPair<'_>, dimension| {
        let value = one.place().along(dimension);
        grid.values(dimension).iter().position(|&other| other == value).map(|at| at as f64)
    };
    let tile = |one: &&CellPair<'_>| {
        Some(Tile { x: at(one, across)?, y: at(one, down)?, ratio: one.ratio(figure)? })
    };
    let tiles: Vec<_> = comparisons.iter().filter_map(tile).collect();
    (!tiles.is_empty()).then(|| Plot {
        reading: "Below 1 the first is the smaller. Blue: the first takes less; orange: it takes more; as deep as colours go from 4 \
                  times on"
            .to_owned(),
        x_label: head(across),
        x: names(across),
        panels: vec![Panel { y_label: head(down), y: names(down), tiles, ..Panel::default() }],
        ..Plot::default()
    })
}

/// Every sound run by its place in the schedule: drift and outliers show, whichever cell they are in.
pub(super) fn strips(grid: &SampleGrid) -> Vec<Plot> {
    let figures = [Figure::ServerCpu, Figure::Wall, Figure::Loss];
    told(grid, &figures).filter_map(|figure| strip(grid, figure)).collect()
}

fn strip(grid: &SampleGrid, figure: Figure) -> Option<Plot> {
    // A loss is often zero throughout its cell, and stands as it is.
    let relative = figure != Figure::Loss;
    let line = |(series, style)| {
        let cells = grid.places.iter().filter_map(|place| Some((place, grid.cell(series, place)?)));
        let mut points: Vec<_> = cells
            .flat_map(|(place, runs)| {
                let middle = runs.estimate(figure).map_or(0.0, |estimate| estimate.median);
                let where_to = place.phrase(&grid.dimensions);
                runs.sound.iter().filter_map(move |sample| {
                    let value = figure.of(sample)?;
                    let against = if relative { middle } else { 1.0 };
                    let height = (against > 0.0).then_some(value / against)?;
                    let mut point = Point::of(sample.index as f64, vec![height])?;
                    point.remark.clone_from(&where_to);
                    Some(point)
                })
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Curve { label: grid.label(series), style, form: CurveForm::Dots(Dot::Full), points }
    };
    let lines: Vec<_> = grid.series.iter().zip(styles(grid)).map(line).collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let heights: Vec<_> = points().map(|point| point.median).collect();
    let last = points().map(|point| point.x).fold(0.0, f64::max);
    (!heights.is_empty()).then(|| Plot {
        slug: format!("every-run-{}", figure.slug()),
        title: format!("Every run: {}", figure.noun()),
        subtitle: "a run that drifted or stood out shows here".to_owned(),
        reading: "Each dot is one run, in the order of the schedule; invalid and audited runs are left out"
            .to_owned(),
        x_label: "sample".to_owned(),
        x: Axis::from_zero(&[last]),
        panels: vec![Panel {
            y_label: if relative { "÷ the median of its cell".to_owned() } else { figure.axis_label() },
            y: if relative { Axis::close_to(&heights) } else { Axis::from_zero(&heights) },
            reference: relative.then_some(1.0),
            lines,
            ..Panel::default()
        }],
    })
}
