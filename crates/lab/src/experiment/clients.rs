//! The clients of a run: started together, each with its share of the packets, and waited for.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use weir_results::{
    cell::{Cell, Placement},
    net::Side,
};
use weir_service::{ClientSummary, Cost, monotonic_now, process::ChildEnd};

use super::{
    bench::Bench,
    definition::Definition,
    failure::{ProcessFault, RunError, RunFailure},
    observed::Observed,
    own_command,
    process::Process,
    read_summary,
    schedule::{Scheduled, shares},
    server::ReadyServer,
    site::RunSite,
    template,
};

/// The clients of a run, running or ended.
#[derive(Debug)]
pub struct Clients(Vec<RunningClient>);

#[derive(Debug)]
struct RunningClient {
    process: Process,
    /// Where it will leave its record; nothing for a client that isn't weir's own.
    summary: Option<PathBuf>,
}

/// What ended clients leave.
#[derive(Debug, Default)]
pub struct EndedClients {
    /// The records of weir's own.
    pub summaries: Vec<ClientSummary>,
    /// What all spent.
    pub cost: Cost,
    /// The first that failed.
    pub failure: Option<RunFailure>,
}

/// Has the clients of `scheduled` send to `server`, with their files in `dir`; what they leave goes into `observed`.
///
/// # Errors
/// A client could not be started, failed or took too long, the server ended before them, or a signal came.
pub fn send(
    bench: &Bench<'_>,
    site: &RunSite,
    scheduled: &Scheduled,
    server: &ReadyServer,
    dir: &Path,
    observed: &mut Observed,
) -> Result<(), RunError> {
    observed.clients_started_at = Some(monotonic_now());
    let clients =
        site.within(Side::Client, || Clients::start(bench, site, scheduled, server.address, dir))?;
    let stops = bench.definition.clients_stop();
    clients.wait(bench, &scheduled.cell, (!stops).then_some(&server.process))?;
    let ended = clients.finish()?;
    observed.client_cost = ended.cost;
    observed.clients = ended.summaries;
    ended.failure.map_or(Ok(()), |failure| Err(failure.into()))
}

impl Clients {
    /// Starts all clients of `scheduled`, with their files in `dir`.
    ///
    /// # Errors
    /// One could not be started.
    pub fn start(
        bench: &Bench<'_>,
        site: &RunSite,
        scheduled: &Scheduled,
        server: SocketAddr,
        dir: &Path,
    ) -> Result<Self, RunError> {
        let (definition, cell) = (bench.definition, &scheduled.cell);
        let mut clients = Vec::new();
        for (number, share) in shares(cell).into_iter().enumerate() {
            let seed = scheduled.seed.wrapping_add(number as u64);
            let (name, command, summary) = match &cell.external_client {
                None => {
                    let summary = dir.join(format!("client-{number}.json"));
                    let mut command = own_client(definition, cell, server, share.packets, seed);
                    command.arg("--summary").arg(&summary);
                    ("weir client".to_owned(), command, Some(summary))
                }
                Some(name) => {
                    let words = &definition.external_client[name].command;
                    let command = template::command(words, cell, server, share.packets, Some(seed));
                    (format!("external client '{name}'"), command, None)
                }
            };
            let cores: Vec<_> = site.pinning.client(number).into_iter().collect();
            let stderr = dir.join(format!("client-{number}.stderr"));
            let process = Process::start(&name, command, &cores, stderr)?;
            clients.push(RunningClient { process, summary });
        }
        Ok(Self(clients))
    }

