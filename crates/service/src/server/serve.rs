//! The loop: read, handle, reply, until something ends it.

use std::{
    io,
    net::UdpSocket,
    sync::{Mutex, PoisonError},
};

use super::{handled::Handled, handler::Handler, io::DatagramIo, stop::StopState};
use crate::{EndedBy, Moment, ReplyCounts, monotonic_now, shards::Shards, sys};

/// How a loop ended, and what it knows besides the handler's counts.
pub(super) struct LoopEnd {
    pub(super) by: EndedBy,
    /// Datagrams that came in one read with a STOP, after it.
    pub(super) rest_of_batch: u64,
    pub(super) replies: ReplyCounts,
    pub(super) first_read_at: Option<Moment>,
    pub(super) last_handled_at: Option<Moment>,
    pub(super) last_load_at: Option<Moment>,
}

/// Serves until a STOP or the stop handle ends it; an error is one that reading can't get past.
pub(super) fn until_ended(
    io: &mut impl DatagramIo,
    handler: &Mutex<Handler>,
    shards: &Shards,
    shared: &StopState,
) -> io::Result<LoopEnd> {
    let mut end = LoopEnd {
        by: EndedBy::Stop,
        rest_of_batch: 0,
        replies: ReplyCounts::default(),
        first_read_at: None,
        last_handled_at: None,
        last_load_at: None,
    };
    let mut failures = 0;
    loop {
        match io.receive() {
            Ok(0) => {}
            Ok(received) => {
                failures = 0;
                end.first_read_at.get_or_insert_with(monotonic_now);
                // Locked for as long as a batch takes: nothing is changed in the middle of one.
                let handler = &mut handler.lock().unwrap_or_else(PoisonError::into_inner);
                if serve_batch(io, handler, shards, received, &mut end) {
                    return Ok(end);
                }
            }
            Err(error) if failures == PATIENCE => return Err(error),
            Err(_) => failures += 1,
        }
        if shared.is_stopping() {
            end.by = EndedBy::Signal;
            return Ok(end);
        }
    }
}

/// Handles the datagrams of one read, and says whether a STOP among them ended the loop.
fn serve_batch(
    io: &mut impl DatagramIo,
    handler: &mut Handler,
    shards: &Shards,
    received: usize,
    end: &mut LoopEnd,
) -> bool {
    let mut turn = shards.turn();
    let mut stopped = false;
    let mut handled = false;
    let mut load = false;
    for i in 0..received {
        let (bytes, len) = io.datagram(i);
        let outcome = handler.handle(&mut turn, bytes, len, || io.source(i));
        if outcome == Handled::Stop {
            end.rest_of_batch = (received - i - 1) as u64;
            stopped = true;
            break;
        }
        handled = true;
        match outcome {
            Handled::Get(Some(count)) => io.reply(i, count),
            Handled::Get(None) | Handled::StopRefused => {}
            _ => load = true,
        }
    }
    drop(turn);
    handler.settle(shards);
    end.replies += io.flush();
    // One clock read a batch: a clock read a datagram would be a good part of what a datagram costs.
    let now = monotonic_now();
    if handled {
        end.last_handled_at = Some(now);
    }
    if load {
        end.last_load_at = Some(now);
    }
    stopped
}

/// Counts what still waits in the receive buffer, and takes it out.
///
/// A sender that goes on meanwhile can't keep this busy for ever: it ends at what a buffer of `receive_buffer`
/// bytes could hold.
pub(super) fn drain(socket: &UdpSocket, receive_buffer: u64) -> u64 {
    let mut batch = sys::ReceiveBatch::new();
    let mut unread = 0;
    while unread <= receive_buffer / SMALLEST_PACKET {
        match batch.receive(socket, sys::Wait::Never) {
            Ok(received) if received > 0 => unread += received as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    unread
}

/// The kernel accounts at least a `struct sk_buff` for each packet in a receive buffer, bytes.
const SMALLEST_PACKET: u64 = 200;

/// Reads that may fail one after the other before the loop gives up: errors such as an interrupted call or an
/// ICMP message pass, while one that never does must not spin for ever.
const PATIENCE: u32 = 1000;
