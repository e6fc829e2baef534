//! A packet's bytes where a program reads them: in the packet itself, or in a copy of them.

use core::{marker::PhantomData, mem::MaybeUninit};

/// Room for a copy of `N` bytes. Aligned for every word, as the verifier wants all reads from the stack.
#[repr(C, align(8))]
pub struct Buffer<const N: usize>(MaybeUninit<[u8; N]>);

impl<const N: usize> Buffer<N> {
    /// Nothing yet.
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// Where it begins.
    #[inline(always)]
    pub(crate) const fn start(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }

    /// Zeros, of which a call then overwrites as many as it is told: without CAP_PERFMON the verifier wants a copy of
    /// a length that it doesn't know to go where something is.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        const { assert!(N.is_multiple_of(size_of::<u64>())) };
        let words = self.start().cast::<u64>();
        for i in 0..N / size_of::<u64>() {
            // SAFETY: `i` is inside. Volatile, because the compiler would make a call of memset of it.
            unsafe { words.add(i).write_volatile(0) };
        }
    }
}

/// `N` bytes.
pub struct View<'a, const N: usize> {
    start: *const u8,
    bytes: PhantomData<&'a [u8; N]>,
}

impl<const N: usize> View<'_, N> {
    /// # Safety
    /// There are `N` bytes from `start` on for as long as the view is used.
    #[inline(always)]
    pub(crate) const unsafe fn new(start: *const u8) -> Self {
        Self { start, bytes: PhantomData }
    }

    /// Where it begins.
    #[inline(always)]
    pub(crate) const fn start(&self) -> *const u8 {
        self.start
    }

    #[inline(always)]
    fn read<T: Copy>(&self, offset: usize) -> T {
        assert!(offset + size_of::<T>() <= N);
        // SAFETY: these bytes are inside, and any are right for an integer, which T is below. Of their alignment
        // build.rs says more.
        unsafe { self.start.add(offset).cast::<T>().read_unaligned() }
    }
}

/// Fields of a header at offsets that are known.
pub(crate) trait Fields {
    /// A byte.
    fn byte(&self, offset: usize) -> u8;

    /// Two bytes as the packet has them.
    fn half(&self, offset: usize) -> u16;

    /// Four bytes as the packet has them.
    fn word(&self, offset: usize) -> u32;

    /// A big-endian integer.
    #[inline(always)]
    fn u16(&self, offset: usize) -> u16 {
        u16::from_be(self.half(offset))
    }
}

impl<const N: usize> Fields for View<'_, N> {
    #[inline(always)]
    fn byte(&self, offset: usize) -> u8 {
        self.read(offset)
    }

    #[inline(always)]
    fn half(&self, offset: usize) -> u16 {
        self.read(offset)
    }

    #[inline(always)]
    fn word(&self, offset: usize) -> u32 {
        self.read(offset)
    }
}

/// Words of two bytes at even offsets.
impl<const N: usize> Fields for [u16; N] {
    #[inline(always)]
    fn byte(&self, offset: usize) -> u8 {
        self[offset / 2].to_ne_bytes()[offset % 2]
    }

    #[inline(always)]
    fn half(&self, offset: usize) -> u16 {
        self[offset / 2]
    }

    #[inline(always)]
    fn word(&self, offset: usize) -> u32 {
        let [[a, b], [c, d]] = [self.half(offset).to_ne_bytes(), self.half(offset + 2).to_ne_bytes()];
        u32::from_ne_bytes([a, b, c, d])
    }
}
