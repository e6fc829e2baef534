//! `known-key`: a GET or DELETE passes where the map has its key; a PUT that passes puts its key there.

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::{Command, maps};

use super::{access::Access, command, parse::AT, verdict};
use crate::Verdict;

/// The key, and the value that it gets.
const KEY: Mem = Mem { base: Reg::R10, off: -104 };
const PRESENT: Mem = Mem { base: Reg::R10, off: -112 };

/// From the beginning of the payload to the verdict. A request whose key isn't in the packet, which a false length field
/// can bring about, has no key to be asked for.
pub(super) fn decide(code: &mut Code, access: &Access, refused: Label) {
    let labels = Command::ALL.map(|command| (command, code.fresh_label()));
    let label =
        |wanted| labels.iter().find(|(command, _)| *command == wanted).expect("every one has its own").1;
    command::find_whole(code, label);
    ebpf! { in code; ja $refused }

    let accepted = label(Command::Stop);
    for command in [Command::Get, Command::Delete] {
        ebpf! { in code; {label(command)}: }
        look_up(code, access, command, accepted);
        ebpf! { in code;
            jne r0, 0, $accepted
            ja $refused
        }
    }
    ebpf! { in code; {label(Command::Put)}: }
    look_up(code, access, Command::Put, accepted);
    learn(code, accepted);
    verdict::place(code, access, accepted, Verdict::Accept);
}

/// r0 = what the map has for the request's key, or 0; on at `absent` where the packet has none.
fn look_up(code: &mut Code, access: &Access, command: Command, absent: Label) {
    ebpf! { in code;
        mov r2, $AT
        add r2, {command.key_offset() as i32}
    }
    access.load(code, Reg::R2, size_of::<u32>(), KEY.off, absent);
    ebpf! { in code;
        ldxw r1, [$KEY]
        le32 r1
        stxw [$KEY], r1
        lmap r1, {maps::KEYS}
        mov r2, r10
        add r2, {i32::from(KEY.off)}
        call map_lookup_elem
    }
}

/// A map that is full learns nothing: the server makes room when it sees the PUT.
fn learn(code: &mut Code, known: Label) {
    ebpf! { in code;
        jne r0, 0, $known
        stb [$PRESENT], 1
        lmap r1, {maps::KEYS}
        mov r2, r10
        add r2, {i32::from(KEY.off)}
        mov r3, r10
        add r3, {i32::from(PRESENT.off)}
        mov r4, 0
        call map_update_elem
    }
}
