//! Shell lines that run at one end of a pair, for a while that has a bound.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use weir_lab::topology::Net;
use weir_results::net::Side;
use weir_testing::{Ended, wait_until};

/// How long a client may take, seconds. All of them end by themselves.
const PATIENCE: &str = "40";

/// How long what runs may take to end once it is asked to.
const GRACE: Duration = Duration::from_secs(3);

/// A shell that knows both addresses and works in `folder`.
fn shell(net: &Net, folder: &Path, line: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euc", line]).current_dir(folder).stdin(Stdio::null()).process_group(0);
    for (name, side) in [("SERVER", Side::Server), ("CLIENT", Side::Client)] {
        command.env(name, net.address(side).to_string());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/local/lib/weir-tests/usr/sbin:/usr/local/lib/weir-tests/usr/bin:/usr/sbin:/sbin:/usr/bin:/bin"));
    command.env("WEIR", env!("CARGO_BIN_EXE_weir")).env("LC_ALL", "C").env("HOME", folder);
    command
}

/// Runs a client's line to its end.
pub(crate) fn run(net: &Net, folder: &Path, line: &str) -> Ended {
    let mut command = shell(net, folder, "exec timeout --kill-after=5 \"$1\" bash -euc \"$2\"");
    command.args(["bash", PATIENCE, line]);
    Ended::from(
        net.within(Side::Client, || command.output()).expect("root may enter").expect("bash is there"),
    )
}

/// A line that runs until it is ended, with all that it started; killed when dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it at an end; what it says goes to `NAME.log` in `folder`.
    pub(crate) fn start(net: &Net, side: Side, folder: &Path, name: &str, line: &str) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).expect("the folder is ours");
        let mut command = shell(net, folder, line);
        command.stdout(file.try_clone().expect("a descriptor")).stderr(file);
        let child = net.within(side, || command.spawn()).expect("root may enter").expect("bash is there");
        Self { child, log }
    }

    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("it was made")).into_owned()
    }

    /// Waits until `is_so`, while it runs.
    pub(crate) fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&str) -> bool) {
        wait_until(what, || {
            let ended = self.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "it ended ({ended:?}) before {what}:\n{}", self.said());
            is_so(&self.said())
        });
    }
}

impl Drop for Running {
    /// Asks all that it started to end, which takes their files away, and kills what is there after a while.
    fn drop(&mut self) {
        let all = Pid::from_raw(self.child.id() as i32);
        let _ = killpg(all, Signal::SIGTERM);
        let deadline = Instant::now() + GRACE;
        let is_there = |child: &mut Child| {
            let _ = child.try_wait();
            killpg(all, None).is_ok()
        };
        while is_there(&mut self.child) && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
        let _ = killpg(all, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
