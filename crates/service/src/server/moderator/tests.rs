//! The decision, over simulated arrivals: no clock runs, and no socket is read.

use std::{collections::VecDeque, iter};

use proptest::prelude::*;

use super::*;

/// The kernel's default, and what a small datagram takes of it over loopback.
const BUFFER: u64 = 212_992;
const SIZE: u64 = 1280;

const AUTO: Duration = Duration::from_micros(100);
const BATCH: usize = 64;
const HANDLING: Duration = Duration::from_nanos(400);

const fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A socket, what arrives at it, and the loop that reads it.
struct Simulation {
    moderator: Moderator,
    now: Moment,
    /// When each datagram arrives.
    arrivals: VecDeque<Moment>,
    buffer: u64,
    size: u64,
    /// How much later than asked a nap ends.
    late: Duration,
    naps: Vec<Taken>,
    reads: u64,
}

/// A nap that was taken.
#[derive(Clone, Copy, Debug)]
struct Taken {
    at: Moment,
    asked: Duration,
    gathered: usize,
}

impl Simulation {
    fn new(longest: Duration, buffer: u64, size: u64, late: Duration) -> Self {
        let memory = SocketMemory { waiting: 0, receive_buffer: buffer, drops: 0 };
        let now = Moment { ns: 1_000_000_000 };
        Self {
            moderator: Moderator::new(longest, memory, now),
            now,
            arrivals: VecDeque::new(),
            buffer,
            size,
            late,
            naps: Vec::new(),
            reads: 0,
        }
    }

    fn usual() -> Self {
        Self::new(AUTO, BUFFER, SIZE, us(5))
    }

    /// Has a datagram arrive each `gap` for `time` from now.
    fn arrive(&mut self, gap: Duration, time: Duration) {
        self.arrive_from(self.now, gap, time);
    }

    fn arrive_from(&mut self, start: Moment, gap: Duration, time: Duration) {
        let moments =
            iter::successors(Some(start), |&at| Some(at + gap)).take_while(|at| at.since(start) < time);
        self.arrivals.extend(moments);
    }

    fn waiting(&self) -> usize {
        self.arrivals.iter().take_while(|&&at| at <= self.now).count()
    }

    fn memory(&self) -> SocketMemory {
        SocketMemory { waiting: self.waiting() as u64 * self.size, receive_buffer: self.buffer, drops: 0 }
    }

    /// Another process has the core for so long: what the buffer doesn't hold is lost.
    fn lose_core(&mut self, time: Duration) {
        self.now = self.now + time;
        let held = (self.buffer / self.size) as usize;
        let waiting = self.waiting();
        self.arrivals.drain(held.min(waiting)..waiting);
    }

    /// One turn of the loop; how many datagrams were read, nothing where none will come.
    fn turn(&mut self) -> Option<usize> {
        let &next = self.arrivals.front()?;
        let nap = self.moderator.nap(self.now);
        if let Some(asked) = nap {
            let began = self.now;
            self.now = self.now + asked + self.late;
            self.naps.push(Taken { at: began, asked, gathered: self.waiting() });
            self.moderator.woke(self.now, self.memory());
        }
        self.now = self.now.max(next);
        let read = self.waiting().min(BATCH);
        self.arrivals.drain(..read);
        self.reads += 1;
        let is_full = read == BATCH;
        match nap {
            Some(_) => self.moderator.read_after_nap(self.now, read, is_full),
            None => self.moderator.read_awake(read, 15 * read, is_full),
        }
        self.now = self.now + HANDLING * read as u32;
        Some(read)
    }

    fn run(&mut self) {
        while self.turn().is_some() {}
    }

    /// A steady rate, long enough for naps to have been taken as long as they may be.
    fn moderated() -> Self {
        let mut simulation = Self::usual();
        simulation.arrive(us(5), ms(20));
        simulation.run();
        simulation
    }

    /// A nap as in [`Self::moderated`] that ends with this memory.
    fn nap_ends_with(&mut self, waiting: u64, drops: u64, read: usize) {
        let asked = self.moderator.nap(self.now).expect("the rate is high");
        self.now = self.now + asked;
        self.moderator.woke(self.now, SocketMemory { waiting, receive_buffer: BUFFER, drops });
        self.moderator.read_after_nap(self.now, read, read == BATCH);
    }

