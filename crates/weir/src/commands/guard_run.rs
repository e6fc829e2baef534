//! `weir guard run`: guards in front of services that run already.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use weir_hooks::Capability;
use weir_lab::experiment::interrupt::{Hangup, Interrupt};
use weir_output::{OpenedFile, print};
use weir_service::{GuardSummary, control::ControlSocket, page::ServedPage};

use super::is_plain;
use crate::{
    arguments::socket_address,
    guards::{
        ConfiningError, ControlFolder, FollowedGuard, ListWatch, RunningGuard, RunningGuards, decision_table,
        keep_calls, keep_capabilities, kept_apart, metrics_page, name_of, named, needed_here, refused,
        unguarded_line,
    },
    notify,
    programs::Findings,
};

/// Stand in front of services that run already, until SIGINT or SIGTERM.
///
/// Services are neither restarted nor changed. At the hooks socket and cgroup one that isn't there yet is waited for. One that is
/// started again is guarded again, and so is an interface that is made again. Ready is said on stderr and through sd_notify(3). At the end
/// everything is detached, and what was decided how is shown; what is killed (SIGKILL) leaves its program at sockets. Once it stands it
/// keeps the capabilities alone that its hooks take, and the system calls that it makes; others are refused (EPERM).
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

    /// Answer `weir guard status` at this socket; by default at `control` in the folder that systemd makes for the unit
    /// (RuntimeDirectory), or in one of the file's name in /run/weir.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,

    /// Serve Prometheus at http://ADDRESS/metrics: an address and a port, or a port of 127.0.0.1 alone.
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = metrics_address)]
    metrics: Option<SocketAddr>,
}

const EXAMPLES: &str = "\
Examples:
  weir guard run dns.toml                 until Ctrl-C
  weir guard run dns.toml --service dns --summary counts.json
  weir guard run dns.toml --metrics 9433  for Prometheus, on loopback

Needs root, or what `weir guard export unit` names for the guard: CAP_BPF; for
sockets of other users CAP_SYS_PTRACE; at cgroup, tc and xdp CAP_NET_ADMIN; and
CAP_PERFMON, from Linux 6.18 on only at xdp and where fields stand where the
packet says.

Exit status: 0 it was attached and detached, 1 the guard has an error, or a
service can't be guarded, 2 it was asked for something that makes no sense.";

/// So long nothing is waited for but what is told.
const IDLE: Duration = Duration::from_secs(3600);

