//! Source checks: the packet's source is looked up, and lets the packet on to the next filter or not.

use core::mem::{self, MaybeUninit};

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    btf_maps::{Array, LpmTrie, LruHashMap, lpm_trie::Key},
    helpers::generated::bpf_ktime_get_ns,
};
use weir_wire::headers::{ipv4, ipv6};

use crate::{
    frame,
    hook::{Hook, Layer},
};

/// A packet's source as packets are looked up: 16 bytes in network byte order, IPv4 as ::ffff:a.b.c.d.
pub type Source = [u32; 4];

/// Prefixes by when they end; the loader says how many there is room for.
pub type Blocked = LpmTrie<Source, u64, 1>;

/// From one packet of a source to its next, and how many of them a packet may be early, nanoseconds.
pub type Rate = Array<[u64; 2], 1>;

/// When each source's next packet is due; the loader says for how many there is room.
pub type Sources = LruHashMap<Source, u64, 1>;

/// The source of the server's packet; `None` where there is no IP header, which a test run can bring about.
#[inline(always)]
pub fn source<H: Hook>(hook: &H) -> Option<Source> {
    /// The third word of ::ffff:0:0.
    const MAPPED: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);
    let ip = match H::LAYER {
        Layer::Ethernet => frame::behind_ethernet(|at| hook.load(at).or_else(|| hook.load_copy(at)))?.0,
        Layer::Ip | Layer::Udp => 0,
    };
    let mut version = MaybeUninit::<u8>::uninit();
    let mut address = MaybeUninit::<[u64; 2]>::uninit();
    // SAFETY: each length is that of what is written, and what is read was written.
    unsafe {
        if !hook.copy_ip(ip, ipv4::VERSION_OFFSET as u32, version.as_mut_ptr(), 1) {
            return None;
        }
        let is_loaded = match version.assume_init() >> 4 {
            4 => {
                let mut last = MaybeUninit::<u32>::uninit();
                let is_loaded = hook.copy_ip(
                    ip,
                    ipv4::SOURCE_OFFSET as u32,
                    last.as_mut_ptr().cast(),
                    size_of::<u32>() as u32,
                );
                if is_loaded {
                    // Linux 5.10 takes a constant that lies in half of a stack's slot for a register that was spilled, and lets
                    // nobody without CAP_PERFMON write the other half: both are written at once.
                    address.write([0, mem::transmute::<[u32; 2], u64>([MAPPED, last.assume_init()])]);
                }
                is_loaded
            }
            6 => hook.copy_ip(
                ip,
                ipv6::SOURCE_OFFSET as u32,
                address.as_mut_ptr().cast(),
                size_of::<Source>() as u32,
            ),
            _ => false,
        };
        is_loaded.then(|| mem::transmute::<[u64; 2], Source>(address.assume_init()))
    }
}

/// A key whose data begins at a multiple of 8. Linux 5.10 takes a constant in the lower half of a stack's slot, such as a key's
/// length, for a register that was spilled, and lets nobody without CAP_PERFMON write the other half.
#[repr(C, align(8))]
struct Placed {
    _room: MaybeUninit<u32>,
    key: Key<Source>,
}

/// Whether the source is in a prefix that isn't over.
#[inline(always)]
pub fn is_blocked(blocked: &'static Blocked, source: &Source) -> bool {
    let key = Key::new(8 * size_of::<Source>() as u32, *source);
    let placed = Placed { _room: MaybeUninit::uninit(), key };
    match blocked.get(&placed.key) {
        None => false,
        Some(0) => true,
        Some(end) => *end > now(),
    }
}

/// How often a moment is put in place of another: each time but the last it was another CPU that did.
const TRIES: usize = 8;

/// A source's account at a moment.
struct Account {
    /// When its next packet is due, live and aligned; programs write it in one piece.
    due: *mut u64,
    now: u64,
    interval: u64,
    /// The last due moment that conforms.
    last: u64,
}

