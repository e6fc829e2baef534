//! Packets made on a thread of their own, while those before them are decided.

use std::{
    mem,
    sync::mpsc::{Receiver, Sender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use weir_filters::corpus::Case;

/// Packets that are made at a time and given to each program of a site.
pub(super) const BATCH: usize = 512;

/// Packets without end; dropping it ends the thread.
pub(super) struct Batches {
    /// Made, one batch ahead; none once the thread is to end.
    made: Option<Receiver<Vec<Case>>>,
    /// Back to the thread, whose allocator has their memory.
    used: Sender<Vec<Case>>,
    latest: Vec<Case>,
    thread: Option<JoinHandle<()>>,
}

impl Batches {
    /// Makes what `cases` gives.
    pub(super) fn of(mut cases: impl Iterator<Item = Case> + Send + 'static) -> Self {
        let (ready, made) = sync_channel(0);
        let (used, spent) = channel::<Vec<Case>>();
        let thread = thread::spawn(move || {
            loop {
                let mut batch = spent.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
                batch.clear();
                batch.extend(cases.by_ref().take(BATCH));
                if ready.send(batch).is_err() {
                    return;
                }
            }
        });
        Self { made: Some(made), used, latest: Vec::new(), thread: Some(thread) }
    }

    /// The next packets.
    pub(super) fn next(&mut self) -> &[Case] {
        let made = self.made.as_ref().and_then(|made| made.recv().ok());
        let before = mem::replace(&mut self.latest, made.expect("the thread makes packets without end"));
        // Where the thread has ended nobody needs them.
        let _ = self.used.send(before);
        &self.latest
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        drop(self.made.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was told when it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packets_come_in_their_order_and_the_thread_ends() {
        let numbered = (0_u32..).map(|number| Case::of_one(number.to_ne_bytes().to_vec()));
        let mut batches = Batches::of(numbered);
        for first in [0, BATCH, 2 * BATCH] {
            let numbers = batches.next().iter().map(|case| case.seen.clone());
            let expected = (first..first + BATCH).map(|number| (number as u32).to_ne_bytes().to_vec());
            assert!(numbers.eq(expected), "from {first} on");
        }
        drop(batches);
    }
}
