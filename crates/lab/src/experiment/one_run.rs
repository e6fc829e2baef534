//! One run: a server becomes ready, clients send, the final GET is asked, the server is stopped.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

use weir_filters::{Filter, Hook, Site, audit::Flow};
use weir_hooks::{Attached, Audit, Interface, KernelFilter, Target, VerdictCounts};
use weir_results::{
    cell::{Cell, Placement},
    net::Side,
};
use weir_service::{ClientSummary, Monotonic, ServerSummary, process::ChildEnd};

use super::{
    asking::{self, FinalReply},
    bench::{Bench, RunError},
    clients::{Clients, sum},
    observed::Observed,
    schedule::Scheduled,
    server::ReadyServer,
    site::RunSite,
    test_run,
    udp_table::{self, table_failed},
};

/// Time that a server has to end after STOP, and again after SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Time that the kernel needs, with room to spare, to free what a closed socket held.
const GRACE_PERIOD: Duration = Duration::from_millis(100);

/// Makes the run `scheduled`; what it shows goes into `observed`. All processes have ended when this returns.
///
/// # Errors
/// Why it came to no good end.
pub fn run(bench: &Bench<'_>, scheduled: &Scheduled, observed: &mut Observed) -> Result<(), RunError> {
    let dir = private_folder()
        .map_err(|error| RunError::Failed(format!("making a temporary folder for a run: {error}")))?;
    let site = RunSite::open(bench, &scheduled.cell)?;
    let server = ReadyServer::start(bench, &site, &scheduled.cell, dir.path())?;
    observed.port = Some(server.address.port());
    let at_the_sender = AtTheSender::attach(&site, &scheduled.cell, server.address)?;
    let audits = scheduled.audited.then(|| Audits::start(server.address)).transpose()?;
    send(bench, &site, scheduled, &server, dir.path(), observed)?;
    if bench.definition.behaviour_row().stops {
        // Nobody is left to ask, and the definition allows one client only, which asked before it stopped the server.
        observed.get_value = own_value(&observed.clients);
    } else {
        site.within(Side::Client, || ask(bench, scheduled, &server, observed))?;
        site.within(Side::Server, || note_drops(&server, observed))?;
        site.within(Side::Client, || {
            asking::stop(server.address).map_err(|error| {
                RunError::Failed(format!("sending STOP to {}: {error}", server.process.name()))
            })
        })?;
        observed.harness_sent += 1;
    }
    finish(bench, server, observed)?;
    if let Some(audits) = audits {
        audits.read(observed)?;
    }
    observed.sender_verdicts = at_the_sender.map(AtTheSender::verdicts).transpose()?.flatten();
    observed.site = site.close()?;
    if !scheduled.audited {
        observed.test_run = test_run::beside(bench, &scheduled.cell)?;
    }
    Ok(())
}

/// A filter on the clients' way out.
struct AtTheSender {
    filter: KernelFilter,
    _attached: Attached,
}

impl AtTheSender {
    /// Attaches what `cell` places there; nothing where it places nothing there.
    fn attach(site: &RunSite, cell: &Cell, server: SocketAddr) -> Result<Option<Self>, RunError> {
        if cell.placement != Placement::Sender {
            return Ok(None);
        }
        let failed = |error: &dyn std::error::Error| {
            let name = Side::Client.name();
            RunError::Failed(format!("putting a filter on the clients' interface {name}: {error}"))
        };
        site.within(Side::Client, || {
            let interface = Interface::named(Side::Client.name()).map_err(|error| failed(&error))?;
            let place = Site::new(Hook::Tc, server);
            let filter = KernelFilter::load(Filter::from(cell.filter), cell.toolkit, &place)
                .map_err(|error| failed(&error))?;
            let attached = filter.attach(Target::TcEgress(&interface)).map_err(|error| failed(&error))?;
            Ok(Some(Self { filter, _attached: attached }))
        })
    }

    fn verdicts(self) -> Result<Option<VerdictCounts>, RunError> {
        self.filter.verdicts().map_err(|error| RunError::Failed(error.to_string()))
    }
}

/// The audits of a run, of requests and of replies.
struct Audits {
    requests: Audit,
    replies: Audit,
}

impl Audits {
    fn start(server: SocketAddr) -> Result<Self, RunError> {
        let start = |flow| Audit::start(flow).map_err(|error| RunError::Failed(error.to_string()));
        Ok(Self { requests: start(Flow::to(server))?, replies: start(Flow::from(server))? })
    }

