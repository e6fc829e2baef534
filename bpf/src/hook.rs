//! What each hook gives a program, and what it takes for a verdict.

use core::mem::MaybeUninit;

use aya_ebpf::{
    bindings::{__sk_buff, sk_action, sk_reuseport_md, tcx_action_base, xdp_action, xdp_md},
    helpers::generated::{bpf_skb_load_bytes, bpf_skb_load_bytes_relative, bpf_xdp_load_bytes},
};

use crate::{
    bounds,
    frame::Miss,
    packet::{Head, Place},
    pieces,
    view::{Buffer, View},
    window, worker,
};

/// One program a hook, each called after its hook and the filter: `$run` is a function of the hook that gives what the
/// program returns.
#[macro_export]
macro_rules! programs {
    ($name:literal, $run:path) => {
        $crate::program!($name, $run, socket, "socket", $crate::Socket, __sk_buff);
        $crate::program!($name, $run, reuseport, "sk_reuseport", $crate::Reuseport, sk_reuseport_md);
        $crate::program!($name, $run, cgroup, "cgroup_skb/ingress", $crate::Cgroup, __sk_buff);
        $crate::program!($name, $run, tc, "classifier", $crate::Tc, __sk_buff);
        $crate::program!($name, $run, xdp, "xdp.frags", $crate::Xdp::<true>, xdp_md);
        $crate::program!($name, $run, xdp_whole, "xdp", $crate::Xdp::<false>, xdp_md);
    };
}

/// A program at a hook; the section's name tells loaders its type.
#[macro_export]
macro_rules! program {
    ($name:literal, $run:path, $hook:ident, $section:literal, $context:path, $raw:ident) => {
        #[unsafe(export_name = concat!(stringify!($hook), "_", $name))]
        #[unsafe(link_section = $section)]
        extern "C" fn $hook(context: *mut aya_ebpf::bindings::$raw) -> i64 {
            let hook = $context(context);
            $crate::Hook::end(&hook, $run(&hook))
        }
    };
}

/// The first header that a program sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Ethernet.
    Ethernet,
    /// IPv4 or IPv6.
    Ip,
    /// UDP.
    Udp,
}

/// A program's context at a hook. Offsets are bytes from the first one that is seen there.
pub trait Hook {
    /// The first header there.
    const LAYER: Layer;
    /// The return value with which a packet goes on.
    const ACCEPT: i64;
    /// The return value with which it ends.
    const DROP: i64;

    /// How many bytes there are.
    fn length(&self) -> u32;

    /// Whether there are `end` bytes at hand.
    #[inline(always)]
    fn reaches(&self, end: u32) -> bool {
        end <= self.length()
    }

    /// Loads the words at an even offset, each in the packet's byte order, if they are at hand.
    #[inline(always)]
    fn load<const N: usize>(&self, at: u32) -> Option<[u16; N]> {
        self.load_copy(at)
    }

    /// The same wherever they are.
    #[inline(always)]
    fn load_copy<const N: usize>(&self, at: u32) -> Option<[u16; N]> {
        let mut words = MaybeUninit::<[u16; N]>::uninit();
        // SAFETY: the length is that of the words, and all are written where the call succeeds.
        unsafe {
            let is_loaded = self.copy(at, words.as_mut_ptr().cast(), size_of::<[u16; N]>() as u32);
            is_loaded.then(|| words.assume_init())
        }
    }

    /// Loads the UDP header at an even offset and the payload's first bytes, of a packet with `rest` bytes from there, all at
    /// hand.
    #[inline(always)]
    fn load_head(&self, at: u32, rest: u32) -> Option<Head> {
        const LAST: u32 = size_of::<Head>() as u32 - 1;
        if rest == 0 {
            return None;
        }
        let len = bounds::length::<LAST>(rest);
        // SAFETY: `len` is at most the length of a head, for which any bytes are right.
        Head::written_by(|head| unsafe { self.copy(at, head, len) })
    }

    /// The server's packet in a frame of which something isn't at hand that finding it needs.
    #[inline(always)]
    fn find_in_pieces(&self) -> Result<Place, Miss> {
        Err(Miss::Other)
    }

    /// The window's headers, where the packet has so many bytes.
    fn window<'a>(
        &self,
        buffer: &'a mut Buffer<{ window::LEN }>,
    ) -> Option<View<'a, { window::HEADERS_LEN }>>;

    /// The bytes behind those headers as a load gives them, with zeros where the packet ends earlier.
    fn first(&self, headers: &View<'_, { window::HEADERS_LEN }>) -> u64;

    /// Copies bytes, wherever they are; false where the packet ends before.
    ///
    /// # Safety
    /// `to` has room for `len` bytes.
    unsafe fn copy(&self, at: u32, to: *mut u8, len: u32) -> bool;

    /// Copies bytes of the IP header, which begins at `ip` where the hook shows it; false where they aren't there.
    ///
    /// # Safety
    /// `to` has room for `len` bytes.
    #[inline(always)]
    unsafe fn copy_ip(&self, ip: u32, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller's.
        unsafe { self.copy(ip + offset, to, len) }
    }

    /// What the program returns for that verdict's value.
    #[inline(always)]
    fn end(&self, value: i64) -> i64 {
        value
    }

    /// Whether the packet is several datagrams that segmentation offload left together, as far as the hook tells.
    #[inline(always)]
    fn is_super_packet(&self) -> bool {
        false
    }
}

