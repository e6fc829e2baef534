//! The lab: makes the runs that are asked for, or takes them from a results folder that holds them already.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use weir_results::{
    capacity::Purpose,
    cell::{Cell, Dimension},
    sample::Sample,
};

use super::{Unfinished, plan::SearchPlan, progress::SearchProgress};
use crate::experiment::{
    bench::Bench,
    definition::Definition,
    folder::Folder,
    interrupt::Interrupt,
    measure,
    schedule::{self, Scheduled},
};

/// A run that is wanted.
#[derive(Clone, Debug)]
pub(super) struct RunOrder {
    pub(super) purpose: Purpose,
    /// Without rate and packets.
    pub(super) cell: Cell,
    /// Packets/s.
    pub(super) rate: u64,
    pub(super) packets: u64,
    pub(super) repetition: u32,
}

impl RunOrder {
    fn loaded(&self) -> Cell {
        let mut cell = self.cell.clone();
        cell.packets = self.packets;
        cell.conditions.rate = Some(self.rate);
        cell
    }
}

/// What a sample is known by besides its load.
type SampleKey = (Purpose, Cell, u32);

/// Makes runs, each sample on the disk before the next begins.
///
/// The samples that the folder held when it was opened are given out again in their order, so that whoever asks for the
/// same runs gets as far as it got before without making one.
pub(super) struct Lab<'a> {
    folder: Folder,
    interrupt: &'a Interrupt,
    recorded: HashMap<SampleKey, VecDeque<Sample>>,
    next_index: u64,
    progress: Option<SearchProgress>,
}

impl<'a> Lab<'a> {
    pub(super) fn new(folder: Folder, plan: &SearchPlan, interrupt: &'a Interrupt) -> Self {
        let saved = folder.saved();
        saved.warnings.iter().for_each(|warning| eprintln!("weir: {warning}"));
        let mut recorded: HashMap<SampleKey, VecDeque<Sample>> = HashMap::new();
        for sample in &saved.samples {
            if let Some(purpose) = Purpose::ALL.into_iter().find(|p| p.name() == sample.experiment) {
                let key = (purpose, without_load(&sample.cell), sample.repetition);
                recorded.entry(key).or_default().push_back(sample.clone());
            }
        }
        Self {
            next_index: saved.samples.last().map_or(0, |sample| sample.index + 1),
            folder,
            interrupt,
            recorded,
            progress: Some(SearchProgress::new(plan)),
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.folder.manifest.seed
    }

    /// The core that the servers run on alone; nothing where they are not confined to one.
    pub(super) fn server_core(&self) -> Option<usize> {
        match self.folder.manifest.pinning.server[..] {
            [core] => Some(core),
            _ => None,
        }
    }

    pub(super) fn how_to_resume(&self) -> String {
        self.folder.how_to_resume()
    }

    /// The cells of the plan, without rate and packets.
    pub(super) fn cells(&self) -> Vec<Cell> {
        schedule::of(&self.folder.definition, 0).iter().map(|run| without_load(&run.cell)).collect()
    }

    /// The sample of the run that `order` wants.
    ///
    /// # Errors
    /// A signal came, the sample could not be written, or the folder holds another run in its place.
    pub(super) fn sample(&mut self, order: &RunOrder) -> Result<Sample, Unfinished> {
        let key = (order.purpose, order.cell.clone(), order.repetition);
        if let Some(sample) = self.recorded.get_mut(&key).and_then(VecDeque::pop_front) {
            return self.same(order, sample);
        }
        self.interrupt.check()?;
        let definition = Definition { name: order.purpose.name().into(), ..self.folder.definition.clone() };
        let bench = Bench {
            definition: &definition,
            pinning: &self.folder.manifest.pinning,
            interrupt: self.interrupt,
            ceiling: self.folder.manifest.ceiling,
        };
        let sample = measure::measure(&bench, &self.scheduled(order))?;
        self.folder.append(&sample)?;
        self.next_index += 1;
        self.progress.iter_mut().for_each(SearchProgress::ran);
        Ok(sample)
    }

    fn scheduled(&self, order: &RunOrder) -> Scheduled {
        Scheduled {
            index: self.next_index,
            repetition: order.repetition,
            cell: order.loaded(),
            seed: self.seed().wrapping_add(self.next_index),
            audited: false,
        }
    }

    fn same(&self, order: &RunOrder, sample: Sample) -> Result<Sample, Unfinished> {
        if sample.cell == order.loaded() {
            return Ok(sample);
        }
        Err(Unfinished::Because(anyhow::anyhow!(
            "sample {} in {} was made at {} packets/s where the search wants {} packets/s; it was made by another version, or a sample before it is gone: begin anew with --out",
            sample.index,
            self.folder.dir.display(),
            sample.cell.conditions.rate.unwrap_or(0),
            order.rate
        )))
    }

    /// Tells of the progress.
    pub(super) fn tell(&mut self, of: impl FnOnce(&mut SearchProgress)) {
        if let Some(progress) = &mut self.progress {
            of(progress);
        }
    }

    /// Waits for a calmer moment.
    ///
    /// # Errors
    /// A signal came.
    pub(super) fn pause(&self, time: Duration) -> Result<(), Unfinished> {
        self.interrupt.wait(&[], Instant::now() + time)?;
        Ok(())
    }

    /// Runs made so far, those that a folder held among them.
    pub(super) fn runs(&self) -> u64 {
        self.next_index
    }

    /// Takes the progress off the terminal.
    pub(super) fn clear(&mut self) {
        self.progress.take().into_iter().for_each(SearchProgress::clear);
    }
}

/// The cell whose rate and packets are yet to be said.
fn without_load(cell: &Cell) -> Cell {
    let mut cell = cell.clone();
    [Dimension::Rate, Dimension::Packets].iter().for_each(|dimension| dimension.forget(&mut cell));
    cell
}
