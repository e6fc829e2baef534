//! Written objects in the kernel, through aya and through libbpf (bpftool).
//!
//! Where the kernel, the privilege or bpftool is missing the tests count as ignored, with the reason in brackets; with
//! `WEIR_REQUIRE_KERNEL=1` in the environment they fail instead.

mod samples;

use std::{
    collections::HashSet,
    path::PathBuf,
    process::{Command, Output},
};

use aya::{
    Ebpf,
    maps::{Array, ProgramArray, RingBuf},
    programs::{Program, ProgramError, TestRun as _, TestRunOptions, loaded_programs},
};
use weir_asm::{Code, Endian, Line, Object, Reg::*, Source, op::*};
use weir_testing::{Group, Test, with_bpffs};

const IN_KERNEL: &[Test] = &[
    ("every_sample_loads_through_aya", every_sample_loads_through_aya),
    ("programs_and_user_space_share_maps", programs_and_user_space_share_maps),
    ("functions_return_what_they_compute", functions_return_what_they_compute),
    ("a_callback_is_called_for_each_entry", a_callback_is_called_for_each_entry),
    ("a_tail_call_goes_to_the_program_put_there", a_tail_call_goes_to_the_program_put_there),
    ("a_ring_buffer_carries_what_was_sent", a_ring_buffer_carries_what_was_sent),
    ("variables_keep_their_values", variables_keep_their_values),
    ("a_refused_program_is_told_its_source_line", a_refused_program_is_told_its_source_line),
    ("a_refused_function_is_told_its_source_line", a_refused_function_is_told_its_source_line),
    ("the_kernel_keeps_types", the_kernel_keeps_types),
];

const WITH_BPFTOOL: &[Test] = &[
    ("every_sample_loads_through_libbpf", every_sample_loads_through_libbpf),
    ("the_kernel_knows_the_fields_of_keys_and_values", the_kernel_knows_the_fields_of_keys_and_values),
    ("bpftool_reads_every_samples_types", bpftool_reads_every_samples_types),
    (
        "a_program_refused_to_libbpf_is_told_its_source_line",
        a_program_refused_to_libbpf_is_told_its_source_line,
    ),
];

const WITH_READELF: &[Test] = &[("llvm_readelf_reads_every_sample", llvm_readelf_reads_every_sample)];

fn main() {
    let no_kernel = obstacle();
    let absent = |found: Option<PathBuf>, what: &str| found.is_none().then(|| format!("no {what} here"));
    let no_bpftool = no_kernel.clone().or_else(|| absent(bpftool(), "bpftool"));
    let no_readelf = absent(readelf(), "llvm-readelf");
    let groups = [(IN_KERNEL, no_kernel), (WITH_BPFTOOL, no_bpftool), (WITH_READELF, no_readelf)];
    weir_testing::run(groups.map(|(tests, obstacle)| Group::of(tests).skipped_for(obstacle)));
}

/// Why nothing can be loaded here; nothing where it can. Whether what we write loads is for the tests to say: this
/// asks with a program of aya's own.
fn obstacle() -> Option<String> {
    use aya::{programs::ProgramType, sys::is_program_supported};
    match is_program_supported(ProgramType::SocketFilter) {
        Ok(true) => None,
        Ok(false) => Some("no socket filters in this kernel".to_owned()),
        Err(error) => Some(format!("needs root, or CAP_BPF and CAP_NET_ADMIN ({error})")),
    }
}

/// The byte order of this machine, in which alone programs load.
const NATIVE: Endian = if cfg!(target_endian = "little") { Endian::Little } else { Endian::Big };

fn written(object: &Object) -> Vec<u8> {
    object.to_elf(NATIVE).unwrap_or_else(|error| panic!("{error}"))
}

fn loaded(object: &Object) -> Ebpf {
    let mut ebpf = Ebpf::load(&written(object)).unwrap_or_else(|error| panic!("{error:?}"));
    for (name, program) in ebpf.programs_mut() {
        load(program).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    ebpf
}

fn load(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::SocketFilter(program) => program.load(),
        Program::Xdp(program) => program.load(),
        other => panic!("no sample is a {:?}", other.prog_type()),
    }
}

/// What a socket filter returns for a packet of zeros.
fn run(ebpf: &Ebpf, name: &str) -> u32 {
    let packet = [0; 64];
    let Some(Program::SocketFilter(program)) = ebpf.program(name) else { panic!("no socket filter {name}") };
    let options = TestRunOptions { data_in: Some(&packet), ..TestRunOptions::default() };
    program.test_run(options).unwrap_or_else(|error| panic!("{name}: {error}")).return_value
}

