//! `weir advise`.

use std::path::PathBuf;

use anyhow::bail;
use weir_output::{exit::UsageError, print, terminal::wrapped};
use weir_report::{Advice, Wish};

/// Say where to filter, from results measured on this machine.
///
/// Reads the samples of an experiment that ran with the filter in the kernel and in the server, such as
/// kernel-or-user, and says for your share of invalid requests and your rate: which placement, what it saves, how sure
/// that is, and from which share of invalid requests on the kernel pays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir advise --invalid 30 --rate 100000\n  \
                  weir advise --invalid 30 --rate 100000 --from docs/results/kernel-or-user")]
pub(crate) struct AdviseArgs {
    /// Share of invalid requests, percent
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true, value_parser = percent)]
    invalid: f64,

    /// Requests per second, valid and invalid together
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number)]
    rate: f64,

    /// The results folder to answer from
    #[arg(long, value_name = "DIR", default_value = "results/latest")]
    from: PathBuf,

    /// Print one JSON document instead of sentences
    #[arg(long)]
    json: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    number(text.strip_suffix('%').unwrap_or(text))
}

fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("'{text}' is no number; write it in digits, as 30 or 100000"))
}

pub(crate) fn run(AdviseArgs { invalid, rate, from, json }: AdviseArgs) -> anyhow::Result<()> {
    if !(0.0..=100.0).contains(&invalid) {
        bail!(UsageError(format!("--invalid {invalid}: a share lies between 0 and 100 percent")));
    }
    if !(rate > 0.0 && rate.is_finite()) {
        bail!(UsageError(format!("--rate {rate}: a rate is a number above 0")));
    }
    let advice = Advice::read(&from, Wish { invalid_percent: invalid, rate })?;
    print(if json { advice.to_json()? } else { wrapped(&advice.to_text()) })
}
