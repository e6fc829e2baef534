//! Source checks: what decides by a packet's source before the filter that decides by its payload.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use thiserror::Error;

use weir_wire::chain::{self, Chain, MAX_CHECKS};

use crate::{Binding, Filter, FilterName, Parameter, UnknownName};

/// A filter that may stand before another one in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceCheck {
    /// Drops packets whose source is in a blocked prefix.
    Blocklist,
    /// Drops packets of a source that sends more than its quota.
    Quota,
}

impl SourceCheck {
    /// Every source check.
    pub const ALL: [Self; 2] = [Self::Blocklist, Self::Quota];

    /// The filter that it is when it stands alone: it accepts what it doesn't drop.
    pub const fn name(self) -> FilterName {
        match self {
            Self::Blocklist => FilterName::Blocklist,
            Self::Quota => FilterName::Quota,
        }
    }
}

impl FilterName {
    /// The source check that this filter is, if it is one.
    pub fn source_check(self) -> Option<SourceCheck> {
        SourceCheck::ALL.into_iter().find(|check| check.name() == self)
    }
}

/// The source checks before a filter, in order, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SourceChecks([Option<SourceCheck>; SourceCheck::ALL.len()]);

impl SourceChecks {
    /// None.
    pub const NONE: Self = Self([None; SourceCheck::ALL.len()]);

    /// In order.
    pub fn iter(self) -> impl Iterator<Item = SourceCheck> {
        self.0.into_iter().flatten()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// These with `check` behind the others, or nothing where it is there already.
    #[must_use]
    pub fn with(mut self, check: SourceCheck) -> Option<Self> {
        if self.0.contains(&Some(check)) {
            return None;
        }
        *self.0.iter_mut().find(|slot| slot.is_none())? = Some(check);
        Some(self)
    }
}

impl Filter {
    /// The same filter behind those source checks.
    #[must_use]
    pub const fn behind(self, checks: SourceChecks) -> Self {
        Self { checks, ..self }
    }

    /// The names of the chain's filters, in order; the last one decides.
    pub fn chain(&self) -> impl Iterator<Item = FilterName> {
        self.checks.iter().map(SourceCheck::name).chain([self.name])
    }

    /// Whether `name` is one of the chain's filters.
    pub fn has(&self, name: FilterName) -> bool {
        self.chain().any(|other| other == name)
    }

    /// The constant with which the object of all chains, compiled ahead of time, decides so.
    pub fn constant(&self) -> Chain {
        let mut checks = [chain::NONE; MAX_CHECKS];
        for (slot, check) in checks.iter_mut().zip(self.checks.iter().chain(self.name.source_check())) {
            *slot = check.name().number();
        }
        let last = match (self.name, self.binding, self.parameter) {
            (FilterName::Parameterized, Binding::Constant, Parameter::Accept) => FilterName::Simple,
            (FilterName::Parameterized, Binding::Constant, Parameter::Drop) => FilterName::Reject,
            // It has decided as a source check.
            (name, ..) if name.source_check().is_some() => FilterName::Simple,
            (name, ..) => name,
        };
        Chain { checks, last: last.number() }
    }

    /// Whether a decision can depend on the packet's source, on the time, or on packets before it.
    pub fn is_dynamic(&self) -> bool {
        self.chain().any(FilterName::is_dynamic)
    }
}

impl FilterName {
    /// By which it stands in a [`Chain`].
    const fn number(self) -> u32 {
        chain::number(self.as_str())
    }
}

/// Each has a number of its own.
const _: () = {
    let mut at = 0;
    while at < FilterName::ALL.len() {
        assert!(FilterName::ALL[at].number() != chain::NONE);
        let mut before = 0;
        while before < at {
            assert!(FilterName::ALL[before].number() != FilterName::ALL[at].number());
            before += 1;
        }
        at += 1;
    }
};

impl fmt::Display for Filter {
    /// The chain's names, joined by `+`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.chain().map(FilterName::as_str).collect();
        f.pad(&names.join("+"))
    }
}

impl FromStr for Filter {
    type Err = ChainError;

    /// Reads a chain such as `blocklist+quota+valid-command`; parameters are the default ones.
    fn from_str(text: &str) -> Result<Self, ChainError> {
        let (before, last) =
            text.rsplit_once('+').map_or((None, text), |(before, last)| (Some(before), last));
        let mut checks = SourceChecks::NONE;
        let name: FilterName = last.parse()?;
        for part in before.into_iter().flat_map(|before| before.split('+')) {
            let filter: FilterName = part.parse()?;
            let check = filter.source_check().ok_or(ChainError::NoSourceCheck(filter))?;
            checks = checks.with(check).ok_or(ChainError::Twice(filter))?;
        }
        if checks.iter().any(|check| check.name() == name) {
            return Err(ChainError::Twice(name));
        }
        Ok(Self::from(name).behind(checks))
    }
}

