//! The proof that a pair works: a datagram each way.

use std::{
    io,
    net::{IpAddr, UdpSocket},
    time::Duration,
};

use super::{Namespace, NetError, Side, Sided};

/// How long a datagram may take.
const WITHIN: Duration = Duration::from_secs(1);

/// Sends a datagram from the client's side to the server's and back, over IPv4 and, where there is `v6`, IPv6.
pub(super) fn datagrams_go_through(ends: &Sided<Namespace>, v6: bool) -> Result<(), NetError> {
    let families: [(bool, fn(Side) -> IpAddr); 2] =
        [(true, |side| side.ipv4().into()), (v6, |side| side.ipv6().into())];
    for (_, address) in families.into_iter().filter(|(there, _)| *there) {
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
    let mut buffer = [0; 1];
    sockets.client.send_to(&[1], sockets.server.local_addr()?)?;
    sockets.server.set_read_timeout(Some(WITHIN))?;
    let (_, client) = sockets.server.recv_from(&mut buffer)?;
    sockets.server.send_to(&[2], client)?;
    sockets.client.set_read_timeout(Some(WITHIN))?;
    sockets.client.recv_from(&mut buffer).map(|_| ())
}
