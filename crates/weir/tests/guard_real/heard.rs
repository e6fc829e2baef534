//! What a capture has of an exchange.

use std::{net::SocketAddr, path::Path};

use weir_filters::Carried;
use weir_guard::meaning::{Packet, Party};
use weir_verify::Capture;

use crate::guarded::{Counts, Guard};

/// Packets to a guard's service, and from it.
pub(crate) struct Heard {
    /// Frames of clients, with their payloads' places.
    pub(crate) asked: Vec<Frame>,
    /// What the service sent, by message.
    pub(crate) answers: Counts,
    /// Payloads of the service that are no message, in hex.
    pub(crate) strange: Vec<String>,
}

/// A frame of a client, Ethernet's header first.
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) source: SocketAddr,
}

/// Bytes before a payload: Ethernet, IPv4 without options, UDP.
pub(crate) const HEADERS: usize = 14 + 20 + 8;

impl Frame {
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[HEADERS..]
    }

    /// The frame with another payload; checksums stay, which guards don't read.
    pub(crate) fn with(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [&self.bytes[..HEADERS], payload].concat();
        for (at, headers) in [(14 + 2, 28), (14 + 20 + 4, 8)] {
            bytes[at..at + 2].copy_from_slice(&(headers + payload.len() as u16).to_be_bytes());
        }
        bytes
    }
}

impl Heard {
    pub(crate) fn of(capture: &Path, guard: &Guard) -> Self {
        let mut capture = Capture::open(capture).expect("it is a capture");
        let mut heard = Self { asked: Vec::new(), answers: Counts::new(), strange: Vec::new() };
        while let Some(frame) = capture.next_frame().expect("it is whole") {
            let Some((layer, bytes)) = frame.contents else { continue };
            let Carried::Udp(udp) = Carried::of(layer, bytes, frame.missing()) else { continue };
            if udp.destination == guard.listen {
                let end = HEADERS + udp.payload.len();
                assert_eq!(&bytes[HEADERS..end], udp.payload, "IPv4 without options");
                heard.asked.push(Frame { bytes: bytes[..end].to_vec(), source: udp.source });
            } else if udp.source == guard.listen {
                let packet = Packet { source: udp.source, payload: udp.payload, len: udp.len };
                match guard.service.protocol.message_of(&packet, Party::Service) {
                    Some(message) => {
                        let name = guard.service.protocol.message(message).name.clone();
                        *heard.answers.entry(name).or_default() += 1;
                    }
                    None => heard.strange.push(hex(udp.payload)),
                }
            }
        }
        heard
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
