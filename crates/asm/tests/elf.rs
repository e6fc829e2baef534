//! Objects to ELF files and back, and files that are broken.

mod samples;

use proptest::prelude::*;
use weir_asm::{
    Code, ElfError, ElfFile, Endian, Imm64, Insn, Layout, LayoutError, Line, MapDef, MapKind, MapRefusal,
    Object, Program, Reg::*, Source, op::*, read_elf,
};

const FIXTURES: &[(&str, &[u8])] = &[
    ("forms-v2", include_bytes!("objects/forms-v2.o")),
    ("forms-v3", include_bytes!("objects/forms-v3.o")),
    ("forms-v4", include_bytes!("objects/forms-v4.o")),
    ("forms-be", include_bytes!("objects/forms-be.o")),
    ("lines", include_bytes!("objects/lines.o")),
    ("legacy", include_bytes!("objects/legacy.o")),
    ("count-filter", include_bytes!("objects/count-filter.o")),
];

fn written(object: &Object, endian: Endian) -> Vec<u8> {
    object.to_elf(endian).unwrap_or_else(|error| panic!("{error}"))
}

fn read(bytes: &[u8]) -> ElfFile {
    read_elf(bytes).unwrap_or_else(|error| panic!("{error}"))
}

fn fixture(name: &str) -> ElfFile {
    let (_, bytes) = FIXTURES.iter().find(|(known, _)| *known == name).expect("it is in the table");
    read(bytes)
}

/// Name, section, bytes, and the maps that are referred to.
type ProgramEssence = (String, String, Vec<u8>, Vec<String>);

/// What matters of an object: labels may be numbered otherwise, so instructions are compared as bytes.
fn essence(object: &Object) -> (Option<String>, Vec<MapDef>, Vec<ProgramEssence>) {
    let programs = object.programs.iter().map(|program| {
        let bytes = program.code.encode(Endian::Little).expect("it encodes");
        let maps = program.code.insns().iter().filter_map(|insn| match insn {
            Insn::LoadImm { imm: Imm64::Map(map) | Imm64::MapValue { map, .. }, .. } => {
                Some(program.code.map_name(*map).to_owned())
            }
            _ => None,
        });
        (program.name.clone(), program.section.clone(), bytes, maps.collect())
    });
    (object.license.clone(), object.maps.clone(), programs.collect())
}

#[test]
fn what_is_written_is_read_back() {
    for (name, object) in samples::all() {
        for endian in [Endian::Little, Endian::Big] {
            let file = read(&written(&object, endian));
            assert_eq!(file.endian, endian);
            assert_eq!(file.unknown_maps, [""; 0], "{name}");
            let back = file.object().unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut expected = object.clone();
            for map in &mut expected.maps {
                as_read(map);
            }
            // Sections are read in the order of the file, programs of one section behind each other.
            expected.programs.sort_by_key(|program| program.section != object.programs[0].section);
            assert_eq!(essence(&back), essence(&expected), "{name}, {endian:?}");
            let again =
                read(&written(&back, endian)).object().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(essence(&again), essence(&back), "{name}, {endian:?}, again");
        }
    }
}

/// Where the kernel takes no types, sizes alone are written.
fn as_read(map: &mut MapDef) {
    let bytes = |layout: &mut Layout| {
        if *layout != Layout::None {
            *layout = Layout::Array(Box::new(Layout::Unsigned(1)), layout.size() as u32);
        }
    };
    if map.name.starts_with('.') {
        bytes(&mut map.value);
    } else if matches!(map.kind, MapKind::ProgArray | MapKind::PerfEventArray)
        || matches!(&*map.name, "odd_array" | "plain_trie")
    {
        bytes(&mut map.key);
        bytes(&mut map.value);
    }
}

#[test]
fn the_same_object_gives_the_same_bytes() {
    for (name, object) in samples::all() {
        assert_eq!(written(&object, Endian::Little), written(&object.clone(), Endian::Little), "{name}");
    }
}

