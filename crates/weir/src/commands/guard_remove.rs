//! `weir guard remove`: ends what `keep` has left.

use std::{path::Path, process::ExitCode};

use weir_output::{exit::UsageError, print, terminal::printable};
use weir_service::{
    GuardSummary,
    guarding::{GuardedService, GuardingError, Keep},
};

use super::is_plain;
use crate::guards::{KeptRules, decision_table, kept_apart, name_of};

/// Take away what a guard with `keep` has left when it ended: its programs, and what these remember.
///
/// A guard that runs is ended first. What was decided how is shown, once more than at that end with what was decided since.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GuardRemoveArgs {
    /// The guard, as the folder below /sys/fs/bpf/weir is called: its file's name without `.toml`.
    #[arg(value_name = "NAME")]
    guard: String,

    /// This service alone.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  sudo weir guard remove dns              of the guard dns.toml
  sudo weir guard remove games --service a2s

Exit status: 0 nothing of it is left, 1 something is, 2 nothing of that name is
kept.";

impl GuardRemoveArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let guard = printable(&self.guard);
        // No other folder is meant.
        let is_name = name_of(Path::new(&self.guard)) == self.guard;
        let mut services = if is_name { kept_apart(&self.guard, &[])? } else { Vec::new() };
        services.retain(|service| self.service.as_ref().is_none_or(|named| named == service));
        if services.is_empty() {
            let what =
                self.service.as_ref().map(|service| format!(" with a service '{}'", printable(service)));
            let why = format!("no guard '{guard}'{} is kept", what.unwrap_or_default());
            return Err(UsageError(why).into());
        }
        let mut summary =
            GuardSummary { version: env!("CARGO_PKG_VERSION").to_owned(), services: Vec::new() };
        let mut code = ExitCode::SUCCESS;
        for service in services {
            let keep = Keep::open(&self.guard, &service, KeptRules::read)?;
            let Some((rules, words)) = keep.kept_rules()? else {
                keep.end()?;
                eprintln!("weir: {service}: removed; what it counted is of another version, or nothing");
                continue;
            };
            let mut guarded = GuardedService::start(&rules, Some(keep.saying(words)))?;
            match guarded.look().1 {
                Ok(()) | Err(GuardingError::Absent(_)) => {}
                Err(error) => eprintln!("weir: {service}: {error}"),
            }
            let (decisions, staying) = guarded.end()?;
            summary.services.push(decisions);
            for error in staying {
                eprintln!("weir: {service}: not all is removed: {error}");
                code = ExitCode::FAILURE;
            }
        }
        print(decision_table(&summary, is_plain()))?;
        Ok(code)
    }
}