/// The source's account; where there is none to be looked at, whether its packet conforms. A source that is new has a token.
#[inline(always)]
fn account(rate: &'static Rate, sources: &'static Sources, source: &Source) -> Result<Account, bool> {
    let Some(&[interval, tolerance]) = rate.get(0) else { return Err(true) };
    let now = now();
    let due = match sources.get_ptr_mut(source) {
        Some(due) => due,
        None if sources.insert(source, &(now + interval), BPF_NOEXIST.into()).is_ok() => return Err(true),
        None => sources.get_ptr_mut(source).ok_or(true)?,
    };
    Ok(Account { due, now, interval, last: now + tolerance })
}

/// Takes a token of the source's, if there is one. The virtual scheduling algorithm: a packet conforms where its due moment
/// is not further off than the tolerance. The next one's is put in place by compare and exchange (Linux 5.12), so that two
/// CPUs never spend the same token; a packet that finds others faster each time is refused.
#[inline(always)]
pub fn spend(rate: &'static Rate, sources: &'static Sources, source: &Source) -> bool {
    let Account { due, now, interval, last } = match account(rate, sources, source) {
        Ok(account) => account,
        Err(conforms) => return conforms,
    };
    // SAFETY: as an account says of it.
    let mut seen = unsafe { due.read_volatile() };
    for _ in 0..TRIES {
        let from = if seen > now { seen } else { now };
        if from > last {
            return false;
        }
        // SAFETY: as above.
        let found = unsafe { compare_exchange(due, seen, from + interval) };
        if found == seen {
            return true;
        }
        seen = found;
    }
    false
}

/// Takes a token where the kernel's BPF has no compare and exchange. CPUs that look at a source at the same moment may each
/// take its last token: one packet more a CPU. What they took is owed by the source then, since the additions add up; only
/// where it owed nothing before, one of them counts.
#[inline(always)]
pub fn spend_without_exchange(rate: &'static Rate, sources: &'static Sources, source: &Source) -> bool {
    let Account { due, now, interval, last } = match account(rate, sources, source) {
        Ok(account) => account,
        Err(conforms) => return conforms,
    };
    // SAFETY: as an account says of it.
    unsafe {
        let seen = due.read_volatile();
        if seen > last {
            return false;
        }
        if seen < now {
            due.write_volatile(now + interval);
        } else {
            add(due, interval);
        }
    }
    true
}

/// Adds to the value there in one step (BPF_XADD, Linux 3.18).
///
/// # Safety
/// `at` is live and aligned.
#[cfg(target_arch = "bpf")]
#[inline(always)]
unsafe fn add(at: *mut u64, value: u64) {
    // SAFETY: the caller's; the instruction touches nothing else (RFC 9669, section 5.3).
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({at} + 0) += {value}",
            at = in(reg) at,
            value = in(reg) value,
            options(nostack, preserves_flags),
        );
    }
}

/// The addition for a lint of this package, which compiles it for the machine that it runs on.
///
/// # Safety
/// `at` is live and aligned.
#[cfg(not(target_arch = "bpf"))]
unsafe fn add(at: *mut u64, value: u64) {
    use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
    // SAFETY: the caller's.
    unsafe { AtomicU64::from_ptr(at) }.fetch_add(value, SeqCst);
}

/// Puts `new` in place of `old`, if that is what is there, and gives what was there. `core` has no such operation for BPF,
/// whose first instruction set had none.
///
/// # Safety
/// `at` is live and aligned.
#[cfg(target_arch = "bpf")]
#[inline(always)]
unsafe fn compare_exchange(at: *mut u64, old: u64, new: u64) -> u64 {
    let found;
    // SAFETY: the caller's; the instruction touches nothing else (RFC 9669, section 5.3).
    unsafe {
        core::arch::asm!(
            "r0 = cmpxchg_64({at} + 0, r0, {new})",
            at = in(reg) at,
            new = in(reg) new,
            inout("r0") old => found,
            options(nostack, preserves_flags),
        );
    }
    found
}

/// The same for a lint of this package, which compiles it for the machine that it runs on.
///
/// # Safety
/// `at` is live and aligned.
#[cfg(not(target_arch = "bpf"))]
unsafe fn compare_exchange(at: *mut u64, old: u64, new: u64) -> u64 {
    use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
    // SAFETY: the caller's.
    unsafe { AtomicU64::from_ptr(at) }
        .compare_exchange(old, new, SeqCst, SeqCst)
        .unwrap_or_else(|found| found)
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: it takes nothing.
    unsafe { bpf_ktime_get_ns() }
}
