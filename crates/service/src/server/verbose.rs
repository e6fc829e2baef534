//! The verbose mode's line for each request.

use std::{
    fmt,
    io::{Write, stderr},
    net::SocketAddr,
};

use weir_wire::Request;

use super::handled::{Handled, parse};

/// Writes one line to stderr. A stderr that can't be written to is no reason to stop serving.
pub(super) fn print(source: SocketAddr, at_hand: &[u8], len: usize, outcome: Handled) {
    let _ = writeln!(stderr().lock(), "{}", LogLine { source, at_hand, len, outcome });
}

struct LogLine<'a> {
    source: SocketAddr,
    at_hand: &'a [u8],
    len: usize,
    outcome: Handled,
}

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        match parse(self.at_hand, self.len) {
            Some(Request::Put { key, value }) => write!(f, "PUT {key} {value}")?,
            Some(Request::Get { key }) => write!(f, "GET {key}")?,
            Some(Request::Delete { key }) => write!(f, "DELETE {key}")?,
            Some(Request::Stop) => write!(f, "STOP")?,
            None => write!(f, "{} bytes \"{}\"", self.len, self.at_hand.escape_ascii())?,
        }
        match self.outcome {
            Handled::Put | Handled::Delete => write!(f, ": served"),
            Handled::Get(Some(count)) => write!(f, ": {count}"),
            Handled::Get(None) => write!(f, ": absent, no reply"),
            Handled::Stop => write!(f, ": ending"),
            Handled::StopRefused => write!(f, ": refused, --allow-stop forbids it"),
            Handled::Invalid => write!(f, ": invalid"),
            Handled::Filtered => write!(f, ": dropped by the filter"),
            Handled::Refused(error) => write!(f, ": refused, {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bag::PutError;

    fn check(at_hand: &[u8], len: usize, outcome: Handled, expected: &str) {
        let source = "127.0.0.1:4000".parse().unwrap();
        assert_eq!(LogLine { source, at_hand, len, outcome }.to_string(), expected);
    }

    #[test]
    fn a_line_says_who_asked_for_what_and_what_became_of_it() {
        let put = Request::Put { key: 10, value: -5 }.to_bytes();
        check(&put, put.len(), Handled::Put, "127.0.0.1:4000: PUT 10 -5: served");
        check(
            &put,
            put.len(),
            Handled::Refused(PutError::Full),
            "127.0.0.1:4000: PUT 10 -5: refused, the bag is full",
        );
        let get = Request::Get { key: 10 }.to_bytes();
        check(&get, get.len(), Handled::Get(Some(7)), "127.0.0.1:4000: GET 10: 7");
    }

    #[test]
    fn unprintable_bytes_are_escaped_and_the_true_length_is_told() {
        check(b"BAD\x00\x1b", 700, Handled::Invalid, r#"127.0.0.1:4000: 700 bytes "BAD\x00\x1b": invalid"#);
    }
}
