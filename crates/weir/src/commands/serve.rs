//! `weir serve`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use weir_filters::{Binding, Filter, FilterName, Hook, Owner, Parameter, Quota, SuperPackets, Toolkit};
use weir_guard::meaning::{Mode, Service};
use weir_hooks::{ObjectFile, XdpMode};
use weir_lab::topology::named;
use weir_output::{check_writable, exit::UsageError, print, terminal::printable, write_json};
use weir_results::net::Side;
use weir_service::{
    AllowStop, Io, Moderation, ServerConfig, ServerSummary,
    servers::{
        AttachChoice, ObjectProgram, Ready, ServeError, ServePlan, Served, ServerKind, serve, serve_guard,
        serve_object,
    },
};
use weir_wire::{DEFAULT_CAPACITY, DEFAULT_PORT, MOST_WORKERS};

use crate::{arguments::socket_address, guards, notify, programs::ProgramInput};

/// Serve the bag behind a filter, until a STOP request, SIGINT or SIGTERM.
///
/// Ready is said on stderr and through sd_notify(3). Loading a program needs root, or CAP_BPF;
/// `--hook user` needs nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The filter; `weir filters` lists them. `blocklist` and `quota` may stand before another one:
    /// blocklist+quota+valid-command.
    #[arg(long, value_name = "FILTER", default_value_t = Filter::from(FilterName::ValidCommand))]
    filter: Filter,

    /// Serve behind a program of this ELF object in place of a filter of the catalogue: ours or anyone's, as long as it
    /// is a socket filter. `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["filter", "toolkit", "hook", "bind", "interface", "cgroup"])]
    object: Option<PathBuf>,

    /// The object's program; may be left out where one alone is a socket filter.
    #[arg(long, value_name = "NAME", requires = "object")]
    program: Option<String>,

    /// Serve behind the program of this guard in place of a filter of the catalogue; port, hook and interfaces are the guard's
    /// where nothing else is said. What it decided how is in the summary, and shown at the end.
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["filter", "toolkit", "object", "parameter", "bind", "quota", "control"])]
    guard: Option<PathBuf>,

    /// The guard's service; may be left out where it has one alone.
    #[arg(long, value_name = "NAME", requires = "guard")]
    service: Option<String>,

    #[arg(long, help = toolkits())]
    toolkit: Option<Toolkit>,

    #[arg(long, help = hooks())]
    hook: Option<Hook>,

    #[arg(long, value_name = "IF", help = interfaces())]
    interface: Vec<String>,

    #[arg(long, value_name = "PATH", help = control_groups())]
    cgroup: Option<PathBuf>,

    /// Where XDP runs: `native` (in the driver), `generic` (any interface, little saved) or `auto` (native where the
    /// driver can, and generic said aloud).
    #[arg(long, value_name = "MODE", default_value_t = XdpMode::Auto)]
    xdp_mode: XdpMode,

    /// What becomes of a packet that is several datagrams (UDP GSO from this machine), at hooks that get it whole: tc
    /// drops or passes it unjudged; at reuseport and in generic XDP programs of the toolkit fun drop it (Linux 6.2,
    /// CAP_PERFMON), and others can't tell it from one datagram, so that where such packets can come in `drop` has the
    /// filter decide at the server's socket, where they are one by one, and `pass` lets all go by what the first is.
    #[arg(long, value_name = "WHAT", default_value = "drop", value_parser = super_packets())]
    super_packets: SuperPackets,

    /// The server: simple-server, parameterized-server, print-server, count-server or ebpf-stats-server; of the
    /// toolkit fun plain, socketfilter, snoop, snoop-filter or printk; by default the one that shows what the filter is
    /// for.
    #[arg(long)]
    server: Option<ServerKind>,

    /// Address to listen on, IPv4 or IPv6; port 0 takes a free one. By default 127.0.0.1:12345, with --net
    /// 198.18.0.1:12345.
    #[arg(long, value_name = "ADDR", value_parser = socket_address)]
    listen: Option<SocketAddr>,

    /// Serve in the server's namespace of the veth pair that `weir net up` made.
    #[arg(long)]
    net: bool,

    /// Most keys that the bag holds.
    #[arg(short, long, value_name = "KEYS", default_value_t = DEFAULT_CAPACITY)]
    capacity: usize,

    /// How datagrams cross the system call boundary: `batch` (many a call) or `simple` (one a call, the yardstick).
    #[arg(long, default_value_t = Io::Batch)]
    io: Io,

    /// Whether reads in batches are moderated: above a rate the server naps once its socket is drained, so that many
    /// datagrams wake it once. `auto` (naps of at most 100 µs), `off`, or the longest nap, 20 to 500 µs; by default auto
    /// with --io batch. A request alone never waits, and a nap ends before a quarter of the receive buffer is full.
    #[arg(long, value_name = "auto|off|MICROSECONDS")]
    moderation: Option<Moderation>,

    /// Whose STOP ends the server: `loopback`, `any` or `never`; by default loopback's, with --net any's: only the
    /// pair's other end can send there.
    #[arg(long, value_name = "WHO")]
    allow_stop: Option<AllowStop>,

    /// How many threads serve the bag, each at a socket of its own on the same port. A program at hook reuseport gives each
    /// the requests of its share of the keys; without CAP_BPF the kernel's hash of addresses and ports picks.
    #[arg(long, value_name = "N", default_value = "1", value_parser = workers())]
    workers: NonZeroUsize,

    /// Size of the receive buffer, each worker's; the kernel's default (net.core.rmem_default), about 166 small datagrams, where
    /// nothing is said. A burst longer than the buffer is lost.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(2048..=1 << 30))]
    receive_buffer: Option<u32>,

    /// What parameterized-filter does, or an object with its map `parameter`: `accept` or `drop`.
    #[arg(long, value_name = "VERDICT")]
    parameter: Option<Parameter>,

    /// How the parameter reaches the program: `map` (SIGUSR1 flips it while it runs) or `constant` (fixed at load).
    #[arg(long, value_name = "HOW")]
    bind: Option<Binding>,

    /// How many packets each source may send, where the filter has a quota: packets/s, and packets at once.
    #[arg(long, value_name = "RATE[/BURST]")]
    quota: Option<Quota>,

    /// Listen at this path for changes while it serves (`weir filter`): a unix socket for the server's owner and root.
    #[arg(long, value_name = "PATH", conflicts_with = "object")]
    control: Option<PathBuf>,

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

