//! `weir guard`: rules for services that are there already, checked and tried.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::{ExitCode, Termination as _},
    sync::Arc,
};

use clap::Subcommand;
use weir_asm::text::nearest;
use weir_guard::{protocols, text};
use weir_output::{exit::UsageError, print, terminal::printable};
use weir_service::control::{GuardList, GuardRequest};
use weir_verify::Capture;

use super::{
    guard_change::{GuardPrefixesArgs, GuardReloadArgs, GuardServiceArgs},
    guard_export::GuardExportArgs,
    guard_remove::GuardRemoveArgs,
    guard_run::GuardRunArgs,
    guard_status::GuardStatusArgs,
    guard_top::GuardTopArgs,
    is_plain, print_record,
};
use crate::{
    guards::{NewGuard, ProtocolSummary, Rules, ServiceSummary, Trial, chosen, create, rules, services},
    programs::Findings,
};

/// Say which packets a UDP service that is there already is sent: check the rules, try them on a capture, have them decide.
///
/// A guard is a file that names services, the protocol of each, and which of its messages are accepted, from whom and how
/// many. A protocol is a file that says what messages there are.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GuardArgs {
    #[command(subcommand)]
    command: GuardCommand,
}

const EXAMPLES: &str = "\
Examples:
  weir guard protocols                        what is shipped
  weir guard new --port 53 --protocol dns -o dns.toml
  weir guard check dns.toml                   what is wrong, and what it says
  weir guard try dns.toml --pcap day.pcap.gz  what would become of packets
  weir guard run dns.toml                     in front of the running service
  weir guard status                           what the running ones decided
  weir guard enforce dns                      now that it looks right
  weir guard reload                           read its files anew
  weir guard export nft bag.toml              its rules for nftables
  weir guard export unit /etc/weir/dns.toml   the systemd unit that runs it
  weir guard export object dns.toml --hook xdp --out dns.o

Exit status: 0 done, 1 the rules have an error, or it failed, 2 it was asked for something that makes no sense.";

#[derive(Debug, Subcommand)]
enum GuardCommand {
    Check(GuardCheckArgs),
    Try(GuardTryArgs),
    Run(GuardRunArgs),
    Status(GuardStatusArgs),
    /// Have running guards read their files anew, with the protocols and lists that these name.
    ///
    /// A file with an error changes nothing. Each packet is judged by the rules before or by the new ones; buckets, known sources and
    /// counts of what both have go on. SIGHUP does the same.
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload(GuardReloadArgs),
    /// Have a running guard drop what the rules of a service drop, from the next packet on.
    ///
    /// That holds until the guard ends or its file says another mode than before.
    #[command(after_help = MODE_EXAMPLES)]
    Enforce(GuardServiceArgs),
    /// Have a running guard count what the rules of a service drop, and let it pass, from the next packet on.
    ///
    /// That holds until the guard ends or its file says another mode than before.
    #[command(after_help = MODE_EXAMPLES)]
    Observe(GuardServiceArgs),
    /// Have a running guard drop whatever some sources send, from the next packet on.
    ///
    /// That holds until `unblock` or until the guard ends; what is to stay stands in a list of the guard.
    #[command(after_help = BLOCK_EXAMPLES)]
    Block(GuardPrefixesArgs),
    /// Undo `block` for sources.
    #[command(after_help = BLOCK_EXAMPLES)]
    Unblock(GuardPrefixesArgs),
    /// Have a running guard accept whatever some sources send, from the next packet on.
    ///
    /// That holds until `disallow` or until the guard ends; what is to stay stands in a list of the guard.
    #[command(after_help = ALLOW_EXAMPLES)]
    Allow(GuardPrefixesArgs),
    /// Undo `allow` for sources.
    #[command(after_help = ALLOW_EXAMPLES)]
    Disallow(GuardPrefixesArgs),
    Remove(GuardRemoveArgs),
    Top(GuardTopArgs),
    Protocols(GuardProtocolsArgs),
    New(GuardNewArgs),
    Export(GuardExportArgs),
}

const RELOAD_EXAMPLES: &str = "\
Examples:
  sudo weir guard reload
  weir guard reload --control ./dns.sock

Exit status: 0 done, 1 a guard refused, and stands as before, 2 the arguments are wrong.";

