//! What docs/toolkits.md shows is what is compiled and run here, and reports pair the toolkits.
//!
//! Where the kernel or the privilege is missing, the snippets count as ignored, with the reason in brackets.

mod aya;
mod fun;
#[expect(dead_code, reason = "the shape of the report's grid is for other tests")]
#[path = "../synthetic/mod.rs"]
mod synthetic;

use std::{fs, net::UdpSocket, path::Path};

use weir::toolkits::{ToolkitComparison, measure_by, of, with_parameters};
use weir_asm::{Endian, Object, Program};
use weir_filters::{FilterName, Site, Toolkit};
use weir_hooks::{AnyProgram, HookError, KernelFilter, Obstacle};
use weir_results::cell::Placement;
use weir_testing::{Group, Test};

const ANYWHERE: &[Test] = &[
    ("every_snippet_of_the_page_stands_in_the_file_that_it_names", every_snippet_stands_in_its_file),
    ("the_pages_texts_assemble", the_pages_texts_assemble),
    ("two_toolkits_in_the_kernel_are_divided_by_each_other", two_toolkits_are_divided_by_each_other),
];

const IN_KERNEL: &[Test] = &[
    ("the_pages_snippets_count_packets_in_the_kernel", snippets_count_packets),
    ("the_pages_local_array_holds_the_payload", the_local_array_holds_the_payload),
    ("a_refused_program_keeps_no_other_from_being_measured", a_refused_program_is_a_row),
];

fn main() {
    let kernel = Group::of(IN_KERNEL).skipped_for(KernelFilter::lack());
    weir_testing::run([Group::of(ANYWHERE), kernel]);
}

/// Attaches a snippet to a socket, calls what sends, and gives the packets that the program counted.
type AttachAndCount = dyn Fn(&UdpSocket, &dyn Fn()) -> anyhow::Result<u64>;

/// By a loader that refuses what a kernel might.
fn a_refused_program_is_a_row() {
    let refused = |filter: FilterName| {
        let log = "0: exit\nR0 !read_ok\nprocessed 1 insns\n".to_owned();
        HookError::load(filter.to_string(), &[], std::io::ErrorKind::InvalidInput.into(), log)
    };
    assert_eq!(refused(FilterName::Reject).obstacle(), Some(Obstacle::Verifier));
    let load = |filter, toolkit| match (filter, toolkit) {
        (FilterName::ValidCommand, Toolkit::Fun) => Err(refused(filter)),
        _ => KernelFilter::load(with_parameters(filter, toolkit), toolkit, &Site::socket()),
    };
    let filters = [FilterName::ValidCommand, FilterName::Reject];
    let ToolkitComparison { rows, refusals } =
        measure_by(&load, &filters, &mut |_| ()).expect("the others are measured");
    let [refusal] = &refusals[..] else { panic!("{refusals:?}") };
    assert_eq!((refusal.filter, refusal.toolkit), (FilterName::ValidCommand, Toolkit::Fun));
    assert!(refusal.reason.ends_with("R0 !read_ok"), "{refusal:?}");
    assert_eq!(rows.len() + 1, filters.into_iter().flat_map(of).count());
    assert!(rows.iter().any(|row| (row.filter, row.toolkit) == (FilterName::Reject, Toolkit::Fun)));
}

fn snippets_count_packets() {
    let check = |attach_and_count: &AttachAndCount| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        let send = || {
            for _ in 0..7 {
                socket.send_to(b"hello", address).expect("send");
            }
        };
        assert_eq!(attach_and_count(&socket, &send).expect("it loads, attaches and counts"), 7);
    };
    check(&|socket, send| {
        let ebpf = aya::attach(socket)?;
        send();
        aya::packets(&ebpf)
    });
    check(&|socket, send| {
        let (filter, _attached) = fun::attach(socket)?;
        send();
        fun::packets(&filter)
    });
}

