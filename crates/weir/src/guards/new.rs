//! A guard to begin with: commented, and in observe mode.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    path::Path,
};

use anyhow::Context as _;
use weir_guard::{
    meaning::{Party, Protocol},
    text::{self, Files as _},
};
use weir_output::{exit::UsageError, print, terminal::printable};

use super::files::Neighbours;

/// What is said of a new guard.
#[derive(Debug)]
pub(crate) struct NewGuard {
    pub(crate) port: Option<u16>,
    pub(crate) protocol: Option<String>,
}

/// Writes it to a file that isn't there yet, or to standard output.
///
/// # Errors
/// Something isn't said and nobody can be asked; there is no such protocol; the file is there, or can't be written.
pub(crate) fn create(new: &NewGuard, out: Option<&Path>) -> anyhow::Result<()> {
    if let Some(path) = out.filter(|path| fs::symlink_metadata(path).is_ok()) {
        return Err(is_there(path).into());
    }
    let port = match new.port {
        Some(port) => port,
        None => ask("--port", "The UDP port of the service", |answer| {
            answer
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
        })?,
    };
    let mut files = Neighbours::of(out.unwrap_or(Path::new("")));
    let (name, protocol) = match &new.protocol {
        Some(name) => (name.clone(), find(name, &mut files).map_err(UsageError)?),
        None => ask("--protocol", "Its protocol (`weir guard protocols` lists them)", |answer| {
            Ok((answer.to_owned(), find(answer, &mut files)?))
        })?,
    };
    let guard = written(port, &name, &protocol);
    let Some(path) = out else {
        return print(guard);
    };
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match file {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(is_there(path).into()),
        file => file.with_context(|| format!("writing {}", path.display()))?,
    };
    file.write_all(guard.as_bytes()).with_context(|| format!("writing {}", path.display()))
}

fn is_there(path: &Path) -> UsageError {
    UsageError(format!("{} is there already, and is kept; name another file", path.display()))
}

fn find(name: &str, files: &mut Neighbours) -> Result<Protocol, String> {
    let found = files.protocol(name).map_err(|why| {
        let help = why.help.map(|help| format!("; {help}")).unwrap_or_default();
        format!("the protocol '{}' can't be read: {}{help}", printable(name), why.message)
    })?;
    let read = text::protocol(&found.text, &Default::default());
    read.protocol
        .ok_or_else(|| format!("{} has errors: `weir guard check` says them", printable(&found.name)))
}

/// Asks on the terminal until there is an answer that is one.
fn ask<T>(
    argument: &str,
    question: &str,
    mut read: impl FnMut(&str) -> Result<T, String>,
) -> anyhow::Result<T> {
    let unsaid = || UsageError(format!("{argument} is missing, and there is no terminal to ask at"));
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(unsaid().into());
    }
    loop {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question}: ").and_then(|()| stderr.flush())?;
        let mut answer = String::new();
        if io::stdin().lock().take(4096).read_line(&mut answer).context("reading the answer")? == 0 {
            return Err(unsaid().into());
        }
        match read(answer.trim()) {
            Ok(answer) => return Ok(answer),
            Err(why) => eprintln!("{why}"),
        }
    }
}

/// What services send and nobody should send them.
const ANSWERS: [&str; 3] = ["answer", "reply", "response"];

fn written(port: u16, name: &str, protocol: &Protocol) -> String {
    let mut accept = String::new();
    for message in &protocol.messages {
        let is_answer =
            message.by == Some(Party::Service) || ANSWERS.iter().any(|answer| message.name.contains(answer));
        let _ = writeln!(accept, "    {}\"{}\",", if is_answer { "# " } else { "" }, message.name);
    }
    format!(
        r#"# A guard: which packets this service is sent. `weir guard check` says what is wrong with it,
# `weir guard try` what would become of the packets of a capture.

[[service]]
name     = "{service}"
listen   = {listen:<26} # on every address of this machine; "udp/192.0.2.1:{port}" for one
at       = "auto"                     # or "socket", "cgroup", "tc", "xdp"
mode     = "observe"                  # counts, and drops nothing; "enforce" drops
protocol = {protocol}

# What is accepted; the rest is dropped. Take out what nobody should send.
accept   = [
{accept}]

# Sources whose packets pass, or don't, whatever they are: prefixes, and files of them, a line each.
# allow  = ["192.0.2.0/24", "@office.txt"]
# block  = ["@blocked.txt"]

# How many packets each source may send, and all together.
# limit  = [
#     {{ per = "source/32,/56", rate = "200/s", burst = 400 }},
#     {{ per = "all", rate = "50000/s" }},
# ]
"#,
        service = protocol.name,
        listen = format!("\"udp/{port}\""),
        protocol = toml::Value::String(name.to_owned()),
    )
}
