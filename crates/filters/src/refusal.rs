//! Why a guard's service can't be made a program, whoever makes it.

use thiserror::Error;

/// How many operands may wait for others.
pub(crate) const TEMPORARIES: usize = 8;
/// How many numbers are kept of fields whose end the packet tells: as much of the stack as holds the payload's beginning in programs of
/// services that have none.
pub(crate) const MOST_WALKED: usize = 23;

/// Why a service can't be made a program.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// An expression needs more room than a program has.
    #[error(
        "an expression has more than {TEMPORARIES} operands that wait for others; put them into parentheses otherwise, or use fewer"
    )]
    TooDeep,
    /// More fields whose end the packet tells than the stack has room for.
    #[error(
        "{0} fields end where the packet says (dns-name, text until, text behind, decimal, varint); at most {MOST_WALKED}, a number counts twice"
    )]
    TooManyWalks(usize),
    /// More lists than programs tell apart.
    #[error(
        "{0} lists, `allow` and `block` among them; at most 64: give rules of the same senders one limit, or fewer"
    )]
    TooManyLists(usize),
    /// A shift by a number that only the packet knows.
    #[error("a shift by a number that isn't known before the packet comes; shift by a constant")]
    UnknownShift,
    /// A number of a field that holds none.
    #[error("a field that holds no number is used as one")]
    NoNumber,
    /// A text of a field that holds none.
    #[error("a field that holds no text is used as one")]
    NoText,
    /// A number that may need more bits than classic BPF has.
    #[error(
        "a number may need more than 32 bits, and classic BPF has no more; compare fields of 8 bytes with constants alone"
    )]
    TooWide,
    /// More instructions than a program may have.
    #[error("the program would have more than {0} instructions; use fewer rules")]
    TooLong(usize),
    /// What programs can't yet.
    #[error("{0} is not made a program")]
    Unsupported(&'static str),
}