fn toolkits() -> String {
    let toolkits = Toolkit::ALL.map(|toolkit| format!("`{toolkit}` ({})", toolkit.described())).join(", ");
    format!(
        "How the filter is written: {toolkits}; by default what the server is for, or aya in the kernel, rust in the \
         server"
    )
}

fn hooks() -> String {
    let hooks = Hook::ALL.map(|hook| format!("`{hook}` ({})", hook.owner().described())).join(", ");
    format!(
        "Where the filter runs, all but `user` in the kernel: {hooks}; by default where the server has it, or socket"
    )
}

fn hooks_of(owner: Owner) -> String {
    Hook::named(|hook| hook.owner() == owner)
}

fn interfaces() -> String {
    format!(
        "An interface for {}; may be given several times. By default the one that has the address to listen on, lo for \
         loopback addresses, and all that are up where every address is listened on. What comes in by another, and for \
         an address of this machine's own from this machine by lo, isn't judged",
        hooks_of(Owner::Interface)
    )
}

fn control_groups() -> String {
    format!(
        "The control group for {}, a folder of cgroup2, which the server enters; by default a new one below its own, \
         which it removes",
        hooks_of(Owner::ControlGroup)
    )
}

const EXAMPLES: &str = "\
Examples:
  weir serve                                 valid-command, in the kernel
  weir serve --toolkit fun                   its program generated at start
  weir serve --hook user                     decided in the server's own loop
  weir serve --hook tc --toolkit fun         decided at the interface
  weir serve --workers 2                     two threads, each with its keys
  weir serve --filter count-filter           counts per CPU, shown at the end
  weir serve --filter parameterized-filter --parameter drop
                                             until kill -USR1 lets them through
  weir serve --server ebpf-stats-server      the program's runs and time
  weir serve --server snoop                  how many receive calls it made
  weir serve --server printk                 the kernel's trace line of each
  weir serve --object mine.o --program keep  a program that you compiled
  weir serve --guard bag.toml --hook tc  a guard's rules, counted
  weir serve --listen '[::1]:0' --summary run.json  a free port, counts in JSON";

/// A service of a guard: its place there, and where its rules stand.
type Guarding = (usize, Arc<Service>, guards::RuleTexts);

pub(crate) fn run(args: ServeArgs) -> anyhow::Result<()> {
    let guarding = args.guarding()?;
    let plan = args.plan(guarding.as_ref().map(|(_, service, _)| &**service))?;
    args.summary.as_deref().map_or(Ok(()), check_writable)?;
    if args.net {
        named::open(Side::Server)?.join()?;
    }
    let served =
        args.serve(plan, guarding.as_ref()).map_err(|error| match error.downcast_ref::<ServeError>() {
            Some(found) if found.is_usage() => UsageError(found.to_string()).into(),
            _ => error,
        })?;
    print(&served.shown)?;
    if let Some(path) = &args.summary {
        write_json(path, &served.summary)?;
    }
    say_ended(&served.summary);
    Ok(())
}