    fn is_paused(&mut self) -> bool {
        self.moderator.nap(self.now).is_none()
    }
}

#[test]
fn at_a_steady_rate_many_datagrams_wake_the_loop_once() {
    let mut simulation = Simulation::usual();
    simulation.arrive(us(4), ms(100));
    simulation.run();
    let read: usize = 25_000;
    assert!(simulation.reads * 10 < read as u64, "{} reads", simulation.reads);
    assert!(simulation.naps.len() > 500, "{} naps", simulation.naps.len());
    // The first ones are shorter, and the last one is when the rate has ended.
    for nap in simulation.naps.iter().skip(50).take(400) {
        assert!(nap.gathered >= 10 && nap.asked <= AUTO, "{nap:?}");
    }
}

#[test]
fn bursts_with_pauses_between_them_are_moderated_as_their_mean_rate_is() {
    let mut simulation = Simulation::usual();
    let (gap, burst) = (Duration::from_nanos(3400), 50);
    for number in 0..500 {
        simulation.arrive_from(simulation.now + gap * 2 * burst * number, gap, gap * burst);
    }
    simulation.run();
    assert!(simulation.reads * 8 < 25_000, "{} reads", simulation.reads);
}

#[test]
fn a_lone_request_and_a_slow_rate_find_the_loop_waiting() {
    for gap in [us(30), us(100), ms(1), ms(50)] {
        let mut simulation = Simulation::usual();
        simulation.arrive(gap, gap * 2000);
        simulation.run();
        assert_eq!(simulation.naps.len(), 0, "{gap:?}");
    }
}

#[test]
fn a_burst_after_idleness_is_not_waited_for() {
    for burst in [64, 100, 150] {
        let mut simulation = Simulation::usual();
        let gap = Duration::from_nanos(300);
        for number in 1..=20 {
            simulation.arrive_from(simulation.now + ms(100) * number, gap, gap * burst);
        }
        simulation.run();
        assert!(simulation.naps.iter().all(|nap| nap.gathered == 0), "{burst}: {:?}", simulation.naps);
    }
}

#[test]
fn when_the_rate_ends_so_do_naps() {
    let mut simulation = Simulation::usual();
    let end = simulation.now + ms(20);
    simulation.arrive(us(5), ms(20));
    simulation.arrive_from(end + ms(1), ms(1), ms(100));
    simulation.run();
    assert!(simulation.naps.len() > 100, "{} naps", simulation.naps.len());
    let after = simulation.naps.iter().filter(|nap| nap.at > end).count();
    // The one that it ended in, and perhaps one before the rate is known to have.
    assert!(after <= 2, "{after} naps");
}

#[test]
fn a_sender_that_waits_for_each_reply_is_hardly_ever_made_to() {
    let mut simulation = Simulation::usual();
    let requests: usize = 50_000;
    for _ in 0..requests {
        simulation.arrivals.push_back(simulation.now + us(8));
        simulation.turn();
    }
    assert!(simulation.naps.len() < 100, "{} naps", simulation.naps.len());
}

#[test]
fn a_buffer_more_than_half_full_stops_naps_at_once() {
    let mut simulation = Simulation::moderated();
    simulation.nap_ends_with(BUFFER / 2 + 1, 0, 40);
    assert!(simulation.is_paused());
    simulation.now = simulation.now + SHORTEST_PAUSE / 2;
    assert!(simulation.is_paused());
}

#[test]
fn drops_while_much_waits_stop_naps_and_drops_of_a_filter_do_not() {
    let mut filtered = Simulation::moderated();
    for drops in 1..100 {
        filtered.nap_ends_with(SIZE * 15, 1000 * drops, 15);
    }
    assert!(!filtered.is_paused());

    let mut full = Simulation::moderated();
    full.nap_ends_with(BUFFER / 3, 7, 40);
    assert!(full.is_paused());
}

