//! Splices: every place that takes one, programs in programs, and labels that stay their own.

use weir_asm::{
    AluOp, Call, Code, Imm64, Insn, Layout, MapDef, MapKind, Mem, Reg, check, op, show::fun,
    stack::string_on_stack,
};
use weir_asm_macros::ebpf;

#[track_caller]
fn same(spliced: &Code, written: &Code) {
    assert_eq!(fun::code(spliced).to_string(), fun::code(written).to_string());
    assert_eq!(spliced.insns(), written.insns());
}

#[test]
fn registers_take_every_place_of_a_register() {
    let (dst, src) = (Reg::R3, Reg::R4);
    same(
        &ebpf! {
            add $dst, $src
            neg $dst
            be16 $dst
            movsx832 $dst, {src}
            ldxw $dst, [$src]
            ldxw $dst, [$src + 4]
            ldxsw $dst, [{src} + 4]
            stxdw [$dst - 8], $src
            stw [$dst], 1
            lock add [$dst - 8], $src
            ldindb $src, 4
            jeq $dst, $src, +0
            callx $src
            lddw $dst, 1
        },
        &ebpf! {
            add r3, r4
            neg r3
            be16 r3
            movsx832 r3, r4
            ldxw r3, [r4]
            ldxw r3, [r4 + 4]
            ldxsw r3, [r4 + 4]
            stxdw [r3 - 8], r4
            stw [r3], 1
            lock add [r3 - 8], r4
            ldindb r4, 4
            jeq r3, r4, +0
            callx r4
            lddw r3, 1
        },
    );
}

#[test]
fn numbers_take_every_place_of_a_number() {
    let (imm, off, distance, id) = (-7, -16_i16, 1, 5);
    let (wide, index, bytes) = (0x1122_3344_5566_7788_u64, 2_u32, 8_u32);
    same(
        &ebpf! {
            mov r0, $imm
            jne r0, {imm - 1}, $distance
            ldxw r0, [r1 + $off]
            stw [r1 + {off + 2}], $imm
            lock add [r1 + $off], r2
            ldabsw $imm
            ldindb r1, $imm
            ja $distance
            gotol $distance
            call $id
            call helper $id
            call runtime $id
            call local {distance - 1}
            lddw r0, $wide
            lmfd r1, $id
            lddw r1, map_by_fd($id)
            lddw r1, map_val(map_by_fd($id)) + $bytes
            lddw r1, map_by_idx($index)
            lddw r1, map_val(map_by_idx($index)) + $bytes
            lddw r1, var_addr($index)
            lddw r1, code_addr($distance)
            .raw $wide
        },
        &ebpf! {
            mov r0, -7
            jne r0, -8, +1
            ldxw r0, [r1 - 16]
            stw [r1 - 14], -7
            lock add [r1 - 16], r2
            ldabsw -7
            ldindb r1, -7
            ja +1
            gotol +1
            call 5
            call helper 5
            call runtime 5
            call local +0
            lddw r0, 0x1122334455667788
            lmfd r1, 5
            lddw r1, map_by_fd(5)
            lddw r1, map_val(map_by_fd(5)) + 8
            lddw r1, map_by_idx(2)
            lddw r1, map_val(map_by_idx(2)) + 8
            lddw r1, var_addr(2)
            lddw r1, code_addr(+1)
            .raw 0x1122334455667788
        },
    );
}

#[test]
fn whole_memory_operands_are_spliced() {
    let mem: Mem = Reg::R10 - 8;
    same(
        &ebpf! { stxdw [$mem], r1; ldxdw r2, [{Reg::R1 + 4}] },
        &ebpf! { stxdw [r10 - 8], r1; ldxdw r2, [r1 + 4] },
    );
}

#[test]
fn the_type_of_a_source_tells_its_form() {
    for (code, source) in [
        (ebpf! { mov r1, {Reg::R2} }, op::mov(Reg::R1, Reg::R2)),
        (ebpf! { mov r1, {2} }, op::mov(Reg::R1, 2)),
    ] {
        assert_eq!(code.insns(), [source]);
        assert!(matches!(code.insns()[0], Insn::Alu { op: AluOp::Mov, .. }));
    }
}

