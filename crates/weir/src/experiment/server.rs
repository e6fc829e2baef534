//! The server of a run: started on its core, and ready before anything is sent to it.

use std::{
    ffi::OsString,
    io,
    net::{SocketAddr, UdpSocket},
    os::{fd::AsFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use weir_filters::{FilterName, Hook, Toolkit};

use super::{
    definition::ExternalServer,
    interrupt::Interrupt,
    one_run::{Bench, RunError, table_failed},
    own_command,
    process::Process,
    site::Site,
    template::Placeholder,
    udp_table,
};
use crate::{
    cell::{Cell, Placement},
    topology::Side,
};

/// How often the table of sockets is looked at while an external server starts.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The flag by which a definition may ask for moderated reading.
pub const MODERATION: &str = "--moderation";

/// A server that is ready.
#[derive(Debug)]
pub struct Server {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it will leave its record; nothing for a server that isn't weir's own.
    pub summary: Option<PathBuf>,
}

impl Server {
    /// Starts the server that `cell` asks for, with its files in `dir`, and waits until it is ready.
    ///
    /// # Errors
    /// It could not be started, ended, or was not ready in time; or a signal came.
    pub fn start(bench: &Bench<'_>, site: &Site, cell: &Cell, dir: &Path) -> Result<Self, RunError> {
        let within = Duration::from_secs(bench.definition.ready_within_s);
        match &cell.external_server {
            None => start_own(bench, site, cell, dir, within),
            Some(name) => {
                let definition = &bench.definition.external_server[name];
                site.within(Side::Server, || start_external(bench, site, name, definition, cell, dir, within))
            }
        }
    }
}

fn start_own(
    bench: &Bench<'_>,
    site: &Site,
    cell: &Cell,
    dir: &Path,
    within: Duration,
) -> Result<Server, RunError> {
    let failed = |error: io::Error| RunError::Failed(format!("opening the readiness socket: {error}"));
    let notify = dir.join("notify");
    let socket = UnixDatagram::bind(&notify).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;

    let summary = dir.join("server.json");
    let mut command = own_command("serve");
    command
        .env("NOTIFY_SOCKET", &notify)
        .args(own_arguments(bench, site, cell))
        .arg("--summary")
        .arg(&summary);
    let process = site.within(Side::Server, || start(site, "weir serve", command, dir))?;
    let address = ready_address(bench.interrupt, &socket, &process, within)?;
    Ok(Server { process, address, summary: Some(summary) })
}

fn own_arguments(bench: &Bench<'_>, site: &Site, cell: &Cell) -> Vec<OsString> {
    // What decides at the sender is attached there, by the harness.
    let (filter, toolkit, hook) = match cell.placement {
        Placement::Sender => (FilterName::Simple, Toolkit::Rust, Hook::User),
        _ => (cell.filter, cell.toolkit, cell.hook),
    };
    let mut arguments: Vec<OsString> = [
        ("--listen", &*SocketAddr::from((site.server_address(), 0)).to_string()),
        ("--filter", filter.as_str()),
        ("--toolkit", toolkit.as_str()),
        ("--hook", hook.as_str()),
        ("--io", cell.io.as_str()),
        ("--server", &bench.definition.server),
    ]
    .iter()
    .flat_map(|(flag, value)| [(*flag).into(), (*value).into()])
    .collect();
    if site.is_private() {
        arguments.extend(["--allow-stop", "any"].map(OsString::from));
        // Our pair takes no super-packets, which the server can't see from its end.
        if matches!(hook, Hook::Reuseport | Hook::Xdp) {
            arguments.extend(["--super-packets", "pass"].map(OsString::from));
        }
    }
    if let Some(bytes) = cell.conditions.receive_buffer {
        arguments.extend([OsString::from("--receive-buffer"), bytes.to_string().into()]);
    }
    if bench.definition.program_stats && hook != Hook::User && toolkit.can_be_asked() {
        arguments.push("--stats".into());
    }
    // The originals moderate nothing, so that what is compared with them doesn't either.
    if !bench.definition.server_flags.iter().any(|flag| flag.starts_with(MODERATION)) {
        arguments.extend([MODERATION, "off"].map(OsString::from));
    }
    arguments.extend(bench.definition.server_flags.iter().map(OsString::from));
    arguments
}

/// Waits for READY=1 and gives the address that came with it (sd_notify(3)).
fn ready_address(
    interrupt: &Interrupt,
    socket: &UnixDatagram,
    process: &Process,
    within: Duration,
) -> Result<SocketAddr, RunError> {
    let deadline = Instant::now() + within;
    loop {
        match interrupt.wait(&[socket.as_fd(), process.ended_fd()], deadline)? {
            Some(0) => {}
            Some(_) => return Err(ended_early(process)),
            None => return Err(never_ready(process, within)),
        }
        let mut message = [0; 4096];
        let length = socket
            .recv(&mut message)
            .map_err(|error| RunError::Failed(format!("reading the readiness socket: {error}")))?;
        let message = String::from_utf8_lossy(&message[..length]);
        if message.lines().any(|line| line == "READY=1") {
            let address = message.lines().find_map(|line| line.strip_prefix("X_WEIR_LISTEN="));
            return address.and_then(|address| address.parse().ok()).ok_or_else(|| {
                RunError::Failed(format!(
                    "{} said that it is ready, but not where it listens (X_WEIR_LISTEN); it is another version",
                    process.name()
                ))
            });
        }
    }
}

fn start_external(
    bench: &Bench<'_>,
    site: &Site,
    name: &str,
    definition: &ExternalServer,
    cell: &Cell,
    dir: &Path,
    within: Duration,
) -> Result<Server, RunError> {
    let address = external_address(site, name, definition)?;
    let in_table =
        || udp_table::drops(address.port()).map_err(|error| RunError::Failed(table_failed(error, address)));
    if in_table()?.is_some() {
        return Err(RunError::Failed(format!(
            "external server '{name}' is to listen on port {}, which another process has; end that, or set another port",
            address.port()
        )));
    }
    let mut words = definition.command.iter().map(|word| {
        word.expand(|placeholder| match placeholder {
            Placeholder::Address => address.ip().to_string(),
            Placeholder::Port => address.port().to_string(),
            Placeholder::Percent => cell.invalid_percent.to_string(),
            Placeholder::Packets => cell.packets.to_string(),
            Placeholder::Behaviour => cell.behaviour.clone(),
            Placeholder::InvalidSize => cell.invalid_size.map_or_else(String::new, |size| size.to_string()),
            Placeholder::Seed => String::new(),
            Placeholder::Placement => cell.placement.name().to_owned(),
            Placeholder::Filter => cell.filter.to_string(),
        })
    });
    let mut command = Command::new(words.next().expect("checked when parsed"));
    command.args(words);
    let process = start(site, &format!("external server '{name}'"), command, dir)?;

    let deadline = Instant::now() + within;
    while in_table()?.is_none() {
        if bench.interrupt.wait(&[process.ended_fd()], Instant::now() + LOOK_EVERY)?.is_some() {
            return Err(ended_early(&process));
        }
        if Instant::now() >= deadline {
            return Err(never_ready(&process, within));
        }
    }
    Ok(Server { process, address, summary: None })
}

fn external_address(site: &Site, name: &str, definition: &ExternalServer) -> Result<SocketAddr, RunError> {
    if let Some(port) = definition.port {
        return Ok(SocketAddr::from((site.server_address(), port)));
    }
    UdpSocket::bind((site.server_address(), 0)).and_then(|socket| socket.local_addr()).map_err(|error| {
        RunError::Failed(format!("looking for a free port for external server '{name}': {error}"))
    })
}

fn start(site: &Site, name: &str, command: Command, dir: &Path) -> Result<Process, RunError> {
    Process::start(name, command, &site.pinning.server, dir.join("server.stderr")).map_err(RunError::Failed)
}

fn ended_early(process: &Process) -> RunError {
    RunError::Failed(format!("{} ended before it was ready; {}", process.name(), process.last_words()))
}

fn never_ready(process: &Process, within: Duration) -> RunError {
    RunError::Failed(format!(
        "{} was not ready within {} s (ready_within_s); {}",
        process.name(),
        within.as_secs(),
        process.last_words()
    ))
}
