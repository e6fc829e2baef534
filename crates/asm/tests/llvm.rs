//! Instructions as llvm-objdump of LLVM 22 prints them, and what can be shown beside them.

mod disassembled;
mod samples;

use disassembled::{FIXTURES, assert_same, disassembled};
use weir_asm::{
    AtomicOp, Code, Endian, Insn, Line, Program, Reg::*, Size, Source, op::*, read_elf, show::llvm::Llvm,
};

#[test]
fn compiled_objects_read_as_llvm_objdump_prints_them() {
    for (name, bytes, expected) in FIXTURES {
        assert_same(name, &disassembled(bytes), expected);
    }
}

fn check(insn: Insn, expected: &str) {
    let code: Code = [insn].into_iter().collect();
    assert_eq!(Llvm::new(&code).insn(0).to_string(), expected);
}

#[test]
fn each_form_has_its_text() {
    check(mov32(R1, -1), "w1 = -0x1");
    check(sdiv(R1, R2), "r1 s/= r2");
    check(lddw(R1, 0x1122_3344_5566_7788), "r1 = 0x1122334455667788 ll");
    check(lddw(R1, u64::MAX), "r1 = -0x1 ll");
    check(lmfd(R1, 7), "ld_pseudo\tr1, 0x1, 0x7");
    check(ldxw(R0, R1 + 4), "w0 = *(u32 *)(r1 + 0x4)");
    check(stdw(R10 - 8, i32::MIN), "*(u64 *)(r10 - 0x8) = -0x80000000");
    check(ldabs(Size::H, -4), "r0 = *(u16 *)skb[-0x4]");
    check(ldind(Size::B, R3, 2), "r0 = *(u8 *)skb[r3 + 0x2]");
    check(jeq(R1, 0, 3), "if r1 == 0x0 goto +0x3");
    check(jal(-100), "gotol -0x64");
    check(atomic32(AtomicOp::Cmpxchg, R1 + 0, R2), "w0 = cmpxchg32_32(r1 + 0x0, w0, w2)");
    check(call(-1), "call -0x1");
    check(Insn::Raw(0xff), "<unknown>");
}

#[test]
fn labels_names_and_lines_are_shown_where_asked_for() {
    let mut code = Code::new();
    let (counter, out) = (code.map("counter"), code.label("out"));
    code.push_at(lmap(R1, counter), Line::at(1));
    code.push_at(call(1), Line::at(2));
    code.push_at(jeq(R0, 0, out), Line::at(2));
    code.push_at(mov(R0, 1), Line::at(3));
    code.place(out).expect("it has no place yet");
    code.push_at(exit(), Line::at(4));
    let source = Source { file: "f".to_owned(), text: "load\n  call and test\nset\nleave".into() };
    let name = |number| (number == 1).then_some("map_lookup_elem");
    let llvm = Llvm::new(&code)
        .labels()
        .maps()
        .helpers(name)
        .sources(std::slice::from_ref(&source))
        .symbols([(0, "main")]);
    let llvm = llvm.notes([(2, "a note")]);
    let expected = "\
<main>:
; load
       0:\tr1 = 0x0 ll  # counter
; call and test
       2:\tcall 0x1  # map_lookup_elem  # a note
       3:\tif r0 == 0x0 goto +0x1 <out>
; set
       4:\tr0 = 0x1
out:
; leave
       5:\texit
";
    assert_eq!(llvm.to_string(), expected);
    let plain = Llvm::new(&code).to_string();
    assert_eq!(plain.lines().nth(2), Some("       3:\tif r0 == 0x0 goto +0x1"));
}

#[test]
fn a_program_read_from_an_object_shows_its_source() {
    let mut code = Code::new();
    code.push_at(mov(R0, 0), Line::at(1));
    code.push_at(exit(), Line::at(2));
    let sources = vec![Source { file: "drop.s".to_owned(), text: "mov r0, 0\nexit".into() }];
    let program = Program { sources, ..samples::program("drop", "socket", code) };
    let bytes = samples::object(Vec::new(), vec![program]).to_elf(Endian::Little).expect("it is written");
    let object = read_elf(&bytes).and_then(|file| file.object()).expect("it is read");
    let shown = Llvm::new(&object.programs[0].code).sources(&object.programs[0].sources).to_string();
    assert_eq!(shown, "; mov r0, 0\n       0:\tr0 = 0x0\n; exit\n       1:\texit\n");
}
