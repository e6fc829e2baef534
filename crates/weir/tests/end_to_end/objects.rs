//! Serving behind programs that came as files: ours, compiled by rustc and by clang, and such as don't fit.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use weir_wire::Request;

use weir_testing::{Ended, Test};

use crate::running::{Server, ask, run};

pub(crate) const ANYWHERE: &[Test] = &[
    ("programs_that_do_not_fit_are_refused_before_the_kernel", programs_that_do_not_fit_are_refused),
    ("maps_that_do_not_fit_are_refused_before_the_kernel", maps_that_do_not_fit_are_refused),
    ("files_that_are_no_objects_are_refused", files_that_are_no_objects_are_refused),
    ("a_spoiled_object_never_crashes_the_server", a_spoiled_object_never_crashes_the_server),
];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("a_program_assembled_from_text_filters_the_socket", a_program_assembled_from_text_filters),
    ("objects_of_rustc_and_clang_are_served_behind", objects_of_rustc_and_clang_are_served_behind),
    ("a_parameter_map_of_somebodys_object_is_set_and_flipped", a_parameter_map_is_set_and_flipped),
    ("what_the_verifier_refuses_is_said_with_its_line", what_the_verifier_refuses_is_said),
];

/// A folder of objects; gone when dropped.
pub(crate) struct Objects(tempfile::TempDir);

