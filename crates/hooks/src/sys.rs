//! System calls of our own: those that attach programs, where aya would fall back to ways that outlive the process, and
//! those that read maps whose types aya would have to know.

use std::{
    ffi::CString,
    fs, io, mem,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_map_type, bpf_prog_type};

/// Times that the kernel did not run a program because another ran on that CPU at that moment (`bpf_prog_show_fdinfo`,
/// kernel/bpf/syscall.c; aya doesn't hand the field of `bpf_prog_info` out). Nothing before Linux 5.12, which doesn't count them.
pub(crate) fn recursion_misses(program: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    said_of(program, "recursion_misses:")
}

/// Whether what a link was attached to is gone, and the program attached to nothing (`bpf_link_show_fdinfo`,
/// kernel/bpf/syscall.c).
pub(crate) fn is_dead_link(link: BorrowedFd<'_>) -> io::Result<bool> {
    let is_none = |field| said_of(link, field).map(|number| number == Some(0));
    Ok(is_none("ifindex:")? || is_none("cgroup_id:")?)
}

/// The id of a link's program, where the kernel says it (`bpf_link_show_fdinfo`, kernel/bpf/syscall.c).
pub(crate) fn program_of_link(link: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    Ok(said_of(link, "prog_id:")?.map(|id| id as u32))
}

/// A number that the kernel says of a descriptor, where it says it.
fn said_of(descriptor: BorrowedFd<'_>, field: &str) -> io::Result<Option<u64>> {
    let path = format!("/proc/thread-self/fdinfo/{}", descriptor.as_raw_fd());
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    let text = fs::read_to_string(&path).map_err(named)?;
    let number = text.lines().find_map(|line| line.strip_prefix(field));
    number.map(|number| number.trim().parse().map_err(|error| named(io::Error::other(error)))).transpose()
}

/// Attaches a program for as long as what comes back is open (`BPF_LINK_CREATE`, Linux 5.7).
pub(crate) fn create_link(
    program: BorrowedFd<'_>,
    target: u32,
    attach_type: bpf_attach_type,
    flags: u32,
) -> io::Result<OwnedFd> {
    let link = bpf(bpf_cmd::BPF_LINK_CREATE, |attributes| {
        attributes.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
        // A descriptor, or an interface's index.
        attributes.link_create.__bindgen_anon_2.target_fd = target;
        attributes.link_create.attach_type = attach_type as u32;
        attributes.link_create.flags = flags;
    })?;
    // SAFETY: the kernel just made the descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
}

/// Puts another program in the place of the link's; every packet is decided by one of them.
pub(crate) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let done = bpf(bpf_cmd::BPF_LINK_UPDATE, |attributes| {
        attributes.link_update.link_fd = link.as_raw_fd() as u32;
        attributes.link_update.__bindgen_anon_1.new_prog_fd = program.as_raw_fd() as u32;
    });
    done.map(drop)
}

/// Detaches the link's program now, whoever else has a descriptor of the link (`BPF_LINK_DETACH`, Linux 5.9; tcx 6.6).
pub(crate) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let set = |attributes: &mut bpf_attr| attributes.link_detach.link_fd = link.as_raw_fd() as u32;
    bpf(bpf_cmd::BPF_LINK_DETACH, set).map(drop)
}

/// Gives a map or a link a name in bpffs, by which it lives on (`BPF_OBJ_PIN`, Linux 4.4; links 5.7).
pub(crate) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let done = bpf(bpf_cmd::BPF_OBJ_PIN, |attributes| {
        attributes.__bindgen_anon_4.pathname = path.as_ptr().expose_provenance() as u64;
        attributes.__bindgen_anon_4.bpf_fd = object.as_raw_fd() as u32;
    });
    done.map(drop)
}

/// What has that name in bpffs (`BPF_OBJ_GET`, Linux 4.4).
pub(crate) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let object = bpf(bpf_cmd::BPF_OBJ_GET, |attributes| {
        attributes.__bindgen_anon_4.pathname = path.as_ptr().expose_provenance() as u64;
    })?;
    // SAFETY: the kernel just made the descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(object) })
}

/// A map that holds these bytes alone, as its only value.
pub(crate) fn map_of(bytes: &[u8]) -> io::Result<OwnedFd> {
    let map = bpf(bpf_cmd::BPF_MAP_CREATE, |attributes| {
        attributes.__bindgen_anon_1.map_type = bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
        attributes.__bindgen_anon_1.key_size = size_of::<u32>() as u32;
        attributes.__bindgen_anon_1.value_size = bytes.len() as u32;
        attributes.__bindgen_anon_1.max_entries = 1;
    })?;
    // SAFETY: the kernel just made the descriptor, which nobody else has.
    let map = unsafe { OwnedFd::from_raw_fd(map) };
    let key = 0_u32.to_ne_bytes();
    let done = bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, |attributes| {
        attributes.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
        attributes.__bindgen_anon_2.key = key.as_ptr().expose_provenance() as u64;
        attributes.__bindgen_anon_2.__bindgen_anon_1.value = bytes.as_ptr().expose_provenance() as u64;
    });
    done.map(|_| map)
}

