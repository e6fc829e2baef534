//! The server of a run: started on its core, and ready before anything is sent to it.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::{fd::AsFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use weir_filters::{FilterName, GsoView, Hook, Toolkit};
use weir_results::{
    cell::{Cell, Placement},
    net::Side,
    topology::Topology,
};

use super::{
    bench::Bench,
    definition::{Definition, ExternalServer},
    failure::{ProcessFault, RunError, RunFailure, refused},
    interrupt::Interrupt,
    own_command,
    process::Process,
    site::RunSite,
    template, udp_table,
};

/// How often the table of sockets is looked at while an external server starts.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Refuses `definition` where a port that it gives to a server on loopback can't be had now. What a pair of namespaces
/// has is always free.
///
/// # Errors
/// Which port of which server, what the kernel says, and what to do.
pub fn check_ports(definition: &Definition) -> Result<(), RunError> {
    let topologies = &definition.grid.topology;
    if !topologies.is_empty() && !topologies.contains(&Topology::Loopback) {
        return Ok(());
    }
    for row in &definition.placements {
        let external = row.external_server.as_deref();
        let Some(port) = definition.port_of(external) else { continue };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let server = external.map_or("weir serve".to_owned(), |name| format!("external server '{name}'"));
        UdpSocket::bind(address).map_err(|cause| RunFailure::Port {
            server: server.clone(),
            address,
            cause,
        })?;
        // Whether theirs listens is seen by its port alone, whatever the address.
        if external.is_some() && udp_table::drops(port)?.is_some() {
            return Err(taken(server, address));
        }
    }
    Ok(())
}

fn taken(server: String, address: SocketAddr) -> RunError {
    let cause = io::Error::new(io::ErrorKind::AddrInUse, "another process has it");
    RunFailure::Port { server, address, cause }.into()
}

/// A server that is ready.
#[derive(Debug)]
pub struct ReadyServer {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it will leave its record; nothing for a server that isn't weir's own.
    pub summary: Option<PathBuf>,
}

