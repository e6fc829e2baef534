//! The harness's own requests to a server: the final GET and the STOP.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use weir_service::Monotonic;
use weir_wire::{MAX_REPLY_LEN, Request};

use super::{bench::RunError, interrupt::Interrupt, process::Process};

/// The key that every load puts to.
pub const KEY: u32 = 10;
/// How long each attempt of the final GET waits for its reply.
const ATTEMPTS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(3200),
];

/// The reply to the final GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalReply {
    /// The count of [`KEY`].
    pub value: i64,
    /// When it came.
    pub at: Monotonic,
}

/// Asks the server at `address` for the count of [`KEY`], each attempt from a fresh socket so that a late reply
/// can't be taken for another attempt's. Adds what was sent to `sent`.
///
/// # Errors
/// A signal came, the server ended, or what it replied is no count.
pub fn final_get(
    address: SocketAddr,
    server: &Process,
    interrupt: &Interrupt,
    sent: &mut u64,
) -> Result<Option<FinalReply>, RunError> {
    for patience in ATTEMPTS {
        let failed = |error: io::Error| RunError::Failed(format!("asking {address} for key {KEY}: {error}"));
        let socket = send(address, Request::Get { key: KEY }).map_err(failed)?;
        *sent += 1;
        match interrupt.wait(&[socket.as_fd(), server.ended_fd()], Instant::now() + patience)? {
            None => continue,
            Some(0) => {}
            Some(_) => {
                return Err(RunError::Failed(format!(
                    "{} ended before the final GET; {}",
                    server.name(),
                    server.last_words()
                )));
            }
        }
        let mut reply = [0; MAX_REPLY_LEN + 1];
        let length = socket.recv(&mut reply).map_err(failed)?;
        return Ok(Some(FinalReply { value: parse(&reply[..length])?, at: Monotonic::now() }));
    }
    Ok(None)
}

/// Sends STOP to the server at `address`.
///
/// # Errors
/// What the system calls say.
pub fn stop(address: SocketAddr) -> io::Result<()> {
    send(address, Request::Stop).map(|_| ())
}

fn send(address: SocketAddr, request: Request) -> io::Result<UdpSocket> {
    let local = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(local)?;
    socket.connect(address)?;
    socket.send(&request.to_bytes())?;
    Ok(socket)
}

fn parse(reply: &[u8]) -> Result<i64, RunError> {
    let text = String::from_utf8_lossy(reply);
    text.trim().parse().map_err(|_| {
        RunError::Failed(format!(
            "the final GET was answered with '{}', which is no count in ASCII decimal",
            text.escape_default()
        ))
    })
}