#[test]
fn lines_come_back_with_their_text() {
    let mut code = Code::new();
    code.push_at(mov(R0, 1), Line::at(2));
    code.push_at(lddw(R1, 7), Line::at(2));
    code.push_at(add(R0, R1), Line::at(4));
    code.push_at(exit(), Line { number: 2, column: 3, source: 1 });
    let text = "; a comment\n  mov r0, 1\n\nadd r0, r1\r\nexit";
    let source = |file: &str, text: &str| Source { file: file.to_owned(), text: text.into() };
    let sources = vec![source("three.s", text), source("end.s", "\n  exit ; here")];
    let object =
        samples::object(Vec::new(), vec![Program { sources, ..samples::program("three", "socket", code) }]);
    let file = read(&written(&object, Endian::Little));
    let lines: Vec<_> = file.sections[0].lines.iter().map(|line| (line.slot, line.to_string())).collect();
    let said = ["three.s:2: mov r0, 1", "three.s:4: add r0, r1", "end.s:2:3: exit ; here"];
    assert_eq!(lines, [0, 3, 4].into_iter().zip(said.map(str::to_owned)).collect::<Vec<_>>());
    assert_eq!(file.line_of("three", 2).map(|line| line.line), Some(2));
    assert_eq!((file.line_of("three", 5), file.line_of("four", 0)), (None, None));
    let back = file.object().expect("it links").programs.remove(0);
    let texts: Vec<_> = back.sources.iter().map(|source| (&*source.file, &*source.text)).collect();
    assert_eq!(texts, [("three.s", "\nmov r0, 1\n\nadd r0, r1"), ("end.s", "\nexit ; here")]);
    let lines = [Line::at(2), Line::at(2), Line::at(4), Line { number: 2, column: 3, source: 1 }];
    assert_eq!(lines.map(Some), [0, 1, 2, 3].map(|index| back.code.line(index)));
}

#[test]
fn a_symbol_whose_range_leaves_its_section_is_named() {
    for (name, bytes) in [
        ("sym_big", &include_bytes!("objects/strange/sym_big.o")[..]),
        ("sym_oob", include_bytes!("objects/strange/sym_oob.o")),
    ] {
        let Err(ElfError::Read { what, why }) = read_elf(bytes) else { panic!("{name} is read") };
        assert_eq!(what, "symbol \"prog\"", "{name}: {why}");
        assert!(why.ends_with("leave its section, which has 16"), "{name}: {why}");
    }
}

#[test]
fn what_an_object_of_ours_cannot_hold_is_found() {
    let core = read(include_bytes!("objects/strange/core2.o"));
    assert!(core.has_core_relocations);
    let pinned = read(include_bytes!("objects/strange/pinned.o"));
    assert_eq!((pinned.has_core_relocations, &pinned.pinned_maps[..]), (false, &["counts".to_owned()][..]));
    for (name, object) in samples::all() {
        let file = read(&written(&object, Endian::Little));
        assert!(!file.has_core_relocations && file.pinned_maps.is_empty(), "{name}");
    }
}

#[test]
fn code_without_lines_is_marked_by_its_labels() {
    let file = read(&written(&samples::functions(), Endian::Little));
    let texts = |section: &str| -> Vec<String> {
        let section = file.sections.iter().find(|known| known.name == section).expect("it was written");
        section.lines.iter().map(|line| line.text.to_string()).collect()
    };
    assert_eq!(texts("socket"), ["eight:", "nine:"]);
    assert_eq!(texts(".text"), ["triple:", "eight_2:", "triple:", "nine_2:", "triple:", "eleven_2:"]);
}

#[test]
fn objects_of_clang_are_read() {
    let file = fixture("forms-v4");
    let object = file.object().expect("it links");
    let names: Vec<_> = object.programs.iter().map(|program| program.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "widths",
            "arithmetic",
            "arithmetic32",
            "packet",
            "calls",
            "maps",
            "jumps",
            "swaps",
            "atomics",
            "fetching",
            "signed_forms"
        ]
    );
    assert_eq!(object.license.as_deref(), Some("GPL"));
    let calls = &object.programs[4].code;
    assert_eq!(
        calls.labels().filter_map(|(label, _)| calls.name_of(label)).collect::<Vec<_>>(),
        ["local", "shared"]
    );
    let maps = &object.programs[5].code;
    assert_eq!(maps.maps().map(|(_, name)| name).collect::<Vec<_>>(), ["counts", ".data", ".bss", ".rodata"]);
    // Without BTF nobody can say what `counts` is.
    assert_eq!(file.unknown_maps, ["counts"]);
    assert_eq!(essence(&fixture("forms-be").object().expect("it links")), essence(&object));
}