impl ServeArgs {
    /// The service whose program the server stands behind, if that was asked for.
    fn guarding(&self) -> anyhow::Result<Option<Guarding>> {
        let Some(file) = &self.guard else { return Ok(None) };
        let (at, service, texts) = guards::service(file, self.service.as_deref())?;
        Ok(Some((at, Arc::new(service), texts)))
    }

    fn serve(&self, plan: ServePlan, guarding: Option<&Guarding>) -> anyhow::Result<Served> {
        if let (Some((at, service, texts)), Some(file)) = (guarding, &self.guard) {
            let file = printable(&file.display().to_string());
            let mode = match service.mode {
                Mode::Observe => "observing",
                Mode::Enforce => "enforcing",
            };
            let behind = format!("{} ({mode}, of {file} at {})", service.name, plan.hook);
            let kind = plan.kind;
            let served = serve_guard(plan, service, |ready| say_ready(kind, &behind, ready));
            return served.map_err(|error| match error {
                ServeError::Hook(error) => texts.traced(*at, service, error).into(),
                error => error.into(),
            });
        }
        let Some(path) = &self.object else {
            let behind = format!("{} ({} at {})", plan.filter, plan.toolkit, plan.hook);
            let kind = plan.kind;
            return Ok(serve(plan, self.control.as_deref(), |ready| say_ready(kind, &behind, ready))?);
        };
        let reading = ProgramInput { file: path.clone(), json: false };
        let file = ObjectFile::read(&reading.name(), reading.bytes()?)?;
        let object =
            ObjectProgram { file: &file, program: self.program.as_deref(), parameter: self.parameter };
        let kind = plan.kind;
        Ok(serve_object(plan, object, |program, ready| {
            let behind = format!("{program} (of {} at {})", file.name(), Hook::Socket);
            say_ready(kind, &behind, ready);
        })?)
    }

    fn plan(&self, service: Option<&Service>) -> anyhow::Result<ServePlan> {
        let has_parameter = self.filter.has(FilterName::Parameterized) || self.object.is_some();
        if !has_parameter && (self.parameter.is_some() || self.bind.is_some()) {
            let text = format!(
                "--parameter and --bind are for parameterized-filter; {} has no parameter",
                self.filter
            );
            return Err(UsageError(text).into());
        }
        if self.quota.is_some() && !self.filter.has(FilterName::Quota) {
            let text =
                format!("--quota is for a filter with a quota, such as quota+{0}; {0} has none", self.filter);
            return Err(UsageError(text).into());
        }
        let filter = Filter {
            parameter: self.parameter.unwrap_or_default(),
            binding: self.bind.unwrap_or_default(),
            quota: self.quota.unwrap_or_default(),
            // Twice as many as the bag: programs add the keys of PUTs that the server never sees.
            known_keys: u32::try_from(self.capacity.saturating_mul(2)).unwrap_or(u32::MAX),
            ..self.filter
        };
        let kind = self.server.unwrap_or_else(|| match self.object {
            Some(_) => ServerKind::Simple,
            None => ServerKind::default_for(self.filter.name),
        });
        let usual = kind.usual_placement();
        let guarded = service.map(|service| service.at.hook.map_or(Hook::Socket, Hook::from));
        let hook = self.hook.or(guarded).or(usual.map(|(_, hook)| hook)).unwrap_or(Hook::Socket);
        let usual_toolkit = usual.filter(|(_, usual_hook)| *usual_hook == hook).map(|(toolkit, _)| toolkit);
        Ok(ServePlan {
            kind,
            filter,
            toolkit: self.toolkit.or(usual_toolkit).unwrap_or_else(|| toolkit_for(filter, hook)),
            hook,
            place: self.place(hook, service)?,
            listen: self.listen.unwrap_or_else(|| {
                let address = if self.net { Side::Server.ipv4() } else { Ipv4Addr::LOCALHOST };
                let guarded = service.map(|service| service.listen);
                let at = guarded.and_then(|listen| listen.address).unwrap_or(address.into());
                SocketAddr::new(at, guarded.map_or(DEFAULT_PORT, |listen| listen.port))
            }),
            config: ServerConfig {
                capacity: self.capacity,
                io: self.io,
                moderation: self.moderation()?,
                allow_stop: self.allow_stop.unwrap_or(match self.net {
                    true => AllowStop::Any,
                    false => AllowStop::Loopback,
                }),
                filter: None,
                workers: self.workers,
                receive_buffer: self.receive_buffer.map(|bytes| bytes as usize),
                verbose: self.verbose,
            },
            statistics: self.stats,
        })
    }

