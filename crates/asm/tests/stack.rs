//! Bytes put on the stack: each helper's instructions are decoded from their bytes and run on a stack of bytes.

use proptest::prelude::*;
use weir_asm::{
    Code, Endian, Insn, Mem, Reg, Size, Src, decode,
    stack::{copy_to_stack, string_on_stack, zero_on_stack},
};

/// Runs loads from `memory` (at r1) and stores to a stack filled with 0xaa; gives the 512 bytes below r10.
fn run(insns: impl Iterator<Item = Insn>, memory: &[u8]) -> (Vec<u8>, usize) {
    let code: Code = insns.collect();
    let bytes = code.encode(Endian::Little).expect("it encodes");
    let (mut stack, mut register) = (vec![0xaa; 512], 0_u64);
    for insn in decode(&bytes, Endian::Little).expect("it decodes").insns() {
        match *insn {
            Insn::Store { size, mem: Mem { base: Reg::R10, off }, src } => {
                let value = match src {
                    Src::Imm(imm) => i64::from(imm).cast_unsigned(),
                    Src::Reg(_) => register,
                };
                assert_eq!(off as isize % size.bytes() as isize, 0, "the kernel wants it aligned");
                let at = (512 + isize::from(off)) as usize;
                stack[at..at + size.bytes()].copy_from_slice(&value.to_le_bytes()[..size.bytes()]);
            }
            Insn::Load { size, mem: Mem { base: Reg::R1, off }, .. } => {
                let mut word = [0; 8];
                word[..size.bytes()].copy_from_slice(&memory[off as usize..off as usize + size.bytes()]);
                register = u64::from_le_bytes(word);
            }
            ref other => panic!("{other:?}"),
        }
    }
    (stack, code.len())
}

#[track_caller]
fn check(stack: &[u8], off: i16, want: &[u8]) {
    let at = (512 + isize::from(off)) as usize;
    assert_eq!(&stack[at..at + want.len()], want);
    let (before, after) = (&stack[..at], &stack[at + want.len()..]);
    assert!(before.iter().chain(after).all(|&byte| byte == 0xaa), "nothing else is touched");
}

#[test]
fn a_string_takes_the_widest_stores() {
    let stores = |bytes: &[u8], off| run(string_on_stack(bytes, off), &[]).1;
    assert_eq!(stores(&[0; 16], -16), 2);
    assert_eq!(stores(&[0xff; 16], -16), 2);
    assert_eq!(stores(b"hello, world!\n\0\0", -16), 4);
    assert_eq!(stores(b"hello", -8), 2);
    assert_eq!(stores(b"ab", -3), 2);
    assert_eq!(stores(b"", -8), 0);
    let first = string_on_stack(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -8).next();
    let mem = Mem { base: Reg::R10, off: -8 };
    assert_eq!(first, Some(Insn::Store { size: Size::Dw, mem, src: Src::Imm(-2) }));
}

#[test]
#[should_panic(expected = "5 bytes at r10 + -4 are not within the stack")]
fn a_string_that_is_too_long_is_a_mistake() {
    let _ = string_on_stack(b"hello", -4).count();
}

proptest! {
    #[test]
    fn strings_arrive(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..100), gap in 0..50_i16) {
        let off = -(bytes.len() as i16) - gap;
        check(&run(string_on_stack(&bytes, off), &[]).0, off, &bytes);
    }

    #[test]
    fn zeros_arrive(len in 0..200_usize, gap in 0..50_i16) {
        let off = -(len as i16) - gap;
        check(&run(zero_on_stack(len, off), &[]).0, off, &vec![0; len]);
    }

    #[test]
    fn copies_arrive(bytes in prop::collection::vec(any::<u8>(), 0..100), gap in 0..50_i16) {
        let off = -(bytes.len() as i16) - gap;
        let from = Mem { base: Reg::R1, off: 0 };
        check(&run(copy_to_stack(from, bytes.len(), off, Reg::R0), &bytes).0, off, &bytes);
    }
}
