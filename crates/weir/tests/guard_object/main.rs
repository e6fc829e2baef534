//! What `weir guard export object` writes, in the hands of bpftool and xdp-loader.
//!
//! Where the kernel, the privilege or a tool is missing the tests count as ignored, with the reason in brackets.

mod chained;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use aya::{programs::ProgramType, sys::is_program_supported};
use tempfile::TempDir;
use weir_filters::Hook;
use weir_hooks::{KernelFilter, kernel_features};
use weir_testing::{Ended, Group, Test, with_bpffs};

const TESTS: &[Test] = &[
    ("an_object_for_a_hook_that_guards_have_not_is_refused", a_hook_that_guards_have_not_is_refused),
    ("lists_need_a_file_beside_the_object", lists_need_a_file_beside_the_object),
    ("disasm_shows_the_rules", disasm_shows_the_rules),
];

const WITH_BPFTOOL: &[Test] = &[
    ("bpftool_loads_it_for_each_hook_and_shows_the_rules", bpftool_loads_it_for_each_hook),
    ("a_guard_that_knows_sources_has_two_programs", a_guard_that_knows_sources_has_two_programs),
];

fn main() {
    let no_kernel = KernelFilter::lack();
    let lacks = |tool: &str| {
        let found = Command::new(tool).arg("help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_err().then(|| format!("no {tool} here"))
    };
    let no_bpftool = no_kernel.or_else(|| lacks("bpftool"));
    let no_loader = no_bpftool.clone().or_else(|| lacks("xdp-loader"));
    let no_pieces = (!kernel_features().xdp_frags).then(|| "guards at xdp are from Linux 5.18 on".to_owned());
    // Programs that replace a function of another's are what libxdp's dispatcher is made of.
    let takes_extensions = matches!(is_program_supported(ProgramType::Extension), Ok(true));
    let no_dispatcher = (!takes_extensions)
        .then(|| "this kernel takes no programs of type ext, with which libxdp chains programs".to_owned());
    weir_testing::run([
        Group::of(TESTS),
        Group::of(WITH_BPFTOOL).skipped_for(no_bpftool),
        Group::of(chained::ALONE).skipped_for(no_loader.clone()).inapplicable_for(no_pieces.clone()),
        Group::of(chained::CHAINED)
            .skipped_for(no_loader)
            .inapplicable_for(no_pieces)
            .inapplicable_for(no_dispatcher),
    ]);
}

const LETTERS: &str = r#"name = "letters"
[fields]
kind = "u8 @ 0"
word = "text until ' ' @ 1"
[[message]]
name = "query"
length = "2..=20"
when = """
  kind == 'q' and
  word != 'bad'
"""
[[message]]
name = "notify"
when = "kind == 'n'"
"#;

const GUARD: &str = r#"[[service]]
name      = "letters"
listen    = "udp/53"
mode      = "enforce"
fragments = "pass"
protocol  = "./letters.toml"
accept    = ["query", { message = "notify", when = "len < 9" }]
limit     = [{ per = "source/32,/56", rate = "1000/s", burst = 1000 }]
"#;

/// A folder with a protocol and a guard for it; `lines` end the guard.
fn folder(lines: &str) -> TempDir {
    let folder = weir_testing::folder();
    fs::write(folder.path().join("letters.toml"), LETTERS).expect("it is written");
    fs::write(folder.path().join("guard.toml"), format!("{GUARD}{lines}")).expect("it is written");
    folder
}

/// The guard's object for a hook.
fn export(folder: &Path, hook: Hook) -> Ended {
    let ended =
        weir(folder, &["guard", "export", "object", "guard.toml", "--hook", hook.as_str(), "--out", "x.o"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended
}

fn weir(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().expect("it starts").into()
}

/// What a tool said that succeeds.
#[track_caller]
fn tool(folder: &Path, command: &str) -> String {
    let mut words = command.split(' ');
    let mut tool = Command::new(words.next().expect("a command"));
    let ended: Ended = tool.args(words).current_dir(folder).output().expect("it is there").into();
    assert_eq!(ended.status, Some(0), "{command}: {ended:?}");
    ended.stdout + &ended.stderr
}

/// The file, the line and the column of rules, in the words of bpftool.
const RULES: [(&str, &str); 7] = [
    (r#"listen    = "udp/53""#, "guard.toml line_num:3 line_col:13"),
    (r#"word = "text until ' ' @ 1""#, "letters.toml line_num:4 line_col:1"),
    (r#"length = "2..=20""#, "letters.toml line_num:7 line_col:11"),
    ("word != 'bad'", "letters.toml line_num:10 line_col:3"),
    (r#"when = "kind == 'n'""#, "letters.toml line_num:14 line_col:9"),
    (r#"accept    = ["query", {"#, "guard.toml line_num:7 line_col:23"),
    (r#"limit     = [{ per"#, "guard.toml line_num:8 line_col:14"),
];

fn bpftool_loads_it_for_each_hook() {
    with_bpffs(|bpffs| {
        let folder = folder("");
        let hooks = [Hook::Socket, Hook::Cgroup, Hook::Tc, Hook::Xdp];
        for hook in hooks.into_iter().filter(|hook| *hook != Hook::Xdp || kernel_features().xdp_frags) {
            export(folder.path(), hook);
            let (program, maps) = (bpffs.join(hook.as_str()), bpffs.join(format!("{hook}-maps")));
            let (program, maps) = (program.display(), maps.display());
            tool(folder.path(), &format!("bpftool prog load x.o {program} pinmaps {maps}"));
            let shown = tool(folder.path(), &format!("bpftool prog dump xlated pinned {program} linum"));
            for (text, place) in RULES {
                let is_rule = |line: &str| line.starts_with(&format!("; {text}")) && line.contains(place);
                assert!(shown.lines().any(is_rule), "{hook}: no '{text}' at {place} in: {shown}");
            }
            let sized = tool(folder.path(), &format!("bpftool map show pinned {maps}/decisions"));
            // Allowed, blocked, no message, three that can't be judged; of two messages accepted, unwelcome, over the limit.
            assert!(sized.contains("max_entries 12"), "{sized}");
            fs::remove_file(program.to_string()).expect("it is ours");
            fs::remove_dir_all(maps.to_string()).expect("they are ours");
        }
    });
}

fn a_guard_that_knows_sources_has_two_programs() {
    with_bpffs(|bpffs| {
        let known = "known = { after = \"notify\", by = \"source/32,/64\", for = \"60s\" }";
        let folder = folder(&format!("{known}\n"));
        for hook in [Hook::Cgroup, Hook::Tc] {
            let said = export(folder.path(), hook).stderr;
            assert!(said.contains("egress") && said.contains("knowing"), "{said}");
            let programs = bpffs.join(hook.as_str());
            tool(folder.path(), &format!("bpftool prog loadall x.o {}", programs.display()));
            let knowing = programs.join("knowing");
            let dump = format!("bpftool prog dump xlated pinned {} linum", knowing.display());
            let shown = tool(folder.path(), &dump);
            assert!(shown.contains(&format!("; {known} [file:guard.toml line_num:9 line_col:9]")), "{shown}");
            fs::remove_dir_all(programs).expect("they are ours");
        }
    });
}

fn disasm_shows_the_rules() {
    let folder = folder("");
    export(folder.path(), Hook::Tc);
    let shown = weir(folder.path(), &["disasm", "x.o", "--source"]).stdout;
    assert!(shown.contains("letters.toml:10:3: word != 'bad'\n"), "{shown}");
    assert!(shown.contains("; guard.toml:3:13: listen    = \"udp/53\"\n"), "{shown}");
    assert!(!weir(folder.path(), &["disasm", "x.o"]).stdout.contains("; "));
    let checked = weir(folder.path(), &["check", "x.o"]);
    assert!(checked.status == Some(0) && checked.stdout.starts_with("guard (classifier): "), "{checked:?}");
}

fn a_hook_that_guards_have_not_is_refused() {
    let folder = folder("");
    for (arguments, status, words) in [
        (&["guard.toml", "--hook", "reuseport"][..], 2, "socket, cgroup, tc, xdp"),
        (&["guard.toml"], 2, "--hook"),
        (&["letters.toml", "--hook", "tc"], 2, "is a protocol"),
        (&["guard.toml", "--hook", "tc", "--service", "leters"], 2, "did you mean 'letters'?"),
    ] {
        let ended = weir(folder.path(), &[&["guard", "export", "object"], arguments].concat());
        assert!(ended.status == Some(status) && ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
    let deep = (0..10).fold("kind".to_owned(), |deep, _| format!("(kind + {deep})"));
    let letters = LETTERS.replace("kind == 'n'", &format!("kind == {deep}"));
    fs::write(folder.path().join("letters.toml"), letters).expect("it is written");
    let ended = weir(folder.path(), &["guard", "export", "object", "guard.toml", "--hook", "tc"]);
    assert!(
        ended.status == Some(1) && ended.stderr.contains("operands that wait for others"),
        "{}",
        ended.stderr
    );
}

fn lists_need_a_file_beside_the_object() {
    let folder = folder("block = [\"203.0.113.0/24\"]\n");
    let ended = weir(folder.path(), &["guard", "export", "object", "guard.toml", "--hook", "tc"]);
    assert!(ended.status == Some(2) && ended.stderr.contains("--out"), "{ended:?}");
    let ended = export(folder.path(), Hook::Tc);
    assert!(ended.stderr.contains("bpftool batch file x.o.lists"), "{ended:?}");
    let lists = fs::read_to_string(folder.path().join("x.o.lists")).expect("it was written");
    let commands: Vec<_> = lists.lines().filter(|line| !line.starts_with('#')).collect();
    let [off, node, .., on] = commands[..] else { panic!("{lists}") };
    assert!(off.starts_with("map update name list_words key hex 00 00 00 00 value"), "{off}");
    // The network's address behind the two bits that choose in a table, in 63 bits.
    let network = u64::from(u32::from_be_bytes([203, 0, 113, 0])) << 34 >> 1;
    let network = network.to_ne_bytes().map(|byte| format!("{byte:02x}")).join(" ");
    assert!(node.starts_with("map update name list_nodes") && node.contains(&network), "{node}");
    assert_eq!(on.split(" value ").next(), off.split(" value ").next());
}
