//! The four commands: their words on the wire and the length that each request has.

/// What a valid request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Add a value to a key's count.
    Put,
    /// Ask for a key's count.
    Get,
    /// Remove a key.
    Delete,
    /// End the server.
    Stop,
}

impl Command {
    /// Every command, in the order in which the protocol lists them.
    pub const ALL: [Self; 4] = [Self::Put, Self::Get, Self::Delete, Self::Stop];

    /// Those that name a key.
    pub const KEYED: [Self; 3] = [Self::Put, Self::Get, Self::Delete];

    /// Where the payload has the key, a `u32`: behind the word, of [`Self::KEYED`].
    pub const fn key_offset(self) -> usize {
        self.word().len()
    }

    /// The ASCII word with which the request begins.
    pub const fn word(self) -> &'static [u8] {
        match self {
            Self::Put => b"PUT",
            Self::Get => b"GET",
            Self::Delete => b"DELETE",
            Self::Stop => b"STOP",
        }
    }

    /// Payload length in bytes of the whole request.
    pub const fn request_len(self) -> usize {
        self.word().len()
            + match self {
                Self::Put => size_of::<u32>() + size_of::<i64>(),
                Self::Get | Self::Delete => size_of::<u32>(),
                Self::Stop => 0,
            }
    }

    /// The word as the low bytes of a little-endian integer: what a filter that loaded the first eight payload
    /// bytes compares with, after [`Self::mask`].
    pub const fn magic(self) -> u64 {
        let mut bytes = [0; 8];
        let mut i = 0;
        while i < self.word().len() {
            bytes[i] = self.word()[i];
            i += 1;
        }
        u64::from_le_bytes(bytes)
    }

    /// Ones where [`Self::magic`] has a byte of the word.
    pub const fn mask(self) -> u64 {
        (1 << (8 * self.word().len())) - 1
    }
}