/// A text that is no chain of filters.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChainError {
    /// A part is no filter.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// A filter that stands before another one decides alone.
    #[error(
        "'{0}' is no source check: before another filter may stand blocklist and quota, such as blocklist+quota+valid-command"
    )]
    NoSourceCheck(FilterName),
    /// The same filter again.
    #[error("'{0}' stands in the chain twice; once is enough")]
    Twice(FilterName),
}

/// How many packets a source may send: a token bucket, told as the virtual scheduling algorithm (GCRA, ITU-T I.371)
/// wants it, so that all that is kept of a source is one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    rate: u32,
    burst: NonZeroU32,
}

impl Quota {
    /// The highest rate, packets/s: up to there a whole number of nanoseconds between two packets is off by 1 % at most.
    pub const MAX_RATE: u32 = 10_000_000;

    /// `rate` packets/s, and `burst` packets at once where a source has been silent.
    pub fn new(rate: u32, burst: NonZeroU32) -> Option<Self> {
        (1..=Self::MAX_RATE).contains(&rate).then_some(Self { rate, burst })
    }

    /// Packets/s.
    pub const fn rate(self) -> u32 {
        self.rate
    }

    /// Packets at once.
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// From one packet to the next at the rate.
    pub const fn interval(self) -> Duration {
        Duration::from_nanos(1_000_000_000 / self.rate as u64)
    }

    /// How much earlier than at the rate a packet may come.
    pub fn tolerance(self) -> Duration {
        self.interval() * (self.burst.get() - 1)
    }
}

impl Default for Quota {
    /// 1000 packets/s, 100 at once.
    fn default() -> Self {
        Self { rate: 1000, burst: const { NonZeroU32::new(100).expect("100 is not 0") } }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.rate, self.burst))
    }
}

/// A text that is no quota.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "'{0}' is no quota: RATE or RATE/BURST is wanted, such as 1000/50: packets/s from 1 to {max}, and packets at once, at \
     least 1",
    max = Quota::MAX_RATE
)]
pub struct NoQuota(String);

impl FromStr for Quota {
    type Err = NoQuota;

    /// Reads `RATE[/BURST]`; without a burst it is a tenth of a second's packets.
    fn from_str(text: &str) -> Result<Self, NoQuota> {
        let read = || {
            let (rate, burst) = match text.split_once('/') {
                Some((rate, burst)) => (rate.parse().ok()?, burst.parse().ok()?),
                None => {
                    let rate: u32 = text.parse().ok()?;
                    (rate, NonZeroU32::new((rate / 10).max(1))?)
                }
            };
            Self::new(rate, burst)
        };
        read().ok_or_else(|| NoQuota(text.to_owned()))
    }
}

crate::saved_as_text!(Quota);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_as_it_is_written() {
        for text in [
            "valid-command",
            "blocklist",
            "quota+valid-command",
            "blocklist+quota+known-key",
            "quota+blocklist+simple-socket-filter",
        ] {
            assert_eq!(text.parse::<Filter>().map(|filter| filter.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn the_constant_has_the_guards_in_their_order_and_the_last_filter() {
        let check = |text: &str, checks, last| {
            let filter: Filter = text.parse().expect(text);
            assert_eq!(filter.constant(), Chain { checks, last }, "{text}");
        };
        let [quota, blocklist, accept] = ["quota", "blocklist", "simple-socket-filter"].map(chain::number);
        check("quota+blocklist+valid-command", [quota, blocklist], chain::number("valid-command"));
        check("blocklist+quota", [blocklist, quota], accept);
        check("quota", [quota, 0], accept);
        check("known-key", [0, 0], chain::number("known-key"));
    }

    #[test]
    fn what_is_no_chain_says_why() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<Filter>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "unknown filter ''");
        check("blocklist+", "unknown filter ''");
        check("+valid-command", "unknown filter ''");
        check("valid-command+quota", "'valid-command' is no source check");
        check("quota+quota+valid-command", "'quota' stands in the chain twice");
        check("blocklist+quota+blocklist", "'blocklist' stands in the chain twice");
        check("odd-length", "there are: simple-socket-filter, ");
    }

    #[test]
    fn a_quota_is_read_with_and_without_its_burst() {
        let check = |text: &str, expected| {
            let quota = text.parse::<Quota>().ok().map(|quota| (quota.rate(), quota.burst()));
            assert_eq!(quota, expected, "{text}");
        };
        check("1000/50", Some((1000, 50)));
        check("1000", Some((1000, 100)));
        check("5", Some((5, 1)));
        check("10000000", Some((10_000_000, 1_000_000)));
        check("10000001", None);
        check("0", None);
        check("5/0", None);
        check("-5/1", None);
        check("5/", None);
        check("/5", None);
        check("fast", None);
    }

    #[test]
    fn the_largest_quota_stays_within_a_signed_word_of_nanoseconds() {
        let largest = Quota::new(1, NonZeroU32::MAX).expect("a quota");
        let far = largest.tolerance() + 2 * largest.interval();
        assert!(far.as_nanos() < i64::MAX as u128, "{far:?}");
    }
}
