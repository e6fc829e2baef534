//! The protocols that weir ships.

/// A protocol that weir ships, as it is written in `protocols/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// What guards call it.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
    /// Packets that were worked out by hand: `protocols/NAME.vectors`.
    vectors: &'static str,
}

/// A packet that was worked out by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The line in its file, from 1.
    pub line: usize,
    /// The message that it is, or `none`.
    pub message: &'static str,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Where it is from.
    pub source: &'static str,
}

impl Shipped {
    /// Its vectors: lines of a message's name, bytes in hex (`00*4` is four of them) and, behind `#`, where they are from.
    ///
    /// # Panics
    /// A line is none, which a test sees to.
    pub fn vectors(&self) -> impl Iterator<Item = Vector> {
        let lines = self.vectors.lines().enumerate();
        lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(index, line)| {
            let (vector, source) = line.split_once('#').expect("where it is from");
            let mut words = vector.split_whitespace();
            let message = words.next().expect("a message");
            Vector {
                line: index + 1,
                message,
                payload: words.flat_map(bytes).collect(),
                source: source.trim(),
            }
        })
    }
}

fn bytes(word: &str) -> Vec<u8> {
    let (hex, times) = word.split_once('*').unwrap_or((word, "1"));
    assert!(hex.len().is_multiple_of(2), "half a byte in {word}");
    let pairs = (0..hex.len()).step_by(2);
    let once: Vec<u8> = pairs.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect(word)).collect();
    once.repeat(times.parse().expect(word))
}

macro_rules! shipped {
    ($($name:literal)*) => {
        [$(Shipped {
            name: $name,
            text: include_str!(concat!("../../../protocols/", $name, ".toml")),
            vectors: include_str!(concat!("../../../protocols/", $name, ".vectors")),
        }),*]
    };
}

/// All of them, by their names.
pub const ALL: &[Shipped] = &shipped! {
    "a2s" "bag" "coap" "dns" "memcached" "ntp" "openvpn" "quic" "radius" "raknet" "sip" "snmp" "statsd" "stun" "syslog"
    "teamspeak3" "tftp" "wireguard"
};

/// The one of that name.
pub fn find(name: &str) -> Option<&'static Shipped> {
    ALL.iter().find(|shipped| shipped.name == name)
}
