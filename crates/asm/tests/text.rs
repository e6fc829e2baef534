//! What texts become: names, slots, maps, programs.

use weir_asm::{
    Code, Endian, Imm64, Insn, Layout, MapDef, MapKind, Object, Severity,
    show::fun,
    text::{OperandValue, Parser, StatementKind, assemble, assemble_code, diagnose},
};

fn object(text: &str) -> Object {
    assemble("t", text.as_bytes())
        .unwrap_or_else(|errors| panic!("{}\n{text}", errors.display("t", text.as_bytes())))
}

fn code(text: &str) -> Code {
    assemble_code(text.as_bytes())
        .unwrap_or_else(|errors| panic!("{}\n{text}", errors.display("t", text.as_bytes())))
}

/// What a list of instructions is shown as, one a line.
#[track_caller]
fn check(text: &str, want: &str) {
    let code = code(text);
    let have: Vec<_> = (0..code.len()).map(|index| fun::insn(&code, index)).collect();
    assert_eq!(have, want.lines().map(str::trim).collect::<Vec<_>>(), "{text}");
}

#[test]
fn commas_and_blanks_between_operands_may_be_left_out() {
    for text in ["jeq r1 3 -2", "jeq r1,3,-2", "jeq\tr1 , 3 , -2", "  jeq %r1 3,-2 ; why", "jeq r1 3 - 2"] {
        check(text, "jeq r1, 3, -2");
    }
    check("add r1 -5", "add r1, -5");
    check("add r1 +5", "add r1, 5");
    check("ldindw r2 -4", "ldindw r2, -4");
}

#[test]
fn constants_are_sums_of_what_is_known() {
    check(
        ".equ HEADER, 8\n.equ LENGTH, HEADER + 4 - 1\n.equ MASK, 0xffff0000\n.equ LESS, -LENGTH\n
         mov r0, LENGTH\nmov r1, MASK\nmov r2, LESS\nldxw r3, [r1 + HEADER + 2]\nmov r4, (HEADER + HEADER)\n
         mov r5, -HEADER\nlddw r6, MASK",
        "mov r0, 11\nmov r1, -65536\nmov r2, -11\nldxw r3, [r1 + 10]\nmov r4, 16\nmov r5, -8\nlddw r6, 0xffff0000",
    );
}

#[test]
fn slots_are_offsets_from_r10() {
    check(
        ".slot key u32\n.slot value u64\n.slot small u8[3]\n.slot buffer 16\n
         stw [key], 1\nstxdw [r10 + value], r2\nmov r2, r10\nadd r2, key\nldxb r3, [small + 2]\nstb [buffer+1], 0",
        "stw [r10 + -4], 1\nstxdw [r10 + -16], r2\nmov r2, r10\nadd r2, -4\nldxb r3, [r10 + -17]\nstb [r10 + -39], 0",
    );
    check(".slot a u8\n.slot b u8 align=8\nldxb r0, [b]", "ldxb r0, [r10 + -8]");
    check(".equ N, 24\n.slot a N\nldxdw r0, [a]", "ldxdw r0, [r10 + -24]");
}

#[test]
fn fields_are_reached_by_points() {
    check(
        ".struct inner { a: u8, b: u16[3] }\n.struct event {\n  pid: u32, ; whose\n  inner: inner\n  at: u64\n}\n
         .slot event_slot event\n
         ldxw r0, [r6 + event.pid]\nldxh r0, [r6 + event.inner.b + 2]\nstdw [event_slot.at], 0\nmov r1, event.at",
        "ldxw r0, [r6]\nldxh r0, [r6 + 8]\nstdw [r10 + -8], 0\nmov r1, 16",
    );
}

#[test]
fn a_label_may_be_named_like_a_mnemonic_or_a_helper() {
    check("ja add\nadd: add r0, 1\nexit", "ja add\nadd r0, 1\nexit");
    check("call local ktime_get_ns\nexit\nktime_get_ns: exit", "call local ktime_get_ns\nexit\nexit");
    check("call ktime_get_ns\nexit\nktime_get_ns: exit", "call ktime_get_ns\nexit\nexit");
}

#[test]
fn a_label_named_exit_comes_before_the_custom() {
    let placed = |text| {
        let mut code = code(text);
        let exit = code.label("exit");
        code.place_of(exit)
    };
    assert_eq!(placed("ja exit\nexit\nexit: mov r0, 0\nexit"), Some(2));
    assert_eq!(placed("ja exit\nmov r0, 0\nexit\nexit"), Some(2));
}

