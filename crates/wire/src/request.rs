//! Requests and their bytes: the exact grammar, in both directions.

use crate::Command;

/// Length in bytes of the longest request.
pub const MAX_REQUEST_LEN: usize = Command::Put.request_len();

/// One valid request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Add `value` to the count of `key`.
    Put {
        /// The key.
        key: u32,
        /// What is added to its count.
        value: i64,
    },
    /// Reply with the count of `key`, if it is present.
    Get {
        /// The key.
        key: u32,
    },
    /// Remove `key`.
    Delete {
        /// The key.
        key: u32,
    },
    /// End the server.
    Stop,
}

/// The datagram is no request: its first bytes are no command, or its length is not that command's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

impl Request {
    /// Reads a whole UDP payload. A request has exactly its command's length; a key byte that happens to be a
    /// letter is a key byte.
    pub fn parse(payload: &[u8]) -> Result<Self, Invalid> {
        match payload {
            [b'P', b'U', b'T', k0, k1, k2, k3, value @ ..] => Ok(Self::Put {
                key: u32::from_le_bytes([*k0, *k1, *k2, *k3]),
                value: i64::from_le_bytes(value.try_into().map_err(|_| Invalid)?),
            }),
            [b'G', b'E', b'T', key @ ..] => {
                Ok(Self::Get { key: u32::from_le_bytes(key.try_into().map_err(|_| Invalid)?) })
            }
            [b'D', b'E', b'L', b'E', b'T', b'E', key @ ..] => {
                Ok(Self::Delete { key: u32::from_le_bytes(key.try_into().map_err(|_| Invalid)?) })
            }
            b"STOP" => Ok(Self::Stop),
            _ => Err(Invalid),
        }
    }

    /// Which command this is.
    pub const fn command(&self) -> Command {
        match self {
            Self::Put { .. } => Command::Put,
            Self::Get { .. } => Command::Get,
            Self::Delete { .. } => Command::Delete,
            Self::Stop => Command::Stop,
        }
    }

    /// The request as a UDP payload.
    pub fn to_bytes(&self) -> RequestBytes {
        let mut bytes = RequestBytes { buffer: [0; MAX_REQUEST_LEN], len: 0 };
        bytes.push(self.command().word());
        match *self {
            Self::Put { key, value } => {
                bytes.push(&key.to_le_bytes());
                bytes.push(&value.to_le_bytes());
            }
            Self::Get { key } | Self::Delete { key } => bytes.push(&key.to_le_bytes()),
            Self::Stop => {}
        }
        bytes
    }
}

/// The payload of one request, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestBytes {
    buffer: [u8; MAX_REQUEST_LEN],
    len: usize,
}

impl RequestBytes {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

impl core::ops::Deref for RequestBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}