fn every_sample_loads_through_aya() {
    for (_, object) in samples::all() {
        assert_eq!(loaded(&object).programs().count(), object.programs.len());
    }
}

fn programs_and_user_space_share_maps() {
    let ebpf = loaded(&samples::counting());
    let counter: Array<_, u64> =
        Array::try_from(ebpf.map("counter").expect("it was declared")).expect("an array");
    assert_eq!((0..3).map(|_| run(&ebpf, "count")).collect::<Vec<_>>(), [7, 7, 7]);
    assert_eq!(counter.get(&0, 0).expect("it has an entry"), 3);
}

fn functions_return_what_they_compute() {
    let ebpf = loaded(&samples::functions());
    assert_eq!((run(&ebpf, "eight"), run(&ebpf, "nine")), (8, 9));
}

fn a_callback_is_called_for_each_entry() {
    assert_eq!(run(&loaded(&samples::callback()), "walk"), 5);
}

fn a_tail_call_goes_to_the_program_put_there() {
    let mut ebpf = loaded(&samples::tail_calls());
    assert_eq!(run(&ebpf, "first"), 3);
    let mut programs =
        ProgramArray::try_from(ebpf.take_map("programs").expect("it was declared")).expect("its kind");
    let Some(Program::SocketFilter(next)) = ebpf.program("next") else { panic!("no socket filter") };
    programs.set(1, next.fd().expect("it is loaded"), 0).expect("it can be set");
    assert_eq!(run(&ebpf, "first"), 42);
}

fn a_ring_buffer_carries_what_was_sent() {
    let mut ebpf = loaded(&samples::ring_buffer());
    let mut events = RingBuf::try_from(ebpf.take_map("events").expect("it was declared")).expect("its kind");
    assert_eq!(run(&ebpf, "send"), 0);
    assert_eq!(events.next().as_deref(), Some(&0x1234_u64.to_ne_bytes()[..]));
    assert!(events.next().is_none());
}

fn variables_keep_their_values() {
    let ebpf = loaded(&samples::variables());
    assert_eq!((run(&ebpf, "count"), run(&ebpf, "count")), (1, 2));
}

/// A program that reads a register that holds nothing, in the entry or in a function.
fn refused(in_function: bool) -> Object {
    let source =
        "; a comment\n    call check  ; entry\n    exit\ncheck:\n    mov r0, r7 ; nobody set r7\n    exit\n";
    let mut code = Code::new();
    let check = code.label("check");
    let from = if in_function { R9 } else { R8 };
    if !in_function {
        code.push_at(mov(R0, from), Line::at(5));
    }
    code.push_at(call_local(check), Line::at(2));
    code.push_at(exit(), Line::at(3));
    code.place(check).expect("it has no place yet");
    code.push_at(mov(R0, from), Line::at(5));
    code.push_at(exit(), Line::at(6));
    let sources = vec![Source { file: "refused.s".to_owned(), text: source.into() }];
    let program = weir_asm::Program { sources, ..samples::program("refused", "socket", code) };
    samples::object(Vec::new(), vec![program])
}

