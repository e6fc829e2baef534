//! The snippets of docs/toolkits.md by fun: a packet counter, from its map to what user space reads, and a local array.

use std::net::UdpSocket;

use weir_asm::{
    Code, Endian, Object, Program,
    maps::{MapSpec, PerCpuArray},
};
use weir_asm_macros::ebpf;
use weir_hooks::{Attached, KernelFilter, ObjectFile};

const COUNTER: MapSpec<PerCpuArray<u64>> = MapSpec::new("counter", 1);

fn count_packets() -> Code {
    ebpf! {
        .slot key u32
        stw [key], 0                // the only index
        mov r2, r10
        add r2, key                 // the slot's distance from r10
        lmap r1, {COUNTER.name()}
        call map_lookup_elem
        jeq r0, 0, accept
        ldxdw r1, [r0]
        add r1, 1
        stxdw [r0], r1
    accept:
        mov r0, -1
        exit
    }
}

fn object() -> Object {
    let program = Program {
        name: "count_packets".to_owned(),
        section: "socket".to_owned(), // the program type
        code: count_packets(),
        ..Program::default()
    };
    Object { license: Some("GPL".to_owned()), maps: vec![COUNTER.definition()], programs: vec![program] }
}

pub(crate) fn attach(socket: &UdpSocket) -> anyhow::Result<(KernelFilter, Attached)> {
    let object = ObjectFile::read("count-packets", object().to_elf(Endian::Little)?)?;
    let filter = KernelFilter::load_file(&object, "count_packets", None)?;
    let attached = filter.attach(socket)?; // detaches when dropped
    Ok((filter, attached))
}

pub(crate) fn packets(filter: &KernelFilter) -> anyhow::Result<u64> {
    let counter = filter.map(COUNTER)?;
    Ok(counter.get(0)?.iter().flatten().sum())
}

/// Keeps as many bytes of a packet as its payload's first word says.
pub(crate) fn first_word() -> Code {
    ebpf! {
        .slot words u64[2]          // 16 bytes, placed when Rust compiles
        stdw [words], 0
        stdw [(words + 8)], 0
        mov r2, 8                   // from the payload on
        mov r3, r10
        add r3, words
        mov r4, 4
        call skb_load_bytes
        ldxw r0, [words]
        exit
    }
}
