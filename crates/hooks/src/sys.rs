//! System calls of our own: those that attach programs, where aya would fall back to ways that outlive the process, and
//! those that read maps whose types aya would have to know.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_prog_type};

/// Times that the kernel did not run a program because another ran on that CPU at that moment (`bpf_prog_show_fdinfo`,
/// kernel/bpf/syscall.c; aya doesn't hand the field of `bpf_prog_info` out). Nothing before Linux 5.12, which doesn't count them.
pub(crate) fn recursion_misses(program: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let path = format!("/proc/thread-self/fdinfo/{}", program.as_raw_fd());
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    let text = fs::read_to_string(&path).map_err(named)?;
    let count = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
    count.map(|count| count.trim().parse().map_err(|error| named(io::Error::other(error)))).transpose()
}

/// The first fields of `union bpf_attr` for `BPF_LINK_CREATE`; the kernel takes those left out for 0.
#[repr(C)]
struct LinkCreate {
    program: u32,
    /// A descriptor, or an interface's index.
    target: u32,
    attach_type: u32,
    flags: u32,
}

/// The same for `BPF_LINK_UPDATE`.
#[repr(C)]
struct LinkUpdate {
    link: u32,
    program: u32,
}

/// Attaches a program for as long as what comes back is open (`BPF_LINK_CREATE`, Linux 5.7).
pub(crate) fn create_link(
    program: BorrowedFd<'_>,
    target: u32,
    attach_type: bpf_attach_type,
    flags: u32,
) -> io::Result<OwnedFd> {
    let program = program.as_raw_fd() as u32;
    let attributes = LinkCreate { program, target, attach_type: attach_type as u32, flags };
    let link = bpf(bpf_cmd::BPF_LINK_CREATE, &attributes)?;
    // SAFETY: the kernel just made the descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
}

/// Puts another program in the place of the link's; every packet is decided by one of them.
pub(crate) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = LinkUpdate { link: link.as_raw_fd() as u32, program: program.as_raw_fd() as u32 };
    bpf(bpf_cmd::BPF_LINK_UPDATE, &attributes).map(|_| ())
}

/// The same for `BPF_LINK_DETACH`.
#[repr(C)]
struct LinkDetach {
    link: u32,
}

/// Detaches the link's program now, whoever else has a descriptor of the link (`BPF_LINK_DETACH`, Linux 5.9; tcx 6.6).
pub(crate) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    bpf(bpf_cmd::BPF_LINK_DETACH, &LinkDetach { link: link.as_raw_fd() as u32 }).map(|_| ())
}

/// The same for `BPF_MAP_LOOKUP_ELEM` and `BPF_MAP_GET_NEXT_KEY`: addresses, of what the kernel reads and writes.
#[repr(C)]
struct MapElement {
    map: u32,
    unused: u32,
    key: u64,
    value_or_next: u64,
}

