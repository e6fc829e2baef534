//! A packet for the server, and the few bytes of it that decide.

use core::mem::MaybeUninit;

use weir_wire::{Command, udp};

use crate::hook::{Hook, Layer};

/// A packet for the server, where a hook shows it.
pub struct Packet<'a, H> {
    hook: &'a H,
    /// Offset of its UDP header.
    at: u32,
    len: u32,
    /// What finding it has loaded already.
    head: Option<Head>,
}

/// Where a packet is, and its head.
#[derive(Clone, Copy)]
pub struct Place {
    at: u32,
    len: u32,
    head: Head,
}

impl<'a, H: Hook> Packet<'a, H> {
    /// At a hook that shows the server's packets alone, each from its UDP header on.
    #[inline(always)]
    pub(crate) fn whole(hook: &'a H) -> Self {
        Self { hook, at: 0, len: hook.length(), head: None }
    }

    /// The packet whose UDP header is at that offset.
    #[inline(always)]
    pub(crate) fn found(hook: &'a H, at: u32, head: Head) -> Self {
        Self { hook, at, len: head.udp_length().into(), head: Some(head) }
    }

    /// The packet that was found there.
    #[inline(always)]
    pub(crate) fn at(hook: &'a H, Place { at, len, head }: Place) -> Self {
        Self { hook, at, len, head: Some(head) }
    }

    /// Where it was found.
    #[inline(always)]
    pub(crate) fn place(&self) -> Option<Place> {
        self.head.map(|head| Place { at: self.at, len: self.len, head })
    }

    /// Its length from its UDP header on, bytes.
    #[inline(always)]
    pub fn length(&self) -> u32 {
        self.len
    }

    /// Copies its first bytes; false where it ends before.
    ///
    /// # Safety
    /// `to` has room for `len` bytes.
    #[inline(always)]
    pub unsafe fn copy(&self, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller's.
        unsafe { self.copy_from(0, to, len) }
    }

    /// The same of its bytes from `at` on.
    ///
    /// # Safety
    /// `to` has room for `len` bytes.
    #[inline(always)]
    pub unsafe fn copy_from(&self, at: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller's.
        unsafe { self.hook.copy(self.at + at, to, len) }
    }

    /// Its UDP header and the payload's first bytes; `None` where the packet is empty.
    #[inline(always)]
    pub fn head(&self) -> Option<Head> {
        match self.head {
            Some(head) if !matches!(H::LAYER, Layer::Udp) => Some(head),
            _ => self.hook.load_head(self.at, self.len),
        }
    }
}

/// The UDP header and the first bytes of the payload, as the packet has them, with zeros where it ends earlier: no
/// command has a zero in its word.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Head {
    header: [u16; udp::HEADER_LEN / 2],
    first: u64,
}

impl Head {
    /// From the payload's first bytes as a little-endian integer.
    #[inline(always)]
    pub(crate) fn new(header: [u16; udp::HEADER_LEN / 2], first: u64) -> Self {
        Self { header, first: first.to_le() }
    }

    /// From the payload's first bytes as a load gives them.
    #[inline(always)]
    pub(crate) fn seen(header: [u16; udp::HEADER_LEN / 2], first: u64) -> Self {
        Self { header, first }
    }

    /// What a call writes into zeros; `None` where it says that it failed.
    #[inline(always)]
    pub(crate) fn written_by(write: impl FnOnce(*mut u8) -> bool) -> Option<Self> {
        let mut head = MaybeUninit::<Self>::uninit();
        let words = head.as_mut_ptr().cast::<u64>();
        for i in 0..size_of::<Self>() / size_of::<u64>() {
            // SAFETY: `i` is inside. Volatile, because the compiler would make a call of memset of it.
            unsafe { words.add(i).write_volatile(0) };
        }
        // SAFETY: all bytes are written.
        write(words.cast()).then(|| unsafe { head.assume_init() })
    }

    /// The length field of the UDP header, header included.
    #[inline(always)]
    pub fn udp_length(&self) -> u16 {
        u16::from_be(self.header[udp::LENGTH_OFFSET / 2])
    }

    /// The destination port as the packet has it.
    #[inline(always)]
    pub(crate) fn destination_port(&self) -> u16 {
        self.header[udp::DESTINATION_OFFSET / 2]
    }

    /// Whether the payload begins with the command's word.
    #[inline(always)]
    pub fn begins_with(&self, command: Command) -> bool {
        u64::from_le(self.first) & command.mask() == command.magic()
    }

    /// The same head where the payload has `len` bytes.
    #[inline(always)]
    pub(crate) fn cut(self, len: u32) -> Self {
        if len >= size_of::<u64>() as u32 {
            return self;
        }
        Self::new(self.header, u64::from_le(self.first) & ((1 << (8 * len)) - 1))
    }
}
