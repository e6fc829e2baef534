//! What `ebpf!` makes of an instruction is what the text syntax makes of the same words: every form, every opcode.

use std::collections::BTreeSet;

use weir_asm::{Code, DecodeError, Endian, decode, show::fun, text::assemble_code};
use weir_asm_macros::ebpf;

#[track_caller]
fn check(words: &str, inline: &Code) -> Vec<u8> {
    let text = assemble_code(words.as_bytes()).expect("the text syntax takes it");
    assert_eq!(inline.insns(), text.insns(), "{words}");
    assert_eq!(fun::code(inline).to_string(), fun::code(&text).to_string(), "{words}");
    let bytes = |code: &Code, endian| code.encode(endian).ok();
    assert_eq!(bytes(inline, Endian::Big), bytes(&text, Endian::Big), "{words}");
    assert_eq!(bytes(inline, Endian::Little), bytes(&text, Endian::Little), "{words}");
    bytes(inline, Endian::Little).unwrap_or_default()
}

/// Checks each instruction, and gives the bytes of all. Around it are some for jumps to lead to.
macro_rules! same {
    ($([$($words:tt)*])*) => {
        [$(check(
            concat!("exit\nexit\n", stringify!($($words)*), "\nexit\nexit"),
            &ebpf! { exit; exit; $($words)*; exit; exit },
        )),*].concat()
    };
}

macro_rules! alu {
    ($($op:ident)*) => { [$(same!([$op r0, r1] [$op r2, -3])),*].concat() };
}

macro_rules! unary {
    ($($op:ident)*) => { [$(same!([$op r3])),*].concat() };
}

macro_rules! jump {
    ($($op:ident)*) => { [$(same!([$op r0, r1, +1] [$op %r2, 0xffffffff, -2])),*].concat() };
}

macro_rules! atomic {
    ($($op:ident)*) => { [$(same!([lock $op [r10 - 8], r1])),*].concat() };
}

macro_rules! fetch {
    ($($op:ident)*) => { [$(same!([lock fetch $op [r10 - 8], r1])),*].concat() };
}

fn arithmetic() -> Vec<u8> {
    [
        alu!(add sub mul div or and lsh rsh mod xor mov arsh sdiv smod),
        alu!(add32 sub32 mul32 div32 or32 and32 lsh32 rsh32 mod32 xor32 mov32 arsh32 sdiv32 smod32),
        unary!(neg neg32 le16 le32 le64 be16 be32 be64 swap16 swap32 swap64 bswap16 bswap32 bswap64),
        same!([movsx832 r2, r1] [movsx1632 r2, r1] [movsx864 r2, r1] [movsx1664 r2, r1] [movsx3264 r2, r1]),
    ]
    .concat()
}

fn memory() -> Vec<u8> {
    [
        same!(
            [ldxb r0, [r1]] [ldxh r0, [r1 + 2]] [ldxw r0, [r1 + 0x10]] [ldxdw r0, [r10 - 8]]
            [ldxsb r0, [r1]] [ldxsh r0, [r1 + 2]] [ldxsw r0, [r1 + 4]]
            [stxb [r1], r2] [stxh [r1 + 2], r2] [stxw [r10 - 4], r2] [stxdw [r10 + -8], r2]
            [stb [r1], 1] [sth [r1 + 2], 0xff] [stw [r10 - 4], 0xffffffff] [stdw [r10 - 8], -1]
            [ldabsb 0] [ldabsh 12] [ldabsw -4] [ldabsdw 8]
            [ldindb r2, 0] [ldindh r2, 12] [ldindw r2, -4] [ldinddw r2, 8]
        ),
        atomic!(add or and xor xchg cmpxchg add32 or32 and32 xor32 xchg32 cmpxchg32),
        fetch!(add or and xor add32 or32 and32 xor32),
    ]
    .concat()
}

fn jumps_and_calls() -> Vec<u8> {
    [
        jump!(jeq jne jgt jge jlt jle jset jsgt jsge jslt jsle),
        jump!(jeq32 jne32 jgt32 jge32 jlt32 jle32 jset32 jsgt32 jsge32 jslt32 jsle32),
        same!(
            [ja +1] [jmp -2] [ja32 +2] [gotol -3]
            [call 1] [call helper 0x2a] [call map_lookup_elem] [call bpf_map_lookup_elem] [call helper ktime_get_ns]
            [call r2] [call helper r3] [callx r4] [call runtime 42] [call local +1] [exit]
        ),
    ]
    .concat()
}