    /// A server that reads one datagram a call gains nothing by letting several come together.
    fn moderation(&self) -> Result<Moderation, UsageError> {
        match (self.io, self.moderation) {
            (Io::Simple, Some(moderation)) if moderation != Moderation::Off => Err(UsageError(format!(
                "--moderation {moderation} is for --io batch, which reads in one call what came during a nap; --io simple, \
                 the yardstick, reads each datagram as it comes: leave one of them out"
            ))),
            (Io::Simple, _) => Ok(Moderation::Off),
            (Io::Batch, moderation) => Ok(moderation.unwrap_or(Moderation::Auto)),
        }
    }

    /// What is said of a place must be of the hook's kind.
    fn place(&self, hook: Hook, service: Option<&Service>) -> anyhow::Result<AttachChoice> {
        let is_elsewhere = |owner| hook.owner() != owner;
        let misplaced = [
            (
                "interface",
                hooks_of(Owner::Interface),
                !self.interface.is_empty() && is_elsewhere(Owner::Interface),
            ),
            (
                "cgroup",
                hooks_of(Owner::ControlGroup),
                self.cgroup.is_some() && is_elsewhere(Owner::ControlGroup),
            ),
            ("stats", "hooks with a program in the kernel".to_owned(), self.stats && hook == Hook::User),
            ("xdp-mode", "the hook xdp".to_owned(), self.xdp_mode != XdpMode::Auto && hook != Hook::Xdp),
        ];
        if let Some((option, hooks, _)) = misplaced.iter().find(|(.., is_misplaced)| *is_misplaced) {
            return Err(UsageError(format!("--{option} is for {hooks}; this is hook {hook}")).into());
        }
        let interfaces = match service {
            Some(service) if self.interface.is_empty() => &service.at.interfaces,
            _ => &self.interface,
        };
        Ok(AttachChoice {
            interfaces: interfaces.clone(),
            cgroup: self.cgroup.clone(),
            xdp_mode: self.xdp_mode,
            super_packets: self.super_packets,
        })
    }
}

/// The hook's usual toolkit, or where that hasn't got the filter the one that has.
fn toolkit_for(filter: Filter, hook: Hook) -> Toolkit {
    let fits = |toolkit: &Toolkit| filter.available(*toolkit, hook).is_ok();
    let usual = hook.default_toolkit();
    [usual, Toolkit::Fun].into_iter().find(fits).unwrap_or(usual)
}

fn workers() -> impl TypedValueParser<Value = NonZeroUsize> {
    let range = clap::value_parser!(u32).range(1..=i64::from(MOST_WORKERS));
    range.map(|count| NonZeroUsize::new(count as usize).expect("it is in the range"))
}

fn super_packets() -> impl TypedValueParser<Value = SuperPackets> {
    PossibleValuesParser::new(["drop", "pass"]).map(|name| match name.as_str() {
        "pass" => SuperPackets::Pass,
        _ => SuperPackets::Drop,
    })
}

/// Counts that nobody kept are not called 0.
fn say_ended(summary: &ServerSummary) {
    let requests = summary.served.requests;
    let decided_in_the_loop = summary.hook == Hook::User.as_str();
    let dropped = match summary.verdicts.map(|verdicts| verdicts.dropped) {
        None if !decided_in_the_loop => "an uncounted number".to_owned(),
        dropped => dropped.unwrap_or(requests.filtered).to_string(),
    };
    eprintln!(
        "weir: ended: {} datagrams read, {} of them invalid, {dropped} dropped by the filter, {} dropped in all by the socket",
        requests.total(),
        requests.invalid,
        summary.served.socket_drops,
    );
}

fn say_ready(kind: ServerKind, behind: &str, ready: Ready<'_>) {
    let Ready { listen, attached_to, workers, moderation } = ready;
    for place in attached_to {
        eprintln!("weir: attached to {place}");
    }
    if let Some(workers) = workers {
        eprintln!("weir: {workers}");
    }
    if let Some(longest) = moderation.longest() {
        eprintln!("weir: moderation {moderation}: above a rate, naps of at most {longest:?} before reads");
    }
    eprintln!("weir: ready: {kind} behind {behind} on {listen}");
    let status = format!("listening on {listen}");
    let address = format!("X_WEIR_LISTEN={listen}");
    let states = [
        sd_notify::NotifyState::Ready,
        sd_notify::NotifyState::Status(&status),
        sd_notify::NotifyState::Custom(&address),
    ];
    if let Err(error) = notify::notify(&states) {
        eprintln!("weir: sd_notify: {error}; whoever waits for readiness was not told");
    }
}
