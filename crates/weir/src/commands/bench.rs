//! `weir bench`.

use std::process::ExitCode;

use clap::ValueEnum as _;
use comfy_table::Table;
use weir_lab::experiment::interrupt::Interrupt;
use weir_output::terminal;
use weir_results::number;

use super::{is_plain, print_record};
use crate::promises::{Bound, FigureGroup, PromisedFigure, measure};

/// Measure the figures that weir promises, and say which are met here.
///
/// Needs root; --only measures a part. Medians with 95 % order-statistic intervals; ratios are paired by run. The
/// exit status is 1 when a figure misses its bar.
#[derive(Debug, clap::Args)]
#[command(after_long_help = times())]
pub(crate) struct BenchArgs {
    /// Runs of each load; from 6 on there are intervals.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// These figures alone; repeatable.
    #[arg(long, value_name = "GROUP")]
    only: Vec<FigureGroup>,

    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let groups = if args.only.is_empty() { FigureGroup::value_variants() } else { &args.only };
    let figures = measure(groups, args.runs, &interrupt, &mut |doing| eprintln!("weir: {doing}"))?;
    print_record(args.json, &figures, || format!("{}\n", table(&figures)))?;
    Ok(if figures.iter().all(PromisedFigure::is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How long all figures take, and each group of them.
fn times() -> String {
    let seconds = |group: &FigureGroup| group.takes().as_secs();
    let all: u64 = FigureGroup::value_variants().iter().map(seconds).sum();
    let rows = FigureGroup::value_variants().iter().filter_map(|group| {
        let name = group.to_possible_value()?;
        Some(format!("\n  {:12} {:>4} s", name.get_name(), seconds(group)))
    });
    format!("All of it takes about {} minutes, a part about:{}", all.div_ceil(60), rows.collect::<String>())
}

fn table(figures: &[PromisedFigure]) -> Table {
    let mut table = terminal::table(is_plain());
    table.set_header(["figure", "measured", "bar", "met"]);
    for figure in figures {
        let measured = figure.estimate();
        let text = measured.map_or_else(
            || "no value".to_owned(),
            |estimate| number::estimate(&estimate, |value| number::number(value, 3)),
        );
        let met = match (figure.bar, figure.is_met()) {
            (Bound::Nothing, _) => "",
            (_, true) => "yes",
            (_, false) => "NO",
        };
        let measured = format!("{text} {}", figure.unit);
        table.add_row([figure.what.clone(), measured, bar_text(figure), met.to_owned()]);
    }
    terminal::keep_words(&mut table);
    table
}

fn bar_text(figure: &PromisedFigure) -> String {
    let unit = if figure.unit.is_empty() { String::new() } else { format!(" {}", figure.unit) };
    match figure.bar {
        Bound::AtLeast(bar) => format!("≥ {bar}{unit}"),
        Bound::AtMost(bar) => format!("≤ {bar}{unit}"),
        Bound::IntervalAtMost(bar) => format!("interval ≤ {bar}{unit}"),
        Bound::IntervalBelow(bar) => format!("interval below {bar}{unit}"),
        Bound::NotShownAbove(bar) => format!("interval from ≤ {bar}{unit}"),
        Bound::AtMostAndBelow { median, interval } => {
            format!("≤ {median}{unit}, interval below {interval}{unit}")
        }
        Bound::Always(bar) => format!("{bar}{unit} in every run"),
        Bound::Nothing => String::new(),
    }
}
