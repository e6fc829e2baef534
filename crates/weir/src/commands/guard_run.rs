//! `weir guard run`: guards in front of services that run already.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use anyhow::Context as _;
use weir_guard::meaning::Service;
use weir_lab::experiment::interrupt::Interrupt;
use weir_output::{check_writable, exit::UsageError, print, write_json};
use weir_service::{GuardSummary, guarding::GuardingError};

use super::is_plain;
use crate::{
    guards::{RuleTexts, RunningGuard, chosen, decision_table, services, unguarded_line},
    notify,
    programs::Findings,
};

/// Stand in front of services that run already, until SIGINT, SIGTERM or SIGHUP.
///
/// Services are neither restarted nor changed. At the hooks socket and cgroup one that isn't there yet is waited for. One that is
/// started again is guarded again, and so is an interface that is made again. Ready is said on stderr and through sd_notify(3). At the end everything is detached, and what was decided how is shown; what is killed
/// (SIGKILL) leaves its program at sockets.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GuardRunArgs {
    /// The guard.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// This service alone; may be given several times.
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,

    /// Write what was decided as JSON at the end.
    #[arg(long, value_name = "COUNTS.json")]
    summary: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  weir guard run dns.toml                 until Ctrl-C
  weir guard run dns.toml --service dns --summary counts.json

Needs root, or what `weir guard export unit` names for the guard: CAP_BPF; for
sockets of other users CAP_SYS_PTRACE; at cgroup, tc and xdp CAP_NET_ADMIN; at
xdp, and where fields stand where the packet says, CAP_PERFMON.

Exit status: 0 it was attached and detached, 1 the guard has an error, or a
service can't be guarded, 2 it was asked for something that makes no sense.";

/// Services, each with its place in the guard.
type PlacedServices = Vec<(usize, Arc<Service>)>;

impl GuardRunArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        Findings::end(self.guard(), &self.file.display().to_string(), false)
    }

    fn guard(&self) -> anyhow::Result<ExitCode> {
        let (services, texts) = self.services()?;
        self.summary.as_deref().map_or(Ok(()), check_writable)?;
        // A signal must detach what is attached from the first moment on.
        let interrupt = Interrupt::listen_patiently().context("listening for signals")?;
        let start = |(at, service): &(usize, Arc<Service>)| {
            RunningGuard::start(service).map_err(|error| match error {
                GuardingError::Hook(error) => refused(service, texts.traced(*at, service, error).into()),
                error => refused(service, error),
            })
        };
        let mut guards = services.iter().map(start).collect::<Result<Vec<_>, _>>()?;
        say_ready(&guards);
        loop {
            let due = guards.iter_mut().map(RunningGuard::due).min();
            let changes: Vec<_> = guards.iter().filter_map(RunningGuard::changes).collect();
            if interrupt.wait(&changes, due.unwrap_or_else(Instant::now)).is_err() {
                break;
            }
            guards.iter_mut().for_each(RunningGuard::follow);
        }
        let mut summary =
            GuardSummary { version: env!("CARGO_PKG_VERSION").to_owned(), services: Vec::new() };
        let (mut status, mut is_ended) = (ExitCode::SUCCESS, true);
        for guard in guards {
            let service = guard.name().to_owned();
            match guard.end() {
                Ok((decisions, staying)) => {
                    for error in staying {
                        eprintln!("weir: {service}: the program stays attached: {error}");
                        is_ended = false;
                    }
                    if let Some(line) = unguarded_line(&decisions) {
                        eprintln!("weir: {line}");
                    }
                    summary.services.push(decisions);
                }
                // What the others counted is said all the same.
                Err(error) => {
                    eprintln!("weir: {service}: what was decided can't be told: {error}");
                    status = ExitCode::FAILURE;
                }
            }
        }
        if is_ended {
            eprintln!("weir: ended: nothing of it is attached any more");
        } else {
            status = ExitCode::FAILURE;
        }
        self.summary.as_deref().map_or(Ok(()), |path| write_json(path, &summary))?;
        print(decision_table(&summary, is_plain()))?;
        Ok(status)
    }

    /// Those that were asked for, in the order of the guard.
    fn services(&self) -> anyhow::Result<(PlacedServices, RuleTexts)> {
        let (all, texts) = services(&self.file, false)?;
        for name in &self.service {
            chosen(&all, Some(name))?;
        }
        let is_meant = |each: &Service| self.service.is_empty() || self.service.contains(&each.name);
        let meant = all.into_iter().enumerate().filter(|(_, each)| is_meant(each));
        Ok((meant.map(|(at, each)| (at, Arc::new(each))).collect(), texts))
    }
}

fn refused(service: &Service, error: GuardingError) -> anyhow::Error {
    let text = format!("guarding {}: {error}", service.name);
    if error.is_usage() { UsageError(text).into() } else { anyhow::Error::msg(text) }
}

fn say_ready(guards: &[RunningGuard]) {
    let [guarded, awaited] = [true, false].map(|is_there| {
        let named = guards.iter().filter(|guard| guard.is_attached() == is_there).map(RunningGuard::name);
        named.collect::<Vec<_>>().join(", ")
    });
    let status = match (guarded.as_str(), awaited.as_str()) {
        (guarded, "") => format!("guarding {guarded}"),
        ("", awaited) => format!("waiting for {awaited}"),
        (guarded, awaited) => format!("guarding {guarded}; waiting for {awaited}"),
    };
    eprintln!("weir: ready: {status}");
    let states = [sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(&status)];
    if let Err(error) = notify::notify(&states) {
        eprintln!("weir: sd_notify: {error}; whoever waits for readiness was not told");
    }
}
