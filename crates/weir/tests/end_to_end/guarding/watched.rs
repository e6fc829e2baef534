//! Running guards as `weir guard status` shows them.

use std::{
    fs::{self, File},
    io::Read as _,
    os::fd::AsFd as _,
    path::Path,
    process::Child,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{OpenptyResult, Winsize, openpty},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use weir_hooks::in_own_network;
use weir_testing::wait_until;

use super::guard::{Guard, PORT, at, serve};
use crate::{
    guards::{ENFORCE, bag, send_some},
    hooks::in_namespace,
    running::{run, weir},
};

fn status(guard: &Guard) -> Value {
    let ended = guard.asked("status", &["--json"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

const PATIENCE: Duration = Duration::from_secs(30);

/// What shows it on a terminal ends when that goes, and when it is told to.
pub(super) fn top_ends_with_its_terminal() {
    in_namespace(|| {
        let guard = Guard::start(&at("tc"), &[]);
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        for is_told in [false, true] {
            let OpenptyResult { master, slave } = openpty(&size, None).expect("a terminal");
            // Whoever is begun has no end of it that isn't given to him.
            fcntl(&master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("ours");
            let own = || slave.try_clone().expect("a descriptor");
            let mut top = guard.asking("top");
            top.env("TERM", "xterm").stdin(own()).stdout(own()).stderr(own());
            let mut child = top.spawn().expect("the binary starts");
            drop((top, slave));
            let mut terminal = File::from(master);
            let (mut shown, mut bytes) = (String::new(), [0; 4096]);
            while !shown.contains("guard top") {
                let mut asked = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
                let patience = PollTimeout::try_from(PATIENCE).expect("it is short");
                assert_eq!(poll(&mut asked, patience), Ok(1), "it shows nothing more than {shown}");
                let count = terminal.read(&mut bytes).expect("it shows something");
                shown += &String::from_utf8_lossy(&bytes[..count]);
            }
            let terminal = is_told.then_some(terminal);
            if terminal.is_some() {
                kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("it is our child");
            }
            let ended = wait_for(&mut child);
            let _ = child.kill();
            assert_eq!(ended, Some(0), "told: {is_told}");
        }
        guard.ended();
    });
}

/// Its status, unless it goes on for long.
fn wait_for(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().expect("it is our child") {
            Some(status) => return status.code(),
            None if Instant::now() > deadline => return None,
            None => sleep(Duration::from_millis(10)),
        }
    }
}

pub(super) fn one_that_runs_says_how_it_is() {
    in_namespace(|| {
        let mut guard = Guard::start(&at("socket"), &[]);
        let said = status(&guard);
        let service = &said[0]["services"][0];
        assert_eq!(service["places"], json!([]));
        assert!(service["said"].as_str().is_some_and(|said| said.contains("waiting for bag")), "{said}");
        assert!(guard.asked("status", &[]).stdout.contains("nothing was decided yet"));

        let server = serve(&format!("127.0.0.1:{PORT}"), &[]);
        guard.wait_until_said("weir: guarding bag");
        send_some(&server);
        let said = status(&guard);
        assert_eq!(said[0]["process"], guard.child.id());
        let service = &said[0]["services"][0];
        assert_eq!((&service["hook"], &service["mode"]), (&json!("socket"), &json!("enforce")));
        let place = &service["places"][0];
        assert!(place["place"].as_str().is_some_and(|place| place.contains("of process")), "{said}");
        let times = [&said[0]["since_ms"], &place["since_ms"]].map(|time| time.as_u64().expect("a time"));
        assert!(times.is_sorted() && times[0] > 1_600_000_000_000, "{times:?}");
        let decisions = service["decisions"].as_array().expect("a list");
        let packets = |decision: &str, verdict: &str| {
            let of_it =
                decisions.iter().filter(|each| each["decision"] == decision && each["verdict"] == verdict);
            of_it.filter_map(|each| each["packets"].as_u64()).sum::<u64>()
        };
        assert_eq!(packets("accepted", "accept"), 11, "{said}");
        assert_eq!((packets("no-message", "drop"), packets("unwelcome", "drop")), (10, 10), "{said}");
        assert!(decisions.iter().any(|each| each["packets"] == 0), "each has its row: {said}");

        let shown = guard.asked("status", &["bag"]).stdout;
        assert!(
            shown.contains("| bag     | no message of the protocol | ") && shown.contains("bag (enforce): "),
            "{shown}"
        );
        let ended = guard.asked("status", &["bog"]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("no service 'bog' is guarded; there are: bag"), "{ended:?}");
        guard.ended();

        // What observing lets through is told apart.
        let guard = Guard::start(&bag("at = \"socket\""), &[]);
        send_some(&server);
        let shown = guard.asked("status", &[]).stdout;
        assert!(shown.contains("would-drop | 10") && !shown.contains("| drop"), "{shown}");
        guard.ended();
    });
}

pub(super) fn one_is_found_without_a_path() {
    in_own_network(|| {
        let name = format!("weir-test-{}", std::process::id());
        let folder = weir_testing::folder();
        let file = folder.path().join(format!("{name}.toml"));
        fs::write(&file, bag(&format!("{ENFORCE}\nat = \"socket\""))).expect("our folder");
        let mut child = weir(&["guard", "run"]).arg(&file).spawn().expect("the binary starts");
        let path = format!("/run/weir/{name}/control");
        wait_until("it listens", || Path::new(&path).exists());
        let shown = run(&["guard", "status", "--json"]).stdout;
        assert!(shown.contains(&name), "{shown}");

        // Who was killed doesn't answer, which is told.
        child.kill().expect("it runs");
        child.wait().expect("it is our child");
        let ended = run(&["guard", "status"]);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(&path) && ended.stderr.contains("refused"), "{ended:?}");
        fs::remove_dir_all(format!("/run/weir/{name}")).expect("it is ours");
    })
    .expect("root may");
}

pub(super) fn what_does_not_run_is_not_shown() {
    let ended = run(&["guard", "status", "--control", "/nowhere/control"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("/nowhere/control") && ended.stderr.contains("weir guard run"),
        "{ended:?}"
    );
    let ended = run(&["guard", "top"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("takes a terminal") && ended.stderr.contains("weir guard status"),
        "{ended:?}"
    );
    let bad = ["guard", "run", "--control", "/nowhere/control", "/nowhere/guard.toml"];
    assert!(run(&bad).stderr.contains("/nowhere/guard.toml"));
}
