//! Control groups as systemd has them for units.

use std::{fs, path::PathBuf, process::Command};

use weir_testing::wait_until;

use super::guard::PORT;
use crate::running::Server;

/// Where cgroup2 is mounted.
pub(super) fn cgroup2() -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    let mut rows = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    rows.find(|row| row[2] == "cgroup2").expect("it is mounted")[1].to_owned()
}

/// A control group for a process; removed when dropped, once that is gone.
pub(super) struct UnitGroup(pub(super) PathBuf);

impl UnitGroup {
    pub(super) fn new(path: PathBuf) -> Self {
        fs::create_dir(&path).expect("root may make a control group");
        Self(path)
    }

    /// Serves in it.
    pub(super) fn serve(&self) -> Server {
        let enter = "echo $$ > \"$1\"/cgroup.procs; shift; exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", enter, "sh"]).arg(&self.0).arg(env!("CARGO_BIN_EXE_weir"));
        command.args(["serve", "--hook", "user", "--filter", "simple-socket-filter"]);
        command.args(["--listen", &format!("127.0.0.1:{PORT}")]);
        Server::of(command)
    }
}

impl Drop for UnitGroup {
    fn drop(&mut self) {
        wait_until("the control group is empty", || fs::remove_dir(&self.0).is_ok());
    }
}