fn wide() -> Vec<u8> {
    same!(
        [lddw r0, 0x1122334455667788] [lddw r1, -2] [lmfd r1, 7] [lddw r1, map_by_fd(7)]
        [lddw r1, map_val(map_by_fd(7)) + 8] [lddw r1, var_addr(5)] [lddw r1, code_addr(+1)]
        [lddw r1, map_by_idx(2)] [lddw r1, map_val(map_by_idx(2)) + 4]
        [lmap r1, counts] [lddw r1, map_by_fd(counts)] [lddw r1, map_val(counts) + 16]
        [.raw 0x00000001000000b7] [.raw 0x95]
    )
}

#[test]
fn every_form_is_the_same_as_in_text() {
    let bytes = [arithmetic(), memory(), jumps_and_calls(), wide()].concat();
    assert!(bytes.len() > 150 * 8, "only {} slots", bytes.len() / 8);
}

#[test]
fn no_opcode_is_left_out() {
    let bytes = [arithmetic(), memory(), jumps_and_calls(), wide()].concat();
    let covered: BTreeSet<u8> = bytes.chunks(8).map(|slot| slot[0]).collect();
    for opcode in 0..=u8::MAX {
        let known = |imm| {
            let slots = [opcode, 0, 0, 0, imm, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            // Zeros follow: the second half of an instruction, or none.
            !matches!(decode(&slots, Endian::Little), Err(DecodeError::Slot { slot: 0, .. }))
        };
        if known(0) || known(16) {
            assert!(covered.contains(&opcode), "opcode {opcode:#04x}");
        }
    }
}

#[test]
fn labels_constants_and_slots_are_those_of_text() {
    check(
        "mov r0, 0\nlddw r1, 7\nagain:\njeq r1, 0, exit\nsub r1, 1\nja32 again\nexit\nlast: call last\nexit",
        &ebpf! {
            mov r0, 0
            lddw r1, 7
        again:
            jeq r1, 0, exit
            sub r1, 1
            ja32 again
            exit
        last: call last
            exit
        },
    );
    check(
        ".equ PORT, 7\n.slot key u32\n.slot value u8[10] align=8\n\
         mov r1, PORT\nstw [key], (PORT + 1)\nadd r2, key\nldxdw r0, [r10 + value]\nlddw r3, code_addr(f)\nf: exit",
        &ebpf! {
            .equ PORT, 7
            .slot key u32
            .slot value u8[10] align=8
            mov r1, PORT
            stw [key], (PORT + 1)
            add r2, key
            ldxdw r0, [r10 + value]
            lddw r3, code_addr(f)
        f:  exit
        },
    );
}

#[test]
fn numbers_are_written_as_in_rust() {
    check("mov r0, 1000000", &ebpf! { mov r0, 1_000_000 });
    check("mov r0, 0xfffffff0", &ebpf! { mov r0, 0b1111_1111_1111_1111_1111_1111_1111_0000 });
    check("mov r0, 0x1ff", &ebpf! { mov r0, 0o777 });
    check("mov r0, 0xdeadbeef", &ebpf! { mov r0, 0xdead_beef });
}

#[test]
fn lines_and_semicolons_end_statements_alike() {
    let lines = ebpf! {
        mov r0, 1 // comment
        /* and another */
        exit
    };
    let semicolons = ebpf! { mov r0, 1; exit };
    let spread = ebpf! {
        mov r0,
            1;
        exit;
    };
    assert_eq!(lines.insns(), semicolons.insns());
    assert_eq!(lines.insns(), spread.insns());
    assert_eq!(ebpf! {}.insns(), []);
}

#[test]
fn each_instruction_has_its_line_of_rust() {
    let first = line!() + 2;
    let code = ebpf! {
        mov r0, 1

        exit
    };
    let lines = [0, 1].map(|index| code.line(index).map(|line| line.number));
    assert_eq!(lines, [Some(first), Some(first + 2)]);
}
