//! What a behaviour is made of: bursts of equal packets, questions and the STOP.

use std::fmt;

use weir_wire::Request;

use super::{Load, Mixed};
use crate::Mix;

/// One step of a behaviour. A burst is a count, not a list, so a step is small whatever it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send one payload a number of times.
    Burst {
        /// What is sent.
        payload: Payload,
        /// How often.
        count: u64,
    },
    /// Send valid and invalid packets in an order of their own.
    Mixed(Mixed),
    /// Send a load, from as many sockets and threads as the client has.
    Load(Load),
    /// Ask for a key's count, and wait for the reply.
    Get {
        /// The key.
        key: u32,
        /// What is to come back.
        awaited: Awaited,
    },
    /// Ask the server to end.
    Stop,
}

/// What a GET is to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A reply: asked for again and again, and missing where none comes.
    Reply,
    /// Nothing: asked for once, with a short wait.
    Silence,
    /// A reply where the key is present. Silence may be a loss or an absent key, which nobody can tell apart: it is asked for
    /// again as if a reply were needed, and not missing where none comes.
    Either,
}

impl Step {
    /// Datagrams that the step sends at most, a GET's retries not counted.
    pub const fn packets(&self) -> u64 {
        match self {
            Self::Burst { count, .. } => *count,
            Self::Mixed(mixed) => mixed.packets(),
            Self::Load(load) => load.packets,
            Self::Get { .. } | Self::Stop => 1,
        }
    }
}

impl Step {
    /// The order of its valid and invalid packets, where it has both.
    pub const fn mix(&self) -> Option<Mix> {
        match self {
            Self::Mixed(mixed) => Some(mixed.mix),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Burst { payload, count: 1 } => write!(f, "{payload}"),
            Self::Burst { payload, count } => write!(f, "{count} × {payload}"),
            Self::Mixed(mixed) => write!(f, "{mixed}"),
            Self::Load(Load { packets, duration, invalid_share, invalid, get_share }) => {
                match packets {
                    &u64::MAX => write!(f, "load")?,
                    packets => write!(f, "load of {packets} packets")?,
                }
                duration.map_or(Ok(()), |time| write!(f, " for at most {time:?}"))?;
                write!(f, ", {invalid_share} % of them {invalid}, {get_share} % of the others GETs")
            }
            Self::Get { key, awaited: Awaited::Reply } => write!(f, "GET {key}"),
            Self::Get { key, awaited: Awaited::Silence | Awaited::Either } => {
                write!(f, "GET {key}, which may stay without a reply")
            }
            Self::Stop => write!(f, "STOP"),
        }
    }
}

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
    fn steps_read_as_the_server_tells_of_them() {
        let check = |step: Step, expected: &str| assert_eq!(step.to_string(), expected);
        check(Step::Burst { payload: Payload::Put { key: 10, value: -5 }, count: 1 }, "PUT 10 -5");
        check(Step::Burst { payload: Payload::bad(1024), count: 1_000_000 }, "1000000 × BAD of 1027 bytes");
        check(Step::Get { key: 10, awaited: Awaited::Reply }, "GET 10");
        check(Step::Stop, "STOP");
        let percent = |text: &str| text.parse().expect("a share");
        let (invalid_share, get_share) = (percent("75"), percent("10"));
        let load = Load { packets: 5, duration: None, invalid_share, invalid: Payload::bad(0), get_share };
        check(Step::Load(load), "load of 5 packets, 75 % of them BAD of 3 bytes, 10 % of the others GETs");
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
