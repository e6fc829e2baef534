//! `weir client`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use weir_lab::{
    experiment::interrupt::{self, set_by_signals},
    topology::named,
};
use weir_output::{check_writable, exit::UsageError, print, write_json};
use weir_results::net::Side;
use weir_service::{
    Arrivals, ClientSummary, Io, Mix,
    client::{
        self, Behaviour, ClientConfig, Fan, GetPolicy, InvalidSize, Load, Pacing, PacketsPerSecond, Percent,
        Sink, Step, Workload,
    },
};
use weir_wire::DEFAULT_PORT;

use super::client_report::describe;
use crate::{
    arguments::{server_address, time},
    progress::Bar,
};

/// Send a behaviour's packets to a bag server.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(crate) struct ClientArgs {
    /// What to send; the list is below
    #[arg(short, long, default_value = "thor", value_name = "NAME")]
    behaviour: &'static Behaviour,

    /// Share of invalid packets, 0 to 100 (frey, frigg, load) [default: 0]
    #[arg(short, long, value_name = "PERCENT")]
    percent: Option<Percent>,

    /// Valid and invalid packets together, at most (frey, frigg, load) [default: 100000, or no bound with --duration]
    #[arg(short, long, aliases = ["number_of_packets", "packets"], value_name = "N")]
    number_of_packets: Option<u64>,

    /// How valid and invalid packets follow each other (frey, frigg): blocks, rounds:N, even, or random as --seed has it
    /// [default: frey: blocks, frigg: rounds:100]
    #[arg(long, value_name = "MIX")]
    mix: Option<Mix>,

    /// How long to send at most, such as 5s or 1m 30s (load). What is due by then still leaves within 10 ms
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,

    /// Share of GETs among the valid packets, 0 to 100 (load); each is timed from the moment that it was due
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    gets: Percent,

    /// Say on stderr what is sent and how each GET went
    #[arg(short, long)]
    verbose: bool,

    /// The server's address; by default 127.0.0.1:12345, with --net 198.18.0.1:12345
    #[arg(long, value_name = "ADDR", value_parser = server_address)]
    server: Option<SocketAddr>,

    /// Send from the client's namespace of the veth pair that `weir net up` made
    #[arg(long)]
    net: bool,

    /// Packets per second, open loop: due by the clock, whatever the server and earlier packets do
    #[arg(long, value_name = "PACKETS_PER_SECOND")]
    rate: Option<PacketsPerSecond>,

    /// How packets at a rate follow each other: constant or poisson
    #[arg(long, default_value_t, requires = "rate")]
    arrivals: Arrivals,

    /// Packets that are due at the same moment; the rate stays. With --io batch equal ones leave by one UDP GSO send
    #[arg(long, default_value_t = NonZeroU32::MIN, value_name = "N", requires = "rate")]
    burst: NonZeroU32,

    /// Sending sockets, a multiple of the threads (load) [default: one a thread]
    #[arg(long, value_name = "N")]
    sockets: Option<NonZeroU32>,

    /// Sending threads (load)
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::MIN)]
    threads: NonZeroU32,

    /// Measure instead how fast this machine can send such packets (load): to a socket that nobody reads, and to the server
    #[arg(long, conflicts_with_all = ["rate", "summary"])]
    ceiling: bool,

    /// CPUs to confine the sending threads to, in turn, such as 2,3 (load)
    #[arg(long, value_name = "CPUS", value_delimiter = ',')]
    pin: Vec<usize>,

    /// Take what this kernel drops on the way out for sent, instead of trying again and counting it as refused
    #[arg(long)]
    hide_refusals: bool,

    /// Payload bytes of each BAD packet, 1 to 65507; the behaviour's own where not given
    #[arg(long, value_name = "BYTES")]
    invalid_size: Option<InvalidSize>,

    /// Decides Poisson arrivals and a random mix, and is recorded [default: 0]
    #[arg(long)]
    seed: Option<u64>,

    /// How long to wait for the reply to one attempt of a GET, milliseconds; of a load's GETs, the drain time
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

