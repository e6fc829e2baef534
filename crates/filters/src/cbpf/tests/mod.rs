//! The programs decide as the reference does, by an interpreter that is as short as the language.

mod guards;

use super::{insn::*, service::IP_HEADER, *};
use crate::{Packet, Verdict, corpus};

const WORD_AT_X: u16 = LOAD_WORD + INDEXED;
const HALF_AT_X: u16 = LOAD_HALF + INDEXED;
const BYTE_AT_X: u16 = LOAD_BYTE + INDEXED;

/// Runs a program as net/core/filter.c describes it, but for sums and differences, which may not wrap here.
fn run(program: &[ClassicInsn], packet: &[u8]) -> Verdict {
    run_behind(&[], program, packet)
}

/// [`run`] of a packet behind an IP header.
fn run_behind(ip: &[u8], program: &[ClassicInsn], packet: &[u8]) -> Verdict {
    let load = |at: u32, len: usize| {
        let (from, at) = at.checked_sub(IP_HEADER).map_or((packet, at), |at| (ip, at));
        let bytes = from.get(at as usize..)?.get(..len)?;
        Some(bytes.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)))
    };
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    let mut memory = [None; 16];
    loop {
        let ClassicInsn { code, jt, jf, k } = program[at];
        at += 1;
        let operand = if code & WITH_X == 0 { k } else { x };
        let skipped = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            LOAD_WORD | LOAD_HALF | LOAD_BYTE | WORD_AT_X | HALF_AT_X | BYTE_AT_X => {
                let from = if code < WORD_AT_X { k } else { x + k };
                let len = match code {
                    LOAD_WORD | WORD_AT_X => 4,
                    LOAD_HALF | HALF_AT_X => 2,
                    _ => 1,
                };
                match load(from, len) {
                    Some(value) => a = value,
                    None => return Verdict::Drop,
                }
            }
            LOAD_LEN => a = packet.len() as u32,
            LOAD_CONSTANT => a = k,
            LOAD_MEMORY => a = memory[k as usize].expect("it was stored"),
            LOAD_X_CONSTANT => x = k,
            LOAD_X_MEMORY => x = memory[k as usize].expect("it was stored"),
            STORE => memory[k as usize] = Some(a),
            COPY_TO_X => x = a,
            JUMP => at += k as usize,
            RETURN => return if k == DROP { Verdict::Drop } else { Verdict::Accept },
            _ => match code & !WITH_X {
                ADD => a = a.checked_add(operand).expect("it doesn't wrap"),
                SUBTRACT => a = a.checked_sub(operand).expect("it doesn't wrap"),
                OR => a |= operand,
                AND => a &= operand,
                XOR => a ^= operand,
                SHIFT_LEFT => a = a.checked_shl(operand).expect("by fewer than 32 bits"),
                SHIFT_RIGHT => a = a.checked_shr(operand).expect("by fewer than 32 bits"),
                JUMP_IF_EQUAL => at += skipped(a == operand),
                JUMP_IF_GREATER => at += skipped(a > operand),
                JUMP_IF_AT_LEAST => at += skipped(a >= operand),
                _ => panic!("no such instruction: {code:#x}"),
            },
        }
    }
}

#[test]
fn every_program_decides_as_the_reference() {
    for name in FilterName::ALL {
        for parameter in [Parameter::Accept, Parameter::Drop] {
            let filter = Filter { parameter, binding: Binding::Constant, ..Filter::from(name) };
            let Ok(program) = program(filter) else { continue };
            for packet in corpus::packets(0xc1a5).take(60_000) {
                let expected = filter.decide(Packet::from_udp(&packet));
                assert_eq!(run(&program, &packet), expected, "{filter:?} on {packet:02x?}");
            }
        }
    }
}

#[test]
fn what_needs_a_map_is_refused() {
    for name in [FilterName::Parameterized, FilterName::Print, FilterName::Count] {
        assert_eq!(program(name.into()), Err(NO_MAPS), "{name}");
    }
}
