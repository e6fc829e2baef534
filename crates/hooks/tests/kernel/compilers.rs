//! The programs in C, as every clang here compiles them: what one makes, the kernel may refuse where it takes another's.

#[expect(dead_code, reason = "the build takes the first one")]
#[path = "../../build/compiler.rs"]
mod compiler;

use std::{fs, net::SocketAddr, path::Path};

use compiler::{Compiler, installed};
use weir_filters::{Combination, Filter, FilterName, Hook, Site, Toolkit};
use weir_hooks::KernelFilter;
use weir_testing::folder;

use crate::{Test, once};

pub(crate) const TESTS: &[Test] =
    &[once("what_every_clang_here_compiles_is_taken", what_every_clang_here_compiles_is_taken)];

const TARGET: &str = if cfg!(target_endian = "little") { "bpfel" } else { "bpfeb" };

fn what_every_clang_here_compiles_is_taken() {
    let generated = Path::new(env!("OUT_DIR")).join("c");
    let mut tried = 0;
    for clang in installed() {
        let name = clang.display().to_string();
        let compiler =
            Compiler::with(clang, &generated, TARGET).unwrap_or_else(|error| panic!("{name}: {error}"));
        for filter in FilterName::ALL {
            let of = |hook| Combination { filter, toolkit: Toolkit::C, hook };
            if weir_hooks::available(of(Hook::Socket)).is_err() {
                continue;
            }
            let folder = folder();
            let object = folder.path().join("object");
            let source = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../bpf/c/{}.bpf.c"), filter);
            compiler.compile(Path::new(&source), &object).unwrap_or_else(|error| panic!("{error:#}"));
            // A vector of bytes is aligned as the allocator aligns it, which is enough.
            let elf = fs::read(&object).expect("it was written");
            for hook in Hook::ALL.into_iter().filter(|hook| *hook != Hook::User) {
                load(&name, filter.into(), hook, &elf);
                tried += 1;
            }
        }
    }
    assert!(tried > 0, "the build found a clang, and this test none");
}

fn load(clang: &str, filter: Filter, hook: Hook, elf: &[u8]) {
    let site = Site::new(hook, SocketAddr::from(([127, 0, 0, 1], 12_345)));
    let (_, program) = KernelFilter::object(filter, Toolkit::C, &site).expect("the build has it");
    if let Err(error) = KernelFilter::load_from(filter, elf, &program, &site) {
        panic!("{filter} at {hook} by {clang}: {error}");
    }
}
