//! `weir guard top`: what running guards decide, while they do.

use std::{
    env,
    io::{self, IsTerminal as _},
    mem,
    os::fd::AsFd,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
};
use weir_lab::experiment::interrupt::Interrupt;
use weir_output::exit::UsageError;
use weir_service::control::{GuardRequest, ask};

use super::guard_status::{ControlledGuards, of_service};
use crate::{
    arguments::time,
    guards::{Top, TopOrder},
};

/// Watch what running guards decide: packets a second by service, message and rule, and what is dropped why.
///
/// Keys: q ends it, the space bar pauses; r, p, d and s sort by rate, by packets, drops first, and by service. The arrows choose a
/// service, which E has enforce and O observe, as `weir guard enforce` and `observe` do.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GuardTopArgs {
    /// This service alone.
    #[arg(value_name = "NAME")]
    service: Option<String>,

    #[command(flatten)]
    at: ControlledGuards,

    /// How often guards are asked.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    every: Duration,
}

const EXAMPLES: &str = "\
Examples:
  sudo weir guard top
  sudo weir guard top dns --every 5s

It takes a terminal that can place text; elsewhere `weir guard status` says the same once.

Exit status: 0 it was ended, 1 no guard answers, 2 the arguments are wrong, or there is no such terminal.";

/// After so long a terminal's new size is looked for.
const RESIZED: Duration = Duration::from_secs(1);

impl GuardTopArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        check_terminal()?;
        let mut top = Top::default();
        self.look(&mut top)?;
        // SIGHUP ends it at once: where the terminal is gone there is nothing to give back.
        let interrupt = Interrupt::listen().context("listening for signals")?;
        let mut terminal = ratatui::try_init().context("making room on the terminal")?;
        let watched = self.watch(&mut top, &mut terminal, &interrupt);
        if is_gone(&io::stdin()) {
            // What gives its cursor back says where that fails, and nobody hears it.
            mem::forget(terminal);
            return Ok(ExitCode::SUCCESS);
        }
        ratatui::try_restore().context("giving the terminal back")?;
        watched.map(|()| ExitCode::SUCCESS)
    }

    fn watch(
        &self,
        top: &mut Top,
        terminal: &mut DefaultTerminal,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        let stdin = io::stdin();
        let mut due = Instant::now() + self.every;
        loop {
            terminal.draw(|frame| top.draw(frame)).context("drawing")?;
            if interrupt.wait(&[stdin.as_fd()], due.min(Instant::now() + RESIZED)).is_err() || is_gone(&stdin)
            {
                return Ok(());
            }
            while event::poll(Duration::ZERO).context("reading keys")? {
                match asked(&event::read().context("reading keys")?, top) {
                    Asked::End => return Ok(()),
                    Asked::Enforce => self.command(top, |service| GuardRequest::Enforce { service }),
                    Asked::Observe => self.command(top, |service| GuardRequest::Observe { service }),
                    Asked::Nothing => {}
                }
            }
            if Instant::now() >= due {
                if let Err(error) = self.look(top) {
                    top.failure = Some(format!("{error:#}"));
                }
                due = Instant::now() + self.every;
            }
        }
    }

    /// Commands something of the chosen service's guard; what it says to that is shown.
    fn command(&self, top: &mut Top, request: impl FnOnce(String) -> GuardRequest) {
        let Some((process, service)) = top.chosen() else { return };
        let asked = || {
            let (guards, _) = self.at.ask()?;
            let guard = guards.into_iter().find(|guard| guard.status.process == process);
            ask(&guard.context("its guard has ended")?.path, &request(service))?;
            self.look(top)
        };
        if let Err(error) = asked() {
            top.failure = Some(format!("{error:#}"));
        }
    }

    fn look(&self, top: &mut Top) -> anyhow::Result<()> {
        let (guards, failures) = self.at.ask()?;
        let guards = guards.into_iter().map(|guard| guard.status).collect();
        top.take(Instant::now(), &of_service(guards, self.service.as_deref())?);
        // What one doesn't say keeps nobody from seeing the others.
        top.failure = failures.first().map(ToString::to_string);
        Ok(())
    }
}

/// Whether nobody types there any more: keys would be read for ever, none of which comes.
fn is_gone(terminal: &impl AsFd) -> bool {
    let mut asked = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    poll(&mut asked, PollTimeout::ZERO).is_ok()
        && asked[0].revents().is_none_or(|events| events.intersects(gone))
}

/// What a key asks for that isn't done by showing something else.
enum Asked {
    End,
    Enforce,
    Observe,
    Nothing,
}

/// Shows what a key says, or says what it asks for.
fn asked(event: &Event, top: &mut Top) -> Asked {
    let Event::Key(key) = event else { return Asked::Nothing };
    if key.kind == KeyEventKind::Release {
        return Asked::Nothing;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Asked::End,
        KeyCode::Char('q') | KeyCode::Esc => return Asked::End,
        KeyCode::Char('E') => return Asked::Enforce,
        KeyCode::Char('O') => return Asked::Observe,
        KeyCode::Char(' ') => top.pause_or_go_on(),
        KeyCode::Char('r') => top.order = TopOrder::Rate,
        KeyCode::Char('p') => top.order = TopOrder::Packets,
        KeyCode::Char('d') => top.order = TopOrder::Drops,
        KeyCode::Char('s') => top.order = TopOrder::Service,
        KeyCode::Up => top.choose(false),
        KeyCode::Down => top.choose(true),
        _ => {}
    }
    Asked::Nothing
}

fn check_terminal() -> Result<(), UsageError> {
    let term = env::var("TERM").unwrap_or_default();
    let why = match term.as_str() {
        _ if !(io::stdin().is_terminal() && io::stdout().is_terminal()) => "this is none",
        "" => "TERM doesn't say what this one can do",
        "dumb" => "TERM says that this one can't",
        _ => return Ok(()),
    };
    Err(UsageError(format!(
        "weir guard top takes a terminal on which text can be placed, and {why}; `weir guard status` says the same once, `watch weir guard \
         status` again and again"
    )))
}
