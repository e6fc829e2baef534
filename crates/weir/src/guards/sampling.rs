//! Samples of what a running guard drops, from the kernel into a capture.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::poll::PollTimeout;
use weir_filters::{Hook, fun::service::SampledPacket};
use weir_guard::meaning::{Mode, Service};
use weir_hooks::maps::Records;
use weir_service::{
    SampleStatus,
    guarding::{GuardedService, GuardingError},
    monotonic_now,
    side_thread::{SideThread, Stopped},
};
use weir_verify::{SampleFile, SampleFileError};

use super::words;

/// The longest that a capture becomes, bytes; with it there are three older ones.
const MOST_BYTES: u64 = 1 << 24;

/// Samples that are taken before the end is looked for.
const AT_A_TIME: usize = 1 << 10;

/// How often a capture is tried again that can't be created.
const AGAIN: Duration = Duration::from_secs(1);

/// The thread that writes a service's samples; ended, once all that wait are written, when this is dropped.
pub(super) struct Sampling {
    counts: Arc<SampleCounts>,
    path: PathBuf,
    thread: SideThread<Option<SampleFile>>,
}

#[derive(Default)]
struct SampleCounts {
    written: AtomicU64,
    unwritten: AtomicU64,
}

impl Sampling {
    /// Writes what the program samples from now on, where the guard wants that. A relative path is seen from `beside`. What another
    /// program sampled `before` is written, and its capture goes on where it is the same.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub(super) fn start(
        service: &Arc<Service>,
        guarded: &mut GuardedService,
        beside: &Path,
        before: Option<Self>,
    ) -> Result<Option<Self>, GuardingError> {
        let before = before.map(|mut before| (before.thread.end().flatten(), before.counts, before.path));
        let (Some(sample), Some(records)) = (&service.sample, guarded.take_samples()?) else {
            return Ok(None);
        };
        let path = beside.join(&sample.to);
        let (file, counts) = match before {
            Some((file, counts, before)) if before == path => (file, counts),
            _ => Default::default(),
        };
        let mut writing = Writing {
            service: Arc::clone(service),
            hook: guarded.hook(),
            path: path.clone(),
            file,
            tried: None,
            is_failing: false,
            counts: Arc::clone(&counts),
        };
        writing.open();
        let thread = SideThread::start("samples", move |stopped| writing.write_all(records, &stopped));
        let thread = thread.map_err(|cause| GuardingError::Thread { cause })?;
        Ok(Some(Self { counts, path, thread }))
    }

    /// What became of samples; `lost` are those that found the ring buffer full.
    pub(super) fn status(&self, lost: u64) -> SampleStatus {
        let SampleCounts { written, unwritten } = &*self.counts;
        SampleStatus {
            file: self.path.display().to_string(),
            written: written.load(Relaxed),
            unwritten: unwritten.load(Relaxed),
            lost,
        }
    }
}

/// A capture that may not be there: a disk that is full doesn't stop the guard.
struct Writing {
    service: Arc<Service>,
    hook: Hook,
    path: PathBuf,
    file: Option<SampleFile>,
    /// When creating it was tried last.
    tried: Option<Instant>,
    is_failing: bool,
    counts: Arc<SampleCounts>,
}

impl Writing {
    /// Gives the capture, for those who go on with it.
    fn write_all(mut self, mut records: Records<SampledPacket>, stopped: &Stopped) -> Option<SampleFile> {
        let mut is_over = false;
        while !is_over {
            is_over = stopped.wait(&records, PollTimeout::NONE).unwrap_or_else(|_| {
                // What poll(2) has left is a lack of memory: it passes.
                thread::sleep(AGAIN);
                false
            });
            for _ in 0..AT_A_TIME {
                match records.take() {
                    Ok(Some(sample)) => self.write(&sample),
                    Ok(None) => break,
                    Err(error) => self.note(Err(error.to_string())),
                }
            }
        }
        self.file
    }

    fn write(&mut self, sample: &SampledPacket) {
        self.open();
        let Some(file) = &mut self.file else {
            self.counts.unwritten.fetch_add(1, Relaxed);
            return;
        };
        let decision = self.service.decisions().get(sample.decision as usize).copied();
        let rule = decision.map(|decision| words::sentence(decision, &self.service)).unwrap_or_default();
        let comment = if self.service.mode == Mode::Observe { format!("would be {rule}") } else { rule };
        let written = file.write(since_1970(sample.when), sample.begin(), sample.len, &comment);
        self.note(written.map_err(|error: SampleFileError| error.to_string()));
    }

    fn open(&mut self) {
        if self.file.is_some() || self.tried.is_some_and(|tried| tried.elapsed() < AGAIN) {
            return;
        }
        self.tried = Some(Instant::now());
        match SampleFile::create(&self.path, self.hook.layer(), MOST_BYTES) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.say(&error.to_string()),
        }
    }

    fn note(&mut self, written: Result<(), String>) {
        match written {
            Ok(()) => {
                self.counts.written.fetch_add(1, Relaxed);
                if std::mem::take(&mut self.is_failing) {
                    let missing = self.counts.unwritten.load(Relaxed);
                    eprintln!(
                        "weir: {}: samples are written again; {missing} are missing",
                        self.service.name
                    );
                }
            }
            Err(error) => {
                self.counts.unwritten.fetch_add(1, Relaxed);
                self.say(&error);
            }
        }
    }

    /// Once, until it is well again.
    fn say(&mut self, error: &str) {
        if !std::mem::replace(&mut self.is_failing, true) {
            eprintln!("weir: {}: samples aren't written, the guard goes on: {error}", self.service.name);
        }
    }
}

/// A moment of the clock that never goes back, nanoseconds, as nanoseconds since 1970.
fn since_1970(moment: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    (now + moment).saturating_sub(monotonic_now().ns)
}
