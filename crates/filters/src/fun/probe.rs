//! Programs that watch a server's receive calls instead of filtering what it receives: `snoop` and `printk`.
//!
//! Both run at tracepoints, for every process of the machine; each is generated for one socket of one process, and
//! leaves at once where another one calls.

use weir_asm::{
    Code, Label, Object, Program,
    maps::{Hash, MapSpec},
    stack::string_on_stack,
};
use weir_asm_macros::ebpf;

use super::{LICENSE, with_listing};

/// What a probe does at each receive call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// Counts it in [`CALLS`].
    Snoop,
    /// Writes a line to the kernel's trace buffer (`bpf_trace_printk`).
    Printk,
}

/// Whose receive calls are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The process, by its id in that namespace.
    pub process: u32,
    /// Its pid namespace: device and inode number of /proc/PID/ns/pid, the device as the kernel numbers it.
    pub namespace: (u64, u64),
    /// The socket, by its descriptor in that process.
    pub socket: i32,
}

/// Where the calls come in: a server receives one datagram a call, or many. Category and name in tracefs.
pub const TRACEPOINTS: [(&str, &str); 2] =
    [("syscalls", "sys_enter_recvfrom"), ("syscalls", "sys_enter_recvmmsg")];

/// Receive calls by process. Room for one: the only one that is watched.
pub const CALLS: MapSpec<Hash<u32, u64>> = MapSpec::new("calls", 1);

/// The name of the program in a probe's object.
pub const PROGRAM: &str = "receive_call";

/// What the line that `printk` writes begins with.
pub fn line_start(watched: Watched) -> String {
    format!("weir: process {}, socket {}: ", watched.process, watched.socket)
}

/// The line, as the helper takes it.
const FORMAT: &[u8] = b"weir: process %d, socket %d: system call %d\0";

/// The probe's program, alone in its object, for these calls. The same for each of [`TRACEPOINTS`].
///
/// Needs Linux 5.7 (`bpf_get_ns_current_pid_tgid`).
pub fn object(probe: Probe, watched: Watched) -> Object {
    let (file, maps) = match probe {
        Probe::Snoop => ("snoop.asm", vec![CALLS.definition()]),
        Probe::Printk => ("printk.asm", Vec::new()),
    };
    let (category, name) = TRACEPOINTS[0];
    let section = format!("tracepoint/{category}/{name}");
    let program =
        Program { name: PROGRAM.to_owned(), section, code: code(probe, watched), ..Program::default() };
    with_listing(file, &Object { license: Some(LICENSE.to_owned()), maps, programs: vec![program] })
}

fn code(probe: Probe, watched: Watched) -> Code {
    let mut code = Code::new();
    let out = code.label("out");
    leave_if_not_watched(&mut code, watched, out);
    match probe {
        Probe::Snoop => count(&mut code, out),
        Probe::Printk => print(&mut code, watched),
    }
    // 0: the call goes on, and no sample is taken of it (kernel/trace/bpf_trace.c, trace_call_bpf).
    ebpf! { in &mut code;
    $out:
        mov r0, 0
        exit
    }
    code
}

/// The tracepoint's fields (/sys/kernel/tracing/events/syscalls/sys_enter_recvfrom/format).
const NUMBER: i16 = 8;
const SOCKET: i16 = 16;

/// `struct bpf_pidns_info` on the stack: thread, then process.
const IDS: i16 = -8;
const PROCESS: i16 = IDS + 4;

/// Leaves the process's id on the stack at [`PROCESS`], and the tracepoint's fields in r6.
fn leave_if_not_watched(code: &mut Code, watched: Watched, out: Label) {
    let Watched { process, namespace: (device, inode), socket } = watched;
    ebpf! { in code;
        mov r6, r1
        ldxdw r2, [r6 + $SOCKET]
        jne32 r2, $socket, $out
        lddw r1, $device
        lddw r2, $inode
        mov r3, r10
        add r3, {i32::from(IDS)}
        mov r4, {-i32::from(IDS)}
        call get_ns_current_pid_tgid
        jne r0, 0, $out
        ldxw r1, [r10 + $PROCESS]
        jne32 r1, {process as i32}, $out
    }
}

const FIRST_COUNT: i16 = -16;
/// BPF_NOEXIST, include/uapi/linux/bpf.h.
const NO_EXIST: i32 = 1;

/// The add is atomic, since other threads count at the same time on other CPUs. Of those that find no entry the first
/// makes it with its own call counted; the others are refused, and find it when they look again.
fn count(code: &mut Code, out: Label) {
    let map_and_key = &ebpf! {
        lmap r1, {CALLS.name()}
        mov r2, r10
        add r2, {i32::from(PROCESS)}
    };
    ebpf! { in code;
        $map_and_key
        call map_lookup_elem
        jne r0, 0, found
        stdw [r10 + $FIRST_COUNT], 1
        $map_and_key
        mov r3, r10
        add r3, {i32::from(FIRST_COUNT)}
        mov r4, $NO_EXIST
        call map_update_elem
        jeq r0, 0, $out
        $map_and_key
        call map_lookup_elem
        jeq r0, 0, $out
    found:
        mov r1, 1
        lock add [r0], r1
    }
}

fn print(code: &mut Code, watched: Watched) {
    let off = IDS - FORMAT.len().next_multiple_of(8) as i16;
    ebpf! { in code;
        {string_on_stack(FORMAT, off)}
        ldxw r3, [r10 + $PROCESS]
        mov r4, {watched.socket}
        ldxw r5, [r6 + $NUMBER]
        mov r1, r10
        add r1, {i32::from(off)}
        mov r2, {FORMAT.len() as i32}
        call trace_printk
    }
}

#[cfg(test)]
mod tests {
    use weir_asm::{Endian, check};

    use super::*;

    const WATCHED: Watched = Watched { process: 7, namespace: (4, 0xf000_0002), socket: 5 };

    #[test]
    fn nothing_is_wrong_with_either_program() {
        for probe in [Probe::Snoop, Probe::Printk] {
            let object = object(probe, WATCHED);
            assert_eq!(check(&object.programs[0].code), [], "{probe:?}");
            object.to_elf(Endian::Little).expect("it is written");
        }
    }

    #[test]
    fn the_line_begins_as_user_space_looks_for_it() {
        let format = String::from_utf8_lossy(FORMAT);
        let start = format.replacen("%d", "7", 1).replacen("%d", "5", 1);
        assert!(start.starts_with(&line_start(WATCHED)), "{start}");
    }

    #[test]
    fn the_format_is_on_the_stack_byte_by_byte() {
        let object = object(Probe::Printk, WATCHED);
        let listing = weir_asm::show::fun::object(&object).to_string();
        // "weir" as a little-endian word.
        assert!(
            listing.contains(&i32::from_le_bytes(*b"weir").to_string()) || listing.contains("0x72696577"),
            "{listing}"
        );
    }
}
