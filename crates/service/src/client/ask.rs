//! A GET and its reply: attempts, timeouts, and what counts as an answer.

use std::{
    io,
    net::UdpSocket,
    time::{Duration, Instant},
};

/// How long and how often a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetPolicy {
    /// How long it waits for the reply to one attempt.
    pub timeout: Duration,
    /// How often it asks, 1 or more, where it needs a reply.
    pub attempts: u32,
    /// How long it listens, once, where silence is what it expects.
    pub silence: Duration,
}

impl Default for GetPolicy {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(500), attempts: 5, silence: Duration::from_millis(200) }
    }
}

/// How waiting for a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Count(i64),
    Silence,
    /// An ICMP error says that the port is closed.
    PortClosed,
}

/// Waits for a count. Datagrams that are none are passed over.
pub(super) fn await_count(socket: &UdpSocket, timeout: Duration) -> io::Result<Answer> {
    let deadline = Instant::now() + timeout;
    let mut buffer = [0; 64];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Answer::Silence);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(len) => {
                if let Some(count) = parse_count(&buffer[..len]) {
                    return Ok(Answer::Count(count));
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => return Ok(Answer::PortClosed),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
    }
}

/// An `i64` in ASCII decimal as the server writes it: no plus, no leading zero, no minus zero, nothing around it.
pub(super) fn parse_count(reply: &[u8]) -> Option<i64> {
    let count: i64 = std::str::from_utf8(reply).ok()?.parse().ok()?;
    (count.to_string().as_bytes() == reply).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: &[u8], expected: Option<i64>) {
        assert_eq!(parse_count(reply), expected, "{}", reply.escape_ascii());
    }

    #[test]
    fn a_count_is_read_as_the_server_writes_it() {
        check(b"0", Some(0));
        check(b"14", Some(14));
        check(b"-5", Some(-5));
        check(b"9223372036854775807", Some(i64::MAX));
        check(b"-9223372036854775808", Some(i64::MIN));
    }

    #[test]
    fn anything_else_is_no_count() {
        for reply in [
            &b""[..],
            b"+1",
            b"01",
            b"-0",
            b" 1",
            b"1\n",
            b"1\0",
            b"0x1",
            b"1.0",
            b"-",
            b"9223372036854775808",
            b"\xff",
        ] {
            check(reply, None);
        }
    }
}
