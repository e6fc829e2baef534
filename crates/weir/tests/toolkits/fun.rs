//! The snippets of docs/toolkits.md by fun: a packet counter, from its map to what user space reads.

use std::{net::UdpSocket, os::fd::AsFd as _};

use aya::{Ebpf, EbpfLoader, maps::PerCpuArray, programs::SocketFilter};
use weir_asm::{Code, Endian, Layout, MapDef, MapKind, Object, Program, Reg::*, helpers, op::*};

fn counter() -> MapDef {
    MapDef {
        name: "counter".to_owned(),
        kind: MapKind::PerCpuArray,
        key: Layout::Unsigned(4),
        value: Layout::Unsigned(8),
        max_entries: 1,
        flags: 0,
    }
}

fn count_packets() -> Code {
    let mut code = Code::new();
    let (counter, accept) = (code.map("counter"), code.label("accept"));
    code += stw(R10 - 4, 0); // the key, on the stack
    code += mov(R2, R10);
    code += add(R2, -4);
    code += lmap(R1, counter);
    code += call(helpers::number("map_lookup_elem").expect("known"));
    code += jeq(R0, 0, accept);
    code += ldxdw(R1, R0 + 0);
    code += add(R1, 1);
    code += stxdw(R0 + 0, R1);
    code.place(accept).expect("placed once");
    code += mov(R0, -1);
    code += exit();
    code
}

fn object() -> Object {
    let program = Program {
        name: "count_packets".to_owned(),
        section: "socket".to_owned(), // the program type
        code: count_packets(),
        source: None,
    };
    Object { license: Some("GPL".to_owned()), maps: vec![counter()], programs: vec![program] }
}

pub(crate) fn attach(socket: &UdpSocket) -> anyhow::Result<Ebpf> {
    let mut ebpf = EbpfLoader::new().load(&object().to_elf(Endian::Little)?)?;
    let program: &mut SocketFilter = ebpf.program_mut("count_packets").expect("it has one").try_into()?;
    program.load()?;
    program.attach(socket.as_fd())?;
    Ok(ebpf)
}

pub(crate) fn packets(ebpf: &Ebpf) -> anyhow::Result<u64> {
    let counter: PerCpuArray<_, u64> = ebpf.map("counter").expect("it has one").try_into()?;
    Ok(counter.get(&0, 0)?.iter().sum())
}
