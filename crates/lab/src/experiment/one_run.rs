//! One run: a server becomes ready, clients send, the final GET is asked, the server is stopped.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use weir_filters::audit::Flow;
use weir_hooks::Audit;
use weir_results::net::Side;
use weir_service::{ServerSummary, process::ChildEnd};

use super::{
    asking,
    at_the_sender::AtTheSender,
    bench::Bench,
    clients,
    failure::{ProcessFault, RunError, RunFailure, refused},
    observed::Observed,
    schedule::Scheduled,
    server::ReadyServer,
    site::RunSite,
    test_run, udp_table,
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
    let dir = private_folder().map_err(refused("making a temporary folder for a run"))?;
    let site = RunSite::open(bench, &scheduled.cell)?;
    let server = ReadyServer::start(bench, &site, &scheduled.cell, dir.path())?;
    observed.port = Some(server.address.port());
    let at_the_sender = AtTheSender::attach(&site, &scheduled.cell, server.address)?;
    let audits = scheduled.audited.then(|| Audits::start(server.address)).transpose()?;
    clients::send(bench, &site, scheduled, &server, dir.path(), observed)?;
    if bench.definition.clients_stop() {
        // Nobody is left to ask, and the definition allows one client only, which asked before it stopped the server.
        observed.get_value = asking::own_value(&observed.clients);
    } else {
        site.within(Side::Client, || asking::ask(bench, scheduled, &server, observed))?;
        site.within(Side::Server, || note_drops(&server, observed))?;
        site.within(Side::Client, || asking::stop(&server))?;
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

/// The audits of a run, of requests and of replies.
struct Audits {
    requests: Audit,
    replies: Audit,
}

impl Audits {
    fn start(server: SocketAddr) -> Result<Self, RunError> {
        Ok(Self { requests: Audit::start(Flow::to(server))?, replies: Audit::start(Flow::from(server))? })
    }

    /// Reads them once the kernel has freed what the sockets held when they closed (after an RCU grace period).
    fn read(&self, observed: &mut Observed) -> Result<(), RunError> {
        thread::sleep(GRACE_PERIOD);
        observed.audit = Some(self.requests.read()?);
        observed.reply_audit = Some(self.replies.read()?);
        Ok(())
    }
}

/// A folder that only this user can look into: the readiness socket in it takes word from anyone who can.
fn private_folder() -> io::Result<tempfile::TempDir> {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};
    tempfile::Builder::new().prefix("weir-").permissions(Permissions::from_mode(0o700)).tempdir()
}

fn note_drops(server: &ReadyServer, observed: &mut Observed) -> Result<(), RunError> {
    if server.summary.is_none() {
        observed.external_drops = udp_table::drops(server.address.port())?;
    }
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
    let ChildEnd { status, cost } = process.finish()?;
    observed.server_cost = cost;
    let failed = |fault| Err(RunFailure::Process { name: name.clone(), fault, last_words }.into());
    if !ended {
        return failed(ProcessFault::Killed);
    }
    let Some(path) = summary else { return Ok(()) };
    if !status.success() {
        return failed(ProcessFault::Failed(status));
    }
    let record: ServerSummary = super::read_summary(&name, &path)?;
    if let ServerSummary { hook, decides_at: Some(decides_at), attached_to, .. } = &record {
        let (hook, decides_at, attached_to) = (hook.clone(), decides_at.clone(), attached_to.join(", "));
        return Err(RunFailure::DecidedElsewhere { name, hook, decides_at, attached_to }.into());
    }
    observed.server = Some(record);
    Ok(())
}
