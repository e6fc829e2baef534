//! What loading says when it fails, and that it leaves nothing behind.

use aya::programs::loaded_programs;
use object::{Object as _, ObjectSection as _};
use weir_asm::Endian;
use weir_filters::{Filter, FilterName, Site, Toolkit, fun};
use weir_hooks::{HookError, KernelFilter};

use crate::{Test, each, load, once};

pub(crate) const TESTS: &[Test] = &[
    once("a_refused_program_comes_with_the_verifiers_log", a_refused_program_comes_with_the_verifiers_log),
    once("a_refused_generated_program_is_quoted", a_refused_generated_program_is_quoted),
    once("a_broken_object_is_refused", a_broken_object_is_refused),
    once("plain_rust_is_refused", plain_rust_is_refused),
    each("a_dropped_filter_is_unloaded", a_dropped_filter_is_unloaded),
    each("facts_are_the_kernels", facts_are_the_kernels),
];

/// `r0 = *(u64 *)(r9 + 0)`: r9 holds nothing yet.
const READ_OF_AN_UNSET_REGISTER: [u8; 8] = [0x79, 0x90, 0, 0, 0, 0, 0, 0];

fn a_refused_program_comes_with_the_verifiers_log() {
    let mut object = accept_all_object();
    let (offset, _) = program_range(&object);
    object[offset..offset + 8].copy_from_slice(&READ_OF_AN_UNSET_REGISTER);
    let error =
        KernelFilter::load_from(Filter::from(FilterName::Simple), &object, "socket_simple", &Site::socket())
            .err();
    let Some(HookError::Load { verifier_log, .. }) = &error else { panic!("not refused: {error:?}") };
    assert!(verifier_log.contains("R9 !read_ok"), "{verifier_log}");
    let shown = error.expect("checked above").to_string();
    assert!(
        shown.contains("loading simple-socket-filter: BPF_PROG_LOAD") && shown.contains("R9 !read_ok"),
        "{shown}"
    );
}

/// The same instruction, before the others of a generated program. Newer kernels say behind it where it stands.
fn a_refused_generated_program_is_quoted() {
    let filter = Filter::from(FilterName::ValidCommand);
    let listing = weir_asm::show::fun::object(&fun::object(filter, &Site::socket())).to_string();
    let entry = ".program valid_command \"socket\"\n";
    let broken = listing.replace(entry, &format!("{entry}    ldxdw r0, [r9]\n"));
    let object = weir_asm::text::assemble("broken.asm", broken.as_bytes()).expect("it is well-formed");
    let elf = object.to_elf(Endian::Little).expect("it is written");
    let error = KernelFilter::load_from(filter, &elf, "valid_command", &Site::socket()).err();
    let shown = error.map(|error| error.to_string()).unwrap_or_default();
    for part in ["loading valid-command: BPF_PROG_LOAD", "; ldxdw r0, [r9]", "R9 !read_ok"] {
        assert!(shown.contains(part), "no '{part}' in: {shown}");
    }
}

fn plain_rust_is_refused() {
    let error = KernelFilter::load(Filter::from(FilterName::Simple), Toolkit::Rust, &Site::socket()).err();
    assert!(matches!(error, Some(HookError::Unavailable { .. })), "{error:?}");
}

fn a_broken_object_is_refused() {
    let object = accept_all_object();
    for cut in [0, 4, 64, object.len() / 2] {
        let error = KernelFilter::load_from(
            Filter::from(FilterName::Simple),
            &object[..cut],
            "socket_simple",
            &Site::socket(),
        )
        .err();
        assert!(matches!(error, Some(HookError::Object { .. })), "{cut} bytes: {error:?}");
    }
    let error =
        KernelFilter::load_from(Filter::from(FilterName::Simple), &object, "nobody", &Site::socket()).err();
    assert!(error.is_some_and(|error| error.to_string().contains("no program 'nobody'")));
}

fn a_dropped_filter_is_unloaded(toolkit: Toolkit) {
    let filter = load(FilterName::Count, toolkit);
    let id = filter.facts().expect("facts").id;
    let is_loaded = || loaded_programs().filter_map(Result::ok).any(|program| program.id() == id);
    assert!(is_loaded());
    drop(filter);
    // The kernel frees a program after an RCU grace period; its id goes at once.
    assert!(!is_loaded());
}

fn facts_are_the_kernels(toolkit: Toolkit) {
    let accept_all = load(FilterName::Simple, toolkit).facts().expect("facts");
    let deciding = load(FilterName::RobustValidCommand, toolkit).facts().expect("facts");
    assert!(deciding.jited_bytes >= accept_all.jited_bytes);
    // Linux 5.16 and newer say how many there were.
    if let Some(verified) = accept_all.verified_instructions {
        assert!(deciding.verified_instructions > Some(verified));
    }
}

fn accept_all_object() -> Vec<u8> {
    std::fs::read(concat!(env!("OUT_DIR"), "/simple-socket-filter")).expect("the build made it")
}

fn program_range(object: &[u8]) -> (usize, usize) {
    let file = object::File::parse(object).expect("an ELF object");
    let (offset, len) =
        file.section_by_name("socket").and_then(|section| section.file_range()).expect("a program");
    (offset as usize, len as usize)
}
