//! A program while it is attached: its lines as they come, its maps now and then, and all of them once it is detached.

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use weir_hooks::{AttachedProgram, TraceLines, maps::AnyMap};
use weir_lab::experiment::interrupt::Interrupt;
use weir_output::terminal::printable;

use super::{Event, MapShown, Screen};

/// What is shown of an attached program.
pub(crate) struct Session {
    pub(crate) maps: Vec<AnyMap>,
    /// Its lines, where it writes some.
    pub(crate) lines: Option<TraceLines>,
    /// Entries of a map that are shown at most.
    pub(crate) most: usize,
    /// How often maps are shown; at the end alone where nothing is said.
    pub(crate) every: Option<Duration>,
    /// How long it lasts; until a signal comes where nothing is said.
    pub(crate) lasting: Option<Duration>,
    /// JSON, in place of text.
    pub(crate) json: bool,
    /// Where it is shown.
    pub(crate) screen: Screen,
}

/// The kernel wakes no reader before its buffer is half full (`buffer_percent`).
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longer than anybody waits.
const IDLE: Duration = Duration::from_secs(3600);

impl Session {
    /// Shows what comes until a signal, the time or a reader that has gone ends it; detaches; shows what is left.
    ///
    /// # Errors
    /// The maps or lines can't be read, or standard output can't be written to: the program is detached all the same. Or it stays at
    /// another process's socket.
    pub(crate) fn run(mut self, interrupt: &Interrupt, attached: AttachedProgram) -> anyhow::Result<()> {
        let watched = self.watch(interrupt);
        let detached = attached.detach();
        match watched.and_then(|()| self.show_lines()).and_then(|()| self.show_maps(true)) {
            Err(error) if !has_reader_gone(&error) => return Err(error),
            _ => {}
        }
        detached.context("the program stays attached")
    }

    /// Says one thing: in JSON the event, and otherwise nothing.
    ///
    /// # Errors
    /// Standard output can't be written to.
    pub(crate) fn say(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        if !self.json {
            return Ok(());
        }
        let line = serde_json::to_string(event).context("making JSON of an event")? + "\n";
        self.screen.print(&line).context(STDOUT)
    }

    fn watch(&mut self, interrupt: &Interrupt) -> anyhow::Result<()> {
        let end = self.lasting.map(|lasting| Instant::now() + lasting);
        let mut show_at = self.every.map(|_| Instant::now());
        loop {
            let now = Instant::now();
            self.show_lines()?;
            if show_at.is_some_and(|at| at <= now) {
                self.show_maps(false)?;
                show_at = self.every.map(|every| now + every);
            }
            if end.is_some_and(|end| end <= now) {
                return Ok(());
            }
            let look_at = self.lines.as_ref().map(|_| now + LOOK_EVERY);
            let next = [end, show_at, look_at].into_iter().flatten().min();
            if interrupt.wait(&[], next.unwrap_or(now + IDLE)).is_err() {
                return Ok(());
            }
        }
    }

    /// In one piece: a program that runs at each write(2) sees one of ours a look, not one a line.
    fn show_lines(&mut self) -> anyhow::Result<()> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let mut text = String::new();
        let json = self.json;
        lines.look(|line| {
            if json {
                text += &serde_json::to_string(&Event::Trace { line }).unwrap_or_default();
            } else {
                text += &printable(line);
            }
            text.push('\n');
        })?;
        if text.is_empty() { Ok(()) } else { self.screen.print(&text).context(STDOUT) }
    }

    fn show_maps(&mut self, detached: bool) -> anyhow::Result<()> {
        let maps =
            self.maps.iter().map(|map| MapShown::read(map, self.most)).collect::<Result<Vec<_>, _>>()?;
        if self.json {
            return self.say(&Event::Maps { maps: &maps, detached });
        }
        let text: String = maps.iter().map(MapShown::text).collect();
        let shown = if detached { self.screen.print(&text) } else { self.screen.draw(&text) };
        shown.context(STDOUT)
    }
}

const STDOUT: &str = "writing to standard output";

fn has_reader_gone(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