impl GuardRunArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        Findings::end(self.guard(), &self.file.display().to_string(), false)
    }

    fn guard(&self) -> anyhow::Result<ExitCode> {
        let read = FollowedGuard::read(&self.file, &self.service)?;
        let file = self.summary.as_deref().map(OpenedFile::open).transpose()?;
        // A signal must detach what is attached from the first moment on.
        let interrupt = Interrupt::listen_patiently().context("listening for signals")?;
        let hangup = Hangup::listen().context("listening for SIGHUP")?;
        let mut lists = ListWatch::new();
        let socket = self.control_socket()?;
        let metrics = self.metrics.map(listen_for_metrics).transpose()?;
        let running =
            RunningGuards::of(&self.file, &self.service, read).context("making a pair of sockets")?;
        running.start()?;
        // Threads have the capabilities of those that start them: nobody begins before these are given up.
        let kept = running.with(|guards| give_up(guards));
        running.with(|guards| {
            guards
                .iter_mut()
                .try_for_each(|guard| guard.sample().map_err(|error| refused(guard.service(), error)))
        })?;
        let control = match socket {
            Some((socket, folder)) => Some((socket.answered_by(Arc::clone(&running))?, folder)),
            None => None,
        };
        let metrics = metrics.map(|listener| serve_metrics(listener, &running)).transpose()?;
        let writes = running.with(|guards| guards.iter().any(RunningGuard::writes));
        match kept.and_then(|kept| keep_calls(&kept, writes).map(|()| kept)) {
            Ok(kept) => eprintln!("weir: kept: {}, and the system calls that guards make", named(&kept)),
            // One that can't still guards.
            Err(error) => eprintln!("weir: this process keeps more than the guard takes: {error}"),
        }
        running.with(|guards| {
            say_ready(guards);
            let own: Vec<_> = guards.iter().map(RunningGuard::name).collect();
            say_apart(&name_of(&self.file), &own);
        });
        lists.add(&running.lists());
        loop {
            // Whoever asks how they are doesn't wait with them.
            let (due, changes) = running.with(|guards| {
                let changes = guards.iter().filter_map(|guard| guard.changes()?.try_clone_to_owned().ok());
                let changes: Vec<OwnedFd> = changes.collect();
                (guards.iter_mut().map(RunningGuard::due).min(), changes)
            });
            let of_guards = changes.iter().map(OwnedFd::as_fd);
            let others = [hangup.as_fd(), running.woken()].into_iter().chain(lists.events());
            let all: Vec<_> = others.chain(of_guards).collect();
            let due = due.into_iter().chain(lists.due()).min().unwrap_or_else(|| Instant::now() + IDLE);
            if interrupt.wait(&all, due).is_err() {
                break;
            }
            if hangup.came() {
                if hangup.has_ended_the_terminal() {
                    break;
                }
                reload(&running);
            }
            running.rest();
            lists.add(&running.lists());
            if lists.is_due() {
                match running.reload_lists() {
                    Ok(None) => {}
                    Ok(Some(did)) => eprintln!("weir: lists have changed: {did}"),
                    Err(error) => eprintln!("weir: lists have changed, and those before hold on: {error:#}"),
                }
            }
            running.with(|guards| guards.iter_mut().for_each(RunningGuard::follow));
        }
        drop((control, metrics));
        // Its folder may be another user's, where nothing may be removed any more.
        if let Some(path) = self.control.as_deref().filter(|path| path.exists()) {
            eprintln!(
                "weir: the control socket {} stays, in a folder that isn't its own user's",
                path.display()
            );
        }
        let (guards, ended) = running.end();
        let mut summary = GuardSummary { version: env!("CARGO_PKG_VERSION").to_owned(), services: ended };
        let (mut status, mut is_ended) = (ExitCode::SUCCESS, true);
        let mut kept = Vec::new();
        for guard in guards {
            let service = guard.name().to_owned();
            kept.extend(guard.is_kept().then(|| service.clone()));
            match guard.leave() {
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
        if !kept.is_empty() {
            eprintln!(
                "weir: kept: {} goes on being guarded; `weir guard run` takes over, `weir guard remove {}` ends it",
                kept.join(", "),
                name_of(&self.file)
            );
        } else if is_ended {
            eprintln!("weir: ended: nothing of it is attached any more");
        } else {
            status = ExitCode::FAILURE;
        }
        file.map_or(Ok(()), |file| file.write_json(&summary))?;
        print(decision_table(&summary, is_plain()))?;
        Ok(status)
    }

    /// Where nobody names another, a socket that can't be there is said, and services are guarded all the same.
    fn control_socket(&self) -> anyhow::Result<Option<(ControlSocket, Option<ControlFolder>)>> {
        if let Some(path) = &self.control {
            return Ok(Some((ControlSocket::open(path)?, None)));
        }
        let folder = ControlFolder::make(&self.file);
        let opened = folder.and_then(|folder| Ok((ControlSocket::open(&folder.socket())?, Some(folder))));
        Ok(opened
            .map_err(|error| eprintln!("weir: `weir guard status` can't ask this guard: {error:#}"))
            .ok())
    }
}

/// A port alone is one of 127.0.0.1.
fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse() {
        Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Err(_) => socket_address(text),
    }
}

fn listen_for_metrics(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("listening at {address} for Prometheus; --metrics names another address"))
}

fn serve_metrics(listener: TcpListener, running: &Arc<RunningGuards>) -> anyhow::Result<ServedPage> {
    let running = Arc::clone(running);
    let page = ServedPage::start(listener, metrics_page(move || running.status()));
    let page = page.context("serving metrics")?;
    eprintln!("weir: metrics at http://{}/metrics", page.address());
    Ok(page)
}

/// Has them stand for the file as it is now, and says what came of it; to systemd too (sd_notify(3)), which waits for that.
fn reload(running: &RunningGuards) {
    let told = |states: &[sd_notify::NotifyState<'_>]| {
        if let Err(error) = notify::notify(states) {
            eprintln!("weir: sd_notify: {error}");
        }
    };
    let mut begun = vec![sd_notify::NotifyState::Reloading];
    begun.extend(sd_notify::NotifyState::monotonic_usec_now().ok());
    told(&begun);
    match running.reload() {
        Ok(did) => eprintln!("weir: reloaded: {did}"),
        Err(error) => eprintln!("weir: not reloaded, the rules before hold on: {error:#}"),
    }
    told(&[sd_notify::NotifyState::Ready]);
}

/// Gives up the capabilities that the guards don't take any more, in this thread and those of other network namespaces; gives what is kept.
fn give_up(guards: &[RunningGuard]) -> Result<Vec<Capability>, ConfiningError> {
    let needed = needed_here(guards.iter().map(|guard| (guard.service(), guard.hook())));
    for guard in guards {
        guard.within(|| keep_capabilities(&needed))?;
    }
    keep_capabilities(&needed)
}

/// Says which services of the guard are kept that it has no more.
fn say_apart(guard: &str, own: &[&str]) {
    for service in kept_apart(guard, own).unwrap_or_default() {
        eprintln!(
            "weir: {service} is kept, and not guarded by this process; `weir guard remove {guard} --service {service}` ends it"
        );
    }
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
