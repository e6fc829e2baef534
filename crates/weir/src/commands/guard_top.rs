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

use super::guard_status::{ControlledGuards, of_service};
use crate::{
    arguments::time,
    guards::{Top, TopOrder},
};

/// Watch what running guards decide: packets a second by service, message and rule, and what is dropped why.
///
/// Keys: q ends it, the space bar pauses; r, p, d and s sort by rate, by packets, drops first, and by service.
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
                if is_the_end(&event::read().context("reading keys")?, top) {
                    return Ok(());
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

    fn look(&self, top: &mut Top) -> anyhow::Result<()> {
        let (guards, failures) = self.at.ask()?;
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

/// Does what a key says, and says whether it is the last.
fn is_the_end(event: &Event, top: &mut Top) -> bool {
    let Event::Key(key) = event else { return false };
    if key.kind == KeyEventKind::Release {
        return false;
    }
    match key.code {
        KeyCode::Char('c') => return key.modifiers.contains(KeyModifiers::CONTROL),
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char(' ') => top.pause_or_go_on(),
        KeyCode::Char('r') => top.order = TopOrder::Rate,
        KeyCode::Char('p') => top.order = TopOrder::Packets,
        KeyCode::Char('d') => top.order = TopOrder::Drops,
        KeyCode::Char('s') => top.order = TopOrder::Service,
        _ => {}
    }
    false
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
