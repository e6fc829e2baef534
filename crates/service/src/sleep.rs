//! Sleeping punctually.

use std::marker::PhantomData;

use nix::sys::prctl;

/// The calling thread's sleeps end as punctually as the kernel's timers allow, until this is dropped
/// (PR_SET_TIMERSLACK(2const): 50 µs of slack unless set otherwise).
#[derive(Debug)]
pub(crate) struct PunctualSleep {
    slack_before: Option<u64>,
    /// The slack is a thread's: it is put back by the thread that changed it.
    _of_this_thread: PhantomData<*const ()>,
}

impl PunctualSleep {
    /// Where the kernel doesn't let it, sleeps stay as they are: who sleeps measures how late they end.
    pub(crate) fn new() -> Self {
        let before = prctl::get_timerslack().ok().and_then(|ns| u64::try_from(ns).ok());
        let slack_before = before.filter(|_| prctl::set_timerslack(1).is_ok());
        Self { slack_before, _of_this_thread: PhantomData }
    }
}

impl Drop for PunctualSleep {
    fn drop(&mut self) {
        if let Some(ns) = self.slack_before {
            // Nothing depends on it any more; the thread's next sleeps are only more punctual than they need be.
            let _ = prctl::set_timerslack(ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slack_of_sleeps_is_put_back() {
        let before = prctl::get_timerslack().unwrap();
        let punctual = PunctualSleep::new();
        assert_eq!(prctl::get_timerslack(), Ok(1));
        drop(punctual);
        assert_eq!(prctl::get_timerslack(), Ok(before));
    }
}
