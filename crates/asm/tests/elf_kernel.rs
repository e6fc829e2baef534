//! Written objects in the kernel, through aya and through libbpf (bpftool).
//!
//! Where the kernel, the privilege or bpftool is missing the tests count as ignored, with the reason in brackets; with
//! `WEIR_REQUIRE_KERNEL=1` in the environment they fail instead.

mod samples;

fn main() {
    for (name, object) in samples::all() {
        let bytes = object.to_elf(weir_asm::Endian::Little).unwrap();
        std::fs::write(format!("/tmp/elf-samples/{name}.o"), &bytes).unwrap();
        let bytes = object.to_elf(weir_asm::Endian::Big).unwrap();
        std::fs::write(format!("/tmp/elf-samples/{name}.be.o"), &bytes).unwrap();
        let mut ebpf = aya::Ebpf::load(&object.to_elf(weir_asm::Endian::Little).unwrap()).unwrap();
        for (pname, program) in ebpf.programs_mut() {
            let r = match program {
                aya::programs::Program::SocketFilter(p) => p.load(),
                aya::programs::Program::Xdp(p) => p.load(),
                _ => panic!(),
            };
            println!("{name} {pname} {r:?}");
        }
    }
}
