//! Objects to write, load and read: together they hold every kind of map and reference.
#![allow(dead_code, reason = "each test target uses some of them")]

use weir_asm::{AtomicOp, Code, Imm64, Insn, Layout, MapDef, MapKind, Object, Program, Reg::*, op::*};

/// Helpers that the samples call (enum bpf_func_id).
mod helper {
    pub(super) const MAP_LOOKUP_ELEM: i32 = 1;
    pub(super) const TAIL_CALL: i32 = 12;
    pub(super) const FOR_EACH_MAP_ELEM: i32 = 164;
    pub(super) const RINGBUF_OUTPUT: i32 = 130;
}

/// Every sample under its name.
pub(crate) fn all() -> Vec<(&'static str, Object)> {
    vec![
        ("minimal", minimal()),
        ("counting", counting()),
        ("every_map", every_map()),
        ("functions", functions()),
        ("callback", callback()),
        ("tail_calls", tail_calls()),
        ("ring_buffer", ring_buffer()),
        ("variables", variables()),
        ("long", long()),
    ]
}

pub(crate) fn object(maps: Vec<MapDef>, programs: Vec<Program>) -> Object {
    Object { license: Some("GPL".to_owned()), maps, programs }
}

pub(crate) fn program(name: &str, section: &str, code: Code) -> Program {
    Program { name: name.to_owned(), section: section.to_owned(), code, ..Program::default() }
}

pub(crate) fn map(name: &str, kind: MapKind, key: Layout, value: Layout, max_entries: u32) -> MapDef {
    MapDef { name: name.to_owned(), kind, key, value, max_entries, flags: 0 }
}

const U32: Layout = Layout::Unsigned(4);
const U64: Layout = Layout::Unsigned(8);

pub(crate) fn accept(name: &str) -> Program {
    program(name, "socket", [mov(R0, -1), exit()].into_iter().collect())
}

/// No map, no licence.
pub(crate) fn minimal() -> Object {
    Object { license: None, maps: Vec::new(), programs: vec![accept("accept_all")] }
}

/// Counts packets in the first value of `counter`.
pub(crate) fn counting() -> Object {
    let mut code = Code::new();
    let (counter, out) = (code.map("counter"), code.label("out"));
    code += stw(R10 - 4, 0);
    code += mov(R2, R10);
    code += add(R2, -4);
    code += lmap(R1, counter);
    code += call(helper::MAP_LOOKUP_ELEM);
    code += jeq(R0, 0, out);
    code += mov(R1, 1);
    code += atomic(AtomicOp::Add { fetch: false }, R0 + 0, R1);
    code.place(out).expect("it has no place yet");
    code += mov(R0, 7);
    code += exit();
    object(
        vec![map("counter", MapKind::Array, U32, U64, 1)],
        vec![
            program("count", "socket", code),
            accept("accept_all"),
            program("drop_all", "xdp", [mov(R0, 1), exit()].into_iter().collect()),
        ],
    )
}

/// A map of each kind, with keys and values of each layout, referred to by one program.
pub(crate) fn every_map() -> Object {
    let flow = Layout::Struct(
        "flow".to_owned(),
        vec![
            ("addresses".to_owned(), Layout::Array(Box::new(U32), 2)),
            ("port".to_owned(), Layout::Unsigned(2)),
            ("proto".to_owned(), Layout::Unsigned(1)),
        ],
    );
    let tally = Layout::Struct(
        "tally".to_owned(),
        vec![
            ("small".to_owned(), Layout::Signed(1)),
            ("large".to_owned(), Layout::Signed(8)),
            (
                "pair".to_owned(),
                Layout::Struct(
                    "pair".to_owned(),
                    vec![("a".to_owned(), Layout::Signed(2)), ("b".to_owned(), Layout::Signed(4))],
                ),
            ),
        ],
    );
    let prefix = Layout::Struct(
        "prefix".to_owned(),
        vec![
            ("length".to_owned(), U32),
            ("address".to_owned(), Layout::Array(Box::new(Layout::Unsigned(1)), 4)),
        ],
    );
    let bytes = |count| Layout::Array(Box::new(Layout::Unsigned(1)), count);
    const BPF_F_NO_PREALLOC: u32 = 1;
    let trie = |name, key| MapDef { flags: BPF_F_NO_PREALLOC, ..map(name, MapKind::LpmTrie, key, U64, 16) };
    let maps = vec![
        map("hash", MapKind::Hash, flow, tally.clone(), 1024),
        map("array", MapKind::Array, U32, tally, 4),
        map("odd_array", MapKind::Array, bytes(4), U64, 4),
        map("prog_array", MapKind::ProgArray, U32, U32, 8),
        map("perf", MapKind::PerfEventArray, U32, U32, 2),
        map("percpu_hash", MapKind::PerCpuHash, U32, U64, 16),
        map("percpu_array", MapKind::PerCpuArray, U32, bytes(500), 1),
        map("lru_hash", MapKind::LruHash, bytes(6), U64, 16),
        map("lru_percpu_hash", MapKind::LruPerCpuHash, U64, U32, 16),
        trie("trie", prefix),
        trie("plain_trie", bytes(8)),
        map("sockets", MapKind::ReuseportSockArray, U32, U64, 4),
        map("ring", MapKind::RingBuf, Layout::None, Layout::None, 4096),
    ];
    let mut code = Code::new();
    for map in &maps {
        let name = code.map(&map.name);
        code += lmap(R1, name);
    }
    code += mov(R0, 0);
    code += exit();
    object(maps, vec![program("touch", "socket", code)])
}

