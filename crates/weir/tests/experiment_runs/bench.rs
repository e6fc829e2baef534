//! A folder for one test: a definition in it, `weir experiment` on it, and what that leaves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use weir_results::{sample::Sample, store};
use weir_testing::{Ended, wait_until};

/// weir's own server without a program, which needs no privilege.
pub(crate) const OWN: &str = "[[placements]]\nplacement = 'plain'\nfilter = 'simple-socket-filter'\n\
                              toolkit = 'rust'\nhook = 'user'\n";

/// A folder with a definition `mine.toml`; results go to `out` in it.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    /// `head` are keys of the definition, `tail` its placements and what they name.
    pub(crate) fn new(head: &str, grid: &str, tail: &str) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        let start = "name = 'mine'\ntitle = 'Mine'\nquestion = 'Does it work?'\n";
        fs::write(bench.path("mine.toml"), format!("{start}{head}\n[grid]\n{grid}\n{tail}")).unwrap();
        bench
    }

    /// A stand-in server and client with these misbehaviours, `runs` runs of one cell of 20 packets, half of them
    /// invalid.
    pub(crate) fn of_stand_ins(head: &str, server: &str, client: &str) -> Self {
        let placements = format!("{OWN}external_server = 'theirs'\nexternal_client = 'theirs'\n");
        Self::placed(head, &placements, server, client)
    }

    /// weir's own server and client and the stand-ins, each with each.
    pub(crate) fn of_four_pairings(head: &str) -> Self {
        let row = |id: &str, external: &str| format!("{OWN}id = '{id}'\n{external}");
        let (server, client) = ("external_server = 'theirs'\n", "external_client = 'theirs'\n");
        let rows = [
            row("ours", ""),
            row("server", server),
            row("client", client),
            row("both", &format!("{server}{client}")),
        ];
        Self::placed(head, &rows.concat(), "good", "good")
    }

    fn placed(head: &str, placements: &str, server: &str, client: &str) -> Self {
        let me = std::env::current_exe().unwrap();
        let me = me.display();
        let dir = tempfile::tempdir().unwrap();
        let (servers, clients) = (dir.path().join("servers"), dir.path().join("clients"));
        let (servers, clients) = (servers.display(), clients.display());
        let tail = format!(
            "{placements}\
             [external_server.theirs]\n\
             command = ['{me}', 'stand-in', 'server', '{{port}}', '{servers}', '{server}']\n\
             [external_client.theirs]\n\
             command = ['{me}', 'stand-in', 'client', '{{address}}:{{port}}', '{{packets}}', '{{percent}}', \
             '{clients}', '{client}']\n"
        );
        let written = Self::new(head, "invalid_percent = [50]\npackets = [20]", &tail);
        fs::copy(written.path("mine.toml"), dir.path().join("mine.toml")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// `weir experiment` with the folder as its working directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.arg("experiment").args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        // What a killed harness leaves goes with the folder.
        command.env("TMPDIR", self.dir.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// `weir report` of what lies in `out`.
    pub(crate) fn report(&self) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["report", "out"]).current_dir(self.dir.path()).stdin(Stdio::null());
        command.output().unwrap().into()
    }

    /// Runs the definition into `out`.
    pub(crate) fn begin(&self) -> Ended {
        self.run(&["./mine.toml", "--out", "out"])
    }

    pub(crate) fn resume(&self) -> Ended {
        self.run(&["--resume", "out"])
    }

    pub(crate) fn spawn(&self) -> Child {
        let mut command = self.command(&["./mine.toml", "--out", "out"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        store::read(&self.out()).unwrap().samples
    }

    /// The pids in a stand-in's log.
    pub(crate) fn pids(&self, log: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.path(log)).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Fails unless all stand-ins that ever started are gone, now or soon.
    pub(crate) fn assert_nobody_is_left(&self) {
        for pid in [self.pids("servers"), self.pids("clients")].concat() {
            wait_until("a stand-in is gone", || !is_running(pid));
        }
    }
}

fn is_running(pid: i32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    // Whoever inherits an orphan may take its time to reap it; a zombie does nothing any more.
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}