/// The only value of a map that [`map_of`] made.
pub(crate) fn bytes_of(map: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let of_another = || io::Error::other("it is no map of one value");
    let number = |field| said_of(map, field).map(|number| number.ok_or_else(of_another));
    let sizes = [number("key_size:")??, number("max_entries:")??];
    let (kind, len) = (number("map_type:")??, number("value_size:")??);
    if sizes != [size_of::<u32>() as u64, 1] || kind != bpf_map_type::BPF_MAP_TYPE_ARRAY as u64 {
        return Err(of_another());
    }
    // In a multiple of 8 bytes.
    let mut bytes = vec![0; len as usize];
    // SAFETY: the kernel has just said how long the key and the value are.
    unsafe { look_up(map, &0_u32.to_ne_bytes(), &mut bytes) }?;
    Ok(bytes)
}

/// The ids of the programs that are attached to an interface, by its index, or to a control group, by its descriptor
/// (`BPF_PROG_QUERY`, Linux 4.15, at tcx 6.6; CAP_NET_ADMIN); 64 of them at most, which is all that a group takes.
pub(crate) fn attached_programs(target: u32, attach_type: bpf_attach_type) -> io::Result<Vec<u32>> {
    let mut ids = [0_u32; 64];
    let asked = bpf(bpf_cmd::BPF_PROG_QUERY, |attributes| {
        attributes.query.__bindgen_anon_1.target_fd = target;
        attributes.query.attach_type = attach_type as u32;
        attributes.query.prog_ids = ids.as_mut_ptr().expose_provenance() as u64;
        attributes.query.__bindgen_anon_2.prog_cnt = ids.len() as u32;
    });
    match asked {
        // There are more than these.
        Err(error) if error.raw_os_error() != Some(libc::ENOSPC) => Err(error),
        _ => Ok(ids.into_iter().filter(|id| *id != 0).collect()),
    }
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
    let done = bpf(command, |attributes| {
        attributes.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
        attributes.__bindgen_anon_2.key = key.map_or(0, |key| key.as_ptr().expose_provenance() as u64);
        // The next key lies where a value does.
        attributes.__bindgen_anon_2.__bindgen_anon_1.value = out.as_mut_ptr().expose_provenance() as u64;
    });
    done.map(drop)
}

/// Gives so many keys that lie behind each other the values that lie behind each other.
pub(crate) fn update_batch(map: BorrowedFd<'_>, keys: &[u8], values: &[u8], count: usize) -> io::Result<()> {
    let done = bpf(bpf_cmd::BPF_MAP_UPDATE_BATCH, |attributes| {
        attributes.batch.keys = keys.as_ptr().expose_provenance() as u64;
        attributes.batch.values = values.as_ptr().expose_provenance() as u64;
        attributes.batch.count = count as u32;
        attributes.batch.map_fd = map.as_raw_fd() as u32;
    });
    done.map(drop)
}

/// Waits until every program that runs now has ended: programs run within read-side sections of RCU, for all of which
/// `MEMBARRIER_CMD_GLOBAL` waits (kernel/sched/membarrier.c; Linux 4.3, not with `nohz_full`).
///
/// # Errors
/// What the kernel says: not with `nohz_full`.
pub fn wait_for_programs() -> io::Result<()> {
    // SAFETY: the call takes numbers alone.
    let returned = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Has the kernel verify a program without maps, of instructions as they lie in memory.
pub(crate) fn load_program(
    program_type: bpf_prog_type,
    instructions: &[u8],
    flags: u32,
) -> io::Result<OwnedFd> {
    let program = bpf(bpf_cmd::BPF_PROG_LOAD, |attributes| {
        attributes.__bindgen_anon_3.prog_type = program_type as u32;
        attributes.__bindgen_anon_3.insn_cnt = (instructions.len() / size_of::<u64>()) as u32;
        attributes.__bindgen_anon_3.insns = instructions.as_ptr().expose_provenance() as u64;
        attributes.__bindgen_anon_3.license = c"GPL".as_ptr().expose_provenance() as u64;
        attributes.__bindgen_anon_3.prog_flags = flags;
    })?;
    // SAFETY: the kernel just made the descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(program) })
}

/// Gives the kernel a command, whose attributes are 0 but for what `set` sets.
fn bpf(command: bpf_cmd, set: impl FnOnce(&mut bpf_attr)) -> io::Result<i32> {
    // SAFETY: the union is plain data, for which zeroes are valid.
    let mut attributes: bpf_attr = unsafe { mem::zeroed() };
    set(&mut attributes);
    // SAFETY: the kernel reads the union, of the size that is given, and may write to it; of what addresses in it lead
    // to, the callers of `look_up` and `next_key` warrant the length, and `attached_programs` says it.
    let returned =
        unsafe { libc::syscall(libc::SYS_bpf, command as u32, &raw mut attributes, size_of::<bpf_attr>()) };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned as i32) }
}

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

/// Sets an option of a socket that takes a number, such as a program's descriptor.
pub(crate) fn set_option(socket: BorrowedFd<'_>, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the kernel reads an int's bytes from where one lies.
    let returned = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
