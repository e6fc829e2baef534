//! Frames that a driver shows in several pieces, as it does jumbo frames: direct access reaches the first one, and whatever
//! of the headers and of the packet's end isn't there is read by calls, apart from the common case.

use core::mem::MaybeUninit;

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
};

use crate::{
    frame::{self, Miss},
    hook::{Hook, Layer, Xdp},
    packet::Place,
    view::{Buffer, View},
    window,
};

/// The server's packet in a frame of any number of pieces.
#[inline(always)]
pub(crate) fn find(frame: *mut xdp_md) -> Result<Place, Miss> {
    let mut place = MaybeUninit::uninit();
    match found(frame, &mut place) {
        // SAFETY: it is written where that is said.
        FOUND => Ok(unsafe { place.assume_init() }),
        UNREADABLE => Err(Miss::Unreadable),
        _ => Err(Miss::Other),
    }
}

/// What was found, in a register.
const OTHER: u32 = 0;
const FOUND: u32 = 1;
const UNREADABLE: u32 = 2;

/// Not inlined: it would take registers from the common case.
#[inline(never)]
fn found(frame: *mut xdp_md, place: &mut MaybeUninit<Place>) -> u32 {
    match frame::walk(&Pieces(frame)).map(|packet| packet.place()) {
        Ok(Some(found)) => {
            place.write(found);
            FOUND
        }
        Err(Miss::Unreadable) => UNREADABLE,
        _ => OTHER,
    }
}

/// At the device's driver, where all bytes are read by calls.
struct Pieces(*mut xdp_md);

impl Hook for Pieces {
    const LAYER: Layer = Xdp::<true>::LAYER;
    const ACCEPT: i64 = Xdp::<true>::ACCEPT;
    const DROP: i64 = Xdp::<true>::DROP;

    #[inline(always)]
    fn length(&self) -> u32 {
        // SAFETY: the kernel's pointer to the context, which is live while the program runs.
        unsafe { bpf_xdp_get_buff_len(self.0) as u32 }
    }

    #[inline(always)]
    fn window<'a>(
        &self,
        _buffer: &'a mut Buffer<{ window::LEN }>,
    ) -> Option<View<'a, { window::HEADERS_LEN }>> {
        None
    }

    #[inline(always)]
    fn first(&self, _headers: &View<'_, { window::HEADERS_LEN }>) -> u64 {
        0
    }

    #[inline(always)]
    unsafe fn copy(&self, at: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller's.
        unsafe { bpf_xdp_load_bytes(self.0, at, to.cast(), len) == 0 }
    }
}