fn log_of(object: &Object) -> String {
    let mut ebpf = Ebpf::load(&written(object)).unwrap_or_else(|error| panic!("{error:?}"));
    let program = ebpf.program_mut("refused").expect("it was written");
    match load(program) {
        Err(ProgramError::LoadError { verifier_log, .. }) => verifier_log.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

const REFUSED_LINE: &str = "; mov r0, r7 ; nobody set r7";

fn a_refused_program_is_told_its_source_line() {
    let log = log_of(&refused(false));
    assert!(log.contains(REFUSED_LINE) && log.contains("R8 !read_ok"), "{log}");
    assert!(log.contains("@ refused.s:5") || !log.contains('@'), "{log}");
}

fn a_refused_function_is_told_its_source_line() {
    let log = log_of(&refused(true));
    assert!(log.contains(REFUSED_LINE) && log.contains("R9 !read_ok"), "{log}");
    assert!(log.contains("; call check  ; entry"), "{log}");
}

fn the_kernel_keeps_types() {
    let ebpf = loaded(&samples::functions());
    let Some(Program::SocketFilter(eight)) = ebpf.program("eight") else { panic!("no socket filter") };
    let info = eight.info().expect("the kernel tells");
    assert!(info.btf_id().is_some());
}

fn bpftool() -> Option<PathBuf> {
    ["/usr/sbin/bpftool", "/usr/local/sbin/bpftool", "/usr/bin/bpftool"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
}

fn readelf() -> Option<PathBuf> {
    let known = ["/usr/lib/llvm-22/bin/llvm-readelf", "/usr/bin/llvm-readelf"];
    known.map(PathBuf::from).into_iter().find(|path| path.exists())
}

/// Runs a program that must end well and without a complaint; its output.
fn quietly(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(status.success() && complaint.is_empty(), "{command:?}: {status}\n{complaint}");
    String::from_utf8_lossy(&stdout).into_owned()
}

/// Every sample as a file.
fn files(endians: &[Endian]) -> (tempfile::TempDir, Vec<(String, PathBuf)>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut files = Vec::new();
    for (name, object) in samples::all() {
        for endian in endians {
            let path = folder.path().join(format!("{name}-{endian:?}.o"));
            let bytes = object.to_elf(*endian).unwrap_or_else(|error| panic!("{name}: {error}"));
            std::fs::write(&path, bytes).expect("it can be written");
            files.push((name.to_owned(), path));
        }
    }
    (folder, files)
}

fn program_ids() -> HashSet<u32> {
    loaded_programs().filter_map(Result::ok).map(|program| program.id()).collect()
}

fn every_sample_loads_through_libbpf() {
    let (_folder, files) = files(&[NATIVE]);
    with_bpffs(move |bpffs| {
        for (name, path) in &files {
            let pins = bpffs.join(name);
            let before = program_ids();
            quietly(bpftool_command().args(["prog", "loadall"]).arg(path).arg(&pins));
            assert!(program_ids().difference(&before).count() > 0, "{name}");
            let pinned: Vec<_> =
                std::fs::read_dir(&pins).expect("it was made").filter_map(Result::ok).collect();
            for pin in &pinned {
                let dump = ["prog", "dump", "xlated", "pinned"];
                let shown = quietly(bpftool_command().args(dump).arg(pin.path()).arg("linum"));
                assert!(shown.contains("exit") && shown.contains(":\n; "), "{name}: {shown}");
                std::fs::remove_file(pin.path()).expect("it is ours");
            }
            assert!(!pinned.is_empty(), "{name}");
        }
    });
}

fn the_kernel_knows_the_fields_of_keys_and_values() {
    let (_folder, files) = files(&[NATIVE]);
    let (_, path) = files.into_iter().find(|(name, _)| name == "every_map").expect("it is a sample");
    with_bpffs(move |bpffs| {
        let (program, maps) = (bpffs.join("program"), bpffs.join("maps"));
        quietly(bpftool_command().args(["prog", "load"]).arg(path).arg(program).arg("pinmaps").arg(&maps));
        let shown = quietly(bpftool_command().args(["map", "dump", "pinned"]).arg(maps.join("array")));
        assert!(shown.contains("\"small\"") && shown.contains("\"pair\""), "{shown}");
    });
}

fn bpftool_command() -> Command {
    Command::new(bpftool().expect("the test runs where it is"))
}

fn bpftool_reads_every_samples_types() {
    let (_folder, files) = files(&[Endian::Little, Endian::Big]);
    for (name, path) in &files {
        let types = quietly(bpftool_command().args(["btf", "dump", "file"]).arg(path));
        assert!(types.contains("FUNC '"), "{name}: {types}");
        quietly(bpftool_command().args(["btf", "dump", "file"]).arg(path).args(["format", "c"]));
    }
}

fn a_program_refused_to_libbpf_is_told_its_source_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("refused.o");
    std::fs::write(&path, written(&refused(true))).expect("it can be written");
    with_bpffs(move |bpffs| {
        let output = bpftool_command().args(["prog", "load"]).arg(&path).arg(bpffs.join("pin")).output();
        let output = output.expect("it runs");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && log.contains(REFUSED_LINE), "{log}");
    });
}

fn llvm_readelf_reads_every_sample() {
    let (_folder, files) = files(&[Endian::Little, Endian::Big]);
    let readelf = readelf().expect("the test runs where it is");
    for (name, path) in &files {
        let shown = quietly(Command::new(&readelf).arg("-a").arg(path));
        assert!(shown.contains(".BTF.ext"), "{name}: {shown}");
    }
}
