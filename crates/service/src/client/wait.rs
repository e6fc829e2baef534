//! Waiting for a moment: asleep while it is far, awake when it is near.

use std::{thread, time::Duration};

use super::Halt;
use crate::{Moment, monotonic_now};

/// A sleep ends late by the time of a wake-up, some tens of microseconds and more in a virtual machine. The last
/// stretch before a moment is therefore spent awake: below some 5000 moments a second a sender sleeps between them and
/// costs next to nothing, above it uses its CPU whole.
const AWAKE: Duration = Duration::from_micros(200);

/// Longest sleep between two looks whether to halt.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Returns the first time read that is not before `due`, or nothing as soon as `halt` is asked.
///
/// `pass` is what to do between two looks at the clock: it sleeps for the time that it is given or less, not at all for
/// zero. Awake, the thread offers its CPU to others (sched_yield(2)): a server that shares it must not wait for a sender
/// that spins.
pub(super) fn until(due: Moment, halt: &Halt, mut pass: impl FnMut(Duration)) -> Option<Moment> {
    loop {
        if halt.is_asked() {
            return None;
        }
        let now = monotonic_now();
        if now >= due {
            return Some(now);
        }
        let ahead = due.since(now);
        if ahead > AWAKE {
            pass((ahead - AWAKE).min(LOOK_EVERY));
        } else {
            pass(Duration::ZERO);
            thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_ends_before_its_moment() {
        for ahead in [0, 50, 500, 2000].map(Duration::from_micros) {
            let due = monotonic_now() + ahead;
            assert!(until(due, &Halt::default(), thread::sleep) >= Some(due), "{ahead:?}");
        }
    }

    #[test]
    fn a_moment_that_has_passed_is_not_waited_for() {
        let now = monotonic_now();
        assert!(until(now, &Halt::default(), |time| panic!("passed {time:?}")) >= Some(now));
    }

    #[test]
    fn a_halt_ends_a_wait() {
        let halt = Halt::default();
        let far = monotonic_now() + Duration::from_secs(3600);
        let mut passed = 0;
        let ended = until(far, &halt, |_| {
            passed += 1;
            if passed == 3 {
                halt.ask();
            }
        });
        assert_eq!((ended, passed), (None, 3));
    }
}
