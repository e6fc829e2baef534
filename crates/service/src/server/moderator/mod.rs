//! Decides whether and how long a loop that has drained its socket naps before it reads again.
//!
//! It is told what was read, when, and what the socket says of its buffer; it has neither clock nor socket. Arrivals are
//! what reaches the receive buffer, in bytes as the kernel accounts them: what a program at the socket drops is none.

use std::time::Duration;

use crate::{LongestNap, Moment, sys::SocketMemory};

/// Part of the receive buffer that may fill from one read to the next. The rest is for what comes at once.
const FILLED: f64 = 1.0 / 4.0;

/// Datagrams that a nap must be likely to gather: what a wake-up costs the server and its sender, saved once less.
const SEVERAL: f64 = 4.0;

/// Part of what the rate promised that naps must gather. Senders that wait for replies send nothing meanwhile; a pause
/// between two bursts is made up for by the next one.
const KEPT: f64 = 1.0 / 3.0;

/// Time over which the usual rate is told: a burst is none.
const USUAL_OVER: Duration = Duration::from_micros(500);

/// Shortest time over which the rate of what was read without naps is told.
const WINDOW: Duration = Duration::from_micros(100);

/// Time in which what was seen once counts half.
const HALF_LIFE: Duration = Duration::from_millis(100);

/// Time without naps after one that was a mistake; twice as long after the next, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Naps that go well until naps are as long again as before they were halved.
const REGAINED_IN: u32 = 16;

/// What moderates one socket's reading.
#[derive(Debug)]
pub(super) struct Moderator {
    /// What the loop was asked to nap at most.
    longest: Duration,
    /// What it naps at most for now.
    limit: Duration,
    receive_buffer: f64,
    drops: u64,
    /// Datagrams a second.
    usual: PerSecond,
    /// Highest recent rate at which the buffer filled, bytes/s.
    highest: Fading,
    /// How much later than asked naps end, s.
    late: Fading,
    /// Whether the last read left nothing.
    is_drained: bool,
    /// Whether the read before the last one came full.
    is_behind: bool,
    window: ReadWindow,
    nap: Option<Nap>,
    /// What the last naps gathered, as a part of what the rate promised.
    kept: f64,
    paused_until: Moment,
    pause: Duration,
}

/// What was read without a nap since a moment. While that is nothing, the moment is the one at which the socket was
/// drained.
#[derive(Clone, Copy, Debug)]
struct ReadWindow {
    from: Moment,
    datagrams: u64,
    /// Bytes of the receive buffer that they took, as far as their payloads tell.
    bytes: u64,
}

/// A nap whose datagrams aren't read yet.
#[derive(Clone, Copy, Debug)]
struct Nap {
    began: Moment,
    asked: Duration,
    woke: Option<Woke>,
}

#[derive(Clone, Copy, Debug)]
struct Woke {
    at: Moment,
    gathered: bool,
    in_time: bool,
}

impl Moderator {
    /// For naps of at most `longest` at a socket with `memory`.
    pub(super) fn new(longest: Duration, memory: SocketMemory, now: Moment) -> Self {
        Self {
            longest,
            limit: (longest / 2).max(LongestNap::LEAST),
            receive_buffer: memory.receive_buffer as f64,
            drops: memory.drops,
            usual: PerSecond::default(),
            highest: Fading::zero(now),
            late: Fading::zero(now),
            is_drained: true,
            is_behind: false,
            window: ReadWindow::from(now),
            nap: None,
            kept: 1.0,
            paused_until: now,
            pause: SHORTEST_PAUSE,
        }
    }

    /// How long to nap before the next read; nothing for reading at once. To be called when everything read before is
    /// done with, replies too.
    pub(super) fn nap(&mut self, now: Moment) -> Option<Duration> {
        self.nap = None;
        if self.is_behind || !self.is_drained {
            // What is read of a backlog came before, at a rate that the reads don't tell.
            self.window = ReadWindow::from(now);
            if !self.is_behind {
                self.halve(now);
            }
            self.is_behind = !self.is_drained;
            return None;
        }
        self.tell_rates(now);
        if self.usual.within(self.longest) < SEVERAL || now < self.paused_until {
            return None;
        }
        let fills_in = PerSecond(self.highest.at(now)).time_for(self.receive_buffer * FILLED);
        // When a read that waited came to its end is not known.
        let drained_for =
            if self.window.datagrams == 0 { now.since(self.window.from) } else { Duration::ZERO };
        let rest = self.longest.min(fills_in.saturating_sub(drained_for));
        if self.usual.within(rest) < SEVERAL {
            return None;
        }
        let late = Duration::from_secs_f64(self.late.at(now));
        let asked = self.limit.min(rest.saturating_sub(late));
        if asked < LongestNap::LEAST {
            return None;
        }
        self.close_window(now);
        self.nap = Some(Nap { began: now, asked, woke: None });
        Some(asked)
    }