#[test]
fn maps_are_spliced_by_definition_and_by_name() {
    let u64 = Layout::Unsigned(8);
    let counts = MapDef {
        name: "counts".to_owned(),
        kind: MapKind::Array,
        key: Layout::Unsigned(4),
        value: u64,
        max_entries: 1,
        flags: 0,
    };
    let name = "counts";
    let code = ebpf! {
        lmap r1, counts
        lmap r2, $name
        lmap r3, {&counts}
        lddw r4, map_val($name)
        lddw r5, map_val({&counts}) + 8
    };
    assert_eq!(code.maps().map(|(_, name)| name).collect::<Vec<_>>(), ["counts"], "it is one map");
    let (map, _) = code.maps().next().expect("it was used");
    let wanted = [Imm64::Map(map); 3].into_iter().chain([0, 8].map(|off| Imm64::MapValue { map, off }));
    let wanted: Vec<_> = wanted.zip([Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5]).collect();
    let wanted: Vec<_> = wanted.into_iter().map(|(imm, dst)| Insn::LoadImm { dst, imm }).collect();
    assert_eq!(code.insns(), wanted);
}

#[test]
fn programs_concatenate_and_their_labels_stay_their_own() {
    let skip = |kind: i32| {
        ebpf! {
            jne r1, $kind, next
            add r0, 1
        next:
        }
    };
    let (first, second) = (skip(1), skip(2));
    let code = ebpf! {
            mov r0, 0
            $first
            {&second}
            jeq r0, 0, next
            mov r0, -1
        next:
            exit
    };
    let targets: Vec<_> = code
        .insns()
        .iter()
        .filter_map(|insn| match insn.target()? {
            weir_asm::Target::Label(label) => code.place_of(label),
            weir_asm::Target::Off(_) => None,
        })
        .collect();
    assert_eq!(targets, [3, 5, 7], "each goes to the end of its own piece");
    assert_eq!(check(&code), []);
    let names = code.labels().filter(|(label, _)| code.name_of(*label) == Some("next"));
    assert_eq!(names.count(), 3);
}

#[test]
fn instructions_of_functions_stand_in_a_line_of_their_own() {
    let code = ebpf! {
        {op::mov(Reg::R6, Reg::R1)}
        {string_on_stack(b"hello", -8)}
        {[op::mov(Reg::R0, 0), op::exit()]}
    };
    let mut built = Code::from_iter([op::mov(Reg::R6, Reg::R1)]);
    built.extend(string_on_stack(b"hello", -8));
    built.extend([op::mov(Reg::R0, 0), op::exit()]);
    assert_eq!(code.insns(), built.insns());
}

#[test]
fn labels_are_spliced_by_name() {
    let (there, other) = ("there", String::from("other"));
    let code = ebpf! {
        jeq r1, 0, $there
        lddw r2, code_addr({&*other})
        exit
    $there:
        call local $there
    {&*other}:
        exit
    };
    let places: Vec<_> = code.labels().map(|(label, place)| (code.name_of(label), place)).collect();
    assert_eq!(places, [(Some("there"), Some(3)), (Some("other"), Some(4))]);
}

#[test]
fn labels_and_maps_of_given_code_are_known_in_it() {
    let mut code = Code::new();
    let (drop, map) = (code.fresh_label(), code.map("counts"));
    for byte in [0, 4] {
        ebpf! { in &mut code;
            ldabsb $byte
            jeq r0, 255, $drop
            jeq r0, 254, next
            lmap r1, $map
        next:
        }
    }
    ebpf! { in &mut code;
        mov r0, -1
        exit
    $drop:
        mov r0, 0
        exit
    }
    assert_eq!(check(&code), []);
    assert_eq!(code.place_of(drop), Some(10));
}

#[test]
#[should_panic(expected = "the label 'here' is placed a second time; it stands before instruction 0")]
fn a_spliced_label_placed_twice_says_where_it_stands() {
    let here = "here";
    ebpf! {
    $here:
        exit
    $here:
        exit
    };
}

#[test]
fn expressions_are_evaluated_once_and_in_order() {
    let mut counter = 0;
    let mut next = || {
        counter += 1;
        counter
    };
    let code = ebpf! { mov r0, {next()}; add r0, {next()}; call {next()} };
    let calls = code.insns().last();
    assert_eq!(calls, Some(&Insn::Call(Call::Helper(3))));
    assert_eq!(counter, 3);
}

#[test]
fn variables_of_the_macro_stay_its_own() {
    let (code, insn, label0, fresh) = (Reg::R1, Reg::R2, 3, 4);
    same(
        &ebpf! { start: mov $code, $insn; mov $insn, $label0; mov $code, $fresh; ja start },
        &ebpf! { start: mov r1, r2; mov r2, 3; mov r1, 4; ja start },
    );
}