fn the_local_array_holds_the_payload() {
    let program = Program {
        name: "p".to_owned(),
        section: "socket".to_owned(),
        code: fun::first_word(),
        ..Program::default()
    };
    let object = Object { license: Some("GPL".to_owned()), maps: Vec::new(), programs: vec![program] };
    let program = AnyProgram::load(&object.to_elf(Endian::Little).expect("it is written"), None);
    let run = program.expect("it loads").test_run(b"\0\x07\0\x07\0\x0c\0\0\x2a\x01\0\0", 1);
    assert_eq!(run.expect("it runs").return_value, 0x12a);
}

const PAGE: &str = include_str!("../../../../docs/toolkits.md");

/// A block of Rust follows a comment that names its file, and stands in that file, whatever its indentation.
fn every_snippet_stands_in_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for (before, rest) in PAGE.match_indices("```rust\n").map(|(at, fence)| PAGE.split_at(at + fence.len())) {
        let snippet = rest.split("```").next().expect("a block ends");
        let comment = before.lines().rev().nth(1).expect("something stands above");
        let file = comment.strip_prefix("<!-- ").and_then(|comment| comment.strip_suffix(" -->"));
        let file = file.unwrap_or_else(|| panic!("no file is named above:\n{snippet}"));
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let stands = (0..=16).step_by(4).any(|by| text.contains(&indented(snippet, by)));
        assert!(stands, "not in {file}:\n{snippet}");
        files.push(file);
    }
    let from = |part: &str| files.iter().filter(|file| file.contains(part)).count();
    assert!(from("fun.rs") >= 4 && from("bpf/src") >= 3, "{files:?}");
}

fn the_pages_texts_assemble() {
    let texts: Vec<_> = PAGE.split("```asm\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!texts.is_empty());
    for text in texts {
        if let Err(errors) = weir_asm::text::assemble("page", text.as_bytes()) {
            panic!("{}\n{text}", errors.display("page", text.as_bytes()));
        }
    }
}

fn indented(snippet: &str, by: usize) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{:by$}{line}\n", "") };
    snippet.lines().map(line).collect()
}

fn two_toolkits_are_divided_by_each_other() {
    let mut samples = synthetic::Experiment::quick().samples();
    let kernel: Vec<_> =
        samples.iter().filter(|sample| sample.cell.placement == Placement::Kernel).cloned().collect();
    for mut sample in kernel {
        sample.index += 1000;
        sample.cell.toolkit = Toolkit::Fun;
        for us in [&mut sample.server_cost.user_us, &mut sample.server_cost.system_us] {
            *us *= 2;
        }
        samples.push(sample);
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    synthetic::write(dir.path(), &samples);
    let report = weir_report::write_all(dir.path()).expect("it can be written");
    let ratios = &report.summary().toolkit_ratios;
    assert_eq!(ratios.len(), 3);
    for ratio in ratios {
        assert_eq!((ratio.quotient.as_str(), ratio.cell.toolkit), ("fun ÷ aya", Toolkit::Fun));
        let server = ratio.figures["server-cpu"];
        assert_eq!((server.estimate, server.low, server.high, server.pairs), (2.0, 2.0, 2.0, 6));
        assert_eq!(ratio.figures["wall"].estimate, 1.0);
    }
    assert_eq!(report.summary().ratios.len(), 6, "both are compared with user space too");
    let first = &report.findings()[0];
    let expected = "filtering with the program by fun takes 2.00 times the server CPU time of filtering with the program by aya";
    assert!(first.contains("At 99 % invalid (kernel, fun), ") && first.contains(expected), "{first}");
    assert_eq!(report.title(), "made-up: the same filter by different toolkits");
    let table = |name: &str| fs::read_to_string(dir.path().join("tables").join(name)).expect("a table");
    // From readiness on, and the whole process.
    assert_eq!(table("toolkit-ratios.csv").matches("2.00 [2.00, 2.00]").count(), 2 * 3);
    let overview = table("overview.csv");
    for text in ["\"server CPU time, ÷ user\"", "\"server CPU time, ÷ aya\"", "\"kernel, fun\""] {
        assert!(overview.contains(text), "no {text} in {overview}");
    }
}
