//! What a datagram is, and what became of it.

use weir_wire::{MAX_REQUEST_LEN, Request};

use crate::bag::PutError;

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// A PUT, served.
    Put,
    /// A GET, and the count to reply with where the key is present.
    Get(Option<i64>),
    /// A DELETE, served.
    Delete,
    /// A STOP to be obeyed.
    Stop,
    /// A STOP that the policy forbids.
    StopRefused,
    /// No request.
    Invalid,
    /// Dropped by the filter.
    Filtered,
    /// A PUT that the bag refused.
    Refused(PutError),
}

/// The request that a datagram of `len` bytes is; none when it is longer than the bytes that were kept of it.
pub(super) fn parse(at_hand: &[u8], len: usize) -> Option<Request> {
    if len > MAX_REQUEST_LEN { None } else { Request::parse(&at_hand[..len]).ok() }
}
