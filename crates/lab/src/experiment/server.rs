//! The server of a run: started on its core, and ready before anything is sent to it.

use std::{
    ffi::OsString,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::{fd::AsFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use weir_filters::{FilterName, Hook, Toolkit};
use weir_results::{
    cell::{Cell, Placement},
    net::Side,
    topology::Topology,
};

use super::{
    bench::{Bench, RunError},
    definition::{Definition, ExternalServer},
    interrupt::Interrupt,
    own_command,
    process::Process,
    site::RunSite,
    template::Placeholder,
    udp_table::{self, table_failed},
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
        UdpSocket::bind(address).map_err(|error| taken(&server, address, &error.to_string()))?;
        // Whether theirs listens is seen by its port alone, whatever the address.
        if external.is_some() && in_table(address)? {
            return Err(taken(&server, address, "another process has it"));
        }
    }
    Ok(())
}

fn in_table(address: SocketAddr) -> Result<bool, RunError> {
    let drops = udp_table::drops(address.port());
    drops.map(|drops| drops.is_some()).map_err(|error| RunError::Failed(table_failed(error, address)))
}

fn taken(server: &str, address: SocketAddr, why: &str) -> RunError {
    RunError::Failed(format!(
        "{server} is to listen on port {} of {}, and can't: {why}; end who has it (`ss -ulpn` tells), or give another \
         port in the definition",
        address.port(),
        address.ip()
    ))
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
    Ok(ReadyServer { process, address, summary: Some(summary) })
}

fn own_arguments(bench: &Bench<'_>, site: &RunSite, cell: &Cell) -> Vec<OsString> {
    // What decides at the sender is attached there, by the harness.
    let (filter, toolkit, hook) = match cell.placement {
        Placement::Sender => (FilterName::Simple, Toolkit::Rust, Hook::User),
        _ => (cell.filter, cell.toolkit, cell.hook),
    };
    let port = bench.definition.port_of(None).unwrap_or(0);
    let mut arguments: Vec<OsString> = [
        ("--listen", &*SocketAddr::from((site.server_address(), port)).to_string()),
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
    arguments.extend([OsString::from("--moderation"), cell.conditions.moderation.to_string().into()]);
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
    site: &RunSite,
    name: &str,
    definition: &ExternalServer,
    cell: &Cell,
    dir: &Path,
    within: Duration,
) -> Result<ReadyServer, RunError> {
    let address = external_address(site, name, bench.definition.port_of(Some(name)))?;
    if in_table(address)? {
        return Err(taken(&format!("external server '{name}'"), address, "another process has it"));
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
    while !in_table(address)? {
        if bench.interrupt.wait(&[process.ended_fd()], Instant::now() + LOOK_EVERY)?.is_some() {
            return Err(ended_early(&process));
        }
        if Instant::now() >= deadline {
            return Err(never_ready(&process, within));
        }
    }
    Ok(ReadyServer { process, address, summary: None })
}

fn external_address(site: &RunSite, name: &str, port: Option<u16>) -> Result<SocketAddr, RunError> {
    if let Some(port) = port {
        return Ok(SocketAddr::from((site.server_address(), port)));
    }
    UdpSocket::bind((site.server_address(), 0)).and_then(|socket| socket.local_addr()).map_err(|error| {
        RunError::Failed(format!("looking for a free port for external server '{name}': {error}"))
    })
}

fn start(site: &RunSite, name: &str, command: Command, dir: &Path) -> Result<Process, RunError> {
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
