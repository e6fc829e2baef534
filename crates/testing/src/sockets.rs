//! Datagrams sent, and what has come to a socket.

use std::{
    io::ErrorKind,
    net::UdpSocket,
    thread::{sleep, yield_now},
    time::Duration,
};

use crate::is_emulated;

/// How often a socket is looked at where nothing is there.
const LOOKS: usize = 3;

/// Gives this CPU to whoever waits for it: in an emulated machine, whose one CPU is often behind, for a while.
fn step_aside() {
    if is_emulated() { sleep(Duration::from_micros(500)) } else { yield_now() }
}

/// All datagrams that have come to a non-blocking socket. Over loopback one is there, or dropped, when send(2) returns; but where
/// the kernel's own thread (ksoftirqd) is at packets, it comes once that had this CPU. So the socket is looked at again after a
/// moment.
///
/// # Panics
/// Where the socket can't be read.
pub fn received(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 2048];
    let mut looks = 0;
    while looks < LOOKS {
        match socket.recv(&mut buffer) {
            Ok(len) => all.push(buffer[..len].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                looks += 1;
                step_aside();
            }
            Err(error) => panic!("recv: {error}"),
        }
    }
    all
}

/// Answers that a call may meet, at most: there is one for each datagram that was dropped.
const ANSWERS: usize = 16;

/// Sends a datagram from a connected socket. A drop at a shared port is answered (ICMP), which fails a later call once, without
/// sending anything: it is made again.
///
/// # Panics
/// Where it can't be sent.
pub fn send(socket: &UdpSocket, payload: &[u8]) {
    for _ in 0..ANSWERS {
        match socket.send(payload) {
            Ok(len) => return assert_eq!(len, payload.len()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "send: {error}"),
        }
    }
    panic!("send: refused {ANSWERS} times");
}
