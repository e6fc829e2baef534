//! The clients of a run: started together, each with its share of the packets, and waited for.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use weir_results::cell::{Cell, Placement};
use weir_service::{ClientSummary, Cost, process::ChildEnd};

use super::{
    bench::{Bench, RunError},
    definition::Definition,
    own_command,
    process::Process,
    read_summary,
    schedule::{Scheduled, Share, shares},
    site::RunSite,
    template::Placeholder,
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
    /// What each spent.
    pub costs: Vec<Cost>,
    /// What the first that failed said.
    pub failure: Option<String>,
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
        let mut clients = Vec::new();
        for (number, share) in shares(&scheduled.cell).into_iter().enumerate() {
            let order =
                ClientOrder { number, share, server, seed: scheduled.seed.wrapping_add(number as u64) };
            let client =
                RunningClient::start(bench, site, &scheduled.cell, &order, dir).map_err(RunError::Failed)?;
            clients.push(client);
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
                    return Err(RunError::Failed(format!(
                        "{} ended while clients were sending to it; {}",
                        server.name(),
                        server.last_words()
                    )));
                }
                None => {
                    return Err(RunError::Failed(format!(
                        "{} had not ended after {} s (clients_within_s); {}",
                        client.process.name(),
                        within.as_secs(),
                        client.process.last_words()
                    )));
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
            let ChildEnd { status, cost } = process.finish().map_err(RunError::Failed)?;
            all.costs.push(cost);
            let record = summary.map(|path| read_summary::<ClientSummary>(&name, &path)).transpose();
            // A client that got no reply fails, but has told what it sent: the harness asks again.
            let only_silence = matches!(&record, Ok(Some(record)) if reply_is_missing(record));
            if !status.success() && !only_silence {
                all.failure.get_or_insert(format!("{name} failed ({status}); {last_words}"));
            }
            match record {
                Ok(record) => all.summaries.extend(record),
                Err(error) => {
                    all.failure.get_or_insert(error.to_string());
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

/// What one client is to do.
struct ClientOrder {
    number: usize,
    share: Share,
    server: SocketAddr,
    seed: u64,
}

impl RunningClient {
    fn start(
        bench: &Bench<'_>,
        site: &RunSite,
        cell: &Cell,
        order: &ClientOrder,
        dir: &Path,
    ) -> Result<Self, String> {
        let number = order.number;
        let (name, command, summary) = match &cell.external_client {
            None => {
                let summary = dir.join(format!("client-{number}.json"));
                ("weir client".to_owned(), own_client(bench.definition, cell, order, &summary), Some(summary))
            }
            Some(name) => (
                format!("external client '{name}'"),
                external_client(bench.definition, name, cell, order),
                None,
            ),
        };
        let cores: Vec<_> = site.pinning.client(number).into_iter().collect();
        let process = Process::start(&name, command, &cores, dir.join(format!("client-{number}.stderr")))?;
        Ok(Self { process, summary })
    }
}

fn own_client(definition: &Definition, cell: &Cell, order: &ClientOrder, summary: &Path) -> Command {
    let mut command = own_command("client");
    command
        .args(["-b", &cell.behaviour])
        .args(["-p", &cell.invalid_percent.to_string()])
        .args(["-n", &order.share.packets.to_string()])
        .args(["--server", &order.server.to_string()])
        .args(["--io", definition.client_io.as_str()])
        .args(["--seed", &order.seed.to_string()])
        .arg("--summary")
        .arg(summary);
    if let Some(rate) = cell.conditions.rate {
        let share = rate as f64 * order.share.packets as f64 / cell.packets as f64;
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

fn external_client(definition: &Definition, name: &str, cell: &Cell, order: &ClientOrder) -> Command {
    let mut words = definition.external_client[name].command.iter().map(|word| {
        word.expand(|placeholder| match placeholder {
            Placeholder::Address => order.server.ip().to_string(),
            Placeholder::Port => order.server.port().to_string(),
            Placeholder::Percent => cell.invalid_percent.to_string(),
            Placeholder::Packets => order.share.packets.to_string(),
            Placeholder::Behaviour => cell.behaviour.clone(),
            Placeholder::InvalidSize => cell.invalid_size.map_or_else(String::new, |size| size.to_string()),
            Placeholder::Seed => order.seed.to_string(),
            Placeholder::Placement => cell.placement.name().to_owned(),
            Placeholder::Filter => cell.filter.to_string(),
        })
    });
    let mut command = Command::new(words.next().expect("checked when parsed"));
    command.args(words);
    command
}

/// The costs of several processes together; the peak is the largest one's.
pub fn sum(costs: Vec<Cost>) -> Cost {
    costs.into_iter().fold(Cost::default(), |a, b| Cost {
        user_us: a.user_us + b.user_us,
        system_us: a.system_us + b.system_us,
        voluntary_switches: a.voluntary_switches + b.voluntary_switches,
        involuntary_switches: a.involuntary_switches + b.involuntary_switches,
        minor_faults: a.minor_faults + b.minor_faults,
        major_faults: a.major_faults + b.major_faults,
        peak_rss_kib: a.peak_rss_kib.max(b.peak_rss_kib),
    })
}
