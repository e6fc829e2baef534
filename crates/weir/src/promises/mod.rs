//! The figures that weir promises, measured on this machine: what `weir bench` prints.

mod attaching;
mod bare_loops;
pub(crate) mod filter_cost;
mod loads;
mod starting;

pub use bare_loops::uncounted_filter;

use serde::Serialize;

use crate::{
    experiment::{interrupt::Interrupt, machine::Pinning},
    stats::Estimate,
};

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "bar", content = "value")]
pub enum Bar {
    /// The median is at least this.
    AtLeast(f64),
    /// The median is at most this.
    AtMost(f64),
    /// The upper end of the interval is at most this.
    IntervalAtMost(f64),
    /// The median is at most this, and the whole interval below 1.
    AtMostAndBelowOne(f64),
    /// Every run gave this.
    Always(f64),
    /// Nothing: it stands here because it explains another.
    Nothing,
}

impl Bar {
    /// Whether `measured` is as it has to be.
    pub fn is_met(self, measured: &Estimate) -> bool {
        match self {
            Self::AtLeast(bar) => measured.median >= bar,
            Self::AtMost(bar) => measured.median <= bar,
            Self::IntervalAtMost(bar) => measured.high <= bar,
            Self::AtMostAndBelowOne(bar) => measured.median <= bar && measured.high < 1.0,
            Self::Always(bar) => measured.low == bar && measured.high == bar,
            Self::Nothing => true,
        }
    }
}

/// A figure, measured.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// In what; empty for a ratio.
    pub unit: &'static str,
    /// The single values.
    pub values: Vec<f64>,
    /// What it has to be.
    #[serde(flatten)]
    pub bar: Bar,
}

impl Figure {
    /// A figure from its single values.
    pub fn new(what: &str, unit: &'static str, values: Vec<f64>, bar: Bar) -> Self {
        Self { what: what.to_owned(), unit, values, bar }
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

/// Measures all figures, `runs` runs of each load; `say` hears what is being done.
///
/// # Errors
/// A server or client failed, a program couldn't be loaded, or a signal came.
pub fn measure(runs: u32, interrupt: &Interrupt, say: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Figure>> {
    let pinning = Pinning::of_this_machine();
    say("ns per run of the filter, in the kernel's test run");
    let mut figures = filter_cost::measure()?;
    say("programs from their parameters to a socket");
    figures.extend(attaching::measure()?);
    say("starts of a server");
    figures.extend(starting::measure(&pinning, interrupt)?);
    figures.extend(loads::measure(runs, &pinning, interrupt, say)?);
    Ok(figures)
}