const MODE_EXAMPLES: &str = "\
Examples:
  sudo weir guard enforce dns
  sudo weir guard observe dns

Exit status: 0 done, 1 a guard refused, 2 no such service is guarded.";

const BLOCK_EXAMPLES: &str = "\
Examples:
  sudo weir guard block dns 192.0.2.7 2001:db8:bad::/48
  sudo weir guard unblock dns 192.0.2.7

Exit status: 0 done, 1 a guard refused, 2 the arguments are wrong.";

const ALLOW_EXAMPLES: &str = "\
Examples:
  sudo weir guard allow dns 198.51.100.0/24
  sudo weir guard disallow dns 198.51.100.0/24

Exit status: 0 done, 1 a guard refused, 2 the arguments are wrong.";

/// Look for what is wrong with a guard or a protocol and with the files that it names; where nothing is, show what it says.
///
/// For each service and each hook it says how many instructions its program has there, or why it can't have one.
#[derive(Debug, clap::Args)]
#[command(after_help = CHECK_EXAMPLES)]
struct GuardCheckArgs {
    /// The guard, or the protocol.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Load the programs, attached to nothing, and say what this machine's kernel makes of them. Needs root.
    #[arg(long)]
    load: bool,

    /// Print JSON instead: each error, and each service, one object a line.
    #[arg(long)]
    json: bool,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  weir guard check dns.toml           a guard, its protocols and lists
  weir guard check ./my-protocol.toml
  sudo weir guard check dns.toml --load
                                      and the kernel's word on its programs
  weir guard check dns.toml --json    kind, message, file, line, column, help

Exit status: 0 nothing stands in the way (warnings may be said), 1 something does (with --load the kernel too, at the guard's hook or at all), 2 the arguments are wrong or the file can't be read.";

/// Judge the packets of a capture by a guard, with nothing attached.
///
/// The rules are followed one by one, as they are written, whatever the mode. A packet's time is its time stamp. Packets for a
/// service's port are judged; those from it are its answers, after which sources may be known.
#[derive(Debug, clap::Args)]
#[command(after_help = TRY_EXAMPLES)]
struct GuardTryArgs {
    /// The guard.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The capture: pcap or pcapng, packed by gzip or not; Ethernet, IP, or one of every interface.
    #[arg(long, value_name = "CAPTURE")]
    pcap: PathBuf,

    /// This service alone.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// The address that services have in the capture, whatever the guard says; without one there, packets of this machine to
    /// the same port elsewhere are judged too.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<IpAddr>,

    /// Write the packets that would be dropped to this file, as pcap.
    #[arg(long, value_name = "DROPPED.pcap")]
    out: Option<PathBuf>,

    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

const TRY_EXAMPLES: &str = "\
Examples:
  tcpdump -i any -w day.pcap udp port 53
  weir guard try dns.toml --pcap day.pcap
  weir guard try dns.toml --pcap day.pcap --to 192.0.2.1 --service dns
  weir guard try dns.toml --pcap day.pcap --out dropped.pcap

Exit status: 0 done, 1 the guard has an error or the capture ends too early, 2 it was asked for something that makes no sense.";

/// List the protocols that are shipped, or print one.
#[derive(Debug, clap::Args)]
#[command(after_help = PROTOCOLS_EXAMPLES)]
struct GuardProtocolsArgs {
    /// Print this one's file.
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Print one JSON document instead of a table.
    #[arg(long, conflicts_with = "name")]
    json: bool,
}

const PROTOCOLS_EXAMPLES: &str = "\
Examples:
  weir guard protocols
  weir guard protocols dns > my-dns.toml   to change it";

/// Write a guard to begin with, commented, which drops nothing yet.
///
/// What isn't said is asked, where there is a terminal.
#[derive(Debug, clap::Args)]
#[command(after_help = NEW_EXAMPLES)]
struct GuardNewArgs {
    /// The service's UDP port.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// What it speaks: a protocol that is shipped, or the path of one.
    #[arg(long, value_name = "NAME")]
    protocol: Option<String>,

    /// The file, which mustn't be there yet; standard output where none is named.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

const NEW_EXAMPLES: &str = "\
Examples:
  weir guard new                           asks for port and protocol
  weir guard new --port 53 --protocol dns -o dns.toml
  weir guard new --port 9 --protocol ./mine.toml";

pub(crate) fn run(args: GuardArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        GuardCommand::Check(args) => Findings::end(check(&args), &named(&args.file), args.json),
        GuardCommand::Try(args) => Findings::end(try_on(&args), &named(&args.file), args.json),
        GuardCommand::Run(args) => args.run(),
        GuardCommand::Status(args) => args.run(),
        GuardCommand::Reload(args) => args.run(),
        GuardCommand::Enforce(args) => args.ask(|service| GuardRequest::Enforce { service }),
        GuardCommand::Observe(args) => args.ask(|service| GuardRequest::Observe { service }),
        GuardCommand::Block(args) => args.ask(GuardList::Block, false),
        GuardCommand::Unblock(args) => args.ask(GuardList::Block, true),
        GuardCommand::Allow(args) => args.ask(GuardList::Allow, false),
        GuardCommand::Disallow(args) => args.ask(GuardList::Allow, true),
        GuardCommand::Remove(args) => args.run(),
        GuardCommand::Top(args) => args.run(),
        GuardCommand::Protocols(args) => protocols(&args).map(|()| ExitCode::SUCCESS),
        GuardCommand::New(args) => {
            let new = NewGuard { port: args.port, protocol: args.protocol };
            Ok(create(&new, args.out.as_deref().filter(|out| out.as_os_str() != "-"))?.report())
        }
        GuardCommand::Export(args) => args.run(),
    }
}

fn named(file: &Path) -> String {
    file.display().to_string()
}

fn check(args: &GuardCheckArgs) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    let mut is_refused = false;
    let (rules, texts) = rules(&args.file, args.json)?;
    match rules {
        Rules::Guard(services) => {
            for (at, service) in services.into_iter().map(Arc::new).enumerate() {
                let summary = ServiceSummary::of(&service, args.load.then_some((at, &texts)));
                is_refused |= args.load && !summary.is_loaded(&service);
                text += &if args.json {
                    serde_json::to_string(&summary)? + "\n"
                } else {
                    summary.text(is_plain())
                };
            }
        }
        Rules::Protocol(protocol, constants) => {
            let summary = ProtocolSummary::of(&protocol, &constants);
            text +=
                &if args.json { serde_json::to_string(&summary)? + "\n" } else { summary.text(is_plain()) };
        }
    }
    print(text)?;
    Ok(if is_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn try_on(args: &GuardTryArgs) -> anyhow::Result<ExitCode> {
    let (services, _) = services(&args.file, args.json)?;
    let services = chosen(&services, args.service.as_deref())?;
    let services: Vec<_> = services.into_iter().map(|(_, service)| service).collect();
    let mut capture = Capture::open(&args.pcap)?;
    let mut trial = Trial::of(services, args.to, args.out.as_deref())?;
    let (mut is_begun, mut damaged) = (false, None);
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                is_begun |= frame.contents.is_some();
                trial.take(&frame)?;
            }
            Ok(None) if is_begun => break,
            Ok(None) => return Err(capture.without_frames().into()),
            // What was read of a capture that is still written is worth something.
            Err(error) if is_begun => {
                damaged = Some(format!("{error:#}"));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let report = trial.end(damaged)?;
    print_record(args.json, &report, || report.text(is_plain()))?;
    Ok(match &report.damaged {
        Some(why) => {
            eprintln!("weir: {why}; what stands before that was judged");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    })
}

fn protocols(args: &GuardProtocolsArgs) -> anyhow::Result<()> {
    if let Some(name) = &args.name {
        let shipped = protocols::find(name).ok_or_else(|| {
            let near = nearest(name, protocols::ALL.iter().map(|shipped| shipped.name));
            let near = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            UsageError(format!("no protocol '{}' is shipped{near}", printable(name)))
        })?;
        return print(shipped.text);
    }
    let summaries: Vec<_> = protocols::ALL
        .iter()
        .filter_map(|shipped| {
            let read = text::protocol(shipped.text, &Default::default());
            Some(ProtocolSummary::of(&read.protocol?, &read.constants))
        })
        .collect();
    print_record(args.json, &summaries, || ProtocolSummary::list(&summaries, is_plain()))
}