    /// Waits until all have ended; `server` is the one that must not end before them.
    ///
    /// # Errors
    /// The server ended, the time was up, or a signal came.
    pub fn wait(&self, bench: &Bench<'_>, cell: &Cell, server: Option<&Process>) -> Result<(), RunError> {
        let within = time_for(bench.definition, cell);
        let deadline = Instant::now() + within;
        for client in &self.0 {
            let fds: Vec<_> =
                [Some(&client.process), server].into_iter().flatten().map(Process::ended_fd).collect();
            match bench.interrupt.wait(&fds, deadline)? {
                Some(0) => {}
                Some(_) => {
                    let server = server.expect("the second descriptor is the server's");
                    return Err(server.failed(ProcessFault::EndedServing));
                }
                None => {
                    return Err(client.process.failed(ProcessFault::NotEndedWithin(within)));
                }
            }
        }
        Ok(())
    }

    /// Takes the records of clients that have ended.
    ///
    /// # Errors
    /// wait4(2) failed.
    pub fn finish(self) -> Result<EndedClients, RunError> {
        let mut all = EndedClients::default();
        for RunningClient { process, summary } in self.0 {
            let (name, last_words) = (process.name().to_owned(), process.last_words());
            let ChildEnd { status, cost } = process.finish()?;
            all.cost = sum(all.cost, cost);
            let record = summary.map(|path| read_summary::<ClientSummary>(&name, &path)).transpose();
            // A client that got no reply fails, but has told what it sent: the harness asks again.
            let only_silence = matches!(&record, Ok(Some(record)) if reply_is_missing(record));
            if !status.success() && !only_silence {
                let name = name.clone();
                let fault = ProcessFault::Failed(status);
                all.failure.get_or_insert(RunFailure::Process { name, fault, last_words });
            }
            match record {
                Ok(record) => all.summaries.extend(record),
                Err(error) => {
                    all.failure.get_or_insert(error);
                }
            }
        }
        Ok(all)
    }
}

fn reply_is_missing(client: &ClientSummary) -> bool {
    client.gets.iter().any(|get| get.reply_expected && get.reply.is_none())
}

fn time_for(definition: &Definition, cell: &Cell) -> Duration {
    let generous = || Duration::from_secs(60) + Duration::from_micros(cell.packets.saturating_mul(100));
    definition.clients_within_s.map_or_else(generous, Duration::from_secs)
}

fn own_client(definition: &Definition, cell: &Cell, server: SocketAddr, packets: u64, seed: u64) -> Command {
    let mut command = own_command("client");
    command
        .args(["-b", &cell.behaviour])
        .args(["-p", &cell.invalid_percent.to_string()])
        .args(["-n", &packets.to_string()])
        .args(["--server", &server.to_string()])
        .args(["--io", definition.client_io.as_str()])
        .args(["--seed", &seed.to_string()]);
    if let Some(rate) = cell.conditions.rate {
        let share = rate as f64 * packets as f64 / cell.packets as f64;
        command.args(["--rate", &share.to_string()]);
    }
    if let Some(seconds) = definition.duration_s {
        command.args(["--duration", &format!("{seconds}s")]);
    }
    if definition.gets_percent > 0 {
        command.args(["--gets", &definition.gets_percent.to_string()]);
    }
    if let Some(mix) = cell.conditions.mix {
        command.args(["--mix", &mix.to_string()]);
    }
    if let Some(size) = cell.invalid_size {
        command.args(["--invalid-size", &size.to_string()]);
    }
    if cell.placement == Placement::Sender {
        // What the filter drops there is the filter's, and not to be tried again.
        command.arg("--hide-refusals");
    }
    if let Some(ms) = definition.get_timeout_ms {
        command.args(["--get-timeout", &ms.to_string()]);
    }
    command
}

/// What two processes spent together; the peak is the larger one's.
fn sum(a: Cost, b: Cost) -> Cost {
    Cost {
        user_us: a.user_us + b.user_us,
        system_us: a.system_us + b.system_us,
        voluntary_switches: a.voluntary_switches + b.voluntary_switches,
        involuntary_switches: a.involuntary_switches + b.involuntary_switches,
        minor_faults: a.minor_faults + b.minor_faults,
        major_faults: a.major_faults + b.major_faults,
        peak_rss_kib: a.peak_rss_kib.max(b.peak_rss_kib),
    }
}