#[test]
fn maps_and_lines_of_clang_are_read() {
    let file = fixture("lines");
    let u8s = |count| Layout::Array(Box::new(Layout::Unsigned(1)), count);
    let key = Layout::Struct(
        "key".to_owned(),
        vec![
            ("address".to_owned(), Layout::Unsigned(4)),
            ("ports".to_owned(), Layout::Array(Box::new(Layout::Unsigned(2)), 2)),
        ],
    );
    let map = |name: &str, kind, key, value, max_entries, flags| MapDef {
        name: name.to_owned(),
        kind,
        key,
        value,
        max_entries,
        flags,
    };
    assert_eq!(
        file.maps,
        [
            map("flows", MapKind::LruHash, key, Layout::Signed(8), 64, 2),
            map("mixed", MapKind::Array, Layout::Unsigned(4), u8s(16), 1, 0),
        ]
    );
    assert_eq!(file.unknown_maps, ["stacks"]);
    let lines: Vec<_> = file.sections[0].lines.iter().map(|line| (&*line.text, line.line)).collect();
    assert!(lines.contains(&("    if (!value) return 7;", 21)), "{lines:?}");
    assert!(file.sections[0].lines.iter().all(|line| line.file.ends_with("lines.c")));
}

#[test]
fn legacy_maps_are_read() {
    let file = fixture("legacy");
    assert_eq!(
        file.maps,
        [MapDef {
            name: "counter".to_owned(),
            kind: MapKind::PerCpuArray,
            key: Layout::Unsigned(4),
            value: Layout::Array(Box::new(Layout::Unsigned(1)), 8),
            max_entries: 3,
            flags: 0,
        }]
    );
    let object = file.object().expect("it links");
    assert_eq!(object.programs[0].code.maps().map(|(_, name)| name).collect::<Vec<_>>(), ["counter"]);
}

#[test]
fn objects_of_rustc_are_read() {
    let file = fixture("count-filter");
    let object = file.object().expect("it links");
    assert_eq!(object.programs.len(), 1);
    assert_eq!(object.programs[0].section, "socket");
    assert!(object.programs[0].code.maps().count() > 0);
    assert!(file.sections[0].relocations.iter().all(|relocation| relocation.kind.name() == "R_BPF_64_64"));
}

fn check_refused(object: Object, expected: ElfError) {
    assert_eq!(object.to_elf(Endian::Little), Err(expected));
}

fn refused_program(code: Code, expected: ElfError) {
    check_refused(samples::object(Vec::new(), vec![samples::program("p", "socket", code)]), expected);
}

#[test]
fn names_that_loaders_could_not_tell_apart_are_refused() {
    let twice = vec![samples::accept("a"), samples::accept("a")];
    check_refused(samples::object(Vec::new(), twice), ElfError::Duplicate { name: "a".to_owned() });
    let map = samples::map("a", MapKind::Hash, Layout::Unsigned(4), Layout::Unsigned(4), 1);
    check_refused(
        samples::object(vec![map], vec![samples::accept("a")]),
        ElfError::Duplicate { name: "a".to_owned() },
    );
    for section in ["license", ".text", ".maps", "maps", "version", ".BTF"] {
        let program = Program { section: section.to_owned(), ..samples::accept("a") };
        let expected = ElfError::Section { program: "a".to_owned(), section: section.to_owned() };
        check_refused(samples::object(Vec::new(), vec![program]), expected);
    }
    let nameless = ElfError::Name { what: "program", name: String::new() };
    check_refused(samples::object(Vec::new(), vec![samples::accept("")]), nameless);
    let section = Program { section: "a\0b".to_owned(), ..samples::accept("a") };
    let expected = ElfError::Name { what: "section", name: "a\0b".to_owned() };
    check_refused(samples::object(Vec::new(), vec![section]), expected);
}

#[test]
fn references_that_no_loader_resolves_are_refused() {
    let reference = |name: &str, value: bool| {
        let mut code = Code::new();
        let map = code.map(name);
        let imm = if value { Imm64::MapValue { map, off: 0 } } else { Imm64::Map(map) };
        code += mov(R0, 0);
        code += Insn::LoadImm { dst: R1, imm };
        code += exit();
        let maps = ["plain", ".bss"];
        let maps =
            maps.map(|name| samples::map(name, MapKind::Array, Layout::Unsigned(4), Layout::Unsigned(8), 1));
        samples::object(maps.to_vec(), vec![samples::program("p", "socket", code)])
    };
    let refused =
        |map: &str, why| ElfError::Map { program: "p".to_owned(), index: 1, map: map.to_owned(), why };
    check_refused(reference("missing", false), refused("missing", MapRefusal::Undeclared));
    check_refused(reference("plain", true), refused("plain", MapRefusal::Value));
    check_refused(reference(".bss", false), refused(".bss", MapRefusal::Variables));
    written(&reference("plain", false), Endian::Little);
    written(&reference(".bss", true), Endian::Little);
}

