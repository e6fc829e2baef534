//! How many packets a behaviour sends, and what share of them is invalid.

use std::{fmt, str::FromStr};

use super::step::Payload;

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
        (total as u128 * self.0 as u128 / 100) as u64
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

/// How many packets, how many of them invalid, and how large those are. Read by the behaviours that take numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Valid and invalid packets together.
    pub packets: u64,
    /// Share of invalid ones.
    pub invalid_share: Percent,
    /// Payload length of invalid packets; the behaviour's own where nothing is said.
    pub invalid_size: Option<InvalidSize>,
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

    /// `payload`, with the size asked for where it is a BAD.
    pub(super) const fn sized(&self, payload: Payload) -> Payload {
        match (payload, self.invalid_size) {
            (Payload::Bad { .. }, Some(InvalidSize(len))) => Payload::Bad { len },
            _ => payload,
        }
    }
}