#[test]
fn a_file_has_a_licence_maps_and_programs() {
    let text = r#"
        .license "Dual MIT/GPL"
        .struct event { pid: u32, name: u8[16] }
        .map counts percpu_array key=u32 value=u64 entries=4
        .map events hash, key=event, value=i32[2], entries=0x10, flags=1
        .map log ringbuf entries=4096

        .program first socket
            lmap r1, counts
            ja out
        out: mov r0, 0
            exit

        .program second tracepoint/syscalls/sys_enter_recvfrom
        .slot key u32
            stw [key], 0
            lddw r1, map_val(counts) + 8
        out: mov r0, 0
            exit
    "#;
    let object = object(text);
    assert_eq!(object.license.as_deref(), Some("Dual MIT/GPL"));
    let event = Layout::Struct(
        "event".into(),
        vec![
            ("pid".into(), Layout::Unsigned(4)),
            ("name".into(), Layout::Array(Box::new(Layout::Unsigned(1)), 16)),
        ],
    );
    let map = |name: &str, kind, key, value, max_entries, flags| MapDef {
        name: name.into(),
        kind,
        key,
        value,
        max_entries,
        flags,
    };
    let pair = Layout::Array(Box::new(Layout::Signed(4)), 2);
    assert_eq!(
        object.maps,
        [
            map("counts", MapKind::PerCpuArray, Layout::Unsigned(4), Layout::Unsigned(8), 4, 0),
            map("events", MapKind::Hash, event, pair, 16, 1),
            map("log", MapKind::RingBuf, Layout::None, Layout::None, 4096, 0),
        ]
    );
    let names: Vec<_> = object.programs.iter().map(|p| (&*p.name, &*p.section, p.code.len())).collect();
    assert_eq!(names, [("first", "socket", 4), ("second", "tracepoint/syscalls/sys_enter_recvfrom", 4),]);
    let second = &object.programs[1];
    assert_eq!(second.code.line(0).map(|line| line.number), Some(16));
    assert_eq!(second.sources.first().map(|source| (&*source.file, &*source.text)), Some(("t", text)));
    let Insn::LoadImm { imm: Imm64::MapValue { map, off: 8 }, .. } = second.code.insns()[1] else {
        panic!("{:?}", second.code.insns()[1]);
    };
    assert_eq!(second.code.map_name(map), "counts");
}

#[test]
fn a_shown_file_is_read_to_the_same_object() {
    let text = r#"
        .license GPL
        .struct inner { a: u8[2][3], b: i64 }
        .struct event { pid: u32, inner: inner[2] }
        .map events hash key=event value=inner entries=16 flags=1
        .map log ringbuf entries=4096
        .program p "xdp"
        again: lmap r1, events
            jeq r1, 0, again
            call function
            exit
        function: mov r0, 1
            exit
    "#;
    let without_source = |text: &str| {
        let mut object = object(text);
        object.programs.iter_mut().for_each(|program| program.sources.clear());
        object
    };
    let first = without_source(text);
    let shown = fun::object(&first).to_string();
    let second = without_source(&shown);
    assert_eq!((first.license, first.maps), (second.license.clone(), second.maps.clone()), "{shown}");
    assert_eq!(fun::object(&second).to_string(), shown);
    let bytes = |code: &Code| code.encode(Endian::Little).expect("it encodes");
    assert_eq!(bytes(&first.programs[0].code), bytes(&second.programs[0].code));
}

#[test]
fn instructions_before_any_program_are_a_socket_program_named_main() {
    let object = object("mov r0, 0\nexit");
    assert_eq!((&*object.programs[0].name, &*object.programs[0].section), ("main", "socket"));
}

#[test]
fn warnings_are_told_apart_from_errors() {
    let text = "mov r2, 1\ncallx r2\nexit";
    let object = object(text);
    let found = diagnose(&object, text.as_bytes());
    let found: Vec<_> = found.iter().map(|found| (found.severity, &text[found.span.range()])).collect();
    assert_eq!(found, [(Severity::Warning, "callx r2")]);
}

#[test]
fn splices_stand_where_operands_do() {
    let text =
        "mov $dst, {1 + { 2 }}\nldxw r1, [$base + $off]\nlmap r1, $map\njeq $a, {b}, $there\ncall $helper";
    let mut splices = Vec::new();
    for statement in Parser::with_splices(text, true) {
        let statement = statement.unwrap_or_else(|error| panic!("{error:?}"));
        assert!(matches!(statement.kind, StatementKind::Instruction(_)));
        let shown = format!("{statement:?}");
        splices.extend(
            shown
                .match_indices("Splice(")
                .map(|(at, _)| shown[at + 7..].split(')').next().map(str::to_owned)),
        );
    }
    let numbers: Vec<_> = (0..9).map(|n| Some(n.to_string())).collect();
    assert_eq!(splices, numbers);
    let operand =
        Parser::with_splices("mov $dst, 1", true).next().and_then(Result::ok).map(|statement| statement.kind);
    let Some(StatementKind::Instruction(weir_asm::text::Instruction::Alu { dst, .. })) = operand else {
        panic!("{operand:?}");
    };
    assert!(matches!(dst.value, OperandValue::Splice(0)));
    assert_eq!(dst.span.range(), 4..8);
}

#[test]
fn a_label_may_begin_with_a_digit_unless_it_is_a_number() {
    check(
        "2nd: jeq r1, 0, 2nd\nja 3rd\ncall local 3rd\n3rd: exit",
        "jeq r1, 0, L0\nja L1\ncall local L1\nexit",
    );
    for text in ["7: exit", "mov r0, 2nd", "ja 0x1g2"] {
        assert!(assemble_code(text.as_bytes()).is_err(), "{text}");
    }
}
