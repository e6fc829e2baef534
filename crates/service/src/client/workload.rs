//! How many packets a behaviour sends, and what shares of them are what.

use std::{fmt, str::FromStr, time::Duration};

use super::payload::Payload;
use crate::Mix;

/// Most payload bytes of a UDP datagram over IPv4.
pub const MAX_PAYLOAD_LEN: usize = 65_507;

/// A whole share of a hundred, 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// `value` percent, or nothing above 100.
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 100 { Some(Self(value)) } else { None }
    }

    /// The number, 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// That share of `total`, rounded down.
    pub const fn of(self, total: u64) -> u64 {
        let share = self.0 as u64;
        total / 100 * share + total % 100 * share / 100
    }

    /// Whether thing `index` of a sequence, counted from 0, belongs to the share when the share is spread as evenly as
    /// it goes: of the first n things exactly [`Self::of`] n do, and of any n in a row one more or less at most.
    pub const fn falls_on(self, index: u64) -> bool {
        self.of(index + 1) > self.of(index)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| format!("'{text}' is no share; it takes a whole number from 0 to 100"))
    }
}

/// Payload length of every BAD packet, bytes: from 1 to what UDP carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSize(usize);

impl InvalidSize {
    /// `bytes`, or nothing where no datagram has that length.
    pub const fn new(bytes: usize) -> Option<Self> {
        if bytes >= 1 && bytes <= MAX_PAYLOAD_LEN { Some(Self(bytes)) } else { None }
    }
}

impl FromStr for InvalidSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().ok().and_then(Self::new).ok_or_else(|| {
            format!("'{text}' is no payload length; it takes a number of bytes from 1 to {MAX_PAYLOAD_LEN}")
        })
    }
}

/// How much a behaviour sends, and of what. Read by the behaviours that take numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Valid and invalid packets together, at most.
    pub packets: u64,
    /// How long they are sent at most; no behaviour but `load` ends by the clock.
    pub duration: Option<Duration>,
    /// Share of invalid ones.
    pub invalid_share: Percent,
    /// The order of valid and invalid packets; the behaviour's own where nothing is said, and always of `load`.
    pub mix: Option<Mix>,
    /// Payload length of invalid packets; the behaviour's own where nothing is said.
    pub invalid_size: Option<InvalidSize>,
    /// Share of GETs among the valid ones of `load`.
    pub get_share: Percent,
}

impl Workload {
    /// Invalid packets: the share, rounded down.
    pub const fn invalid(&self) -> u64 {
        self.invalid_share.of(self.packets)
    }

    /// Valid packets: the rest.
    pub const fn valid(&self) -> u64 {
        self.packets - self.invalid()
    }

    /// Valid packets that are no GETs.
    pub const fn puts(&self) -> u64 {
        self.valid() - self.get_share.of(self.valid())
    }

    /// `payload`, with the size asked for where it is a BAD.
    pub(super) const fn sized(&self, payload: Payload) -> Payload {
        match (payload, self.invalid_size) {
            (Payload::Bad { .. }, Some(InvalidSize(len))) => Payload::Bad { len },
            _ => payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_share_is_the_whole_part_of_the_product(share in 0..=100_u8, total: u64) {
            let expected = u128::from(total) * u128::from(share) / 100;
            prop_assert_eq!(u128::from(Percent(share).of(total)), expected);
        }

        #[test]
        fn a_share_falls_evenly(share in 0..=100_u8, start in 0..u64::MAX / 2, len in 0..1000_u64) {
            let in_window = (start..start + len).filter(|&index| Percent(share).falls_on(index)).count() as u64;
            prop_assert!(in_window.abs_diff(Percent(share).of(len)) <= 1, "{in_window}");
        }
    }
}
