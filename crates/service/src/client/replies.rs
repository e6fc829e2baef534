//! GETs within a load: which reply belongs to which question, and how long it took from the moment it was due.
//!
//! A reply is a bare count, so every question that is open asks for a key of its own whose count says which key it is.
//! The keys are prepared before the load begins.

use std::{
    collections::VecDeque,
    ops::{AddAssign, Range},
    time::Duration,
};

use hdrhistogram::Histogram;
use weir_records::nanoseconds;

use super::ask::parse_count;
use crate::{Latencies, Moment, ReplyLedger};

/// The keys of one socket, told from those of other sockets of the machine by the socket's port.
///
/// The lowest byte, which comes first on the wire, is never an ASCII letter, so that servers which take the leading run
/// of letters as the command read it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketKeys {
    pub(super) port: u16,
    /// Keys for timed questions. One more is for those that find none free.
    pub(super) slots: u16,
}

/// Most questions of a socket that are open at once and timed.
pub(super) const MAX_SLOTS: u16 = 4096;

/// The bit that keeps a key's lowest byte apart from letters.
const NO_LETTER: u32 = 0x80;

impl SocketKeys {
    /// Key of slot `slot`. Its count is the key itself.
    pub(super) const fn key(self, slot: u16) -> u32 {
        let (high, low) = ((slot >> 7) as u32, (slot & 0x7f) as u32);
        (self.port as u32) << 16 | high << 8 | NO_LETTER | low
    }

    /// The slot whose key's count is `count`.
    fn slot_of(self, count: i64) -> Option<u16> {
        let key = u32::try_from(count).ok()?;
        let slot = ((key >> 8 & 0xff) << 7 | key & 0x7f) as u16;
        (slot <= self.slots && self.key(slot) == key).then_some(slot)
    }

    /// All keys, the one for untimed questions included.
    pub(super) fn all(self) -> impl Iterator<Item = u32> {
        let slots: Range<u16> = 0..self.slots + 1;
        slots.map(move |slot| self.key(slot))
    }
}

/// The open questions of one socket.
pub(super) struct Questions {
    pub(super) keys: SocketKeys,
    patience: Duration,
    slots: Vec<OpenQuestion>,
    /// Slots without an open question, the one that was freed first in front: a key rests as long as it can before it
    /// is asked for again.
    free: VecDeque<u16>,
    /// Questions in the order in which they were asked, answered ones among them until they come to the front.
    asked: VecDeque<(u16, Moment)>,
    open_untimed: u64,
    tally: ReplyTally,
}

#[derive(Clone, Copy, Debug, Default)]
struct OpenQuestion {
    /// When the open question was due.
    open: Option<Moment>,
    was_asked: bool,
}

/// Counts of a [`ReplyLedger`] while they grow.
pub(super) struct ReplyTally {
    ledger: ReplyLedger,
    latency: Histogram<u64>,
}

impl Questions {
    /// No questions yet. After `patience` an open one may be given up.
    pub(super) fn new(keys: SocketKeys, patience: Duration) -> Self {
        Self {
            keys,
            patience,
            slots: vec![OpenQuestion::default(); usize::from(keys.slots)],
            free: (0..keys.slots).collect(),
            asked: VecDeque::new(),
            open_untimed: 0,
            tally: ReplyTally {
                ledger: ReplyLedger { late_after_ns: patience.as_nanos() as u64, ..ReplyLedger::default() },
                latency: nanoseconds(),
            },
        }
    }

    /// The key to ask for in a question that is due at `due`.
    pub(super) fn ask(&mut self, due: Moment, now: Moment) -> u32 {
        self.tally.ledger.sent += 1;
        let Some(slot) = self.free_slot(now) else {
            self.tally.ledger.untimed += 1;
            self.open_untimed += 1;
            return self.keys.key(self.keys.slots);
        };
        self.slots[usize::from(slot)] = OpenQuestion { open: Some(due), was_asked: true };
        self.asked.push_back((slot, due));
        self.keys.key(slot)
    }

    /// The question for `key`, the last one asked, never left.
    pub(super) fn take_back(&mut self, key: u32) {
        self.tally.ledger.sent -= 1;
        match self.keys.slot_of(key.into()).filter(|&slot| slot < self.keys.slots) {
            Some(slot) => {
                self.slots[usize::from(slot)].open = None;
                self.asked.pop_back();
                self.free.push_back(slot);
            }
            None => {
                self.tally.ledger.untimed -= 1;
                self.open_untimed -= 1;
            }
        }
    }

    /// A datagram has come.
    pub(super) fn hear(&mut self, datagram: &[u8], now: Moment) {
        let ledger = &mut self.tally.ledger;
        let Some(slot) = parse_count(datagram).and_then(|count| self.keys.slot_of(count)) else {
            ledger.unexpected += 1;
            return;
        };
        let Some(state) = self.slots.get_mut(usize::from(slot)) else {
            if self.open_untimed > 0 {
                self.open_untimed -= 1;
                ledger.answered += 1;
                ledger.untimed_answered += 1;
            } else {
                ledger.duplicates += 1;
            }
            return;
        };
        match state.open.take() {
            Some(due) => {
                let took = now.since(due);
                ledger.answered += 1;
                ledger.late += u64::from(took > self.patience);
                self.tally.latency.saturating_record(took.as_nanos() as u64);
                self.free.push_back(slot);
            }
            None if state.was_asked => ledger.duplicates += 1,
            None => ledger.unexpected += 1,
        }
    }

    /// Whether a reply may still come.
    pub(super) fn is_open(&self) -> bool {
        self.tally.ledger.sent > self.tally.ledger.answered
    }

