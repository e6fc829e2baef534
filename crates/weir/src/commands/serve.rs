//! `weir serve`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use weir_filters::{Binding, Filter, FilterName, Hook, Parameter, Toolkit};
use weir_service::{
    AllowStop, Io, ServerConfig,
    servers::{Plan, ServerKind, serve},
};
use weir_wire::{DEFAULT_CAPACITY, DEFAULT_PORT};

use crate::{
    exit::UsageError,
    output::{print, write_json},
};

/// Serve the bag behind a filter, until a STOP request, SIGINT or SIGTERM.
///
/// Ready is said on stderr and through sd_notify(3). Loading a program needs root, or CAP_BPF;
/// `--hook user` needs nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The filter; `weir filters` lists them.
    #[arg(long, default_value_t = FilterName::ValidCommand)]
    filter: FilterName,

    /// How the filter is written: `aya`, `fun` (generated now) or `rust`; by default aya in the kernel, rust in the
    /// server.
    #[arg(long)]
    toolkit: Option<Toolkit>,

    /// Where the filter runs: `socket` (in the kernel) or `user` (in the server's loop, no program).
    #[arg(long, default_value_t = Hook::Socket)]
    hook: Hook,

    /// The server: simple-server, parameterized-server, print-server, count-server or ebpf-stats-server; by default
    /// the one that shows what the filter is for.
    #[arg(long)]
    server: Option<ServerKind>,

    /// Address to listen on, IPv4 or IPv6; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT))]
    listen: SocketAddr,

    /// Most keys that the bag holds.
    #[arg(short, long, value_name = "KEYS", default_value_t = DEFAULT_CAPACITY)]
    capacity: usize,

    /// How datagrams cross the system call boundary: `batch` (many a call) or `simple` (one a call, the yardstick).
    #[arg(long, default_value_t = Io::Batch)]
    io: Io,

    /// Whose STOP ends the server: `loopback`, `any` or `never`.
    #[arg(long, value_name = "WHO", default_value_t = AllowStop::Loopback)]
    allow_stop: AllowStop,

    /// Size of the receive buffer; the kernel's default (net.core.rmem_default), about 166 small datagrams, where
    /// nothing is said. A burst longer than the buffer is lost.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(2048..=1 << 30))]
    receive_buffer: Option<u32>,

    /// What parameterized-filter does: `accept` or `drop`.
    #[arg(long, value_name = "VERDICT")]
    parameter: Option<Parameter>,

    /// How the parameter reaches the program: `map` (SIGUSR1 flips it while it runs) or `constant` (fixed at load).
    #[arg(long, value_name = "HOW")]
    bind: Option<Binding>,

    /// Keep BPF run statistics on, and put them into the summary; they cost every program two clock reads a run.
    #[arg(long)]
    stats: bool,

    /// Write the record of the run as JSON at the end.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,

    /// Say on stderr what each request was and what became of it.
    #[arg(short, long)]
    verbose: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir serve                                        valid-command in the kernel, on 127.0.0.1:12345
  weir serve --toolkit fun                          the same decision, its program generated at start
  weir serve --hook user                            the same decision in the server's own loop
  weir serve --filter count-filter                  counts per CPU, shown at the end
  weir serve --filter parameterized-filter --parameter drop    then kill -USR1 to let packets through
  weir serve --server ebpf-stats-server             the program's runs and time at the end
  weir serve --listen '[::1]:0' --summary run.json  a free IPv6 port, counts as JSON";

/// Runs `weir serve`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let served = serve(plan, |listen| say_ready(&plan, listen)).map_err(|error| {
        if error.is_usage() { UsageError(error.to_string()).into() } else { anyhow::Error::from(error) }
    })?;
    print(&served.shown)?;
    if let Some(path) = &args.summary {
        write_json(path, &served.summary)?;
    }
    let requests = served.summary.served.requests;
    eprintln!(
        "weir: ended: {} datagrams read, {} of them invalid, {} dropped by the filter, {} dropped in all by the socket",
        requests.total(),
        requests.invalid,
        served.summary.verdicts.map_or(requests.filtered, |verdicts| verdicts.dropped),
        served.summary.served.socket_drops,
    );
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn plan(&self) -> anyhow::Result<Plan> {
        if self.filter != FilterName::Parameterized && (self.parameter.is_some() || self.bind.is_some()) {
            let text = format!(
                "--parameter and --bind are for parameterized-filter; {} has no parameter",
                self.filter
            );
            return Err(UsageError(text).into());
        }
        let filter = Filter {
            name: self.filter,
            parameter: self.parameter.unwrap_or_default(),
            binding: self.bind.unwrap_or_default(),
        };
        Ok(Plan {
            kind: self.server.unwrap_or_else(|| ServerKind::default_for(self.filter)),
            filter,
            toolkit: self.toolkit.unwrap_or_else(|| self.hook.default_toolkit()),
            hook: self.hook,
            listen: self.listen,
            config: ServerConfig {
                capacity: self.capacity,
                io: self.io,
                allow_stop: self.allow_stop,
                filter: None,
                receive_buffer: self.receive_buffer.map(|bytes| bytes as usize),
                verbose: self.verbose,
            },
            statistics: self.stats,
        })
    }
}

fn say_ready(plan: &Plan, listen: SocketAddr) {
    eprintln!(
        "weir: ready: {} behind {} ({} at {}) on {listen}",
        plan.kind, plan.filter.name, plan.toolkit, plan.hook
    );
    let status = format!("listening on {listen}");
    let address = format!("X_WEIR_LISTEN={listen}");
    let states = [
        sd_notify::NotifyState::Ready,
        sd_notify::NotifyState::Status(&status),
        sd_notify::NotifyState::Custom(&address),
    ];
    if let Err(error) = sd_notify::notify(&states) {
        eprintln!("weir: sd_notify: {error}; whoever waits for readiness was not told");
    }
}
