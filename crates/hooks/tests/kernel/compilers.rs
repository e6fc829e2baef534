//! The programs in C, as every clang here compiles them: what one makes, the kernel may refuse where it takes another's.
//!
//! `WEIR_COMPILED` names a folder for the objects. Where it is there, they are taken from it, so that a machine without a
//! compiler tries those of another; otherwise it is made.

#[expect(dead_code, reason = "the build takes the first one")]
#[path = "../../build/compiler.rs"]
mod compiler;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use compiler::{Compiler, installed};
use weir_filters::{Combination, Filter, FilterName, Hook, Packet, Site, Toolkit, corpus};
use weir_hooks::KernelFilter;

use crate::{Test, guards::by_hand, once};

pub(crate) const TESTS: &[Test] =
    &[once("what_every_clang_compiles_decides_as_the_reference", what_every_clang_compiles_decides_alike)];

const TARGET: &str = if cfg!(target_endian = "little") { "bpfel" } else { "bpfeb" };

/// Of the swept packets, and random ones behind them, every so manyth is decided by each object at the socket.
const STEP: usize = 7;
const RANDOM: usize = 10_000;

fn what_every_clang_compiles_decides_alike() {
    let temporary = weir_testing::folder();
    let folder = std::env::var_os("WEIR_COMPILED").map_or_else(|| temporary.path().join("c"), PathBuf::from);
    if !folder.exists() {
        compile_all(&folder);
    }
    let mut tried = 0;
    for clang in names_in(&folder) {
        for filter in filters() {
            // A vector of bytes is aligned as the allocator aligns it, which is enough.
            let elf = fs::read(folder.join(&clang).join(filter.as_str())).expect("it was compiled");
            for hook in Hook::ALL.into_iter().filter(|hook| *hook != Hook::User) {
                let program = load(&clang, filter.into(), hook, &elf);
                if hook == Hook::Socket {
                    compare(&clang, filter.into(), &program);
                }
                tried += 1;
            }
        }
        let elf = fs::read(folder.join(&clang).join(by_hand::SOURCE)).expect("it was compiled");
        tried += by_hand::loaded(&elf).count();
    }
    assert!(tried > 0, "the build found a clang, and this test none");
    println!("{tried} programs by {}", names_in(&folder).join(", "));
}

fn filters() -> impl Iterator<Item = FilterName> {
    let in_c = |filter: &FilterName| {
        let combination = Combination { filter: *filter, toolkit: Toolkit::C, hook: Hook::Socket };
        weir_hooks::available(combination).is_ok()
    };
    FilterName::ALL.into_iter().filter(in_c)
}

/// Has each clang compile each filter, into a folder of its name.
fn compile_all(folder: &Path) {
    let generated = Path::new(env!("OUT_DIR")).join("c");
    for clang in installed() {
        let name = clang.display().to_string();
        let objects = folder.join(&name);
        fs::create_dir_all(&objects).expect("a folder can be made");
        let compiler =
            Compiler::with(clang, &generated, TARGET).unwrap_or_else(|error| panic!("{name}: {error}"));
        for name in filters().map(FilterName::as_str).chain([by_hand::SOURCE]) {
            let source = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../bpf/c/{}.bpf.c"), name);
            let compiled = compiler.compile(Path::new(&source), &objects.join(name));
            compiled.unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it was made");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn load(clang: &str, filter: Filter, hook: Hook, elf: &[u8]) -> KernelFilter {
    let site = Site::new(hook, SocketAddr::from(([127, 0, 0, 1], 12_345)));
    let (_, program) = KernelFilter::object(filter, Toolkit::C, &site).expect("the build has it");
    KernelFilter::load_from(filter, elf, &program, &site)
        .unwrap_or_else(|error| panic!("{filter} at {hook} by {clang}: {error}"))
}

fn compare(clang: &str, filter: Filter, program: &KernelFilter) {
    let swept = corpus::swept().count();
    for packet in corpus::packets(1).take(swept + RANDOM).step_by(STEP) {
        let decided = program.decide(&packet, 1).unwrap_or_else(|error| panic!("{error} on {packet:02x?}"));
        let expected = filter.decide(Packet::from_udp(&packet));
        assert_eq!(decided, expected, "{filter} by {clang} on {packet:02x?}");
    }
}
