//! Typed handles: every operation on every kind of map, and what is said where one is refused.

use std::collections::BTreeSet;

use weir_asm::{
    AtomicOp, Code, Endian, Layout, MapDef, Object, Program,
    Reg::*,
    maps::{
        Array, Hash, LpmPrefix, LpmTrie, LruHash, LruPerCpuHash, MapShape, MapSpec, MapType, PerCpuArray,
        PerCpuHash, RingBuf,
    },
    op::*,
};
use weir_hooks::{
    AnyProgram, HookError, Map,
    maps::{MapFailure, Update},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{Test, maps::possible_cpus, once};

pub(crate) const TESTS: &[Test] = &[
    once("a_hash_does_all_that_keys_can", || keyed::<Hash<u32, u64>>(|n| u64::from(n) << 40)),
    once("an_lru_hash_does_all_that_keys_can", || drop(keyed_but_never_full::<LruHash<u32, u64>>(u64::from))),
    once("a_per_cpu_hash_does_all_that_keys_can", || keyed::<PerCpuHash<u32, u64>>(each_cpu)),
    once("an_lru_per_cpu_hash_does_all_that_keys_can", || {
        drop(keyed_but_never_full::<LruPerCpuHash<u32, u64>>(each_cpu));
    }),
    once("an_array_has_all_its_entries_at_once", an_array_has_all_its_entries_at_once),
    once("a_per_cpu_array_is_folded_over_cpus", a_per_cpu_array_is_folded_over_cpus),
    once("a_trie_finds_the_longest_prefix", a_trie_finds_the_longest_prefix),
    once("a_ring_buffer_gives_records_in_order", a_ring_buffer_gives_records_in_order),
    once("keys_and_values_may_be_structs", keys_and_values_may_be_structs),
    once("a_program_and_a_handle_see_one_map", a_program_and_a_handle_see_one_map),
    once("entries_that_stay_are_seen_while_others_go", entries_that_stay_are_seen_while_others_go),
    once("a_handle_outlives_its_object", a_handle_outlives_its_object),
    once("a_map_declared_otherwise_is_not_opened", a_map_declared_otherwise_is_not_opened),
];

const PROGRAM: &str = "program";

fn loaded(maps: Vec<MapDef>, code: Code) -> AnyProgram {
    let program =
        Program { name: PROGRAM.to_owned(), section: "socket".to_owned(), code, ..Program::default() };
    let object = Object { license: Some("GPL".to_owned()), maps, programs: vec![program] };
    let endian = if cfg!(target_endian = "little") { Endian::Little } else { Endian::Big };
    let elf = object.to_elf(endian).unwrap_or_else(|error| panic!("{error}"));
    AnyProgram::load(&elf, None).unwrap_or_else(|error| panic!("{error}"))
}

fn nothing() -> Code {
    [mov(R0, 0), exit()].into_iter().collect()
}

fn run(program: &AnyProgram) {
    program.test_run(&[0; 64], 1).expect("it runs");
}

/// A map by itself.
macro_rules! map {
    ($spec:expr) => {
        loaded(vec![$spec.definition()], nothing()).map($spec).unwrap_or_else(|error| panic!("{error}"))
    };
}

fn each_cpu(n: u32) -> Vec<u64> {
    (0..possible_cpus() as u64).map(|cpu| u64::from(n) + cpu).collect()
}

fn said(result: Result<(), MapFailure>, parts: &[&str]) {
    let text = result.expect_err("it is refused").to_string();
    for part in parts {
        assert!(text.contains(part), "no '{part}' in: {text}");
    }
}

fn keyed<S: MapShape<Key = u32>>(value: impl Fn(u32) -> weir_hooks::maps::Entry<S>)
where
    S::Copies: weir_hooks::maps::Copies<u32, S::Value>,
    weir_hooks::maps::Entry<S>: PartialEq + std::fmt::Debug,
{
    let mut map: Map<S> = keyed_but_never_full(&value);
    map.update(7, value(7), Update::NoExist).expect("there is room again");
    map.update(9, value(9), Update::NoExist).expect("there is room again");
    let full = map.update(10, value(10), Update::Any);
    assert!(full.as_ref().is_err_and(MapFailure::is_full), "{full:?}");
    said(
        full,
        &["updating map 'm' at key 10", "bpf_map_update_elem", "as many entries as it was declared for"],
    );
    map.update(9, value(1), Update::Any).expect("a key that is there needs no room");
}

/// What all maps with keys do; given back empty.
fn keyed_but_never_full<S: MapShape<Key = u32>>(value: impl Fn(u32) -> weir_hooks::maps::Entry<S>) -> Map<S>
where
    S::Copies: weir_hooks::maps::Copies<u32, S::Value>,
    weir_hooks::maps::Entry<S>: PartialEq + std::fmt::Debug,
{
    let mut map = map!(MapSpec::<S>::new("m", 2));
    assert_eq!(map.get(7).expect("a look"), None);
    assert!(!map.delete(7).expect("a look"));
    let absent = map.update(7, value(1), Update::Exist);
    assert!(absent.as_ref().is_err_and(MapFailure::is_absent), "{absent:?}");
    said(absent, &["updating map 'm' at key 7", "bpf_map_update_elem", "the key isn't there"]);

    map.update(7, value(1), Update::NoExist).expect("it is new");
    assert_eq!(map.get(7).expect("a look"), Some(value(1)));
    let present = map.update(7, value(2), Update::NoExist);
    assert!(present.as_ref().is_err_and(MapFailure::is_present), "{present:?}");
    said(present, &["updating map 'm' at key 7", "the key is there already"]);
    assert_eq!(map.get(7).expect("a look"), Some(value(1)));
    map.update(7, value(3), Update::Exist).expect("it is there");
    map.update(8, value(4), Update::Any).expect("there is room");

    let mut entries: Vec<_> = map.iter().map(|entry| entry.expect("it is read")).collect();
    entries.sort_by_key(|(key, _)| *key);
    assert_eq!(entries, [(7, value(3)), (8, value(4))]);
    assert_eq!(map.fold(0, |sum, key, _| sum + key).expect("it is read"), 15);

    assert!(map.delete(7).expect("it is there"));
    assert!(map.delete(8).expect("it is there"));
    assert_eq!(map.iter().count(), 0);
    if matches!(S::KIND, weir_asm::MapKind::LruHash | weir_asm::MapKind::LruPerCpuHash) {
        for key in 0..100 {
            map.update(key, value(key), Update::Any).expect("the oldest make room");
            assert_eq!(map.get(key).expect("a look"), Some(value(key)));
        }
        assert!(map.iter().count() < 100);
    }
    map
}

fn an_array_has_all_its_entries_at_once() {
    let mut map = map!(MapSpec::<Array<[u16; 3]>>::new("m", 4));
    assert_eq!(map.get(3).expect("a look"), Some([0; 3]));
    assert_eq!(map.get(4).expect("a look"), None);
    map.update(2, [1, 2, 3], Update::Exist).expect("it is there");
    assert_eq!(map.fold(0, |sum, key, value| sum + key * u32::from(value[2])).expect("it is read"), 6);
    assert!(map.update(2, [0; 3], Update::NoExist).is_err_and(|error| error.is_present()));
    assert!(map.update(4, [0; 3], Update::Any).is_err_and(|error| error.is_full()));
    said(map.delete(2).map(|_| ()), &["deleting map 'm' at key 2", "bpf_map_delete_elem", "entries stay"]);
}

fn a_per_cpu_array_is_folded_over_cpus() {
    const COUNTS: MapSpec<PerCpuArray<u64>> = MapSpec::new("counts", 2);
    let mut code = Code::new();
    count(&mut code, |code| COUNTS.reference(code));
    let program = loaded(vec![COUNTS.definition()], code);
    let mut map = program.map(COUNTS).expect("it was declared");
    map.update(0, each_cpu(10), Update::Any).expect("it is there");
    run(&program);
    let ones = |n: u32| each_cpu(n).iter().sum::<u64>();
    let total = map.fold(0, |sum, _, values| sum + values.iter().sum::<u64>()).expect("it is read");
    assert_eq!(total, ones(10) + 1);
    let one_too_many = map.update(0, vec![0; possible_cpus() + 1], Update::Any);
    said(one_too_many, &["updating map 'counts' at key 0", "nr_cpus"]);
}

/// Adds 1 to the value of key 0, which exists.
fn count(code: &mut Code, map: impl Fn(&mut Code) -> weir_asm::MapName) {
    let out = code.label("out");
    let map = map(code);
    *code += stw(R10 - 4, 0);
    *code += mov(R2, R10);
    *code += add(R2, -4);
    *code += lmap(R1, map);
    *code += call(weir_asm::helpers::number("map_lookup_elem").expect("it is known"));
    *code += jeq(R0, 0, out);
    *code += mov(R1, 1);
    *code += atomic(AtomicOp::Add { fetch: false }, R0, R1);
    code.place(out).expect("it has no place yet");
    code.extend([mov(R0, 0), exit()]);
}

fn a_trie_finds_the_longest_prefix() {
    let mut routes = map!(MapSpec::<LpmTrie<4, u32>>::new("routes", 3));
    let ten = |bits, rest: [u8; 3]| LpmPrefix::new(bits, [10, rest[0], rest[1], rest[2]]);
    routes.update(ten(8, [0; 3]), 8, Update::Any).expect("there is room");
    routes.update(ten(24, [1, 2, 0]), 24, Update::NoExist).expect("there is room");
    routes.update(ten(16, [1, 0, 0]), 16, Update::Any).expect("there is room");
    let check = |routes: &Map<LpmTrie<4, u32>>, address, expected: Option<u32>| {
        assert_eq!(routes.get(LpmPrefix::whole(address)).expect("a look"), expected, "{address:?}");
    };
    check(&routes, [10, 1, 2, 3], Some(24));
    check(&routes, [10, 1, 9, 9], Some(16));
    check(&routes, [10, 200, 0, 1], Some(8));
    check(&routes, [11, 1, 2, 3], None);
    assert!(routes.update(ten(32, [0; 3]), 0, Update::Any).is_err_and(|error| error.is_full()));
    // Older kernels look at no kind of update here, and the oldest for room first.
    match routes.update(ten(8, [0; 3]), 0, Update::NoExist) {
        Ok(()) => check(&routes, [10, 200, 0, 1], Some(0)),
        Err(error) => {
            assert!(error.is_present() || error.is_full(), "{error}");
            check(&routes, [10, 200, 0, 1], Some(8));
        }
    }
    let mut bits: Vec<_> = routes.iter().map(|entry| entry.expect("it is read").0.bits()).collect();
    bits.sort_unstable();
    assert_eq!(bits, [8, 16, 24]);
    assert!(routes.delete(ten(24, [1, 2, 0])).expect("it is there"));
    check(&routes, [10, 1, 2, 3], Some(16));
    assert!(!routes.delete(ten(24, [1, 2, 0])).expect("a look"));
}

fn a_ring_buffer_gives_records_in_order() {
    const EVENTS: MapSpec<RingBuf<u64>> = MapSpec::new("events", 4096);
    let mut code = Code::new();
    for (value, len) in [(11, 8), (22, 4), (33, 8)] {
        let events = EVENTS.reference(&mut code);
        code += stdw(R10 - 8, value);
        code += lmap(R1, events);
        code += mov(R2, R10);
        code += add(R2, -8);
        code += mov(R3, len);
        code += mov(R4, 0);
        code += call(weir_asm::helpers::number("ringbuf_output").expect("it is known"));
    }
    code.extend([mov(R0, 0), exit()]);
    let mut program = loaded(vec![EVENTS.definition()], code);
    let mut events = program.take_records(EVENTS).expect("it was declared");
    assert_eq!(events.take(), Ok(None));
    run(&program);
    assert_eq!(events.take(), Ok(Some(11)));
    said(events.take().map(|_| ()), &["a record of map 'events'", "4 bytes; declared are 8"]);
    assert_eq!(events.take(), Ok(Some(33)));
    assert_eq!(events.take(), Ok(None));
    // 4096 bytes hold no more than 170 records of 24 with their headers: what is too much is lost, and told nobody.
    (0..200).for_each(|_| run(&program));
    let taken = std::iter::from_fn(|| events.take().transpose()).count();
    assert!((170..600).contains(&taken), "{taken}");
    let again = program.take_records(EVENTS).err().map(|error| error.to_string());
    assert!(again.as_ref().is_some_and(|error| error.contains("it was taken")), "{again:?}");
}

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Flow {
    address: u32,
    port: u16,
    protocol: u16,
}

impl MapType for Flow {
    fn layout() -> Layout {
        let fields = [("address", u32::layout()), ("port", u16::layout()), ("protocol", u16::layout())];
        Layout::Struct("flow".to_owned(), fields.map(|(name, layout)| (name.to_owned(), layout)).to_vec())
    }
}

fn keys_and_values_may_be_structs() {
    let mut map = map!(MapSpec::<Hash<Flow, [Flow; 2]>>::new("flows", 4));
    let flow = |port| Flow { address: 0x7f00_0001, port, protocol: 17 };
    map.update(flow(1), [flow(2), flow(3)], Update::Any).expect("there is room");
    assert_eq!(map.get(flow(1)).expect("a look"), Some([flow(2), flow(3)]));
    said(map.update(flow(1), [flow(0); 2], Update::NoExist), &["at key Flow { address: 2130706433, port: 1"]);
}

fn a_program_and_a_handle_see_one_map() {
    const COUNTS: MapSpec<Hash<u32, u64>> = MapSpec::new("counts", 4);
    let mut code = Code::new();
    count(&mut code, |code| COUNTS.reference(code));
    let program = loaded(vec![COUNTS.definition()], code);
    let (mut one, other) = (program.map(COUNTS).expect("declared"), program.map(COUNTS).expect("declared"));
    run(&program);
    assert_eq!(other.get(0).expect("a look"), None);
    one.update(0, 40, Update::NoExist).expect("it is new");
    (0..2).for_each(|_| run(&program));
    assert_eq!(other.get(0).expect("a look"), Some(42));
}

fn entries_that_stay_are_seen_while_others_go() {
    const NUMBERS: MapSpec<Hash<u32, u32>> = MapSpec::new("numbers", 1000);
    let program = loaded(vec![NUMBERS.definition()], nothing());
    let (walked, mut changed) =
        (program.map(NUMBERS).expect("declared"), program.map(NUMBERS).expect("declared"));
    (0..1000).for_each(|key| changed.update(key, key, Update::Any).expect("there is room"));
    let mut seen = BTreeSet::new();
    for entry in walked.iter() {
        let (key, value) = entry.expect("it is read");
        assert_eq!(key, value);
        seen.insert(key);
        if key % 2 == 0 {
            changed.delete(key).expect("a look");
        }
    }
    for stays in (1..1000).step_by(2) {
        assert!(seen.contains(&stays), "{stays}");
    }
    assert_eq!(walked.iter().count(), 500);
}

fn a_handle_outlives_its_object() {
    let program = loaded(vec![MapSpec::<Array<u32>>::new("m", 1).definition()], nothing());
    let mut map = program.map(MapSpec::<Array<u32>>::new("m", 1)).expect("it was declared");
    drop(program);
    map.update(0, 5, Update::Any).expect("it is there");
    assert_eq!(map.get(0).expect("a look"), Some(5));
}

fn a_map_declared_otherwise_is_not_opened() {
    let program = loaded(vec![MapSpec::<Hash<u32, u64>>::new("m", 4).definition()], nothing());
    let check = |error: Option<HookError>, parts: &[&str]| {
        let text = error.expect("it is refused").to_string();
        parts.iter().for_each(|part| assert!(text.contains(part), "no '{part}' in: {text}"));
    };
    check(program.map(MapSpec::<Hash<u32, u32>>::new("m", 4)).err(), &["map 'm'", "values of 8", "4 and 4"]);
    check(program.map(MapSpec::<Hash<u64, u64>>::new("m", 4)).err(), &["keys of 4 bytes", "8 and 8"]);
    check(program.map(MapSpec::<LruHash<u32, u64>>::new("m", 4)).err(), &["LruHash"]);
    check(program.map(MapSpec::<Hash<u32, u64>>::new("n", 4)).err(), &["map 'n'", "no such map"]);
}