impl Objects {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("our folder");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// The object that `weir asm` makes of a text.
    pub(crate) fn assembled(&self, name: &str, text: &str) -> String {
        let source = self.file(&format!("{name}.s"), text.as_bytes());
        let object = source.replace(".s", ".o");
        let ended = run(&["asm", &source, "--elf", "-o", &object]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        object
    }
}

/// An object that a compiler made, of those that crates/asm keeps.
fn compiled(name: &str) -> String {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../asm/tests/objects"));
    folder.join(name).to_str().expect("UTF-8").to_owned()
}

fn refused(arguments: &[&str], parts: &[&str]) {
    let ended = run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
    assert_eq!(ended.status, Some(1), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "no '{part}' in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

const KEEP_AND_DROP: &str = "\
.license \"GPL\"
.program keep socket
    mov r0, -1
    exit
.program nothing socket
    mov r0, 0
    exit
.program pass xdp
    mov r0, 2
    exit
";

fn put_and_get(server: &Server) -> Option<String> {
    let socket = server.socket();
    socket.send(&Request::Put { key: 1, value: 5 }.to_bytes()).expect("send");
    ask(&socket, &Request::Get { key: 1 }.to_bytes())
}

fn ended(server: Server) -> Ended {
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended
}

fn a_program_assembled_from_text_filters() {
    let objects = Objects::new();
    let object = objects.assembled("both", KEEP_AND_DROP);
    let server = Server::start(&["--object", &object, "--program", "keep"]);
    assert_eq!(put_and_get(&server).as_deref(), Some("5"));
    assert!(ended(server).stderr.contains("behind keep (of "));

    let server = Server::start(&["--object", &object, "--program", "nothing"]);
    assert_eq!(put_and_get(&server), None);
    ended(server);

    // Of one socket filter alone, the name may be left out.
    let text = KEEP_AND_DROP.replace(".program nothing socket", ".program nothing xdp");
    let server = Server::start(&["--object", &objects.assembled("one", &text)]);
    assert_eq!(put_and_get(&server).as_deref(), Some("5"));
    ended(server);
}

fn objects_of_rustc_and_clang_are_served_behind() {
    let server = Server::start(&["--object", &compiled("count-filter.o"), "--server", "count-server"]);
    assert_eq!(put_and_get(&server).as_deref(), Some("5"));
    let said = ended(server);
    assert!(said.stdout.ends_with("total: 2 packets\n"), "{said:?}");

    let server = Server::start(&["--object", &compiled("legacy.o"), "--server", "ebpf-stats-server"]);
    assert_eq!(put_and_get(&server).as_deref(), Some("5"));
    let said = ended(server);
    assert!(said.stdout.contains("runs: 2"), "{said:?}");
}

const PARAMETER: &str = "\
.license \"GPL\"
.map parameter array key=u32 value=u32 entries=1
.program by_map socket
    stw [r10 + -4], 0
    mov r2, r10
    add r2, -4
    lmap r1, parameter
    call map_lookup_elem
    jeq r0, 0, accept
    ldxw r1, [r0 + 0]
    jne r1, 0, drop
accept:
    mov r0, -1
    exit
drop:
    mov r0, 0
    exit
";

fn a_parameter_map_is_set_and_flipped() {
    let objects = Objects::new();
    let object = objects.assembled("parameter", PARAMETER);
    for server in ["simple-server", "parameterized-server"] {
        let server = Server::start(&["--object", &object, "--parameter", "drop", "--server", server]);
        assert_eq!(put_and_get(&server), None);
        server.signal(Signal::SIGUSR1);
        // The signal is handled by a thread; until it is, packets are dropped.
        let answer = (0..5).find_map(|_| put_and_get(&server));
        assert_eq!(answer.as_deref(), Some("5"));
        assert!(ended(server).stderr.contains("the parameter is now accept"));
    }
}

fn what_the_verifier_refuses_is_said() {
    let objects = Objects::new();
    let text = ".program bad socket\n    mov r0, r3 ; not set\n    exit\n";
    refused(
        &["--object", &objects.assembled("bad", text)],
        &["loading bad of", "the verifier refuses it", "R3 !read_ok", "mov r0, r3 ; not set"],
    );
}

fn programs_that_do_not_fit_are_refused() {
    let objects = Objects::new();
    let both = objects.assembled("both", KEEP_AND_DROP);
    let holds = "it holds: keep (socketfilter, section \"socket\"), nothing";
    refused(
        &["--object", &both, "--program", "pass"],
        &["'pass' is of type xdp, which no socket takes", "--program keep", holds],
    );
    refused(&["--object", &both, "--program", "kepp"], &["no program 'kepp'", "did you mean 'keep'?", holds]);
    refused(&["--object", &both, "--program", "zzz"], &["no program 'zzz'", holds]);
    refused(&["--object", &both], &["several socket filters", "--program", holds]);
    let only_xdp = objects.assembled("xdp", ".program pass xdp\n    mov r0, 2\n    exit\n");
    refused(
        &["--object", &only_xdp],
        &["no socket filter", "section \"socket\"", "pass (xdp, section \"xdp\")"],
    );
    refused(&["--object", &compiled("forms-be.o")], &["big-endian", "byte order"]);
    let usage = |arguments: &[&str], part: &str| {
        let ended = run(&[&["serve"], arguments].concat());
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(part), "{ended:?}");
    };
    usage(&["--program", "keep"], "--object");
    usage(&["--object", &both, "--filter", "reject-filter"], "--filter");
    usage(&["--object", &both, "--hook", "user"], "--hook");
}

fn maps_that_do_not_fit_are_refused() {
    let objects = Objects::new();
    let keep = objects.assembled("keep", ".program keep socket\n    mov r0, -1\n    exit\n");
    let check = |server: &str, map: &str| {
        refused(
            &["--object", &keep, "--server", server],
            &[&format!("{server} needs a map '{map}'"), "its maps are: none", "simple-server"],
        );
    };
    check("parameterized-server", "parameter");
    check("print-server", "capture");
    check("count-server", "counter");
    refused(&["--object", &keep, "--parameter", "drop"], &["--parameter needs a map 'parameter'"]);

    let other = PARAMETER.replace("array key=u32 value=u32", "hash key=u32 value=u64");
    refused(
        &["--object", &objects.assembled("hash", &other), "--server", "parameterized-server"],
        &[
            "its map 'parameter' is hash with keys of 4 and values of 8 bytes",
            "weir reads array with keys of 4 and values of 4 bytes",
        ],
    );
}

fn files_that_are_no_objects_are_refused() {
    let objects = Objects::new();
    refused(&["--object", "/nowhere/filter.o"], &["reading /nowhere/filter.o", "check the path"]);
    refused(&["--object", objects.0.path().to_str().expect("UTF-8")], &["Is a directory"]);
    refused(&["--object", &objects.file("text.s", b"mov r0, 0\nexit\n")], &["no ELF object", "weir asm"]);
    refused(&["--object", &objects.file("empty", b"")], &["no ELF object"]);
    refused(&["--object", env!("CARGO_BIN_EXE_weir")], &["can't be attached"]);
}

/// Cut everywhere, and with single bytes changed: refused with a reason, or served behind.
fn a_spoiled_object_never_crashes_the_server() {
    let whole = std::fs::read(compiled("count-filter.o")).expect("the object");
    for cut in [1, 16, 63, 64, 100, whole.len() / 2, whole.len() - 70, whole.len() - 1] {
        let objects = Objects::new();
        refused(&["--object", &objects.file("cut.o", &whole[..cut])], &["cut.o"]);
    }
    // The last 64 bytes of every section header and the file's own: where sizes and places stand.
    let headers =
        usize::try_from(u64::from_le_bytes(*whole[40..].first_chunk().expect("a header"))).expect("fits");
    for at in (0..64).chain(headers..whole.len()).step_by(23) {
        let objects = Objects::new();
        let mut spoiled = whole.clone();
        spoiled[at] ^= 0x7f;
        // A program that isn't there ends it early, whatever was read.
        refused(&["--object", &objects.file("spoiled.o", &spoiled), "--program", "none"], &["spoiled.o"]);
    }
}