/// At the socket.
pub struct Socket(pub *mut __sk_buff);

/// At the pick among the sockets that share a port.
pub struct Reuseport(pub *mut sk_reuseport_md);

/// At the control group.
pub struct Cgroup(pub *mut __sk_buff);

/// At the device, behind the making of the packet's buffer.
pub struct Tc(pub *mut __sk_buff);

/// At the device's driver; whether a frame may come in pieces, which needs Linux 5.18.
pub struct Xdp<const IN_PIECES: bool>(pub *mut xdp_md);

/// Hooks whose packets `bpf_skb_load_bytes` reads: a UDP payload may lie in page fragments, which direct access doesn't
/// reach (net/ipv4/ip_output.c, ip_append_data).
macro_rules! skb_hook {
    (
        $hook:ident, $layer:ident, accept: $accept:expr, drop: $drop:expr
        $(, gso_size: $gso_size:ident)?
        $(, accepted: $accepted:path)?
        $(, ip: $ip:path)?
    ) => {
        impl Hook for $hook {
            const LAYER: Layer = Layer::$layer;
            const ACCEPT: i64 = $accept;
            const DROP: i64 = $drop;

            #[inline(always)]
            fn length(&self) -> u32 {
                // SAFETY: the kernel's pointer to the context, which is live while the program runs.
                unsafe { (*self.0).len }
            }

            #[inline(always)]
            fn window<'a>(&self, buffer: &'a mut Buffer<{ window::LEN }>) -> Option<View<'a, { window::HEADERS_LEN }>> {
                const FIRST_LEN: u32 = (window::LEN - window::HEADERS_LEN) as u32;
                let (at, before) = window::place(Self::LAYER);
                let headers_len = (window::HEADERS_LEN - before) as u32;
                let length = self.length();
                if length < at + headers_len {
                    return None;
                }
                buffer.clear();
                let len = headers_len + bounds::at_most::<FIRST_LEN>(length - at - headers_len);
                // SAFETY: behind what is left out there is room for `len` bytes, and all are something.
                unsafe { self.copy(at, buffer.start().add(before), len).then(|| View::new(buffer.start())) }
            }

            #[inline(always)]
            fn first(&self, headers: &View<'_, { window::HEADERS_LEN }>) -> u64 {
                // SAFETY: the headers are a buffer's, where these bytes are behind them.
                unsafe { headers.start().add(window::HEADERS_LEN).cast::<u64>().read() }
            }

            #[inline(always)]
            unsafe fn copy(&self, at: u32, to: *mut u8, len: u32) -> bool {
                // SAFETY: the caller's.
                unsafe { bpf_skb_load_bytes(self.0.cast(), at, to.cast(), len) == 0 }
            }

            $(
                #[inline(always)]
                unsafe fn copy_ip(&self, _ip: u32, offset: u32, to: *mut u8, len: u32) -> bool {
                    // SAFETY: the kernel's pointer to the context; the rest is the caller's.
                    unsafe { bpf_skb_load_bytes_relative(self.0.cast(), offset, to.cast(), len, $ip) == 0 }
                }
            )?

            $(
                #[inline(always)]
                fn end(&self, value: i64) -> i64 {
                    if value == Self::ACCEPT {
                        $accepted(self);
                    }
                    value
                }
            )?

            $(
                #[inline(always)]
                fn is_super_packet(&self) -> bool {
                    // SAFETY: as above.
                    unsafe { (*self.0).$gso_size != 0 }
                }
            )?
        }
    };
}

/// BPF_HDR_START_NET, include/uapi/linux/bpf.h (Linux 4.18): the IP header, although the program sees UDP's first.
const FROM_NETWORK_HEADER: u32 = 1;

// sk_filter in net/core/filter.c: how many bytes of the packet stay, and -1 is more than any has.
skb_hook!(Socket, Udp, accept: -1, drop: 0, ip: FROM_NETWORK_HEADER);
skb_hook!(
    Reuseport, Udp, accept: sk_action::SK_PASS as i64, drop: sk_action::SK_DROP as i64, accepted: worker::pick,
    ip: FROM_NETWORK_HEADER
);
// __cgroup_bpf_run_filter_skb in kernel/bpf/cgroup.c: 1 lets it on.
skb_hook!(Cgroup, Ip, accept: 1, drop: 0, gso_size: gso_size);
skb_hook!(Tc, Ethernet, accept: tcx_action_base::TCX_NEXT as i64, drop: tcx_action_base::TCX_DROP as i64, gso_size: gso_size);

/// More than any offset that is read at: of a header, or of the payload behind six IPv6 extension headers of 2 KiB. What is
/// read there ends before the last offset that the verifier follows (MAX_PACKET_OFF, 0xffff, include/linux/bpf_verifier.h).
const MOST_AT: u32 = 0x7fff;
/// More than where any packet ends.
const MOST_END: u32 = 0x1_ffff;

