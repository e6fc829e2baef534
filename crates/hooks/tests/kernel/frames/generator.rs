//! Frames for, and nearly for, a server: every shape of headers, each with a chance to be slightly wrong.

use std::net::IpAddr;

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use weir_filters::Endpoint;
use weir_wire::{
    Command,
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

/// Frames without end, the same for the same seed: some whole ones cut at each byte, then random ones.
pub(super) struct Frames {
    endpoint: Endpoint,
    rng: StdRng,
    /// A frame that is given out cut at each byte.
    cut: Vec<u8>,
    /// How many whole frames are still cut so.
    left: usize,
}

/// Whole frames of which every beginning is given out.
const CUT: usize = 8;
/// Longest of them, bytes.
const MAX_CUT: usize = 160;

impl Frames {
    pub(super) fn new(endpoint: Endpoint, seed: u64) -> Self {
        Self { endpoint, rng: StdRng::seed_from_u64(seed), cut: Vec::new(), left: CUT }
    }
}

impl Iterator for Frames {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.cut.is_empty() && self.left > 0 {
            self.left -= 1;
            while self.cut.is_empty() || self.cut.len() > MAX_CUT {
                self.cut = self.frame(0.0);
            }
        }
        if !self.cut.is_empty() {
            self.cut.pop();
            return Some(self.cut.clone());
        }
        let wrong = [0.0, 0.03, 0.15][self.rng.random_range(0..3)];
        let mut frame = self.frame(wrong);
        self.damage(&mut frame, wrong);
        Some(frame)
    }
}

impl Frames {
    /// `wrong` is the chance of each field not to be what it should.
    fn frame(&mut self, wrong: f64) -> Vec<u8> {
        let is_v4 = match (self.endpoint.takes_ipv4(), self.endpoint.takes_ipv6()) {
            (true, true) => self.rng.random(),
            (takes_v4, _) => takes_v4 != self.rng.random_bool(wrong),
        };
        let payload = self.payload();
        let udp = self.udp(&payload, wrong);
        let (ethertype, ip) = if is_v4 {
            (ethernet::IPV4, self.ipv4(&udp, wrong))
        } else {
            (ethernet::IPV6, self.ipv6(udp, wrong))
        };
        let mut frame = vec![2; ethernet::TYPE_OFFSET];
        let tags = if self.rng.random_bool(0.6) { 0 } else { self.rng.random_range(1..=3) };
        for _ in 0..tags {
            let tag = self.pick(&[ethernet::VLAN, ethernet::SERVICE_VLAN]);
            frame.extend(tag.to_be_bytes());
            frame.extend(self.rng.random::<[u8; 2]>());
        }
        let others = [0x0806, 0x88b5, ethernet::IPV4, ethernet::IPV6];
        frame.extend(self.or_else(ethertype, &others, wrong).to_be_bytes());
        frame.extend(ip);
        if self.rng.random_bool(0.2) {
            // Padding, as behind short frames.
            let len = self.rng.random_range(1..20);
            frame.extend(std::iter::repeat_n(b'T', len));
        }
        frame
    }

    fn payload(&mut self) -> Vec<u8> {
        let command = self.pick(&Command::ALL);
        let mut payload = command.word().to_vec();
        match self.rng.random_range(0..8) {
            0 => payload.truncate(self.rng.random_range(0..=payload.len())),
            1 => payload.truncate(payload.len() - 1),
            2 => payload[0] ^= 0x20,
            _ => {}
        }
        let len = match self.rng.random_range(0..4) {
            0 => payload.len(),
            1 => self.rng.random_range(0..40),
            2 => self.pick(&[command.request_len() - 1, command.request_len() + 1, 1200]),
            _ => command.request_len(),
        };
        payload.resize(payload.len().max(len), b'E');
        payload
    }

    fn udp(&mut self, payload: &[u8], wrong: f64) -> Vec<u8> {
        let port = self.endpoint.port;
        let port = self.or_else(port, &[port.swap_bytes(), port ^ 1, 53], wrong);
        let length = udp::length_field(payload.len());
        let command_len = udp::length_field(self.pick(&Command::ALL).request_len());
        let lengths = [0, 7, 8, 9, length - 1, length + 1, length.swap_bytes(), command_len, u16::MAX];
        let length = self.or_else(length, &lengths, wrong);
        let fields = [40_000, port, length, 0].map(u16::to_be_bytes);
        [&fields.concat(), payload].concat()
    }

