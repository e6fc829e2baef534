//! Busy neighbours: processes that compete with what is measured for a core, and count the work that they got done.

use std::{
    hint::black_box,
    io::{self, BufRead as _, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use thiserror::Error;
use weir_results::neighbour::NeighbourRecord;
use weir_service::{
    Cost,
    process::{confine, wait4},
};

use crate::experiment::own_command;

/// The subcommand that a neighbour runs as.
pub const SUBCOMMAND: &str = "neighbour";

/// Words of the memory that a pass goes over: 256 KiB, more than a first-level cache holds, less than a second-level.
const WORDS: usize = 1 << 15;

/// Why a neighbour could not be started or its work not be read.
#[derive(Debug, Error)]
#[error("{tried}: {cause}")]
pub struct NeighbourError {
    tried: &'static str,
    cause: io::Error,
}

/// Neighbours that work until this is dropped. One that loses its parent, however that ends, is killed by the kernel.
#[derive(Debug)]
pub struct Neighbours {
    workers: Vec<Neighbour>,
}

#[derive(Debug)]
struct Neighbour {
    cores: Vec<usize>,
    started: Instant,
    /// Nothing once it has ended.
    child: Option<Child>,
    /// Closing it asks for the count.
    order: Option<ChildStdin>,
    answers: Option<BufReader<ChildStdout>>,
}

impl Neighbours {
    /// Starts a neighbour for each of `places`, the cores that it may run on (anywhere if there are none), and
    /// returns when all of them work. The thread that calls this must outlive them: its end kills them.
    ///
    /// # Errors
    /// One could not be started; the others are ended.
    pub fn start(places: &[Vec<usize>]) -> Result<Self, NeighbourError> {
        Self::start_by(|| own_command(SUBCOMMAND), places)
    }

    /// The same by the commands that `command` gives, for a program that isn't weir itself.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_by(command: impl Fn() -> Command, places: &[Vec<usize>]) -> Result<Self, NeighbourError> {
        let workers = places.iter().map(|cores| Neighbour::start(command(), cores));
        let mut all = Self { workers: workers.collect::<Result<_, _>>()? };
        for worker in &mut all.workers {
            worker.answer().map_err(NeighbourError::tried("waiting for a neighbour to work"))?;
        }
        Ok(all)
    }

    /// Ends them and tells what each did.
    ///
    /// # Errors
    /// One ended by itself before.
    pub fn stop(mut self) -> Result<Vec<NeighbourRecord>, NeighbourError> {
        for worker in &mut self.workers {
            worker.order = None;
        }
        let records = self.workers.iter_mut().map(Neighbour::finish).collect::<io::Result<_>>();
        records.map_err(NeighbourError::tried("reading what a neighbour did"))
    }
}

impl NeighbourError {
    fn tried(tried: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self { tried, cause }
    }
}

impl Neighbour {
    fn start(mut command: Command, cores: &[usize]) -> Result<Self, NeighbourError> {
        let tried = "starting a neighbour";
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        confine(&mut command, cores).map_err(NeighbourError::tried(tried))?;
        let started = Instant::now();
        let mut child = command.spawn().map_err(NeighbourError::tried(tried))?;
        let (order, answers) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Ok(Self { cores: cores.to_vec(), started, child: Some(child), order, answers })
    }

    /// The number on the next line that it says.
    fn answer(&mut self) -> io::Result<u64> {
        let mut line = String::new();
        if let Some(answers) = &mut self.answers {
            answers.read_line(&mut line)?;
        }
        line.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, "it ended"))
    }

    fn finish(&mut self) -> io::Result<NeighbourRecord> {
        let passes = self.answer()?;
        let child = self.child.take().ok_or(io::ErrorKind::NotFound)?;
        let Cost { user_us, system_us, .. } = wait4(child)?.cost;
        let wall_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(NeighbourRecord { cores: self.cores.clone(), passes, wall_ns, cpu_us: user_us + system_us })
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; nobody is left to hear of an error.
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Works until `order` ends: says 0 on `answers` when it begins, and its passes at the end.
///
/// # Errors
/// Nobody reads `answers`.
pub fn work(mut order: impl Read + Send + 'static, mut answers: impl Write) -> io::Result<()> {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        // An order that can't be read is over, too.
        let _ = io::copy(&mut order, &mut io::sink());
        told.store(true, Ordering::Relaxed);
    });
    writeln!(answers, "0")?;
    answers.flush()?;
    let mut memory = vec![1_u64; WORDS];
    let mut passes = 0_u64;
    while !over.load(Ordering::Relaxed) {
        passes += 1;
        for word in &mut memory {
            *word = word.rotate_left(7) ^ passes;
        }
        black_box(&mut memory);
    }
    writeln!(answers, "{passes}")?;
    answers.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_with_its_order_and_counts_its_passes() {
        let (order, held) = io::pipe().unwrap();
        let mut answers = Vec::new();
        let release = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            drop(held);
        });
        work(order, &mut answers).unwrap();
        release.join().unwrap();
        let said = String::from_utf8(answers).unwrap();
        let (ready, passes) = said.split_once('\n').unwrap();
        assert_eq!(ready, "0");
        assert!(passes.trim().parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn a_neighbour_that_ends_at_once_is_an_error() {
        let error = Neighbours::start_by(|| Command::new("true"), &[vec![]]).unwrap_err();
        assert_eq!(error.to_string(), "waiting for a neighbour to work: it ended");
    }
}
