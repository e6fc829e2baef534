//! `weir client`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use weir_service::{
    ClientSummary, GetOutcome, Io,
    client::{self, Behaviour, ClientConfig, GetPolicy, InvalidSize, PacketsPerSecond, Percent, Workload},
};

use crate::{
    output::{print, write_json},
    progress::Bar,
};

/// Send a behaviour's packets to a bag server.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// What to send; the list is below
    #[arg(short, long, default_value = "thor", value_name = "NAME")]
    behaviour: &'static Behaviour,

    /// Share of invalid packets, 0 to 100 (frey, frigg)
    #[arg(short, long, default_value = "0")]
    percent: Percent,

    /// Valid and invalid packets together (frey, frigg)
    #[arg(short, long, alias = "number_of_packets", default_value_t = 100_000, value_name = "N")]
    number_of_packets: u64,

    /// Say on stderr what is sent and how each GET went
    #[arg(short, long)]
    verbose: bool,

    /// The server's address
    #[arg(long, default_value = "127.0.0.1:12345", value_name = "ADDR")]
    server: SocketAddr,

    /// Packets per second, open loop: due by the clock whatever the server does. One packet a send
    #[arg(long, value_name = "PACKETS_PER_SECOND")]
    rate: Option<PacketsPerSecond>,

    /// Payload bytes of each BAD packet, 1 to 65507; the behaviour's own where not given
    #[arg(long, value_name = "BYTES")]
    invalid_size: Option<InvalidSize>,

    /// Recorded in the summary; no behaviour draws random numbers
    #[arg(long)]
    seed: Option<u64>,

    /// How long to wait for the reply to one attempt of a GET, milliseconds
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..), value_name = "MS")]
    get_timeout: u32,

    /// How often to send a GET whose reply is needed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    get_attempts: u32,

    /// How packets leave: batch (UDP GSO, or sendmmsg where there is none) or simple (one a send)
    #[arg(long, default_value_t)]
    io: Io,

    /// Write what was sent and answered to this file, as JSON
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

/// Runs `weir client`. The status is a failure when a reply that the behaviour needs never came.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let workload = Workload {
        packets: args.number_of_packets,
        invalid_share: args.percent,
        invalid_size: args.invalid_size,
    };
    let steps = args.behaviour.steps(&workload);
    if args.verbose {
        for step in &steps {
            eprintln!("{step:?}");
        }
    }

    let mut bar = Bar::new();
    let summary = client::run(args.behaviour.name, &steps, &args.config(), &mut |progress| {
        bar.set(progress.sent, progress.total);
    });
    bar.clear();
    let summary = summary?;

    print(describe(&summary, args.verbose))?;
    if let Some(path) = &args.summary {
        write_json(path, &summary)?;
    }
    judge(&summary)?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn config(&self) -> ClientConfig {
        ClientConfig {
            server: self.server,
            io: self.io,
            rate: self.rate,
            get: GetPolicy {
                timeout: Duration::from_millis(self.get_timeout.into()),
                attempts: self.get_attempts,
                ..GetPolicy::default()
            },
            seed: self.seed,
        }
    }
}

fn after_help() -> String {
    let width = Behaviour::all().iter().map(|row| row.name.len()).max().unwrap_or(0);
    let rows: Vec<_> =
        Behaviour::all().iter().map(|row| format!("  {:width$}  {}", row.name, row.sends)).collect();
    format!("Behaviours:\n{}", rows.join("\n"))
}

fn describe(summary: &ClientSummary, verbose: bool) -> String {
    let gets = summary.gets.iter().map(|get| describe_get(get, verbose));
    gets.chain([describe_sent(summary)]).map(|line| line + "\n").collect()
}

fn describe_get(get: &GetOutcome, verbose: bool) -> String {
    let answer = match (get.reply, get.reply_expected) {
        (Some(count), true) => count.to_string(),
        (Some(count), false) => format!("{count} (no reply was expected)"),
        (None, true) => format!("no reply after {} attempts", get.attempts),
        (None, false) => "no reply (expected)".to_owned(),
    };
    let took = match get.latency_ns {
        Some(ns) if verbose => format!(", {} attempts, {:?}", get.attempts, Duration::from_nanos(ns)),
        _ => String::new(),
    };
    format!("GET {} -> {answer}{took}", get.key)
}

fn describe_sent(summary: &ClientSummary) -> String {
    let sent = &summary.sent;
    let kinds = [
        (sent.put, "PUT"),
        (sent.get, "GET"),
        (sent.delete, "DELETE"),
        (sent.stop, "STOP"),
        (sent.invalid, "invalid"),
    ];
    let kinds: Vec<_> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    let mut line = format!("sent {} packets", sent.total());
    if !kinds.is_empty() {
        line += &format!(" ({})", kinds.join(", "));
    }
    line += &format!(", {} bytes", summary.bytes);
    if let Some(rate) = summary.achieved_rate {
        line += &format!(", {rate:.0} packets/s");
    }
    if let Some(rate) = summary.offered_rate {
        line += &format!(" of {rate:.0} offered");
    }
    if summary.gso {
        line += ", by UDP GSO";
    }
    if summary.refused > 0 {
        line += &format!("; the kernel refused {} more", summary.refused);
    }
    line
}

fn judge(summary: &ClientSummary) -> anyhow::Result<()> {
    let server = summary.server;
    if summary.nobody_listens() {
        anyhow::bail!(
            "nothing listens on {server}: it answers that the port is closed; start a server there (`weir serve --listen {server}`)"
        );
    }
    match summary.missing_replies() {
        0 => Ok(()),
        missing => anyhow::bail!(
            "{missing} of {} GETs had no reply from {server} although the behaviour needs one: the request or every PUT before it was dropped, or the server is too slow; try --get-timeout or --get-attempts",
            summary.gets.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: Option<i64>, reply_expected: bool, expected: &str) {
        let get = GetOutcome { key: 10, reply_expected, reply, attempts: 5, latency_ns: None };
        assert_eq!(describe_get(&get, false), expected);
    }

    #[test]
    fn a_get_is_told_in_a_line() {
        check(Some(14), true, "GET 10 -> 14");
        check(None, false, "GET 10 -> no reply (expected)");
        check(None, true, "GET 10 -> no reply after 5 attempts");
        check(Some(3), false, "GET 10 -> 3 (no reply was expected)");
    }
}
