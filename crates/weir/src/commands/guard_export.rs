//! `weir guard export`: a guard for what isn't weir.

use std::{
    path::{Path, PathBuf, absolute},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Subcommand;
use weir_guard::{
    meaning::{Service, ServicePart},
    nft::{self, Refusal},
};
use weir_output::print;

use crate::{
    guards::{GuardUnit, chosen, services},
    programs::Findings,
};

/// Write a guard for what isn't weir: its rules for nftables, the unit for systemd.
#[derive(Debug, clap::Args)]
pub(super) struct GuardExportArgs {
    #[command(subcommand)]
    target: ExportTarget,
}

#[derive(Debug, Subcommand)]
enum ExportTarget {
    Nft(GuardNftArgs),
    Unit(GuardUnitArgs),
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
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

const UNIT_EXAMPLES: &str = "\
Examples:
  weir guard export unit dns.toml > /etc/systemd/system/weir-guard-dns.service
  systemd-analyze security --offline=yes weir-guard-dns.service

Exit status: 0 done, 1 the guard has an error, 2 it was asked for something that makes no sense.";

impl GuardExportArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let (done, file) = match &self.target {
            ExportTarget::Nft(args) => (ruleset(args), &args.file),
            ExportTarget::Unit(args) => (unit(&args.file), &args.file),
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
    let is_accepted = |id| service.accept.iter().any(|each| each.message == id);
    let message = match part {
        ServicePart::Message(id) => Some((*id, &service.protocol.message(*id).name)),
        _ => None,
    };
    let what = message.map_or_else(|| "this".to_owned(), |(_, name)| format!("the message '{name}'"));
    let help = message.filter(|(id, _)| !is_accepted(*id)).map(|_| {
        "it isn't accepted, but it is tried before messages that are, and may be what looks like one of them".to_owned()
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
