//! Captures that tests make up.

use std::{io::Write as _, net::SocketAddr};

use flate2::{Compression, write::GzEncoder};

/// A frame from IP on, and when it came.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) millis: u64,
    pub(crate) ip: Vec<u8>,
    /// How many bytes of it the capture has.
    pub(crate) kept: usize,
}

/// A UDP packet.
pub(crate) fn udp(millis: u64, from: &str, to: &str, payload: &[u8]) -> Frame {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let (from, to) = (address(from), address(to));
    let len = (8 + payload.len()) as u16;
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let datagram = [&ports[..], &len.to_be_bytes(), &[0, 0], payload].concat();
    let ip = match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            let [high, low] = (20 + len).to_be_bytes();
            let header = [0x45, 0, high, low, 0, 1, 0, 0, 64, 17, 0, 0];
            [&header[..], &from.ip().octets(), &to.ip().octets(), &datagram].concat()
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            let [high, low] = len.to_be_bytes();
            let header = [0x60, 0, 0, 0, high, low, 17, 64];
            [&header[..], &from.ip().octets(), &to.ip().octets(), &datagram].concat()
        }
        _ => panic!("both have one IP version"),
    };
    Frame { millis, kept: ip.len(), ip }
}

/// Link types (<https://www.tcpdump.org/linktypes.html>).
pub(crate) const ETHERNET: u32 = 1;
pub(crate) const LINKS: [u32; 7] = [0, ETHERNET, 101, 108, 113, 228, 276];

/// The frame with what its link type has before IP, and how many bytes of it were kept.
fn linked(link: u32, frame: &Frame) -> (Vec<u8>, usize) {
    let is_v4 = frame.ip[0] >> 4 == 4;
    let ethertype: [u8; 2] = if is_v4 { [8, 0] } else { [0x86, 0xdd] };
    let header = match link {
        0 => vec![if is_v4 { 2 } else { 30 }, 0, 0, 0],
        108 => vec![0, 0, 0, if is_v4 { 2 } else { 30 }],
        1 => [&[2; 12][..], &ethertype].concat(),
        113 => [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0][..], &ethertype].concat(),
        276 => [&ethertype[..], &[0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]].concat(),
        _ => Vec::new(),
    };
    let kept = header.len() + frame.kept;
    ([header, frame.ip.clone()].concat(), kept)
}

/// A pcap file with nanoseconds or microseconds, big-endian or not.
pub(crate) fn pcap(link: u32, frames: &[Frame], is_fine: bool, is_big: bool) -> Vec<u8> {
    let bytes = |word: u32| if is_big { word.to_be_bytes() } else { word.to_le_bytes() };
    let (magic, tick) = if is_fine { (0xa1b2_3c4d, 1_000_000) } else { (0xa1b2_c3d4, 1_000) };
    let version = if is_big { 0x0002_0004 } else { 0x0004_0002 };
    let mut file: Vec<u8> = [magic, version, 0, 0, 65_535, link].into_iter().flat_map(bytes).collect();
    for frame in frames {
        let (whole, kept) = linked(link, frame);
        let (seconds, millis) = ((1_700_000_000 + frame.millis / 1000) as u32, (frame.millis % 1000) as u32);
        let header = [seconds, millis * tick, kept as u32, whole.len() as u32];
        file.extend(header.into_iter().flat_map(bytes));
        file.extend(&whole[..kept]);
    }
    file
}

/// A pcapng file whose clock counts milliseconds.
pub(crate) fn pcapng(link: u32, frames: &[Frame]) -> Vec<u8> {
    let mut file =
        block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    // Option 9 (if_tsresol) of one byte, 3: milliseconds.
    let resolution = [9, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0];
    let link_bytes = (link as u16).to_le_bytes();
    file.extend(block(1, &[&link_bytes[..], &[0, 0], &65_535_u32.to_le_bytes(), &resolution].concat()));
    for frame in frames {
        let (whole, kept) = linked(link, frame);
        let at = 1_700_000_000_000 + frame.millis;
        let words = [0, (at >> 32) as u32, at as u32, kept as u32, whole.len() as u32];
        let words: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        let padding = vec![0; kept.next_multiple_of(4) - kept];
        file.extend(block(6, &[&words, &whole[..kept], &padding].concat()));
    }
    file
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, body, &len].concat()
}

pub(crate) fn packed(file: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(file).and_then(|()| encoder.finish()).expect("memory takes it")
}
