//! The proof that a pair works: a datagram each way.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use weir_results::net::{Side, Sided};

use super::{Namespace, NetError};

/// How long the pair may take until a datagram goes through: the kernel makes an IPv6 address usable later than it
/// says that it has added it.
const WITHIN: Duration = Duration::from_secs(5);
/// How long to wait for one before another is sent.
const PATIENCE: Duration = Duration::from_millis(10);

/// Sends a datagram from the client's side to the server's and back, over IPv4 and, where there is `v6`, IPv6.
pub(super) fn datagrams_go_through(ends: &Sided<Namespace>, v6: bool) -> Result<(), NetError> {
    for v6 in [false, true].into_iter().filter(|family| v6 || !family) {
        let address = |side: Side| -> IpAddr { if v6 { side.ipv6().into() } else { side.ipv4().into() } };
        let sockets = Sided::try_with(|side| {
            let bind = || UdpSocket::bind((address(side), 0));
            ends[side].within(bind)?.map_err(NetError::tried(format!("listening on {}", address(side))))
        })?;
        there_and_back(&sockets).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => NetError::NeverReady {
                what: format!("a datagram between {} and {}", address(Side::Client), address(Side::Server)),
                seconds: WITHIN.as_secs(),
            },
            _ => NetError::tried(format!("sending a datagram to {}", address(Side::Server)))(error),
        })?;
    }
    Ok(())
}

fn there_and_back(sockets: &Sided<UdpSocket>) -> io::Result<()> {
    let server = sockets.server.local_addr()?;
    for side in Side::ALL {
        sockets[side].set_read_timeout(Some(PATIENCE))?;
    }
    let deadline = Instant::now() + WITHIN;
    loop {
        match one_there_and_back(sockets, server) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {}
            result => return result,
        }
    }
}

fn one_there_and_back(sockets: &Sided<UdpSocket>, server: SocketAddr) -> io::Result<()> {
    let mut buffer = [0; 1];
    sockets.client.send_to(&buffer, server)?;
    let (_, client) = sockets.server.recv_from(&mut buffer)?;
    sockets.server.send_to(&buffer, client)?;
    sockets.client.recv_from(&mut buffer).map(|_| ())
}