/// The status is a failure when a reply that the behaviour needs never came, and 130 where a signal ended it.
pub(crate) fn run(args: ClientArgs) -> anyhow::Result<ExitCode> {
    let steps = args.behaviour.steps(&args.workload()?);
    let config = args.config()?;
    args.summary.as_deref().map_or(Ok(()), check_writable)?;
    if args.net {
        named::open(Side::Client)?.join()?;
    }
    if args.ceiling {
        return print_ceilings(&steps, &config, args.duration.unwrap_or(CEILING_TIME));
    }
    if args.verbose {
        for step in &steps {
            eprintln!("{step}");
        }
    }

    set_by_signals(&config.halt.flag()).context("listening for SIGINT and SIGTERM")?;
    let mut bar = Bar::new();
    let summary = client::run(args.behaviour.name, &steps, &config, &mut |progress| {
        bar.set(progress.sent, progress.total);
    });
    bar.clear();
    let summary = summary?;

    print(describe(&summary, args.verbose))?;
    if let Some(path) = &args.summary {
        write_json(path, &summary)?;
    }
    if summary.halted {
        eprintln!("weir: interrupted: this is what was sent until then, of `{}`", args.behaviour);
        return Ok(ExitCode::from(interrupt::STATUS));
    }
    judge(&summary)?;
    Ok(ExitCode::SUCCESS)
}

impl ClientArgs {
    fn server(&self) -> SocketAddr {
        self.server.unwrap_or_else(|| {
            let address = if self.net { Side::Server.ipv4() } else { Ipv4Addr::LOCALHOST };
            SocketAddr::from((address, DEFAULT_PORT))
        })
    }

    fn workload(&self) -> Result<Workload, UsageError> {
        let of_a_load = [
            ("--duration", self.duration.is_some()),
            ("--gets", self.gets != Percent::default()),
            ("--sockets", self.sockets.is_some()),
            ("--threads", self.threads.get() > 1),
            ("--pin", !self.pin.is_empty()),
            ("--ceiling", self.ceiling),
        ];
        if let Some((flag, _)) = of_a_load.iter().find(|(_, given)| *given && !self.behaviour.is_load()) {
            return Err(UsageError(format!(
                "{flag} is for the behaviour load, not for {}, whose packets have an order and an end; try -b load",
                self.behaviour
            )));
        }
        let of_numbers = [
            ("--percent", self.percent.is_some()),
            ("--number-of-packets", self.number_of_packets.is_some()),
        ];
        if let Some((flag, _)) =
            of_numbers.iter().find(|(_, given)| *given && !self.behaviour.takes_numbers())
        {
            return Err(UsageError(format!(
                "{flag} is for the behaviours {}; {} always sends the same: {}",
                names_of(Behaviour::takes_numbers),
                self.behaviour,
                self.behaviour.sends
            )));
        }
        if self.mix.is_some() && self.behaviour.mix().is_none() {
            return Err(UsageError(format!(
                "--mix is for the behaviours {}, not for {}: {}",
                names_of(|row| row.mix().is_some()),
                self.behaviour,
                self.behaviour.sends
            )));
        }
        if self.invalid_size.is_some() && !self.behaviour.sends_bad() {
            return Err(UsageError(format!(
                "--invalid-size is for behaviours with BAD packets, not for {}: {}",
                self.behaviour, self.behaviour.sends
            )));
        }
        let bound = if self.duration.is_some() { u64::MAX } else { PACKETS };
        Ok(Workload {
            packets: self.number_of_packets.unwrap_or(bound),
            duration: self.duration,
            invalid_share: self.percent.unwrap_or_default(),
            mix: self.mix,
            invalid_size: self.invalid_size,
            get_share: self.gets,
        })
    }

