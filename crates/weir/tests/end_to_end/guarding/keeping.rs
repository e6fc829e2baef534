//! Guards that stay when their process ends, until the next one takes over.

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::json;
use weir_testing::{ControlGroup, Ended};

use super::{
    Guard, at_every_hook,
    changing::verdicts,
    guard::{PORT, filter_on, invalid, serve},
};
use crate::{
    guards::{ENFORCE, bag, send_some},
    running::weir,
};

/// A bpffs for this thread and those that it starts alone.
fn own_bpffs() {
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).expect("root may");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("root may");
    mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), none).expect("the kernel has it");
}

fn removed() -> Ended {
    Ended::from(weir(&["guard", "remove", "guard"]).output().expect("the binary starts"))
}

pub(super) fn is_taken_over() {
    at_every_hook(move |hook| {
        own_bpffs();
        let group = ControlGroup::new();
        let server = group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
        let rules = bag(&format!("{ENFORCE}\nat = \"{hook}\"\nkeep = true"));
        let guard = Guard::start(&rules, &[]);
        assert_eq!(send_some(&server).as_deref(), Some("10"), "at {hook}");
        let ended = guard.asked("block", &["bag", "192.0.2.1"]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(removed().status, Some(1), "it runs");
        let (record, ended) = guard.left();
        assert!(ended.stderr.contains("weir: kept: bag goes on being guarded"), "{ended:?}");
        assert_eq!(*verdicts(&record), json!({"accepted": 11, "dropped": 20}), "at {hook}: {record}");

        // Nobody runs.
        assert_eq!(send_some(&server).as_deref(), Some("20"), "at {hook}");

        // Another program takes over, with what was commanded of the one before and with its counts.
        let guard = Guard::start(&rules.replace("\"get\"]", "\"get\", \"delete\"]"), &[]);
        assert!(guard.asked("status", &[]).stdout.contains("blocked by command: 192.0.2.1/32"), "at {hook}");
        assert_eq!(send_some(&server).as_deref(), Some("30"), "at {hook}");
        guard.rewrite(&rules);
        let ended = guard.asked("reload", &[]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        // Killed (SIGKILL).
        drop(guard);
        assert_eq!(send_some(&server).as_deref(), Some("40"), "at {hook}");
        let (record, _) = Guard::start(&rules, &[]).left();
        let (accepted, dropped) = (4 * 11 + 10, 4 * 20 - 10);
        assert_eq!(
            *verdicts(&record),
            json!({"accepted": accepted, "dropped": dropped}),
            "at {hook}: {record}"
        );

        assert_eq!(filter_on(PORT).is_some(), hook == "socket");
        let ended = removed();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("no-message"), "{ended:?}");
        assert!(!std::path::Path::new("/sys/fs/bpf/weir").exists(), "at {hook}");
        assert_eq!(filter_on(PORT), None);
        assert_eq!(removed().status, Some(2), "nothing is kept");
        assert_eq!(send_some(&server).as_deref(), Some("50"), "at {hook}");

        // One that can't begin keeps nothing.
        let (first, second) = (&rules, rules.replace("bag\"\nl", "other\"\nl").replace("12345", "12346"));
        let second = second.replace("keep = true", "keep = true\nnetns = \"nowhere\"");
        let files = crate::objects::Objects::new();
        let both = files.file("guard.toml", format!("{first}\n{second}").as_bytes());
        let ended = Ended::from(
            weir(&["guard", "run", &both, "--control", &files.path().join("control").to_string_lossy()])
                .output()
                .expect("the binary starts"),
        );
        assert!(ended.status != Some(0) && ended.stderr.contains("nowhere"), "{ended:?}");
        assert!(!std::path::Path::new("/sys/fs/bpf/weir").exists(), "at {hook}");
        assert_eq!(filter_on(PORT), None);
        // What passed since, and what a command had accepted for a while.
        assert_eq!(invalid(server), "10", "at {hook}");
    });
}
