//! The harness's own requests to a server: the final GET and the STOP.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use weir_service::{ClientSummary, Moment, monotonic_now};
use weir_wire::{MAX_REPLY_LEN, Request};

use super::{
    bench::Bench,
    failure::{ProcessFault, RunError, RunFailure, refused},
    observed::Observed,
    record,
    schedule::Scheduled,
    server::ReadyServer,
};

/// The key that every load puts to.
pub const KEY: u32 = 10;
/// How long each attempt of the final GET waits for its reply, ms.
const ATTEMPTS: [u64; 6] = [100, 200, 400, 800, 1600, 3200];

/// Sees to it that the final value is known. It is what a lone client of ours was told by a server of ours. Several
/// clients' own GETs may come before another's last PUT, a client that isn't ours tells nothing, and of a server that isn't
/// ours the answer's time is needed: then the harness asks.
///
/// # Errors
/// A signal came, the server ended, or what it replied is no count.
pub fn ask(
    bench: &Bench<'_>,
    scheduled: &Scheduled,
    server: &ReadyServer,
    observed: &mut Observed,
) -> Result<(), RunError> {
    if server.summary.is_some() {
        observed.get_value = own_value(&observed.clients);
    }
    let nothing_to_ask_for = record::valid_sent(&scheduled.cell, &observed.clients) == 0;
    if observed.get_value.is_none() && !nothing_to_ask_for {
        let reply = final_get(bench, server, &mut observed.harness_sent)?;
        (observed.get_value, observed.replied_at) = reply.unzip();
    }
    Ok(())
}

/// What a lone client's last GET returned.
pub fn own_value(clients: &[ClientSummary]) -> Option<i64> {
    let [client] = clients else { return None };
    client.gets.last()?.reply
}

/// Asks the server for the count of [`KEY`], each attempt from a fresh socket so that a late reply can't be taken for
/// another attempt's. Adds what was sent to `sent`. Gives the count, and when the reply came.
fn final_get(
    bench: &Bench<'_>,
    server: &ReadyServer,
    sent: &mut u64,
) -> Result<Option<(i64, Moment)>, RunError> {
    let tried = format!("asking {} for key {KEY}", server.address);
    for patience in ATTEMPTS.map(Duration::from_millis) {
        let socket = send(server.address, Request::Get { key: KEY }).map_err(refused(&tried))?;
        *sent += 1;
        let fds = [socket.as_fd(), server.process.ended_fd()];
        match bench.interrupt.wait(&fds, Instant::now() + patience)? {
            None => continue,
            Some(0) => {}
            Some(_) => return Err(server.process.failed(ProcessFault::EndedUnasked)),
        }
        let mut reply = [0; MAX_REPLY_LEN + 1];
        let length = socket.recv(&mut reply).map_err(refused(&tried))?;
        return Ok(Some((parse(&reply[..length])?, monotonic_now())));
    }
    Ok(None)
}

/// Sends STOP to the server.
///
/// # Errors
/// What the system calls say.
pub fn stop(server: &ReadyServer) -> Result<(), RunError> {
    let sent = send(server.address, Request::Stop);
    sent.map(|_| ()).map_err(refused(format!("sending STOP to {}", server.process.name())))
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

fn parse(reply: &[u8]) -> Result<i64, RunFailure> {
    let text = String::from_utf8_lossy(reply);
    text.trim().parse().map_err(|_| RunFailure::NoCount(text.escape_default().to_string()))
}
