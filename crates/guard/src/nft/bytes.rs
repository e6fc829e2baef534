//! Bytes of a datagram as nft reads them, and matches of the number that they are.

use super::{Reason, values::Values};

/// Up to eight bytes from the UDP header on, as a number: `(bytes & mask) >> shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bytes {
    /// Offset of the first one from the UDP header's.
    at: u8,
    /// How many.
    width: u8,
    is_little: bool,
    mask: u64,
    shift: u32,
}

/// Numbers whose least significant byte comes first are listed one by one, up to so many.
const MOST_LISTED: u64 = 256;

impl Bytes {
    /// Bytes of UDP's header (RFC 768).
    pub(super) const HEADER: u64 = 8;
    /// nft reads constants of up to 64 bits as numbers; longer ones depend on its version.
    pub(super) const MOST_WIDTH: usize = 8;
    pub(super) const SOURCE_PORT: Self = Self { at: 0, width: 2, is_little: false, mask: 0xffff, shift: 0 };
    /// UDP's length field, which counts the header too.
    pub(super) const LENGTH: Self = Self { at: 4, ..Self::SOURCE_PORT };
    /// The highest offset that every kernel reads at, in bytes from the UDP header's first: older ones have 8 bits for it
    /// (`nft_payload_select_ops`, net/netfilter/nft_payload.c).
    pub(super) const MOST_OFFSET: u64 = 255;

    /// Some of the payload's, or nothing where they are too far behind.
    pub(super) fn of_payload(at: u64, width: u64, is_little: bool) -> Option<Self> {
        let at = u8::try_from(at.checked_add(Self::HEADER)?).ok()?;
        let width = u8::try_from(width).ok().filter(|width| (1..=8).contains(width))?;
        Some(Self { at, width, is_little, mask: whole(width), shift: 0 })
    }

    /// `number & mask`.
    pub(super) const fn masked(self, mask: u64) -> Self {
        Self { mask: self.mask & (mask << self.shift), ..self }
    }

    /// `number >> bits`.
    pub(super) fn shifted(self, bits: u64) -> Self {
        match u32::try_from(bits).ok().and_then(|bits| self.shift.checked_add(bits)) {
            Some(shift @ 0..=63) => Self { mask: self.mask & (u64::MAX << shift), shift, ..self },
            _ => Self { mask: 0, ..self },
        }
    }

    /// The highest number that they may be.
    pub(super) const fn most(self) -> u64 {
        self.mask >> self.shift
    }

    /// The match of datagrams in which they are one of these numbers; nothing where it would be every datagram that has them.
    pub(super) fn matching(self, values: &Values) -> Result<Option<String>, Reason> {
        let all = Values::between(0, self.most());
        if *values == all {
            return Ok(None);
        }
        let others = all.intersection(&values.complement());
        let compared = if self.is_little && self.width > 1 {
            self.listed(values, &others)?
        } else {
            self.compared(values.ranges(), others.ranges())
        };
        Ok(Some(format!("{} {compared}", self.name())))
    }

    fn compared(self, values: &[(u64, u64)], others: &[(u64, u64)]) -> String {
        let equal = self.equal();
        match (values, others) {
            (&[(low, high)], _) if low == high => format!("{equal}{}", self.constant(low)),
            (_, &[(low, high)]) if low == high => format!("!= {}", self.constant(low)),
            (&[(0, high)], _) => format!("<= {}", self.constant(high)),
            (&[(low, high)], _) if high == self.most() => format!(">= {}", self.constant(low)),
            _ if others.len() < values.len() => format!("!= {}", self.list(others)),
            _ => format!("{equal}{}", self.list(values)),
        }
    }

    fn listed(self, values: &Values, others: &Values) -> Result<String, Reason> {
        let equal = self.equal();
        let list = |points: &[u64]| {
            self.list(&points.iter().map(|&point| (point, point)).collect::<Vec<(u64, u64)>>())
        };
        match (&values.points(MOST_LISTED), &others.points(MOST_LISTED)) {
            (Some(points), Some(others)) if others.len() < points.len() => Ok(format!("!= {}", list(others))),
            (Some(points), _) => Ok(format!("{equal}{}", list(points))),
            (None, Some(others)) => Ok(format!("!= {}", list(others))),
            (None, None) => Err(Reason::Order),
        }
    }

    /// `==` may be left out, but reads better behind a mask.
    fn equal(self) -> &'static str {
        if self.is_masked() { "== " } else { "" }
    }

    fn list(self, ranges: &[(u64, u64)]) -> String {
        let one = |&(low, high): &(u64, u64)| {
            if low == high {
                self.constant(low)
            } else {
                format!("{}-{}", self.constant(low), self.constant(high))
            }
        };
        match ranges {
            [range] => one(range),
            _ => format!("{{ {} }}", ranges.iter().map(one).collect::<Vec<_>>().join(", ")),
        }
    }

    fn name(self) -> String {
        let name = match (self.at, self.width) {
            (0, 2) => "udp sport".to_owned(),
            (4, 2) => "udp length".to_owned(),
            (at, width) => format!("@th,{},{}", 8 * u32::from(at), 8 * u32::from(width)),
        };
        if self.is_masked() { format!("{name} & {}", self.hex(self.mask)) } else { name }
    }

    fn constant(self, number: u64) -> String {
        let bits = number << self.shift;
        let is_of_header = u64::from(self.at) < Self::HEADER;
        if is_of_header && !self.is_masked() { bits.to_string() } else { self.hex(bits) }
    }

    /// Bits in the order of the bytes.
    fn hex(self, bits: u64) -> String {
        let unused = 64 - 8 * u32::from(self.width);
        let bits = if self.is_little { bits.swap_bytes() >> unused } else { bits };
        format!("0x{bits:0digits$x}", digits = 2 * usize::from(self.width))
    }

    fn is_masked(self) -> bool {
        self.mask != whole(self.width)
    }
}

/// All bits of so many bytes, 1 to 8.
fn whole(width: u8) -> u64 {
    u64::MAX >> (64 - 8 * u32::from(width))
}
