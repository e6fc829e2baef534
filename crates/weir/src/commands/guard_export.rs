//! `weir guard export`: a guard for what isn't weir.

use std::{
    ffi::OsString,
    path::{Path, PathBuf, absolute},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use weir_filters::{Hook, Layer, fun::service::WrittenService};
use weir_guard::{
    meaning::{Service, ServicePart},
    nft::{self, Refusal},
};
use weir_output::{Visible, exit::UsageError, print, write_whole};

use crate::{
    guards::{ExportedService, GuardUnit, HOOKS, chosen, services, template},
    programs::{Findings, write_binary},
};

/// Write a guard for what isn't weir: its rules for nftables, the unit for systemd, an object for other loaders.
#[derive(Debug, clap::Args)]
pub(super) struct GuardExportArgs {
    #[command(subcommand)]
    target: ExportTarget,
}

#[derive(Debug, Subcommand)]
enum ExportTarget {
    Nft(GuardNftArgs),
    Unit(GuardUnitArgs),
    Object(GuardObjectArgs),
}

/// Write a guard as rules for nftables (`nft -f`), with the same meaning, or say of each rule what nftables can't say.
///
/// Each service is a table of its own, `inet weir_NAME`, whose chain stands at the hook input before those at priority filter.
/// Fields are read at constant places alone, and compared with constants alone.
#[derive(Debug, clap::Args)]
#[command(after_help = NFT_EXAMPLES)]
struct GuardNftArgs {
    /// The guard.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// This service alone.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

const NFT_EXAMPLES: &str = "\
Examples:
  weir guard export nft bag.toml                look at it
  weir guard export nft bag.toml | nft -c -f -  does nft take it here?
  weir guard export nft bag.toml --service bag > /etc/nftables.d/bag.nft
  nft list table inet weir_bag                  what was counted
  nft delete table inet weir_bag

Exit status: 0 done, 1 the guard has an error or nftables can't say it, 2 it was asked for something that makes no sense.";

/// Write the systemd unit that runs a guard, with the least privilege.
///
/// It has a user of its own, the capabilities that the guard's hooks take, and may write samples alone.
#[derive(Debug, clap::Args)]
#[command(after_help = UNIT_EXAMPLES)]
struct GuardUnitArgs {
    /// The guard.
    #[arg(value_name = "FILE", required_unless_present = "template")]
    file: Option<PathBuf>,

    /// The unit `weir-guard@.service` instead, for any guard of /etc/weir/guards, which packages install: PROGRAM is the path of weir
    /// there.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "file")]
    template: Option<PathBuf>,
}

const UNIT_EXAMPLES: &str = "\
Examples:
  weir guard export unit dns.toml > /etc/systemd/system/weir-guard-dns.service
  systemd-analyze security --offline=yes weir-guard-dns.service
  weir guard export unit --template /usr/bin/weir

Exit status: 0 done, 1 the guard has an error, 2 it was asked for something that makes no sense.";

/// Write a service's program as an ELF object for bpftool, xdp-loader, bpfman and loaders by libbpf or aya.
///
/// It is for kernels like this one. It has the types of its maps, and the line of the rule that each instruction comes from,
/// which the verifier and bpftool show. For xdp it tells libxdp's dispatcher to run it early (priority 10), and the programs behind
/// it on XDP_PASS. Lists are contents of maps, which an object can't hold: OUT.lists fills them, and until it has, every
/// source is blocked.
#[derive(Debug, clap::Args)]
#[command(after_help = OBJECT_EXAMPLES)]
struct GuardObjectArgs {
    /// The guard.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The service, where the guard has several.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Where it is to be attached.
    #[arg(long, value_name = "HOOK", value_parser = hook())]
    hook: Hook,

    /// The object, written whole or not at all; `-`, and nothing said, is standard output.
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
}

fn hook() -> impl TypedValueParser<Value = Hook> {
    PossibleValuesParser::new(HOOKS.map(Hook::as_str)).try_map(|name| name.parse::<Hook>())
}

const OBJECT_EXAMPLES: &str = "\
Examples:
  weir guard export object dns.toml --hook xdp --out dns.o
  xdp-loader load eth0 dns.o                 beside other XDP programs
  bpftool batch file dns.o.lists             its lists, where it has any
  bpftool prog load dns.o /sys/fs/bpf/dns    anything, attached by others
  bpftool prog dump xlated name guard linum  which rule is which instruction
  weir disasm dns.o --source

Exit status: 0 done, 1 the guard has an error or can't be a program there, 2 it was asked for something that makes no sense.";

impl GuardExportArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let (done, file) = match &self.target {
            ExportTarget::Nft(args) => (ruleset(args), &args.file),
            ExportTarget::Unit(args) => match (&args.file, &args.template) {
                (Some(file), _) => (unit(file), file),
                (None, program) => return unit_template(program.as_deref()).map(|()| ExitCode::SUCCESS),
            },
            ExportTarget::Object(args) => (object(args), &args.file),
        };
        Findings::end(done.map(|()| ExitCode::SUCCESS), &file.display().to_string(), false)
    }
}