#[test]
fn a_full_read_halves_naps_and_good_ones_make_them_whole_again() {
    let mut simulation = Simulation::moderated();
    let usual = simulation.moderator.limit;
    assert_eq!(usual, AUTO);
    simulation.nap_ends_with(SIZE * 20, 0, BATCH);
    assert!(simulation.is_paused(), "the socket was not drained");
    assert_eq!(simulation.moderator.limit, AUTO / 2);
    simulation.moderator.read_awake(1, 15, false);
    simulation.arrive(us(5), ms(20));
    simulation.run();
    assert_eq!(simulation.moderator.limit, AUTO);
}

#[test]
fn a_backlog_that_takes_many_full_reads_counts_once() {
    let mut simulation = Simulation::moderated();
    for _ in 0..10 {
        simulation.moderator.read_awake(BATCH, 15 * BATCH, true);
        assert!(simulation.is_paused());
    }
    assert_eq!(simulation.moderator.limit, AUTO / 2);
}

#[test]
fn a_backlog_tells_no_rate() {
    for lost in [ms(1), ms(3), ms(20)] {
        let mut simulation = Simulation::usual();
        simulation.arrive(us(5), ms(100));
        let back = simulation.now + ms(50);
        while simulation.now < back {
            simulation.turn();
        }
        simulation.lose_core(lost);
        let before = simulation.naps.len();
        simulation.run();
        // The pause of a nap that ended late is over after a few turns, and the next ones are as long as ever.
        let after = &simulation.naps[before..];
        let whole = after.iter().filter(|nap| nap.asked >= AUTO * 9 / 10).count();
        assert!(whole * 10 >= after.len() * 8 && whole > 150, "{lost:?}: {whole} of {}", after.len());
    }
}

#[test]
fn pauses_grow_while_naps_go_wrong_and_shrink_when_they_go_well() {
    let mut simulation = Simulation::moderated();
    for _ in 0..20 {
        simulation.moderator.pause(simulation.now);
    }
    assert_eq!(simulation.moderator.pause, LONGEST_PAUSE);
    simulation.now = simulation.now + LONGEST_PAUSE;
    simulation.arrive(us(5), ms(50));
    simulation.run();
    assert_eq!(simulation.moderator.pause, SHORTEST_PAUSE);
}

#[test]
fn a_machine_that_oversleeps_by_more_than_a_nap_is_left_alone() {
    let mut simulation = Simulation::new(AUTO, 100 * BUFFER, SIZE, us(300));
    simulation.arrive(us(5), ms(2000));
    simulation.run();
    assert!(simulation.naps.len() < 200, "{} naps", simulation.naps.len());
}

proptest! {
    #[test]
    fn no_nap_fills_more_than_its_part_of_the_buffer(
        gap_ns in 200_u64..20_000,
        buffer in 20_000_u64..10_000_000,
        size in 300_u64..2_000,
        late_us in 0_u64..60,
        longest_us in 20_u64..=500,
    ) {
        let longest = us(longest_us);
        let mut simulation = Simulation::new(longest, buffer, size, us(late_us));
        simulation.arrive(Duration::from_nanos(gap_ns.max(500)), ms(30));
        simulation.run();
        // What the first ones are held to is an estimate.
        for nap in simulation.naps.iter().skip(2) {
            prop_assert!(nap.asked <= longest && nap.asked >= LongestNap::LEAST, "{nap:?}");
            let rate = 1e9 / gap_ns.max(500) as f64 * size as f64;
            let filled = nap.asked.as_secs_f64() * rate;
            // A datagram more or less makes a rate, and what was seen fades.
            prop_assert!(filled <= buffer as f64 * FILLED * 1.25 + size as f64, "{nap:?} of {buffer} at {rate}");
        }
    }

    #[test]
    fn below_the_rate_no_nap_is_taken(gap_us in 27_u64..1000, buffer in 20_000_u64..10_000_000) {
        let mut simulation = Simulation::new(AUTO, buffer, SIZE, us(5));
        simulation.arrive(us(gap_us), us(gap_us) * 1000);
        simulation.run();
        prop_assert_eq!(simulation.naps.len(), 0);
    }
}
