//! Packets from the UDP header on: every case that a filter could get wrong, then random ones without end.

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use weir_wire::{Command, udp};

use super::mutate::mutate;

/// Longest payload whose length is tried byte by byte.
pub const MAX_SWEPT_PAYLOAD: usize = 64;

/// Longest random payload.
const MAX_RANDOM_PAYLOAD: usize = 1500;

/// The swept packets, then random and mutated ones, the same for the same seed. Each begins with the UDP header and
/// has at least one byte.
pub fn packets(seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let swept: Vec<_> = swept().collect();
    let sources = swept.clone();
    swept.into_iter().chain(std::iter::repeat_with(move || random(&mut rng, &sources)))
}

/// Every beginning × every payload length × every UDP length that could matter, and every truncated header.
pub fn swept() -> impl Iterator<Item = Vec<u8>> {
    Recipe::swept().map(Recipe::packet).chain(truncated_headers())
}

/// Every beginning of a UDP header.
pub(super) fn truncated_headers() -> impl Iterator<Item = Vec<u8>> {
    (1..=udp::HEADER_LEN).map(|len| {
        let mut header = packet(udp::length_field(Command::Put.request_len()), &[]);
        header.truncate(len);
        header
    })
}

/// A UDP packet with that length field, whatever the payload's length is.
pub fn packet(udp_length: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = udp_length.to_be_bytes();
    // Source port 40000, destination port 12345, a checksum that no filter reads.
    let header = [0x9c, 0x40, 0x30, 0x39, high, low, 0xab, 0xcd];
    [&header, payload].concat()
}

/// Commands, what nearly is one, and keys whose bytes are letters.
fn beginnings() -> Vec<&'static [u8]> {
    vec![
        b"PUT",
        b"GET",
        b"DELETE",
        b"STOP", // the words
        b"PUTA",
        b"PUTSTOP",
        b"GETABCD",
        b"DELETEETEL",
        b"STOPSTOP", // letters after them
        b"PUU",
        b"GEU",
        b"DELETF",
        b"DELETED",
        b"STOQ",
        b"STO\0", // one byte off
        b"put",
        b"Get",
        b"dELETE",
        b"stop", // case
        b"\0PUT",
        b" GET",
        b"TUP",
        b"TEG",
        b"ETELED",
        b"POTS", // shifted, reversed
        b"DELE",
        b"DELET",
        b"XXXXTE",
        b"DELULU",
        b"DELELULU", // parts of DELETE
        b"BAD",
        b"",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
    ]
}

/// `beginning` cut or filled to `len` bytes.
fn stretched(beginning: &[u8], len: usize) -> Vec<u8> {
    let fill = (0..).map(|i: usize| b'A'.wrapping_add((i as u8).wrapping_mul(7)));
    beginning.iter().copied().chain(fill).take(len).collect()
}

/// Keys that many of the requests ask for.
pub fn keys() -> impl Iterator<Item = u32> {
    let words = Command::ALL.map(Command::word).into_iter();
    let stretched = words.map(|word| stretched(word, word.len() + size_of::<u32>()).split_off(word.len()));
    let keys = stretched.chain([vec![1, 2, 3, 4]]);
    keys.map(|key| u32::from_le_bytes(key.try_into().expect("a key is 4 bytes")))
}