fn ruleset(args: &GuardNftArgs) -> anyhow::Result<()> {
    let (services, texts) = services(&args.file, false)?;
    let (mut text, mut refused) = (String::new(), Findings::default());
    for (at, service) in chosen(&services, args.service.as_deref())? {
        match nft::ruleset(service) {
            Ok(ruleset) => text += &ruleset,
            Err(refusals) => {
                refused.add(texts.errors(at, refusals.iter().map(|refusal| error(refusal, service))));
            }
        }
    }
    if refused.has_errors() { Err(refused.into()) } else { print(text) }
}

fn error(Refusal { part, reason }: &Refusal, service: &Service) -> (ServicePart, String, Option<String>) {
    let proves = |id| service.known.as_ref().is_some_and(|known| known.after.contains(&id));
    let is_named = |id| proves(id) || service.accept.iter().any(|each| each.message == id);
    let message = match part {
        ServicePart::Message(id) => Some((*id, &service.protocol.message(*id).name)),
        _ => None,
    };
    let what = message.map_or_else(|| "this".to_owned(), |(_, name)| format!("the message '{name}'"));
    let help = message.filter(|(id, _)| !is_named(*id)).map(|_| {
        "it isn't named here, but it is tried before messages that are, and may be what looks like one of them".to_owned()
    });
    (*part, format!("nftables can't say {what}: {reason}"), help)
}

fn unit(file: &Path) -> anyhow::Result<()> {
    let (services, _) = services(file, false)?;
    let program = std::env::current_exe().context("looking for the path of this program")?;
    let guard = absolute(file).with_context(|| format!("the absolute path of {}", file.display()))?;
    let unit = GuardUnit { program: &program, guard: &guard, services: &services };
    print(unit.text()?)
}

fn unit_template(program: Option<&Path>) -> anyhow::Result<()> {
    print(template(program.unwrap_or(Path::new("/usr/bin/weir")))?)
}

fn object(args: &GuardObjectArgs) -> anyhow::Result<()> {
    let (services, texts) = services(&args.file, false)?;
    let [(at, service)] = chosen(&services, args.service.as_deref())?[..] else {
        let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
        let text = format!("an object is one service's: name it with --service, one of {}", names.join(", "));
        return Err(UsageError(text).into());
    };
    let written = WrittenService { places: texts.places(at), sources: &texts.sources() };
    let exported = ExportedService::of(service, args.hook, written)?;
    if service.known.is_some() {
        let side = if args.hook.layer() == Layer::Ethernet { "tc's" } else { "the control group's" };
        eprintln!(
            "weir: the object has two programs: attach 'knowing' at {side} egress too; until then no source becomes known"
        );
    }
    if let Some(lists) = &exported.lists {
        let Some(out) = args.out.as_ref().filter(|out| out.as_os_str() != "-") else {
            let text = "the service has lists, which go into a file beside the object: name that with --out";
            return Err(UsageError(text.to_owned()).into());
        };
        let path = PathBuf::from([out.as_os_str(), ".lists".as_ref()].into_iter().collect::<OsString>());
        write_whole(&path, lists.as_bytes())?;
        eprintln!(
            "weir: an object can't hold lists: until `bpftool batch file {}` has filled them, every source is blocked",
            Visible(path.display())
        );
    }
    write_binary(args.out.as_deref(), &exported.elf)
}
