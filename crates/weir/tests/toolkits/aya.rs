//! The snippets of docs/toolkits.md by Aya that run in user space; the program is bpf/src/bin/count-filter.rs.

use std::{net::UdpSocket, os::fd::AsFd as _};

use aya::{Ebpf, EbpfLoader, include_bytes_aligned, maps::PerCpuArray, programs::SocketFilter};

pub(crate) fn attach(socket: &UdpSocket) -> anyhow::Result<Ebpf> {
    let object = include_bytes_aligned!("../../../asm/tests/objects/count-filter.o"); // compiled before
    let mut ebpf = EbpfLoader::new().load(object)?;
    let program: &mut SocketFilter = ebpf.program_mut("count_packets").expect("it has one").try_into()?;
    program.load()?;
    program.attach(socket.as_fd())?;
    Ok(ebpf)
}

pub(crate) fn packets(ebpf: &Ebpf) -> anyhow::Result<u64> {
    let counter: PerCpuArray<_, u64> = ebpf.map("counter").expect("it has one").try_into()?;
    Ok(counter.get(&0, 0)?.iter().sum())
}