    fn config(&self) -> Result<ClientConfig, UsageError> {
        let sockets = self.sockets.unwrap_or(self.threads);
        let fan = Fan::new(sockets, self.threads).ok_or_else(|| {
            UsageError(format!(
                "--sockets {sockets} can't be shared evenly by --threads {}; it takes a multiple of that",
                self.threads
            ))
        })?;
        Ok(ClientConfig {
            io: self.io,
            pacing: self.rate.map(|rate| Pacing { rate, arrivals: self.arrivals, burst: self.burst }),
            get: GetPolicy {
                timeout: Duration::from_millis(self.get_timeout.into()),
                attempts: self.get_attempts,
                ..GetPolicy::default()
            },
            seed: self.seed,
            fan,
            pin: self.pin.clone(),
            hide_refusals: self.hide_refusals,
            ..ClientConfig::new(self.server())
        })
    }
}

fn names_of(belongs: impl Fn(&Behaviour) -> bool) -> String {
    let names: Vec<_> = Behaviour::all().iter().filter(|row| belongs(row)).map(|row| row.name).collect();
    names.join(", ")
}

/// Packets where neither a number nor a time bounds them.
const PACKETS: u64 = 100_000;

/// Paragraphs are one line each: clap breaks them where the terminal ends.
const ABOUT_RATES: &str = "\
At a rate, the schedule is fixed before the run. A packet that is late goes out at once and moves no later one; the \
lag of every packet, how many were more than 100 µs late, and the achieved rate are told and recorded. A packet that \
the kernel refuses is counted by its error and not sent again. More than 200 µs ahead of its next packet the sender \
sleeps, nearer it spins and yields, so that from some 5000 packets a second on it uses a CPU whole.\n\n\
The GETs of a load ask for keys of their own, whose counts tell the replies apart; they are put before the load begins \
and stay in the server's bag. Replies are read between two sends, at the latest after 16 that are behind schedule.";

fn after_help() -> String {
    let width = Behaviour::all().iter().map(|row| row.name.len()).max().unwrap_or(0);
    let rows: Vec<_> =
        Behaviour::all().iter().map(|row| format!("  {:width$}  {}", row.name, row.sends)).collect();
    format!("Behaviours:\n{}\n\n{ABOUT_RATES}", rows.join("\n"))
}

/// How long each ceiling is measured where no time is given.
const CEILING_TIME: Duration = Duration::from_millis(500);

fn print_ceilings(steps: &[Step], config: &ClientConfig, time: Duration) -> anyhow::Result<ExitCode> {
    let Some(Step::Load(load)) = steps.first() else {
        return Err(UsageError("--ceiling sends a load; ask for 1 packet or more (-n)".into()).into());
    };
    let sink = Sink::open(config.server)?;
    let no_gets = Load { get_share: Percent::default(), ..*load };
    let unread = client::ceiling(&no_gets, &ClientConfig { server: sink.addr(), ..config.clone() }, time)?;
    print(describe_ceiling("a socket that nobody reads", &unread))?;
    let served = client::ceiling(load, config, time)?;
    judge(&served)?;
    print(describe_ceiling(&config.server.to_string(), &served))?;
    Ok(ExitCode::SUCCESS)
}

fn describe_ceiling(to: &str, summary: &ClientSummary) -> String {
    let rate = summary.achieved_rate.map_or("too slow to tell".into(), |rate| format!("{rate:.0} packets/s"));
    format!("ceiling to {to}: {rate}\n")
}

fn judge(summary: &ClientSummary) -> anyhow::Result<()> {
    let server = summary.server;
    if summary.nobody_listens() {
        anyhow::bail!(
            "nothing listens on {server}: it answers that the port is closed; start a server there (`weir serve --listen {server}`)"
        );
    }
    if summary.sent.total() == 0 && summary.refused > 0 {
        let reasons: Vec<_> = summary.refused_by.keys().map(String::as_str).collect();
        anyhow::bail!(
            "the kernel refused all {} packets to {server}: {}; check the route to that address, its firewall, and the packets' size",
            summary.refused,
            reasons.join(", ")
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