#[test]
fn maps_that_no_type_describes_are_refused() {
    let refused = |value: Layout, why: LayoutError| {
        let map = samples::map("m", MapKind::Hash, Layout::Unsigned(4), value, 1);
        check_refused(samples::object(vec![map], Vec::new()), ElfError::Layout { map: "m".to_owned(), why });
    };
    let array = |of: Layout, count| Layout::Array(Box::new(of), count);
    refused(Layout::Unsigned(3), LayoutError::Integer(3));
    refused(array(Layout::None, 2), LayoutError::Nothing);
    refused(array(array(Layout::Unsigned(8), u32::MAX), u32::MAX), LayoutError::TooLarge);
    let deep = (0..40).fold(Layout::Unsigned(1), |inner, _| array(inner, 1));
    refused(deep, LayoutError::TooDeep);
    let two = samples::map(".data", MapKind::Array, Layout::Unsigned(4), Layout::Unsigned(4), 2);
    check_refused(samples::object(vec![two], Vec::new()), ElfError::Variables { map: ".data".to_owned() });
}

#[test]
fn programs_that_cannot_be_taken_apart_are_refused() {
    let program = || "p".to_owned();
    refused_program(Code::new(), ElfError::Empty { program: program() });

    let calling = |tail: &dyn Fn(&mut Code)| {
        let mut code = Code::new();
        let function = code.label("function");
        code += call_local(function);
        tail(&mut code);
        code.place(function).expect("it has no place yet");
        code += mov(R0, 0);
        code += exit();
        code
    };
    refused_program(
        calling(&|code| *code += mov(R0, 0)),
        ElfError::FallsThrough { program: program(), index: 1 },
    );
    let across = ElfError::Crossing { program: program(), index: 1, start: 0 };
    refused_program(
        calling(&|code| {
            *code += ja(1);
            *code += exit();
        }),
        across,
    );
    written(
        &samples::object(Vec::new(), vec![samples::program("p", "socket", calling(&|code| *code += exit()))]),
        Endian::Big,
    );

    let entry = [call_local(-1), exit()].into_iter().collect();
    refused_program(entry, ElfError::CallsEntry { program: program(), index: 0 });
    let nowhere = [call_local(7), exit()].into_iter().collect();
    refused_program(nowhere, ElfError::NoFunction { program: program(), index: 0, slots: 7 });
    let half = [call_local(1), exit(), lddw(R0, 0), exit()].into_iter().collect::<Code>();
    written(&samples::object(Vec::new(), vec![samples::program("p", "socket", half)]), Endian::Little);
    let second_half = [call_local(2), exit(), lddw(R0, 0), exit()].into_iter().collect();
    refused_program(second_half, ElfError::NoFunction { program: program(), index: 0, slots: 2 });
}

#[test]
fn bytes_that_are_no_object_are_errors() {
    let ours = written(&samples::every_map(), Endian::Little);
    let of_another_machine = {
        let mut bytes = ours.clone();
        bytes[18] = 62;
        bytes
    };
    for (bytes, expected) in [
        (&b""[..], "reading the ELF file: its headers"),
        (b"hello", "reading the ELF file: its headers"),
        (&ours[..64], "reading the ELF file"),
        (&of_another_machine, "it is for X86_64, not for BPF"),
    ] {
        let error = read_elf(bytes).expect_err("it is no object").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Reading ends, and with it linking and showing; what comes of it is of no interest.
fn survive(bytes: &[u8]) {
    if let Ok(file) = read_elf(bytes)
        && let Ok(object) = file.object()
    {
        let shown: usize =
            file.sections.iter().map(|s| weir_asm::show::llvm::Llvm::new(&s.code).to_string().len()).sum();
        assert!(shown < 400 * bytes.len());
        let _ = object.to_elf(Endian::Little);
    }
}

#[test]
fn a_truncated_object_is_an_error_or_less() {
    for (_, bytes) in FIXTURES {
        (0..bytes.len()).step_by(7).for_each(|len| survive(&bytes[..len]));
    }
    let ours = written(&samples::every_map(), Endian::Little);
    (0..ours.len()).for_each(|len| survive(&ours[..len]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_damaged_object_is_an_error_or_another(
        which in 0..FIXTURES.len() + 1,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = FIXTURES.get(which).map_or_else(
            || written(&samples::every_map(), Endian::Little),
            |(_, bytes)| bytes.to_vec(),
        );
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        survive(&bytes);
    }
}
