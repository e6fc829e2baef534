//! What a behaviour is made of: bursts of equal packets, questions and the STOP.

use std::fmt;

use super::{Load, Mixed, Payload};
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