/// Reads what the key has into `value`.
///
/// # Safety
/// `key` is as long as the map's keys, and `value` as its values, or those of all possible CPUs, each in a multiple of 8
/// bytes.
pub(crate) unsafe fn look_up(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<()> {
    element(bpf_cmd::BPF_MAP_LOOKUP_ELEM, map, Some(key), value)
}

/// Reads the key behind `key`, or the first one; ENOENT where there is none.
///
/// # Safety
/// Both are as long as the map's keys.
pub(crate) unsafe fn next_key(map: BorrowedFd<'_>, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<()> {
    element(bpf_cmd::BPF_MAP_GET_NEXT_KEY, map, key, next)
}

fn element(command: bpf_cmd, map: BorrowedFd<'_>, key: Option<&[u8]>, out: &mut [u8]) -> io::Result<()> {
    let key = key.map_or(0, |key| key.as_ptr().expose_provenance() as u64);
    let value_or_next = out.as_mut_ptr().expose_provenance() as u64;
    let attributes = MapElement { map: map.as_raw_fd() as u32, unused: 0, key, value_or_next };
    bpf(command, &attributes).map(|_| ())
}

/// The fields of `union bpf_attr` for `BPF_MAP_UPDATE_BATCH`, from include/uapi/linux/bpf.h.
#[repr(C)]
struct MapBatch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Gives so many keys that lie behind each other the values that lie behind each other.
pub(crate) fn update_batch(map: BorrowedFd<'_>, keys: &[u8], values: &[u8], count: usize) -> io::Result<()> {
    let attributes = MapBatch {
        in_batch: 0,
        out_batch: 0,
        keys: keys.as_ptr().expose_provenance() as u64,
        values: values.as_ptr().expose_provenance() as u64,
        count: count as u32,
        map: map.as_raw_fd() as u32,
        element_flags: 0,
        flags: 0,
    };
    bpf(bpf_cmd::BPF_MAP_UPDATE_BATCH, &attributes).map(drop)
}

/// The first fields of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct ProgramLoad {
    program_type: u32,
    instructions: u32,
    first: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// Has the kernel verify a program without maps, of instructions as they lie in memory.
pub(crate) fn load_program(
    program_type: bpf_prog_type,
    instructions: &[u8],
    flags: u32,
) -> io::Result<OwnedFd> {
    let attributes = ProgramLoad {
        program_type: program_type as u32,
        instructions: (instructions.len() / size_of::<u64>()) as u32,
        first: instructions.as_ptr().expose_provenance() as u64,
        license: c"GPL".as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags,
    };
    let program = bpf(bpf_cmd::BPF_PROG_LOAD, &attributes)?;
    // SAFETY: the kernel just made the descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(program) })
}

fn bpf<T>(command: bpf_cmd, attributes: &T) -> io::Result<i32> {
    // SAFETY: `attributes` is a repr(C) struct without padding, of the length that is given; the commands above only
    // read it, and of what addresses in it lead to, the callers of `look_up` and `next_key` warrant the length.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command as u32, attributes, size_of::<T>()) };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned as i32) }
}

/// An option of a socket that takes a number, such as a program's descriptor.
#[derive(Clone, Copy)]
pub(crate) struct SocketOption {
    number: i32,
    pub(crate) name: &'static str,
}

pub(crate) const ATTACH_BPF: SocketOption =
    SocketOption { number: libc::SO_ATTACH_BPF, name: "setsockopt SO_ATTACH_BPF" };
pub(crate) const DETACH_BPF: SocketOption =
    SocketOption { number: libc::SO_DETACH_BPF, name: "setsockopt SO_DETACH_BPF" };
pub(crate) const ATTACH_REUSEPORT: SocketOption =
    SocketOption { number: libc::SO_ATTACH_REUSEPORT_EBPF, name: "setsockopt SO_ATTACH_REUSEPORT_EBPF" };
/// Linux 5.3; the number is that of every architecture but two that are no more (include/uapi/asm-generic/socket.h).
pub(crate) const DETACH_REUSEPORT: SocketOption =
    SocketOption { number: 68, name: "setsockopt SO_DETACH_REUSEPORT_BPF" };

/// Whether the socket has a filter, and by what it was made (`SO_GET_FILTER`, net/core/filter.c, sk_get_filter).
pub(crate) fn filter_of(socket: BorrowedFd<'_>) -> io::Result<Option<&'static str>> {
    let mut instructions: libc::socklen_t = 0;
    // SAFETY: of no length, the kernel writes nothing but the length.
    let returned = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            std::ptr::null_mut(),
            &raw mut instructions,
        )
    };
    match (returned, io::Error::last_os_error()) {
        // Only a program has nothing to be shown.
        (-1, error) if error.raw_os_error() == Some(libc::EACCES) => Ok(Some("an eBPF program")),
        (-1, error) => Err(error),
        _ => Ok((instructions > 0).then_some("a classic filter")),
    }
}

pub(crate) fn set_option(socket: BorrowedFd<'_>, option: SocketOption, value: i32) -> io::Result<()> {
    // SAFETY: the kernel reads an int's bytes from where one lies.
    let returned = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option.number,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
