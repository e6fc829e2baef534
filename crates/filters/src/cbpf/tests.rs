//! The programs decide as the reference does, by an interpreter that is as short as the language.

use super::*;
use crate::{Packet, Verdict, corpus};

/// Runs a program as net/core/filter.c describes it.
fn run(program: &[ClassicInsn], packet: &[u8]) -> Verdict {
    let load = |at: u32, len: usize| {
        let bytes = packet.get(at as usize..)?.get(..len)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    };
    let (mut a, mut at) = (0, 0);
    loop {
        let ClassicInsn { code, jt, jf, k } = program[at];
        at += 1;
        let loaded = match code {
            LOAD_WORD => load(k, 4),
            LOAD_HALF => load(k, 2),
            LOAD_BYTE => load(k, 1),
            JUMP_IF_EQUAL => {
                at += usize::from(if a == k { jt } else { jf });
                continue;
            }
            RETURN => return if k == DROP { Verdict::Drop } else { Verdict::Accept },
            other => panic!("no such instruction: {other:#x}"),
        };
        match loaded {
            Some(value) => a = value,
            None => return Verdict::Drop,
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
