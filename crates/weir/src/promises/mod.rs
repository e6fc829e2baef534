//! The figures that weir promises, measured on this machine: what `weir bench` prints.

/// Figures, a row each: what was measured, its unit (empty for a ratio), its values, and behind `=>` their bar; a row
/// without one explains another.
macro_rules! figures {
    ($($what:expr, $unit:literal: $values:expr $(=> $bar:expr)?;)+) => {
        vec![$(PromisedFigure::new($what, $unit, $values, [$($bar,)? Bound::Nothing][0])),+]
    };
}

mod attaching;
mod bare_loops;
mod blocking;
mod dropping;
mod filter_cost;
mod guard;
mod guard_changes;
mod guard_lists;
mod ledger;
mod loads;
mod moderation;
mod places;
mod serving;
mod starting;
mod swaps;
mod verifying;

pub use bare_loops::uncounted_filter;

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use weir_lab::experiment::{bench::Bench, definition::Definition, interrupt::Interrupt, machine::Pinning};
use weir_results::stats::Estimate;

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "bar", content = "value")]
pub enum Bound {
    /// The median is at least this.
    AtLeast(f64),
    /// The median is at most this.
    AtMost(f64),
    /// The upper end of the interval is at most this.
    IntervalAtMost(f64),
    /// The whole interval is below this.
    IntervalBelow(f64),
    /// The lower end of the interval is at most this: more is not shown.
    NotShownAbove(f64),
    /// The median and the whole interval have bars of their own.
    AtMostAndBelow {
        /// The median is at most this.
        median: f64,
        /// The whole interval is below this.
        interval: f64,
    },
    /// Every run gave this.
    Always(f64),
    /// Nothing: it stands here because it explains another.
    Nothing,
}

impl Bound {
    /// Whether `measured` is as it has to be.
    pub fn is_met(self, measured: &Estimate) -> bool {
        match self {
            Self::AtLeast(bar) => measured.median >= bar,
            Self::AtMost(bar) => measured.median <= bar,
            Self::IntervalAtMost(bar) => measured.high <= bar,
            Self::IntervalBelow(bar) => measured.high < bar,
            Self::NotShownAbove(bar) => measured.low <= bar,
            Self::AtMostAndBelow { median, interval } => {
                measured.median <= median && measured.high < interval
            }
            Self::Always(bar) => measured.low == bar && measured.high == bar,
            Self::Nothing => true,
        }
    }
}

/// A figure, measured.
#[derive(Clone, Debug, Serialize)]
pub struct PromisedFigure {
    /// What was measured.
    pub what: String,
    /// In what; empty for a ratio.
    pub unit: &'static str,
    /// The single values.
    pub values: Vec<f64>,
    /// What it has to be.
    #[serde(flatten)]
    pub bar: Bound,
}

impl PromisedFigure {
    /// A figure from its single values.
    pub fn new(what: impl Into<String>, unit: &'static str, values: Vec<f64>, bar: Bound) -> Self {
        Self { what: what.into(), unit, values, bar }
    }

    /// The median with its interval; nothing where no run gave a value.
    pub fn estimate(&self) -> Option<Estimate> {
        Estimate::of(&self.values)
    }

    /// Whether it is as it has to be.
    pub fn is_met(&self) -> bool {
        self.estimate().is_some_and(|estimate| self.bar.is_met(&estimate))
    }
}

/// Figures that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FigureGroup {
    /// ns per run of the filter at the socket, by aya and by fun
    FilterCost,
    /// The same at each hook, against C
    Places,
    /// What guards' programs cost, against those written by hand, and its lists, against nftables; what is lost while they change
    Guard,
    /// From a filter's parameters to a socket
    Attaching,
    /// Starts of a server
    Starting,
    /// Servers and clients under load, and their memory
    Loads,
    /// What moderated reading saves, and that nobody waits or loses for it
    Moderation,
    /// What counting takes of the rate
    Ledger,
    /// What dropping costs the machine, xdp against the socket
    Dropping,
    /// Requests lost while filters are swapped
    Swaps,
    /// A million prefixes blocked by one command
    Blocking,
    /// weir verify against a bare loop over its system call
    Verifying,
}

impl FigureGroup {
    /// Roughly how long it takes with the runs that are usual, on two cores.
    pub const fn takes(self) -> Duration {
        Duration::from_secs(match self {
            Self::FilterCost => 7,
            Self::Places => 240,
            Self::Guard => 480,
            Self::Attaching | Self::Starting => 1,
            Self::Loads => 105,
            Self::Moderation => 250,
            Self::Ledger => 95,
            Self::Dropping => 25,
            Self::Swaps => 10,
            Self::Blocking => 60,
            Self::Verifying => 30,
        })
    }
}

/// Measures the figures of `groups`, `runs` runs of each load; `say` hears what is being done.
///
/// # Errors
/// A server or client failed, a program couldn't be loaded, or a signal came.
pub fn measure(
    groups: &[FigureGroup],
    runs: u32,
    interrupt: &Interrupt,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<Vec<PromisedFigure>> {
    let pinning = Pinning::of_this_machine();
    let mut runner = Runner { pinning: &pinning, interrupt, say };
    let mut figures = Vec::new();
    for group in groups {
        interrupt.check()?;
        if let Some(what) = group.to_possible_value() {
            (runner.say)(&format!("figures of {}", what.get_name()));
        }
        figures.extend(match group {
            FigureGroup::FilterCost => filter_cost::measure(&mut runner)?,
            FigureGroup::Places => places::measure(&mut runner)?,
            FigureGroup::Guard => guard::measure(&mut runner)?,
            FigureGroup::Attaching => attaching::measure()?,
            FigureGroup::Starting => starting::measure(&runner)?,
            FigureGroup::Loads => loads::measure(runs, &mut runner)?,
            FigureGroup::Moderation => moderation::measure(runs, &mut runner)?,
            FigureGroup::Ledger => ledger::measure(runs, &mut runner)?,
            FigureGroup::Dropping => dropping::measure(runs, &mut runner)?,
            FigureGroup::Swaps => swaps::measure(runs)?,
            FigureGroup::Blocking => blocking::measure(&mut runner)?,
            FigureGroup::Verifying => verifying::measure()?,
        });
    }
    Ok(figures)
}

/// What every run needs beside what is run.
struct Runner<'a> {
    pinning: &'a Pinning,
    interrupt: &'a Interrupt,
    /// Hears what is being done.
    say: &'a mut dyn FnMut(&str),
}

impl Runner<'_> {
    fn bench<'a>(&'a self, definition: &'a Definition) -> Bench<'a> {
        Bench { definition, pinning: self.pinning, interrupt: self.interrupt, ceiling: None }
    }
}