    /// Takes note of what the socket holds at the end of a nap, before it is read.
    pub(super) fn woke(&mut self, now: Moment, memory: SocketMemory) {
        let Some(nap) = &mut self.nap else { return };
        let late = now.since(nap.began).saturating_sub(nap.asked).min(self.longest);
        self.late.set(now, self.late.at(now) * 7.0 / 8.0 + late.as_secs_f64() / 8.0);
        self.highest.raise(now, PerSecond::of(memory.waiting, now.since(self.window.from)).0);

        self.receive_buffer = memory.receive_buffer as f64;
        let filled = memory.waiting as f64 / self.receive_buffer;
        // What a program at the socket drops counts as well, and takes no room.
        let dropped = memory.drops != self.drops;
        self.drops = memory.drops;
        let in_time = filled <= 0.5 && !(dropped && filled > FILLED);
        nap.woke = Some(Woke { at: now, gathered: memory.waiting > 0, in_time });
    }

    /// Takes note of what was read after a nap; `is_full` where there may be more.
    pub(super) fn read_after_nap(&mut self, now: Moment, datagrams: usize, is_full: bool) {
        let Some(Nap { woke: Some(woke), .. }) = self.nap.take() else { return };
        // Where nothing waited, the read itself did.
        let came_by = if woke.gathered { woke.at } else { now };
        let elapsed = came_by.since(self.window.from);
        let kept = if woke.gathered { datagrams as f64 / self.usual.within(elapsed) } else { 0.0 };
        self.kept += (kept.min(2.0) - self.kept) / 4.0;
        self.usual.follow(PerSecond::of(datagrams as u64, elapsed), elapsed);
        self.window = ReadWindow::from(now);
        self.is_drained = !is_full;
        if !woke.in_time {
            self.limit = LongestNap::LEAST;
            self.pause(now);
        } else if self.kept < KEPT {
            self.pause(now);
        } else if kept >= KEPT && !is_full {
            self.limit = (self.limit + self.longest / 2 / REGAINED_IN).min(self.longest);
            self.pause = (self.pause / 2).max(SHORTEST_PAUSE);
        }
    }

    /// Takes note of what was read without a nap, of `payload` bytes in all; `is_full` where there may be more.
    pub(super) fn read_awake(&mut self, datagrams: usize, payload: usize, is_full: bool) {
        self.window.datagrams += datagrams as u64;
        self.window.bytes += estimated_bytes(datagrams, payload);
        self.is_drained = !is_full;
    }

    /// Tells the rates of what was read awake, as soon as that took long enough for a highest one.
    fn tell_rates(&mut self, now: Moment) {
        let elapsed = now.since(self.window.from);
        if self.window.datagrams > 0 && elapsed >= WINDOW {
            self.highest.raise(now, PerSecond::of(self.window.bytes, elapsed).0);
            self.close_window(now);
        }
    }

    fn close_window(&mut self, now: Moment) {
        if self.window.datagrams > 0 {
            let elapsed = now.since(self.window.from);
            self.usual.follow(PerSecond::of(self.window.datagrams, elapsed), elapsed);
            self.window = ReadWindow::from(now);
        }
    }

    fn halve(&mut self, now: Moment) {
        if self.limit == LongestNap::LEAST {
            self.pause(now);
        }
        self.limit = (self.limit / 2).max(LongestNap::LEAST);
    }

    fn pause(&mut self, now: Moment) {
        self.kept = 1.0;
        self.paused_until = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// About what datagrams take of a receive buffer, until a nap tells: the kernel allocates payload and headers in powers of two, and
/// keeps a `struct sk_buff` and a `struct skb_shared_info` beside (net/core/skbuff.c).
fn estimated_bytes(datagrams: usize, payload: usize) -> u64 {
    (2 * payload + 1024 * datagrams) as u64
}

impl ReadWindow {
    const fn from(now: Moment) -> Self {
        Self { from: now, datagrams: 0, bytes: 0 }
    }
}

/// So many a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
struct PerSecond(f64);

impl PerSecond {
    /// No time counts as a nanosecond.
    fn of(count: u64, time: Duration) -> Self {
        Self(count as f64 / time.max(Duration::from_nanos(1)).as_secs_f64())
    }

    fn within(self, time: Duration) -> f64 {
        self.0 * time.as_secs_f64()
    }

    /// Time in which so many come.
    fn time_for(self, count: f64) -> Duration {
        Duration::try_from_secs_f64(count / self.0).unwrap_or(Duration::MAX)
    }

    /// Goes towards a rate that was seen for some time, the further the longer.
    fn follow(&mut self, seen: Self, time: Duration) {
        let kept = (-time.as_secs_f64() / USUAL_OVER.as_secs_f64()).exp();
        self.0 = seen.0 + (self.0 - seen.0) * kept;
    }
}

/// A value that halves each [`HALF_LIFE`].
#[derive(Clone, Copy, Debug)]
struct Fading {
    value: f64,
    from: Moment,
}

impl Fading {
    const fn zero(now: Moment) -> Self {
        Self { value: 0.0, from: now }
    }

    fn at(&self, now: Moment) -> f64 {
        self.value * (-now.since(self.from).as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
    }

    fn set(&mut self, now: Moment, value: f64) {
        *self = Self { value, from: now };
    }

    fn raise(&mut self, now: Moment, value: f64) {
        self.set(now, self.at(now).max(value));
    }
}

#[cfg(test)]
mod tests;
