//! A guard's service as an nftables ruleset: [`Service::decide`](crate::meaning::Service::decide) in the words of nft(8).
//!
//! A condition becomes a rule for each way in which it holds (its disjunctive normal form), and the messages' rules stand in the
//! messages' order, so that the first that matches decides. A rule that reads an absent byte doesn't match, whatever it asks:
//! that is what absent means here too. nft reads to the end of the IP packet, though, so a rule that reads the payload asks for
//! UDP's length as well.
//!
//! Limits are token buckets of the same burst. Two things differ: nft rounds the nanoseconds of a packet down, where
//! [`RateLimit`](crate::meaning::RateLimit) rounds them up; and where a limit's set of sources is full, packets of sources that
//! aren't in it are dropped, and counted. An element of that set ends when its bucket is full again, which changes nothing.
//! A known source is so until the kernel's next tick.

mod bytes;
mod condition;
mod table;
#[cfg(test)]
mod tests;
mod values;

use thiserror::Error;

use crate::meaning::{Decision, LimitId, MessageId, Service, ServicePart, UnjudgedKind};
use bytes::Bytes;
use table::Table;

/// The rules that one condition may become.
const MOST_RULES: usize = 256;
/// Bytes of a name: a comment has 128 (`NFTNL_UDATA_COMMENT_MAXLEN`, libnftnl), and says more than the name.
const MOST_OF_NAME: usize = 90;
/// The last byte of a payload that may be asked for, from 0.
const LAST_BYTE: u64 = Bytes::MOST_OFFSET - Bytes::HEADER;

/// The comment of the rules that count what the service sends, and who gets it is known by.
pub const IS_KNOWN: &str = "source is known";

/// The comment of the last rule.
const NOTHING: &str = "no accepted message";

/// What is in the way of a service's being an nftables ruleset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which of its rules.
    pub part: ServicePart,
    /// What nft can't say of it.
    pub reason: Reason,
}

/// What nft can't say.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Reason {
    /// A field whose length depends on its bytes.
    #[error(
        "the field '{field}' is {kind}, which is walked byte by byte; nft reads at constant places alone"
    )]
    Walked {
        /// Which.
        field: String,
        /// What it is.
        kind: &'static str,
    },
    /// A field that stands behind another's end, or is counted from the payload's.
    #[error("the field '{0}' stands at another place in each packet; nft reads at constant places alone")]
    Moving(String),
    /// A field that kernels can't read.
    #[error("the field '{0}' begins behind byte {LAST_BYTE}, where older kernels' nftables don't read")]
    Far(String),
    /// Two parts of a packet that are compared or computed with.
    #[error("two numbers of the packet meet in a comparison; nft compares with constants alone")]
    TwoNumbers,
    /// An operator that can't be moved to the constant's side.
    #[error("nft has no comparison for what '{0}' makes of a number")]
    Operation(&'static str),
    /// Bits of the payload's length, which nft knows with 8 bytes of header.
    #[error("of the bits of 'len' nft can ask for the lowest three alone")]
    LengthBits,
    /// Greater and less of integers whose bytes have the wrong order.
    #[error(
        "nft compares bytes in their order, so that an 'le' integer of many values is neither less nor greater"
    )]
    Order,
    /// Rules without end.
    #[error("more than {MOST_RULES} rules would be needed for it")]
    TooManyRules,
    /// A name that nft doesn't take.
    #[error("nft takes names of a-z, 0-9, '-', '_' and '.' here, of at most {MOST_OF_NAME} bytes")]
    Name,
    /// An interface whose name means several to nft.
    #[error("the interface '{0}' has a name that nft reads otherwise")]
    Interface(String),
    /// A rate that isn't a whole number of packets, or lasts too long.
    #[error("nft has no such rate")]
    Rate,
}

/// The service as a file for `nft -f`: a table of its own, `inet weir_NAME`, which is replaced when the file is loaded again.
///
/// It needs nftables 0.9.1 (`priority filter - 10`). Its base chain is at the hook `input`, where IPv4 packets are whole again, wherever
/// the guard is `at`; what the service sends is looked at behind what others drop of it (`output`, `filter + 10`). The service's unit and process, and samples, have no counterpart. A packet of several datagrams (UDP GRO) is
/// judged as if the first were as long as all.
///
/// # Errors
/// Everything that nft can't say of it.
pub fn ruleset(service: &Service) -> Result<String, Vec<Refusal>> {
    Table::of(service).text()
}

/// The table that a service is.
pub fn table_name(service: &Service) -> String {
    format!("weir_{}", service.name)
}

/// The comment of the rules that count a decision. A limit of all messages has one counter for all of them, and so has what is none of
/// the messages up to the last that is accepted.
pub fn comment(service: &Service, decision: Decision) -> String {
    let name = |message: MessageId| service.protocol.message(message).name.as_str();
    match decision {
        Decision::Allowed => "allow".to_owned(),
        Decision::Blocked => "block".to_owned(),
        Decision::NoMessage => NOTHING.to_owned(),
        Decision::Unwelcome(message) if service.accept.iter().all(|each| each.message < message) => {
            NOTHING.to_owned()
        }
        Decision::Unwelcome(message) => format!("{} is unwelcome", name(message)),
        Decision::OverLimit(_, LimitId(limit)) => {
            let limit = &service.limits[limit];
            let rate = table::rate(limit.rate).unwrap_or_default();
            limit.message.map_or(format!("over {rate}"), |message| format!("{} over {rate}", name(message)))
        }
        Decision::Accepted(message) => name(message).to_owned(),
        Decision::Unjudged(UnjudgedKind::Fragment, _) => "fragments".to_owned(),
        Decision::Unjudged(UnjudgedKind::Unreadable, _) => "no length".to_owned(),
        Decision::Unjudged(UnjudgedKind::SuperPacket, _) => "several datagrams".to_owned(),
    }
}
