//! What a packet of a behaviour holds, and how it counts.

use std::fmt;

use weir_wire::Request;

/// What a burst sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A valid PUT.
    Put {
        /// The key.
        key: u32,
        /// What is added to its count.
        value: i64,
    },
    /// A valid DELETE.
    Delete {
        /// The key.
        key: u32,
    },
    /// `BAD` and as many `0x42` as make it `len` bytes long, 1 or more; a shorter one is cut from `BAD`.
    Bad {
        /// Length of the whole payload, bytes.
        len: usize,
    },
    /// `DELELULU` and a key: no command, though its first four bytes are DELETE's.
    Delelulu {
        /// The key, little-endian.
        key: u32,
    },
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { key, value } => write!(f, "PUT {key} {value}"),
            Self::Delete { key } => write!(f, "DELETE {key}"),
            Self::Bad { len } => write!(f, "BAD of {len} bytes"),
            Self::Delelulu { key } => write!(f, "DELELULU {key}"),
        }
    }
}

/// How a payload counts among the packets sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PayloadKind {
    Put,
    Get,
    Delete,
    Stop,
    Invalid,
}

impl Payload {
    /// What a valid packet of a workload is that is no GET: each adds 1 to the count that the final GET asks for.
    pub const VALID: Self = Self::Put { key: 10, value: 1 };

    /// The payload that the report writes BAD n: `BAD` and n times `0x42`.
    pub const fn bad(n: usize) -> Self {
        Self::Bad { len: BAD.len() + n }
    }

    /// The bytes of the datagram.
    pub fn bytes(&self) -> Vec<u8> {
        match *self {
            Self::Put { key, value } => Request::Put { key, value }.to_bytes().to_vec(),
            Self::Delete { key } => Request::Delete { key }.to_bytes().to_vec(),
            Self::Bad { len } => BAD.iter().copied().chain(std::iter::repeat(FILLER)).take(len).collect(),
            Self::Delelulu { key } => [b"DELELULU", &key.to_le_bytes()[..]].concat(),
        }
    }

    pub(super) const fn kind(&self) -> PayloadKind {
        match self {
            Self::Put { .. } => PayloadKind::Put,
            Self::Delete { .. } => PayloadKind::Delete,
            Self::Bad { .. } | Self::Delelulu { .. } => PayloadKind::Invalid,
        }
    }
}

const BAD: &[u8] = b"BAD";
const FILLER: u8 = 0x42;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: Payload, expected: &[u8]) {
        assert_eq!(payload.bytes(), expected, "{payload:?}");
    }

    #[test]
    fn payloads_have_the_bytes_of_the_protocol() {
        check(Payload::Put { key: 10, value: -5 }, b"PUT\x0a\0\0\0\xfb\xff\xff\xff\xff\xff\xff\xff");
        check(Payload::Delete { key: 0x4142_4344 }, b"DELETEDCBA");
        check(Payload::Delelulu { key: 10 }, b"DELELULU\x0a\0\0\0");
        check(Payload::bad(0), b"BAD");
        check(Payload::bad(3), b"BADBBB");
    }

    #[test]
    fn a_size_cuts_or_fills_the_bad_payload() {
        check(Payload::Bad { len: 1 }, b"B");
        check(Payload::Bad { len: 2 }, b"BA");
        check(Payload::Bad { len: 5 }, b"BADBB");
        assert_eq!(Payload::Bad { len: 65507 }.bytes().len(), 65507);
    }

    #[test]
    fn bad_256_is_259_bytes_long() {
        assert_eq!(Payload::bad(256).bytes().len(), 259);
    }

    #[test]
    fn what_counts_as_invalid_is_no_request_at_any_size() {
        for payload in (1..=64).map(|len| Payload::Bad { len }).chain([Payload::Delelulu { key: 10 }]) {
            assert_eq!(payload.kind(), PayloadKind::Invalid);
            assert!(Request::parse(&payload.bytes()).is_err(), "{payload:?}");
        }
    }
}
