//! What a finished search leaves: a line of `searches.jsonl` for each goal.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{GoalResult, SearchEnd, known::Range};
use crate::cell::Cell;

/// The finished searches of a results folder, one JSON object a line.
pub const FILE: &str = "searches.jsonl";

/// What a search found for a goal, and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchRecord {
    /// `NDR` or `PDR`.
    pub goal_name: String,
    /// Which search of its cell, from 0: those of different placements with the same number ran side by side.
    pub search: u32,
    /// The cell, without rate and packets.
    pub cell: Cell,
    /// What was found; rates are of valid and invalid packets together.
    #[serde(flatten)]
    pub result: GoalResult,
    /// Valid requests/s that came through at the lower bound: the valid share of the conditional throughput.
    pub valid_goodput: Option<f64>,
    /// What it is made of.
    #[serde(flatten)]
    pub rest: Rest,
}

/// What a search is made of; its goals share it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rest {
    /// The generator's ceiling, packets/s.
    pub ceiling: f64,
    /// The highest rate tried, packets/s: a lower bound there is limited by the generator.
    pub highest: u64,
    /// Samples of the trials, by index.
    pub samples: Vec<u64>,
    /// Samples that were made again: their counts don't balance, or the generator fell behind well below its ceiling.
    pub unused: Vec<u64>,
    /// Samples, used or not, in which the generator ran behind schedule.
    pub behind: Vec<u64>,
    /// Samples that were made again because others, or the hypervisor, used the cores meanwhile.
    #[serde(default)]
    pub again: Vec<u64>,
    /// Samples that were used all the same: no trial is made again for ever.
    #[serde(default)]
    pub disturbed: Vec<u64>,
    /// Time under load, seconds, of all these samples.
    pub under_load_s: f64,
    /// CPU time that the hypervisor took from the machine meanwhile, seconds.
    pub stolen_s: f64,
    /// Time of all cores meanwhile, from the servers' starts to their ends, seconds; 0 where the machine doesn't tell.
    pub cores_s: f64,
    /// What of it others used than the servers and clients of the trials, seconds.
    pub others_s: f64,
    /// Seed of the order of trials and of the clients.
    pub seed: u64,
}

impl SearchRecord {
    /// The highest rate known to be carried, packets/s; 0 where not even the lowest was.
    pub fn rate(&self) -> f64 {
        self.result.lower.unwrap_or(0) as f64
    }

    /// Whether the search found its bounds, and by the server's loss rather than by the generator's limits.
    pub fn is_exact(&self) -> bool {
        self.result.end == SearchEnd::Found && !self.result.limited
    }

    /// Between what the highest rate that is carried lies. The rate found stands for it where the search is exact.
    pub fn range(&self) -> Range {
        if self.is_exact() {
            return Range::exactly(self.rate());
        }
        Range {
            low: self.rate(),
            high: self.result.upper_by_loss.map_or(f64::INFINITY, |upper| upper as f64),
        }
    }
}

/// `searches.jsonl`, open for appending.
pub struct SearchFile {
    path: PathBuf,
    file: File,
}

impl SearchFile {
    /// An empty one in `dir`.
    pub fn create(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        let file = File::create(&path)
            .with_context(|| format!("creating {}; check the folder and its disk", path.display()))?;
        Ok(Self { path, file })
    }

    /// Appends `record`; when this returns, it is on the disk.
    ///
    /// # Errors
    /// It could not be written.
    pub fn append(&mut self, record: &SearchRecord) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record).context("making JSON of a search")?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).with_context(|| {
            format!(
                "appending to {}; it is made again from the samples when the search is resumed",
                self.path.display()
            )
        })
    }
}

/// The searches of the results folder `dir` in the order of their numbers, none where it has none, and what could not be read.
pub fn read(dir: &Path) -> (Vec<SearchRecord>, Vec<String>) {
    let mut unread = Vec::new();
    let text = match fs::read_to_string(dir.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            unread.push(format!("{FILE} can't be read: {error}"));
            String::new()
        }
    };
    let mut records = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match serde_json::from_str::<SearchRecord>(line) {
            Ok(record) => records.push(record),
            Err(error) => unread.push(format!("line {} of {FILE} is no search: {error}", number + 1)),
        }
    }
    records.sort_by_key(|record| record.search);
    (records, unread)
}
