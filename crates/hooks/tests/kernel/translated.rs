//! The program as the verifier left it (`BPF_OBJ_GET_INFO_BY_FD`), which aya doesn't hand out.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;

/// The beginning of `struct bpf_prog_info`, include/uapi/linux/bpf.h.
#[derive(Default)]
#[repr(C)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_len: u32,
    translated_len: u32,
    jited: u64,
    translated: u64,
}

#[derive(Default)]
#[repr(C)]
struct InfoAttributes {
    fd: u32,
    info_len: u32,
    info: u64,
    // The kernel reads the whole union; zeros behind the fields of this command.
    rest: [u64; 14],
}

/// How many conditional jumps the program with this id has: class JMP or JMP32, neither `ja`, `call` nor `exit`
/// (RFC 9669, section 4.3).
pub(crate) fn conditional_jumps(id: u32) -> usize {
    let instructions = instructions(id).unwrap_or_else(|error| panic!("program {id}: {error}"));
    let is_conditional = |opcode: u8| matches!(opcode & 7, 5 | 6) && !matches!(opcode >> 4, 0 | 8 | 9);
    instructions.chunks_exact(8).filter(|instruction| is_conditional(instruction[0])).count()
}

fn instructions(id: u32) -> io::Result<Vec<u8>> {
    let mut attributes = InfoAttributes { fd: id, ..InfoAttributes::default() };
    let fd = bpf(BPF_PROG_GET_FD_BY_ID, &mut attributes)?;
    // SAFETY: the kernel just made this descriptor for us.
    let program = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let mut code = vec![0; 64 * 1024];
    let mut info = ProgramInfo {
        translated: code.as_mut_ptr() as u64,
        translated_len: code.len() as u32,
        ..ProgramInfo::default()
    };
    let mut attributes = InfoAttributes {
        fd: program.as_raw_fd() as u32,
        info_len: size_of::<ProgramInfo>() as u32,
        info: (&raw mut info) as u64,
        ..InfoAttributes::default()
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes)?;
    assert!(info.translated_len > 0, "the kernel hides the translated program");
    code.truncate(info.translated_len as usize);
    Ok(code)
}

fn bpf(command: libc::c_long, attributes: &mut InfoAttributes) -> io::Result<libc::c_long> {
    // SAFETY: `attributes` is live and of the size given; the buffers it points at outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<InfoAttributes>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
