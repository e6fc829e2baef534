//! `weir guard status`: what running guards stand before, and what they decided.

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use weir_output::{exit::UsageError, terminal::printable};
use weir_service::{
    GuardStatus,
    control::{AskError, GuardRequest, Reply, ask},
};

use super::{is_plain, print_record};
use crate::guards::{control_sockets, status_text};

/// Show what running guards stand before, since when, and what they decided so far.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GuardStatusArgs {
    /// This service alone.
    #[arg(value_name = "NAME")]
    service: Option<String>,

    #[command(flatten)]
    at: ControlledGuards,

    /// Print one JSON document instead: an array, an object for each `weir guard run`.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  sudo weir guard status
  sudo weir guard status dns --json
  weir guard status --control ./dns.sock   of one that runs with the same

Exit status: 0 it is shown, 1 a guard doesn't answer, or none runs, 2 the arguments are wrong.";

/// Which running guards are asked.
#[derive(Debug, clap::Args)]
pub(super) struct ControlledGuards {
    /// The guard's control socket; by default what WEIR_CONTROL in the environment says, or all in /run/weir
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

impl GuardStatusArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let (guards, failures) = self.at.ask()?;
        for error in &failures {
            eprintln!("weir: {error}");
        }
        let guards = guards.into_iter().map(|guard| guard.status).collect();
        let guards = of_service(guards, self.service.as_deref())?;
        print_record(self.json, &guards, || {
            guards.iter().map(|guard| status_text(guard, is_plain())).collect()
        })?;
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What runs at a control socket.
pub(super) struct AskedGuard {
    pub(super) path: PathBuf,
    pub(super) status: GuardStatus,
}

impl ControlledGuards {
    /// The control sockets of those that are meant.
    pub(super) fn paths(&self) -> anyhow::Result<Vec<PathBuf>> {
        let named = self.control.clone().or_else(|| env::var_os("WEIR_CONTROL").map(PathBuf::from));
        let paths = match named {
            Some(path) => vec![path],
            None => control_sockets().context("looking for running guards in /run/weir")?,
        };
        if paths.is_empty() {
            return Err(anyhow::Error::msg(
                "no guard runs that was started without --control; `weir guard run FILE` starts one",
            ));
        }
        Ok(paths)
    }

    /// The control sockets of those that have that service.
    pub(super) fn guarding(&self, service: &str) -> anyhow::Result<Vec<PathBuf>> {
        let (guards, failures) = self.ask()?;
        for error in &failures {
            eprintln!("weir: {error}");
        }
        let all = guards.iter().map(|guard| guard.status.clone()).collect();
        let of_service = of_service(all, Some(service))?;
        let has = |guard: &AskedGuard| of_service.iter().any(|each| each.process == guard.status.process);
        Ok(guards.into_iter().filter(has).map(|guard| guard.path).collect())
    }

    /// What they say, each with its control socket, and who said nothing.
    pub(super) fn ask(&self) -> anyhow::Result<(Vec<AskedGuard>, Vec<AskError>)> {
        let paths = self.paths()?;
        let (mut guards, mut failures) = (Vec::new(), Vec::new());
        for path in &paths {
            match ask(path, &GuardRequest::Status) {
                Ok(Reply::Guard(status)) => guards.push(AskedGuard { path: path.clone(), status }),
                Ok(_) => failures.push(AskError::Refused(format!("{} is no guard's", path.display()))),
                Err(error) => failures.push(error),
            }
        }
        if guards.is_empty() {
            let failures: Vec<_> = failures.iter().map(ToString::to_string).collect();
            let why = failures.join("\nweir: ");
            return Err(anyhow::Error::msg(why));
        }
        Ok((guards, failures))
    }
}

/// Only what is of that service.
pub(super) fn of_service(
    mut guards: Vec<GuardStatus>,
    name: Option<&str>,
) -> anyhow::Result<Vec<GuardStatus>> {
    let Some(name) = name else { return Ok(guards) };
    let all: Vec<_> =
        guards.iter().flat_map(|guard| &guard.services).map(|each| each.service.clone()).collect();
    if !all.iter().any(|each| each == name) {
        let (name, all) = (printable(name), all.join(", "));
        return Err(
            UsageError(format!("no service '{name}' is guarded; there are: {}", printable(&all))).into()
        );
    }
    for guard in &mut guards {
        guard.services.retain(|each| each.service == name);
    }
    guards.retain(|guard| !guard.services.is_empty());
    Ok(guards)
}