/// The true length, each command's, their neighbours, the same with bytes swapped, and extremes.
fn udp_lengths(payload_len: usize) -> Vec<u16> {
    let of_commands = Command::ALL.map(|command| udp::length_field(command.request_len()));
    let mut lengths = vec![udp::length_field(payload_len), 0, 8, u16::MAX];
    for length in of_commands {
        lengths.extend([length - 1, length, length + 1, length.swap_bytes(), length | 0x100]);
    }
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

fn random(rng: &mut StdRng, sources: &[Vec<u8>]) -> Vec<u8> {
    match rng.random_range(0..4) {
        0 => random_bytes(rng),
        1 => request_like(rng),
        _ => mutated(rng, sources),
    }
}

pub(super) fn random_bytes(rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(1..udp::HEADER_LEN + MAX_RANDOM_PAYLOAD)];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// A command's word before random bytes, mostly of the right length.
pub(super) fn request_like(rng: &mut StdRng) -> Vec<u8> {
    let command = Command::ALL[rng.random_range(0..Command::ALL.len())];
    let len = if rng.random_bool(0.7) { command.request_len() } else { rng.random_range(0..64) };
    let mut payload = vec![0; len];
    rng.fill_bytes(&mut payload);
    for (byte, letter) in payload.iter_mut().zip(command.word()) {
        *byte = *letter;
    }
    let udp_length = if rng.random_bool(0.8) { udp::length_field(len) } else { rng.random() };
    packet(udp_length, &payload)
}

/// A swept packet with a few bytes changed, cut or added.
fn mutated(rng: &mut StdRng, sources: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = sources[rng.random_range(0..sources.len())].clone();
    mutate(rng, &mut bytes);
    bytes
}

/// How to make a packet that belongs to an exhaustive set, small enough to keep and to shuffle.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recipe {
    /// A beginning stretched to a length, under a UDP length.
    Swept { beginning: &'static [u8], len: usize, udp_length: u16 },
    /// A payload of at most two bytes.
    Short { bytes: [u8; 2], len: usize },
    /// A request with one byte of its word replaced.
    Near { command: Command, at: usize, byte: u8 },
    /// The beginning of a request.
    Cut { command: Command, len: usize },
    /// The end of a request.
    Tail { command: Command, from: usize },
}

impl Recipe {
    /// Those of the sweep.
    pub(super) fn swept() -> impl Iterator<Item = Self> {
        beginnings().into_iter().flat_map(|beginning| {
            (0..=MAX_SWEPT_PAYLOAD).flat_map(move |len| {
                let lengths = udp_lengths(len).into_iter();
                lengths.map(move |udp_length| Self::Swept { beginning, len, udp_length })
            })
        })
    }

    /// Every payload of no, one and two bytes.
    pub(super) fn short() -> impl Iterator<Item = Self> {
        let one = (0..=u8::MAX).map(|byte| Self::Short { bytes: [byte, 0], len: 1 });
        let two = (0..=u16::MAX).map(|both| Self::Short { bytes: both.to_be_bytes(), len: 2 });
        std::iter::once(Self::Short { bytes: [0; 2], len: 0 }).chain(one).chain(two)
    }

    /// Every value of every byte of a command's word.
    pub(super) fn near() -> impl Iterator<Item = Self> {
        Command::ALL.into_iter().flat_map(|command| {
            (0..command.word().len())
                .flat_map(move |at| (0..=u8::MAX).map(move |byte| Self::Near { command, at, byte }))
        })
    }

    /// Every prefix and suffix of every request, and the sweep where lengths are near a command's.
    pub(super) fn boundaries() -> impl Iterator<Item = Self> {
        let parts = Command::ALL.into_iter().flat_map(|command| {
            let cut = (0..=command.request_len()).map(move |len| Self::Cut { command, len });
            cut.chain((0..=command.request_len()).map(move |from| Self::Tail { command, from }))
        });
        let is_near = |recipe: &Self| {
            matches!(recipe, Self::Swept { len, udp_length, .. } if *len <= weir_wire::MAX_REQUEST_LEN + 1
                && (*udp_length == udp::length_field(*len) || udp_length.is_multiple_of(5)))
        };
        parts.chain(Self::swept().filter(is_near))
    }

    /// The packet.
    pub(super) fn packet(self) -> Vec<u8> {
        match self {
            Self::Swept { beginning, len, udp_length } => packet(udp_length, &stretched(beginning, len)),
            Self::Short { bytes, len } => honest(&bytes[..len]),
            Self::Near { command, at, byte } => {
                let mut payload = stretched(command.word(), command.request_len());
                payload[at] = byte;
                honest(&payload)
            }
            Self::Cut { command, len } => honest(&stretched(command.word(), command.request_len())[..len]),
            Self::Tail { command, from } => honest(&stretched(command.word(), command.request_len())[from..]),
        }
    }
}

/// A UDP packet whose length field is right.
fn honest(payload: &[u8]) -> Vec<u8> {
    packet(udp::length_field(payload.len()), payload)
}