impl<const IN_PIECES: bool> Xdp<IN_PIECES> {
    #[inline(always)]
    fn data(&self) -> usize {
        // SAFETY: the kernel's pointer to the context, which is live while the program runs.
        unsafe { (*self.0).data as usize }
    }

    #[inline(always)]
    fn end(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.0).data_end as usize }
    }

    /// Where an offset is.
    #[inline(always)]
    fn at(&self, at: u32) -> usize {
        self.data() + bounds::at_most::<MOST_AT>(at) as usize
    }

    /// Copies bytes that are at hand, one by one; false where the frame, or its first piece, ends before.
    ///
    /// # Safety
    /// `to` has room for `len` bytes.
    #[inline(always)]
    unsafe fn copy_at_hand(&self, at: u32, to: *mut u8, len: u32) -> bool {
        let start = self.at(at);
        for i in 0..len as usize {
            let from = start + i;
            // `from >= self.end()` tells the verifier nothing where it knows `from` as a base without an offset
            // (kernel/bpf/verifier.c, find_good_pkt_pointers).
            if bounds::behind(from) > self.end() {
                return false;
            }
            // SAFETY: the byte is in the frame, as the comparison showed; the rest is the caller's. Volatile, because the
            // compiler would make a call of memcpy of it.
            unsafe { to.add(i).write_volatile((from as *const u8).read_volatile()) };
        }
        true
    }

    /// Eight bytes of the frame as a load gives them, with zeros where it ends earlier.
    #[inline(always)]
    fn first_at(&self, start: usize) -> u64 {
        if start + size_of::<u64>() <= self.end() {
            // SAFETY: these bytes are in the frame, as the comparison showed.
            return unsafe { (start as *const u64).read_unaligned() };
        }
        let (mut first, mut at, mut bits) = (0, start, 0);
        // SAFETY: as above, in each of them.
        if at + size_of::<u32>() <= self.end() {
            first = u64::from(u32::from_le(unsafe { (at as *const u32).read_unaligned() }));
            at += size_of::<u32>();
            bits += u32::BITS;
        }
        if at + size_of::<u16>() <= self.end() {
            first |= u64::from(u16::from_le(unsafe { (at as *const u16).read_unaligned() })) << bits;
            at += size_of::<u16>();
            bits += u16::BITS;
        }
        if at + size_of::<u8>() <= self.end() {
            first |= u64::from(unsafe { (at as *const u8).read() }) << bits;
        }
        first.to_le()
    }
}

/// Direct access, to words wherever they stand: build.rs says what makes one load of each. At hand is a frame's first piece.
impl<const IN_PIECES: bool> Hook for Xdp<IN_PIECES> {
    const LAYER: Layer = Layer::Ethernet;
    const ACCEPT: i64 = xdp_action::XDP_PASS as i64;
    const DROP: i64 = xdp_action::XDP_DROP as i64;

    #[inline(always)]
    fn length(&self) -> u32 {
        (self.end() - self.data()) as u32
    }

    #[inline(always)]
    fn reaches(&self, end: u32) -> bool {
        self.data() + bounds::at_most::<MOST_END>(end) as usize <= self.end()
    }

    #[inline(always)]
    fn load<const N: usize>(&self, at: u32) -> Option<[u16; N]> {
        let start = self.at(at);
        if start + size_of::<[u16; N]>() > self.end() {
            return None;
        }
        // SAFETY: these bytes are in the frame, as the comparison showed, to the verifier too.
        Some(unsafe { (start as *const [u16; N]).read_unaligned() })
    }

    #[inline(always)]
    fn load_head(&self, at: u32, _rest: u32) -> Option<Head> {
        let header = self.load(at)?;
        Some(Head::seen(header, self.first_at(self.at(at) + size_of_val(&header))))
    }

    #[inline(always)]
    fn window<'a>(
        &self,
        _buffer: &'a mut Buffer<{ window::LEN }>,
    ) -> Option<View<'a, { window::HEADERS_LEN }>> {
        let start = self.data() + window::place(Self::LAYER).0 as usize;
        // SAFETY: these bytes are in the frame, as the comparison shows.
        (start + window::HEADERS_LEN <= self.end()).then(|| unsafe { View::new(start as *const u8) })
    }

    #[inline(always)]
    fn first(&self, headers: &View<'_, { window::HEADERS_LEN }>) -> u64 {
        self.first_at(headers.start() as usize + window::HEADERS_LEN)
    }

    #[inline(always)]
    unsafe fn copy(&self, at: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller's.
        unsafe {
            if IN_PIECES {
                bpf_xdp_load_bytes(self.0, at, to.cast(), len) == 0
            } else {
                self.copy_at_hand(at, to, len)
            }
        }
    }

    #[inline(always)]
    fn find_in_pieces(&self) -> Result<Place, Miss> {
        if IN_PIECES { pieces::find(self.0) } else { Err(Miss::Other) }
    }
}
