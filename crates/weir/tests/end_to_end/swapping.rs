//! Filters replaced under load, with every request counted: what a swap costs the requests that come meanwhile.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use weir_filters::{Filter, FilterName, Site, Toolkit};
use weir_hooks::KernelFilter;
use weir_wire::Request;

/// What became of the packets that were sent while filters took turns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swapping {
    /// How often a filter took over.
    pub(crate) swaps: u32,
    /// Valid requests sent.
    pub(crate) valid: u64,
    /// Other packets sent.
    pub(crate) invalid: u64,
    /// Packets that reached the socket's reader.
    pub(crate) received: u64,
    /// Packets that the programs accepted, all of them together.
    pub(crate) accepted: u64,
    /// Packets that they dropped.
    pub(crate) dropped: u64,
}

impl Swapping {
    /// Valid requests that were not received.
    pub(crate) const fn lost(&self) -> u64 {
        self.valid.saturating_sub(self.received)
    }

    /// Packets that no program decided, or more than one.
    pub(crate) const fn unaccounted(&self) -> u64 {
        (self.valid + self.invalid).abs_diff(self.accepted + self.dropped)
    }
}

/// Requests that may be on their way: fewer than any receive buffer holds, so that none is lost for lack of room.
const IN_FLIGHT: u64 = 64;

/// Replaces valid-command by aya and by fun by each other, `swaps` times, while one thread sends valid and invalid
/// packets in turn as fast as another one reads. At least 64 packets go by between two swaps.
///
/// # Errors
/// A program can't be loaded or replaced, or a socket fails.
pub(crate) fn measure(swaps: u32) -> anyhow::Result<Swapping> {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a UDP socket on 127.0.0.1")?;
    receiver.set_read_timeout(Some(Duration::from_millis(200))).context("setting a timeout")?;
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a UDP socket on 127.0.0.1")?;
    sender.connect(receiver.local_addr().context("its address")?).context("connecting")?;
    let counts = Counts::default();
    thread::scope(|scope| {
        let reading = scope.spawn(|| counts.read(&receiver));
        let mut filters = vec![load(Toolkit::Aya)?];
        let attached = filters[0].attach(&receiver)?;
        let sending = scope.spawn(|| counts.send(&sender));
        let swapped = (0..swaps).try_for_each(|swap| {
            let next = load(if swap % 2 == 0 { Toolkit::Fun } else { Toolkit::Aya })?;
            counts.wait_for(counts.sent() + 2 * IN_FLIGHT, || sending.is_finished());
            attached.replace(&next)?;
            filters.push(next);
            anyhow::Ok(())
        });
        counts.stop.store(true, Relaxed);
        sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).context("sending")?;
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).context("reading")?;
        swapped?;
        let mut result = counts.result(swaps);
        // No packet is on its way any more, so that the counts of each program are whole.
        for filter in &filters {
            let verdicts = filter.verdicts()?.context("valid-command counts its verdicts")?;
            result.accepted += verdicts.accepted;
            result.dropped += verdicts.dropped;
        }
        drop(attached);
        Ok(result)
    })
}

fn load(toolkit: Toolkit) -> anyhow::Result<KernelFilter> {
    Ok(KernelFilter::load(Filter::from(FilterName::ValidCommand), toolkit, &Site::socket())?)
}

#[derive(Default)]
struct Counts {
    valid: AtomicU64,
    invalid: AtomicU64,
    received: AtomicU64,
    stop: AtomicBool,
}

impl Counts {
    fn sent(&self) -> u64 {
        self.valid.load(Relaxed) + self.invalid.load(Relaxed)
    }

    fn send(&self, socket: &UdpSocket) -> std::io::Result<()> {
        let put = Request::Put { key: 1, value: 1 }.to_bytes();
        while !self.stop.load(Relaxed) {
            socket.send(b"BADBADBADBADBAD")?;
            self.invalid.fetch_add(1, Relaxed);
            let mut patience = 10_000;
            while self.valid.load(Relaxed) >= self.received.load(Relaxed) + IN_FLIGHT && patience > 0 {
                // A request that was lost is never received: it must not keep this waiting for ever.
                patience -= 1;
                thread::sleep(Duration::from_micros(50));
            }
            socket.send(&put)?;
            self.valid.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Until nothing has come for a while after the last was sent.
    fn read(&self, socket: &UdpSocket) -> std::io::Result<()> {
        let mut buffer = [0; 64];
        loop {
            match socket.recv(&mut buffer) {
                Ok(_) => {
                    self.received.fetch_add(1, Relaxed);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.stop.load(Relaxed) {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn wait_for(&self, sent: u64, is_over: impl Fn() -> bool) {
        while self.sent() < sent && !is_over() {
            thread::sleep(Duration::from_micros(100));
        }
    }

    fn result(&self, swaps: u32) -> Swapping {
        Swapping {
            swaps,
            valid: self.valid.load(Relaxed),
            invalid: self.invalid.load(Relaxed),
            received: self.received.load(Relaxed),
            ..Swapping::default()
        }
    }
}