/// 3! + 2, by functions that call each other, one without a name; a second program has functions of the same names.
pub(crate) fn functions() -> Object {
    let calling = |plus: i32| {
        let mut code = Code::new();
        let (triple, add_two) = (code.label("triple"), code.fresh_label());
        code += mov(R1, 2);
        code += call_local(triple);
        code += mov(R1, R0);
        code += call_local(add_two);
        code += exit();
        code.place(triple).expect("it has no place yet");
        code += mov(R6, R1);
        code += call_local(add_two);
        code += mov(R0, R6);
        code += mul(R0, 3);
        code += exit();
        code.place(add_two).expect("it has no place yet");
        code += mov(R0, R1);
        code += add(R0, plus);
        code += exit();
        code
    };
    object(
        Vec::new(),
        vec![
            program("eight", "socket", calling(2)),
            program("nine", "socket", calling(3)),
            program("eleven", "xdp", calling(5)),
        ],
    )
}

/// A function's address, given to bpf_for_each_map_elem.
pub(crate) fn callback() -> Object {
    let mut code = Code::new();
    let (numbers, each) = (code.map("numbers"), code.label("each"));
    code += lmap(R1, numbers);
    code += Insn::LoadImm { dst: R2, imm: Imm64::Func(each.into()) };
    code += mov(R3, 0);
    code += mov(R4, 0);
    code += call(helper::FOR_EACH_MAP_ELEM);
    code += exit();
    code.place(each).expect("it has no place yet");
    code += mov(R0, 0);
    code += exit();
    object(vec![map("numbers", MapKind::Array, U32, U64, 5)], vec![program("walk", "socket", code)])
}

/// Goes to entry 1 of `programs`, or says 3 where there is none.
pub(crate) fn tail_calls() -> Object {
    let mut code = Code::new();
    let programs = code.map("programs");
    code += lmap(R2, programs);
    code += mov(R3, 1);
    code += call(helper::TAIL_CALL);
    code += mov(R0, 3);
    code += exit();
    let next = [mov(R0, 42), exit()].into_iter().collect();
    object(
        vec![map("programs", MapKind::ProgArray, U32, U32, 4)],
        vec![program("first", "socket", code), program("next", "socket", next)],
    )
}

/// Sends eight bytes to user space.
pub(crate) fn ring_buffer() -> Object {
    let mut code = Code::new();
    let events = code.map("events");
    code += stdw(R10 - 8, 0x1234);
    code += lmap(R1, events);
    code += mov(R2, R10);
    code += add(R2, -8);
    code += mov(R3, 8);
    code += mov(R4, 0);
    code += call(helper::RINGBUF_OUTPUT);
    code += exit();
    object(
        vec![map("events", MapKind::RingBuf, Layout::None, Layout::None, 1 << 16)],
        vec![program("send", "socket", code)],
    )
}

/// Counts in a variable, without a look-up.
pub(crate) fn variables() -> Object {
    let mut code = Code::new();
    let bss = code.map(".bss");
    code += Insn::LoadImm { dst: R1, imm: Imm64::MapValue { map: bss, off: 8 } };
    code += mov(R0, 1);
    code += atomic(AtomicOp::Add { fetch: true }, R1 + 0, R0);
    code += add(R0, 1);
    code += exit();
    let pair = Layout::Array(Box::new(U64), 2);
    object(vec![map(".bss", MapKind::Array, U32, pair, 1)], vec![program("count", "socket", code)])
}

/// More than 64 instructions, immediates of 64 bits, long jumps, every width of access.
pub(crate) fn long() -> Object {
    let mut code = Code::new();
    let (end, near) = (code.label("end"), code.label("near"));
    code += lddw(R0, 0x1122_3344_5566_7788);
    code += lddw(R2, u64::MAX);
    code += jal(near);
    code.place(near).expect("it has no place yet");
    for step in 0..70 {
        code += add(R0, step);
        code += xor(R0, R2);
    }
    code += jeq(R0, 0, end);
    code += stxb(R10 - 1, R0);
    code += stxh(R10 - 4, R0);
    code += stxw(R10 - 8, R0);
    code += stxdw(R10 - 16, R0);
    code += ldxb(R3, R10 - 1);
    code += ldxdw(R4, R10 - 16);
    code += sdiv(R0, 3);
    code.place(end).expect("it has no place yet");
    code += mov(R0, 5);
    code += exit();
    object(Vec::new(), vec![program("long", "socket", code)])
}