    /// Reads them once the kernel has freed what the sockets held when they closed (after an RCU grace period).
    fn read(&self, observed: &mut Observed) -> Result<(), RunError> {
        let read = |audit: &Audit| audit.read().map_err(|error| RunError::Failed(error.to_string()));
        thread::sleep(GRACE_PERIOD);
        observed.audit = Some(read(&self.requests)?);
        observed.reply_audit = Some(read(&self.replies)?);
        Ok(())
    }
}

/// A folder that only this user can look into: the readiness socket in it takes word from anyone who can.
fn private_folder() -> io::Result<tempfile::TempDir> {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};
    tempfile::Builder::new().prefix("weir-").permissions(Permissions::from_mode(0o700)).tempdir()
}

fn send(
    bench: &Bench<'_>,
    site: &RunSite,
    scheduled: &Scheduled,
    server: &ReadyServer,
    dir: &Path,
    observed: &mut Observed,
) -> Result<(), RunError> {
    observed.clients_started_at = Some(Monotonic::now());
    let clients =
        site.within(Side::Client, || Clients::start(bench, site, scheduled, server.address, dir))?;
    let stops = bench.definition.behaviour_row().stops;
    clients.wait(bench, &scheduled.cell, (!stops).then_some(&server.process))?;
    let ended = clients.finish()?;
    observed.client_cost = sum(ended.costs);
    observed.clients = ended.summaries;
    match ended.failure {
        Some(message) => Err(RunError::Failed(message)),
        None => Ok(()),
    }
}

/// The final value is what a lone client of ours was told by a server of ours. Several clients' own GETs may come before
/// another's last PUT, a client that isn't ours tells nothing, and of a server that isn't ours the answer's time is
/// needed: then the harness asks.
fn ask(
    bench: &Bench<'_>,
    scheduled: &Scheduled,
    server: &ReadyServer,
    observed: &mut Observed,
) -> Result<(), RunError> {
    if server.summary.is_some() {
        observed.get_value = own_value(&observed.clients);
    }
    let nothing_to_ask_for = super::record::valid_sent(&scheduled.cell, &observed.clients) == 0;
    if observed.get_value.is_some() || nothing_to_ask_for {
        return Ok(());
    }
    let reply =
        asking::final_get(server.address, &server.process, bench.interrupt, &mut observed.harness_sent)?;
    observed.get_value = reply.map(|FinalReply { value, .. }| value);
    observed.replied_at = reply.map(|FinalReply { at, .. }| at);
    Ok(())
}

/// What a lone client's last GET returned.
fn own_value(clients: &[ClientSummary]) -> Option<i64> {
    let [client] = clients else { return None };
    client.gets.last()?.reply
}

fn note_drops(server: &ReadyServer, observed: &mut Observed) -> Result<(), RunError> {
    if server.summary.is_some() {
        return Ok(());
    }
    let drops = udp_table::drops(server.address.port());
    observed.external_drops = drops.map_err(|error| RunError::Failed(table_failed(error, server.address)))?;
    Ok(())
}

/// Waits for the server's end, hastens it where STOP didn't bring it, and takes the records.
fn finish(bench: &Bench<'_>, server: ReadyServer, observed: &mut Observed) -> Result<(), RunError> {
    let ReadyServer { process, summary, .. } = server;
    let name = process.name().to_owned();
    let ends_in_time =
        || bench.interrupt.wait(&[process.ended_fd()], Instant::now() + STOP_WITHIN).map(|e| e.is_some());
    let mut ended = ends_in_time()?;
    if !ended {
        process.terminate();
        ended = ends_in_time()?;
    }
    let last_words = process.last_words();
    let ChildEnd { status, cost } = process.finish().map_err(RunError::Failed)?;
    observed.server_cost = cost;
    if !ended {
        let failed = format!("{name} obeyed neither STOP nor SIGTERM and was killed; {last_words}");
        return Err(RunError::Failed(failed));
    }
    let Some(path) = summary else { return Ok(()) };
    check_status(&name, status, &last_words)?;
    let record: ServerSummary = super::read_summary(&name, &path)?;
    if let ServerSummary { hook, decides_at: Some(decides_at), attached_to, .. } = &record {
        return Err(RunError::Failed(format!(
            "{name} was to filter at {hook} and did at {decides_at}: {}; measure between two namespaces, which such packets \
             don't cross",
            attached_to.join(", ")
        )));
    }
    observed.server = Some(record);
    Ok(())
}

fn check_status(name: &str, status: ExitStatus, last_words: &str) -> Result<(), RunError> {
    if status.success() {
        Ok(())
    } else {
        Err(RunError::Failed(format!("{name} failed ({status}); {last_words}")))
    }
}