impl ReadyServer {
    /// Starts the server that `cell` asks for, with its files in `dir`, and waits until it is ready.
    ///
    /// # Errors
    /// It could not be started, ended, or was not ready in time; or a signal came.
    pub fn start(bench: &Bench<'_>, site: &RunSite, cell: &Cell, dir: &Path) -> Result<Self, RunError> {
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
    site: &RunSite,
    cell: &Cell,
    dir: &Path,
    within: Duration,
) -> Result<ReadyServer, RunError> {
    let tried = "opening the readiness socket";
    let notify = dir.join("notify");
    let socket = UnixDatagram::bind(&notify).map_err(refused(tried))?;
    socket.set_nonblocking(true).map_err(refused(tried))?;

    let summary = dir.join("server.json");
    let mut command = own_server(bench, site, cell);
    if let Some(text) = cell.guard.as_ref().and_then(|name| bench.definition.guard.get(name)) {
        let guard = dir.join("guard.toml");
        fs::write(&guard, text).map_err(refused("writing the guard for the server"))?;
        command.arg("--guard").arg(guard);
    } else {
        let (filter, toolkit, _) = decider(cell);
        command.args(["--filter", filter.as_str(), "--toolkit", toolkit.as_str()]);
    }
    command.env("NOTIFY_SOCKET", &notify).arg("--summary").arg(&summary);
    let process = site.within(Side::Server, || start(site, "weir serve", command, dir))?;
    let address = ready_address(bench.interrupt, &socket, &process, within)?;
    Ok(ReadyServer { process, address, summary: Some(summary) })
}

/// What decides at the sender is attached there, by the harness.
fn decider(cell: &Cell) -> (FilterName, Toolkit, Hook) {
    match cell.placement {
        Placement::Sender => (FilterName::Simple, Toolkit::Rust, Hook::User),
        _ => (cell.filter, cell.toolkit, cell.hook),
    }
}

/// All but what decides.
fn own_server(bench: &Bench<'_>, site: &RunSite, cell: &Cell) -> Command {
    let (_, toolkit, hook) = decider(cell);
    let port = bench.definition.port_of(None).unwrap_or(0);
    let mut command = own_command("serve");
    command
        .args(["--listen", &SocketAddr::from((site.server_address(), port)).to_string()])
        .args(["--hook", hook.as_str()])
        .args(["--io", cell.io.as_str()])
        .args(["--server", &bench.definition.server]);
    if site.is_private() {
        command.args(["--allow-stop", "any"]);
        // Our pair takes no super-packets, which the server can't see from its end.
        if hook.gso() == GsoView::Untold {
            command.args(["--super-packets", "pass"]);
        }
    }
    if let Some(bytes) = cell.conditions.receive_buffer {
        command.args(["--receive-buffer", &bytes.to_string()]);
    }
    if bench.definition.program_stats && hook != Hook::User && toolkit.can_be_asked() {
        command.arg("--stats");
    }
    command.args(["--moderation", &cell.conditions.moderation.to_string()]);
    command.args(&bench.definition.server_flags);
    command
}

/// What the harness says to `weir serve` itself, and where a definition has a say in it.
pub(super) const SAID_ALREADY: &[(&str, &str)] = &[
    ("--listen", "port = 12345 gives every server that port"),
    ("--filter", "a placement has its filter"),
    ("--toolkit", "a placement has its toolkit"),
    ("--guard", "a placement has its guard"),
    ("--hook", "a placement has its hook"),
    ("--io", "a placement has its io"),
    ("--moderation", "grid.moderation has it"),
    ("--server", "server = \"…\" is a key of the definition"),
    ("--summary", "each sample holds the server's record"),
];

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
            Some(_) => return Err(process.failed(ProcessFault::EndedUnready)),
            None => return Err(process.failed(ProcessFault::NotReadyWithin(within))),
        }
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).map_err(refused("reading the readiness socket"))?;
        let message = String::from_utf8_lossy(&message[..length]);
        if message.lines().any(|line| line == "READY=1") {
            let address = message.lines().find_map(|line| line.strip_prefix("X_WEIR_LISTEN="));
            let address = address.and_then(|address| address.parse().ok());
            return address.ok_or_else(|| RunFailure::NoAddress(process.name().to_owned()).into());
        }
    }
}

fn start_external(
    bench: &Bench<'_>,
    site: &RunSite,
    name: &str,
    definition: &ExternalServer,
    cell: &Cell,
    dir: &Path,
    within: Duration,
) -> Result<ReadyServer, RunError> {
    let address = external_address(site, name, bench.definition.port_of(Some(name)))?;
    if udp_table::drops(address.port())?.is_some() {
        return Err(taken(format!("external server '{name}'"), address));
    }
    let command = template::command(&definition.command, cell, address, cell.packets, None);
    let process = start(site, &format!("external server '{name}'"), command, dir)?;

    let deadline = Instant::now() + within;
    while udp_table::drops(address.port())?.is_none() {
        if bench.interrupt.wait(&[process.ended_fd()], Instant::now() + LOOK_EVERY)?.is_some() {
            return Err(process.failed(ProcessFault::EndedUnready));
        }
        if Instant::now() >= deadline {
            return Err(process.failed(ProcessFault::NotReadyWithin(within)));
        }
    }
    Ok(ReadyServer { process, address, summary: None })
}

fn external_address(site: &RunSite, name: &str, port: Option<u16>) -> Result<SocketAddr, RunError> {
    if let Some(port) = port {
        return Ok(SocketAddr::from((site.server_address(), port)));
    }
    UdpSocket::bind((site.server_address(), 0))
        .and_then(|socket| socket.local_addr())
        .map_err(refused(format!("looking for a free port for external server '{name}'")))
}

fn start(site: &RunSite, name: &str, command: Command, dir: &Path) -> Result<Process, RunError> {
    Process::start(name, command, &site.pinning.server, dir.join("server.stderr"))
}