    fn ipv4(&mut self, udp: &[u8], wrong: f64) -> Vec<u8> {
        let options = if self.rng.random_bool(0.7) { 0 } else { self.rng.random_range(1..=10) };
        let header_len = ipv4::MIN_HEADER_LEN + 4 * options;
        let words = self.or_else((header_len / 4) as u8, &[0, 4, 5, 6, 15], wrong);
        let version = self.or_else(4, &[0, 5, 6], wrong);
        let total = (header_len + udp.len()) as u16;
        let totals = [0, 19, 20, 28, header_len as u16, total - 1, total + 1, total.swap_bytes(), u16::MAX];
        let fragment =
            self.or_else(0x4000_u16, &[0, 0x2000, 1, 0x1fff, 0x8000, 0x6000, 0x0020], wrong.max(0.05));
        let mut header = vec![0; header_len];
        header[ipv4::VERSION_OFFSET] = version << 4 | words;
        put(&mut header, ipv4::TOTAL_LENGTH_OFFSET, &self.or_else(total, &totals, wrong).to_be_bytes());
        put(&mut header, ipv4::FRAGMENT_OFFSET, &fragment.to_be_bytes());
        header[8] = 64;
        header[ipv4::PROTOCOL_OFFSET] = self.or_else(headers::UDP, &[1, 6, 0, 47], wrong);
        let address = self.address(IpAddr::from([10, 9, 8, 7]), wrong);
        put(&mut header, ipv4::DESTINATION_OFFSET, &address);
        [&header, udp].concat()
    }

    fn ipv6(&mut self, udp: Vec<u8>, wrong: f64) -> Vec<u8> {
        let extensions = if self.rng.random_bool(0.5) { 0 } else { self.rng.random_range(1..=7) };
        let mut next = self.or_else(headers::UDP, &[58, 6, 59, 255], wrong);
        let mut behind = udp;
        for _ in 0..extensions {
            let (kind, extension) = self.extension(next, wrong);
            behind = [extension, behind].concat();
            next = kind;
        }
        let len = behind.len() as u16;
        let lens = [0, 7, 8, len.wrapping_sub(1), len + 1, len.swap_bytes(), u16::MAX];
        let mut header = vec![0; ipv6::HEADER_LEN];
        header[0] = self.or_else(6, &[0, 4, 7], wrong) << 4 | self.rng.random_range(0..16);
        put(&mut header, ipv6::PAYLOAD_LENGTH_OFFSET, &self.or_else(len, &lens, wrong).to_be_bytes());
        header[ipv6::NEXT_HEADER_OFFSET] = next;
        let address = self.address("fd00::9".parse().expect("an address"), wrong);
        put(&mut header, ipv6::DESTINATION_OFFSET, &address);
        [header, behind].concat()
    }

    /// An extension header and the number that announces it.
    fn extension(&mut self, next: u8, wrong: f64) -> (u8, Vec<u8>) {
        let known = [
            ipv6::HOP_BY_HOP,
            ipv6::ROUTING,
            ipv6::FRAGMENT,
            ipv6::AUTHENTICATION,
            ipv6::DESTINATION_OPTIONS,
        ];
        let kind = self.pick(&known);
        let units = self.pick(&[0_u8, 1, 2, 4]);
        let len = match kind {
            ipv6::FRAGMENT => ipv6::FRAGMENT_LEN,
            ipv6::AUTHENTICATION => 4 * (usize::from(units) + 2),
            _ => 8 * (usize::from(units) + 1),
        };
        let mut extension = vec![0; len];
        extension[0] = next;
        extension[ipv6::EXTENSION_LENGTH_OFFSET] = self.or_else(units, &[units ^ 1, 255], wrong);
        match kind {
            ipv6::ROUTING => {
                extension[ipv6::SEGMENTS_LEFT_OFFSET] = self.or_else(0, &[1, 255], wrong.max(0.05))
            }
            ipv6::FRAGMENT => {
                let offset = self.or_else(0_u16, &[1, 8, 0xfff8, 6, 2], wrong.max(0.05));
                put(&mut extension, ipv6::FRAGMENT_OFFSET, &offset.to_be_bytes());
            }
            _ => {}
        }
        (self.or_else(kind, &[50, 135, 59, 58], wrong), extension)
    }

    /// The server's, one near it, or where every address is the server's any; `stranger` names the version.
    fn address(&mut self, stranger: IpAddr, wrong: f64) -> Vec<u8> {
        let address = self.endpoint.address;
        let is_ours = address.is_ipv4() == stranger.is_ipv4() && !address.is_unspecified();
        let mut octets = octets(if is_ours { address } else { stranger });
        if self.rng.random_bool(wrong) {
            let at = self.rng.random_range(0..octets.len());
            octets[at] ^= 1 << self.rng.random_range(0..8);
        }
        octets
    }

    /// A few bytes changed, cut or added, anywhere.
    fn damage(&mut self, frame: &mut Vec<u8>, wrong: f64) {
        if self.rng.random_bool(wrong) {
            let at = self.rng.random_range(0..frame.len());
            frame[at] = self.rng.random();
        }
        if self.rng.random_bool(wrong) {
            frame.truncate(self.rng.random_range(1..=frame.len()));
        }
        if self.rng.random_bool(wrong / 4.0) {
            let at = self.rng.random_range(0..frame.len());
            self.rng.fill_bytes(&mut frame[at..]);
        }
    }

    fn or_else<T: Copy>(&mut self, right: T, others: &[T], wrong: f64) -> T {
        if self.rng.random_bool(wrong) { self.pick(others) } else { right }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn put(header: &mut [u8], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}
