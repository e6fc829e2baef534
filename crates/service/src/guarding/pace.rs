//! When a service is looked for again.

use std::time::{Duration, Instant};

/// How long it is until the next look, where nothing is said before: the kernel tells when a socket is closed, and not when one is
/// opened.
#[derive(Debug)]
pub(super) struct LookPace {
    step: Duration,
    hurried_until: Instant,
}

/// The first step behind a loss or a find; each is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(1);
/// The longest of them: what is started again goes unguarded for hardly longer.
const LONGEST: Duration = Duration::from_millis(50);
/// How often it is looked where nothing is expected.
pub(super) const CALM: Duration = Duration::from_secs(1);
/// How long a service that is gone is expected back.
const LOST: Duration = Duration::from_secs(60);
/// How long more is expected of one that opened a socket.
const FOUND: Duration = Duration::from_secs(1);

impl LookPace {
    pub(super) fn new(now: Instant) -> Self {
        Self { step: CALM, hurried_until: now }
    }

    /// Something of it is gone.
    pub(super) fn lost(&mut self, now: Instant) {
        self.hurry(now + LOST);
    }

    /// Something of it has come.
    pub(super) fn found(&mut self, now: Instant) {
        self.hurry(now + FOUND);
    }

    fn hurry(&mut self, until: Instant) {
        *self = Self { step: FIRST, hurried_until: until };
    }

    /// The time to the look after the one at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Duration {
        if now >= self.hurried_until {
            return CALM;
        }
        let step = self.step;
        self.step = (2 * step).min(LONGEST);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_looked_for_in_rising_steps_and_then_each_second() {
        let mut now = Instant::now();
        let begun = now;
        let mut pace = LookPace::new(now);
        assert_eq!(pace.next(now), CALM);
        pace.lost(now);
        let mut steps = Vec::new();
        while now < begun + LOST {
            steps.push(pace.next(now));
            now += *steps.last().expect("one was pushed");
        }
        assert_eq!(
            steps[..8].iter().map(Duration::as_millis).collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 32, 50, 50]
        );
        assert!(steps.is_sorted() && steps.len() > 1000);
        assert_eq!(pace.next(now), CALM);
        // Others of its sockets may follow, for less long.
        pace.found(now);
        assert_eq!([pace.next(now), pace.next(now + FOUND)], [FIRST, CALM]);
    }
}
