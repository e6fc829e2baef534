//! A tab of a headless Chromium, spoken to over its DevTools pipe (`--remote-debugging-pipe`): JSON, each message ended
//! by a zero byte. The crates for this protocol bring some sixty others; a test needs five methods of it.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The browser's program, if there is one.
pub(crate) fn chromium() -> Option<PathBuf> {
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut paths = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.find(|path| path.is_file())
}

/// A page in a browser of its own, which ends with it.
pub(crate) struct Tab {
    /// What the page did since it began to load.
    pub(crate) events: Vec<Value>,
    browser: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    calls: u64,
    _profile: TempDir,
}

impl Tab {
    /// Opens `url` and waits until it is loaded.
    pub(crate) fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The browser reads from descriptor 3 and writes to 4; a shell puts our pipes there.
        let mut browser = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1"])
            .arg(chromium().expect("there is a browser"))
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starting the browser");
        let to = browser.stdin.take().expect("its input is a pipe");
        let from = BufReader::new(browser.stdout.take().expect("its output is a pipe"));
        let (events, session, calls) = (Vec::new(), None, 0);
        let mut tab = Self { events, browser, to, from, session, calls, _profile: profile };
        let target = tab.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = tab.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        tab.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Log", "Runtime", "Network", "Page"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        tab.events.clear();
        tab.call("Page.navigate", json!({"url": url}));
        while !tab.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = tab.read();
            tab.events.push(event);
        }
        tab
    }

    /// The result of `method`; events that come before it are kept.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        write!(self.to, "{message}\0").expect("the browser reads");
        loop {
            let answer = self.read();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn read(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).expect("the browser writes");
        assert_eq!(message.pop(), Some(0), "the browser ended");
        serde_json::from_slice(&message).expect("messages are JSON")
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        // Best effort: it may have ended by itself.
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