    /// What became of all questions, once nothing more is heard.
    pub(super) fn finish(self) -> ReplyTally {
        self.tally
    }

    /// A slot that was answered, or else the one that has waited longest if that is longer than patience lasts.
    fn free_slot(&mut self, now: Moment) -> Option<u16> {
        while let Some(&(slot, due)) = self.asked.front() {
            if self.slots[usize::from(slot)].open == Some(due) {
                break;
            }
            self.asked.pop_front();
        }
        self.free.pop_front().or_else(|| {
            let (slot, _) = self.asked.pop_front_if(|(_, due)| now.since(*due) > self.patience)?;
            Some(slot)
        })
    }
}

impl ReplyTally {
    pub(super) fn ledger(self) -> ReplyLedger {
        let unanswered = self.ledger.sent - self.ledger.answered;
        ReplyLedger { unanswered, latency: Latencies::of(&self.latency), ..self.ledger }
    }
}

impl AddAssign for ReplyTally {
    fn add_assign(&mut self, other: Self) {
        let (sum, more) = (&mut self.ledger, other.ledger);
        sum.sent += more.sent;
        sum.answered += more.answered;
        sum.late += more.late;
        sum.untimed += more.untimed;
        sum.untimed_answered += more.untimed_answered;
        sum.duplicates += more.duplicates;
        sum.unexpected += more.unexpected;
        self.latency.add(other.latency).expect("all have the same bounds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(500);

    fn ms(ms: u64) -> Moment {
        Moment { ns: ms * 1_000_000 }
    }

    fn questions(slots: u16) -> Questions {
        Questions::new(SocketKeys { port: 40_000, slots }, PATIENCE)
    }

    fn text(count: u32) -> Vec<u8> {
        count.to_string().into_bytes()
    }

    #[test]
    fn every_key_names_its_slot_and_begins_with_no_letter() {
        let keys = SocketKeys { port: u16::MAX, slots: MAX_SLOTS };
        let all: Vec<_> = keys.all().collect();
        assert_eq!(all.len(), usize::from(MAX_SLOTS) + 1);
        for (slot, key) in (0..).zip(all) {
            assert_eq!(keys.slot_of(key.into()), Some(slot));
            assert!(!key.to_le_bytes()[0].is_ascii_alphabetic());
            assert_ne!(key, 10);
        }
        assert_eq!(keys.slot_of(10), None);
        assert_eq!(keys.slot_of(-1), None);
        assert_eq!(SocketKeys { port: 1, ..keys }.slot_of(keys.key(0).into()), None);
    }

    #[test]
    fn replies_are_timed_from_the_moment_that_the_question_was_due() {
        let mut questions = questions(4);
        let first = questions.ask(ms(10), ms(30));
        let second = questions.ask(ms(20), ms(30));
        questions.hear(&text(second), ms(40));
        questions.hear(&text(first), ms(610));
        let ledger = questions.finish().ledger();
        assert_eq!((ledger.sent, ledger.answered, ledger.unanswered, ledger.late), (2, 2, 0, 1));
        let latency = ledger.latency.unwrap();
        let histogram = latency.histogram().unwrap();
        assert_eq!(latency.count, 2);
        assert_eq!((histogram.count_at(20_000_000), histogram.count_at(600_000_000)), (1, 1));
    }

    #[test]
    fn what_is_heard_twice_or_was_never_asked_answers_nothing() {
        let mut questions = questions(4);
        let key = questions.ask(ms(0), ms(0));
        for datagram in [text(key), text(key), text(key + 1), text(10), b"".to_vec(), b"seven".to_vec()] {
            questions.hear(&datagram, ms(1));
        }
        let ledger = questions.finish().ledger();
        assert_eq!((ledger.answered, ledger.duplicates, ledger.unexpected), (1, 1, 4));
    }

    #[test]
    fn a_question_without_a_free_key_is_sent_and_counted_untimed() {
        let mut questions = questions(2);
        let keys: Vec<_> = (0..4).map(|_| questions.ask(ms(0), ms(0))).collect();
        assert_eq!(keys[2], keys[3]);
        questions.hear(&text(keys[2]), ms(1));
        questions.hear(&text(keys[0]), ms(1));
        assert!(questions.is_open());
        let ledger = questions.finish().ledger();
        assert_eq!((ledger.sent, ledger.untimed, ledger.untimed_answered), (4, 2, 1));
        assert_eq!((ledger.answered, ledger.unanswered, ledger.latency.unwrap().count), (2, 2, 1));
    }

    #[test]
    fn a_key_comes_free_by_its_reply_or_when_patience_ends() {
        let mut questions = questions(2);
        let (first, second) = (questions.ask(ms(0), ms(0)), questions.ask(ms(1), ms(1)));
        questions.hear(&text(second), ms(2));
        assert_eq!(questions.ask(ms(3), ms(3)), second);
        assert_eq!(questions.ask(ms(501), ms(501)), first);
        let ledger = questions.finish().ledger();
        assert_eq!((ledger.sent, ledger.answered, ledger.unanswered, ledger.untimed), (4, 1, 3, 0));
    }

    #[test]
    fn a_question_that_never_left_is_none() {
        let mut questions = questions(1);
        for _ in 0..3 {
            let key = questions.ask(ms(0), ms(0));
            questions.take_back(key);
        }
        let kept = questions.ask(ms(0), ms(0));
        let untimed = questions.ask(ms(0), ms(0));
        questions.take_back(untimed);
        questions.hear(&text(kept), ms(1));
        let ledger = questions.finish().ledger();
        assert_eq!((ledger.sent, ledger.answered, ledger.untimed), (1, 1, 0));
    }
}
