//! What a running guard is told to do: read its file anew, enforce or observe, block or allow sources.

use std::process::ExitCode;

use weir_output::{exit::UsageError, print, terminal::printable};
use weir_service::control::{GuardList, GuardRequest, Prefix, Reply, ask};

use super::guard_status::ControlledGuards;

/// Running guards.
#[derive(Debug, clap::Args)]
pub(super) struct GuardReloadArgs {
    #[command(flatten)]
    at: ControlledGuards,
}

/// A service of a running guard.
#[derive(Debug, clap::Args)]
pub(super) struct GuardServiceArgs {
    /// The service.
    #[arg(value_name = "NAME")]
    service: String,

    #[command(flatten)]
    at: ControlledGuards,
}

/// Sources that a service of a running guard is told of.
#[derive(Debug, clap::Args)]
pub(super) struct GuardPrefixesArgs {
    #[command(flatten)]
    service: GuardServiceArgs,

    /// Addresses, or prefixes of addresses.
    #[arg(value_name = "PREFIX", required = true)]
    prefixes: Vec<Prefix>,
}

impl GuardReloadArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        for path in self.at.paths()? {
            match ask(&path, &GuardRequest::Reload) {
                Ok(reply) => print(said(reply))?,
                Err(error) => {
                    eprintln!("weir: {}: {error}", path.display());
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }
}

impl GuardPrefixesArgs {
    pub(super) fn ask(&self, list: GuardList, remove: bool) -> anyhow::Result<ExitCode> {
        let prefixes = self.prefixes.clone();
        self.service.ask(|service| GuardRequest::List { service, list, remove, prefixes })
    }
}

impl GuardServiceArgs {
    /// Asks the guard that has the service.
    pub(super) fn ask(&self, request: impl FnOnce(String) -> GuardRequest) -> anyhow::Result<ExitCode> {
        let guarding = self.at.guarding(&self.service)?;
        let [path] = guarding.as_slice() else {
            let paths: Vec<_> = guarding.iter().map(|path| path.display().to_string()).collect();
            let (name, paths) = (printable(&self.service), paths.join(", "));
            let why = format!("several guards have a service '{name}'; name one with --control: {paths}");
            return Err(UsageError(why).into());
        };
        print(said(ask(path, &request(self.service.clone()))?))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn said(reply: Reply) -> String {
    match reply {
        Reply::Done { did } => format!("{}\n", printable(&did)),
        _ => "done\n".to_owned(),
    }
}
