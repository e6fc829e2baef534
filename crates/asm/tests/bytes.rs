//! Instructions to bytes and back.

mod forms;

use forms::{endian, insn, slot};
use proptest::prelude::*;
use weir_asm::{
    AluOp, Atomic, AtomicOp, Bits, Call, Code, Cond, EndOp, Endian, Imm64, Insn, Mem, Reg, Size, Src, Target,
    Width, decode,
};

/// Bytes as RFC 9669 and the kernel's headers give them, little-endian.
const KNOWN: &[(&str, Insn)] = &[
    (
        "bf21000000000000",
        Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R1, src: Src::Reg(Reg::R2) },
    ),
    ("b4030000ffffffff", Insn::Alu { width: Width::W32, op: AluOp::Mov, dst: Reg::R3, src: Src::Imm(-1) }),
    (
        "3f21010000000000",
        Insn::Alu { width: Width::W64, op: AluOp::Sdiv, dst: Reg::R1, src: Src::Reg(Reg::R2) },
    ),
    ("8701000000000000", Insn::Neg { width: Width::W64, dst: Reg::R1 }),
    ("dc02000010000000", Insn::End { op: EndOp::Be, bits: Bits::B16, dst: Reg::R2 }),
    ("d702000040000000", Insn::End { op: EndOp::Swap, bits: Bits::B64, dst: Reg::R2 }),
    ("6112040000000000", Insn::Load { size: Size::W, dst: Reg::R2, mem: Mem { base: Reg::R1, off: 4 } }),
    (
        "7b1af8ff00000000",
        Insn::Store { size: Size::Dw, mem: Mem { base: Reg::R10, off: -8 }, src: Src::Reg(Reg::R1) },
    ),
    (
        "720afcff07000000",
        Insn::Store { size: Size::B, mem: Mem { base: Reg::R10, off: -4 }, src: Src::Imm(7) },
    ),
    ("2800000017000000", Insn::LoadAbs { size: Size::H, off: 23 }),
    (
        "1d210500 00000000",
        Insn::Jump {
            width: Width::W64,
            cond: Cond::Eq,
            dst: Reg::R1,
            src: Src::Reg(Reg::R2),
            target: Target::Off(5),
        },
    ),
    ("0600000003000000", Insn::Jal(Target::Off(3))),
    ("8500000001000000", Insn::Call(Call::Helper(1))),
    ("8510000002000000", Insn::Call(Call::Local(Target::Off(2)))),
    ("9500000000000000", Insn::Exit),
    (
        "1801000088776655 0000000044332211",
        Insn::LoadImm { dst: Reg::R1, imm: Imm64::Value(0x1122_3344_5566_7788) },
    ),
    ("1811000007000000 0000000000000000", Insn::LoadImm { dst: Reg::R1, imm: Imm64::MapFd(7) }),
    (
        "db1af8ff01000000",
        Insn::Atomic(Atomic {
            width: Width::W64,
            op: AtomicOp::Add { fetch: true },
            mem: Mem { base: Reg::R10, off: -8 },
            src: Reg::R1,
        }),
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex"))
        .collect()
}

#[test]
fn known_instructions_have_their_known_bytes() {
    for (hex, insn) in KNOWN {
        let code: Code = [*insn].into_iter().collect();
        assert_eq!(code.encode(Endian::Little).expect("it has an encoding"), bytes(hex), "{insn:?}");
        assert_eq!(decode(&bytes(hex), Endian::Little).expect("it decodes").insns(), [*insn], "{hex}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn instructions_survive_their_bytes(insns in prop::collection::vec(insn(), 0..20), endian in endian()) {
        let code: Code = insns.iter().copied().collect();
        let bytes = code.encode(endian).expect("every distance is a number that fits");
        prop_assert_eq!(bytes.len(), 8 * code.slots());
        let decoded = decode(&bytes, endian).expect("what was encoded decodes");
        prop_assert_eq!(decoded.insns(), &insns[..]);
    }

    #[test]
    fn any_bytes_are_an_error_or_come_back(slots in prop::collection::vec(slot(), 0..8), endian in endian()) {
        let bytes = slots.concat();
        if let Ok(code) = decode(&bytes, endian) {
            prop_assert_eq!(code.encode(endian).expect("what was decoded encodes"), bytes);
        }
    }

    #[test]
    fn big_endian_is_the_same_program_with_its_fields_turned(insn in insn()) {
        let code: Code = [insn].into_iter().collect();
        let little = code.encode(Endian::Little).expect("it encodes");
        let big = code.encode(Endian::Big).expect("it encodes");
        for (little, big) in little.chunks(8).zip(big.chunks(8)) {
            let turned = [
                little[0], little[1].rotate_left(4), little[3], little[2], little[7], little[6], little[5], little[4],
            ];
            prop_assert_eq!(&turned[..], big);
        }
    }
}

#[test]
fn labels_become_distances_that_count_slots() {
    use weir_asm::{Reg::*, op::*};
    let mut code = Code::new();
    let (start, end) = (code.label("start"), code.label("end"));
    code.place(start).expect("it has no place yet");
    code += jeq(R1, 0, end);
    code += lddw(R2, 1);
    code += ja(start);
    code.place(end).expect("it has no place yet");
    code += exit();
    let decoded =
        decode(&code.encode(Endian::Little).expect("it encodes"), Endian::Little).expect("it decodes");
    assert_eq!(decoded.insns()[0].target(), Some(Target::Off(3)));
    assert_eq!(decoded.insns()[2].target(), Some(Target::Off(-4)));
}

#[test]
fn appended_code_keeps_its_own_labels_and_shares_maps() {
    use weir_asm::{Reg::*, op::*};
    let piece = || {
        let mut code = Code::new();
        let (out, map) = (code.label("out"), code.map("counts"));
        code += lmap(R1, map);
        code += jne(R0, 0, out);
        code += mov(R0, 1);
        code.place(out).expect("it has no place yet");
        code
    };
    let mut both = piece();
    both.append(&piece());
    both += exit();
    let targets: Vec<_> = both.insns().iter().filter_map(Insn::target).collect();
    let places: Vec<_> = targets
        .iter()
        .map(|target| match target {
            Target::Label(label) => both.place_of(*label),
            Target::Off(_) => panic!("{target:?}"),
        })
        .collect();
    assert_eq!(places, [Some(3), Some(6)]);
    assert_eq!(both.maps().count(), 1);
}
