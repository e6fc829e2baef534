//! `weir experiment`.

use std::{
    fmt::Write as _,
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use weir_hooks::Audit;
use weir_lab::experiment::{
    self, Unfinished, catalogue,
    ceiling::Ceiling,
    definition::{Definition, Profile},
    expected,
    folder::Folder,
    interrupt::{self, Interrupt},
    machine::Pinning,
    manifest::Manifest,
    precision::{Precision, Within},
    schedule::{self, Scheduled},
    server::check_ports,
};
use weir_output::{exit::UsageError, print, terminal::wrapped};
use weir_results::store;

use super::{conducting::Conducting, is_plain};

/// Run an experiment and report on it.
///
/// Each run is a server and its clients in processes of their own, on different cores; its sample is on the disk
/// before the next run starts. Loading filters into the kernel needs root.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExperimentArgs {
    /// An experiment of the list, or the path of a definition such as ./my.toml
    #[arg(required_unless_present_any = ["list", "resume"])]
    name: Option<String>,

    /// How much of it to run; by default quick, or a definition without profiles as it is written
    #[arg(long)]
    profile: Option<Profile>,

    /// Runs of each cell, in place of the definition's
    #[arg(long, value_name = "N")]
    runs: Option<NonZeroU32>,

    /// Add runs to a cell until the interval of the server's CPU time lies this close to its median, such as 2%
    #[arg(long, value_name = "PERCENT")]
    precision: Option<Within>,

    /// Most runs of a cell that --precision may make
    #[arg(long, value_name = "N", default_value = "50", requires = "precision")]
    max_runs: NonZeroU32,

    #[command(flatten)]
    conducting: Conducting,

    /// Make the runs that a results folder misses, with its definition and seed
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "profile", "runs", "precision", "seed", "no_pin", "list"])]
    resume: Option<PathBuf>,

    /// Print each run as a JSON object a line in place of tables and progress
    #[arg(long, conflicts_with = "list")]
    json: bool,

    /// List the experiments and their profiles
    #[arg(long)]
    list: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir experiment kernel-or-user              does the kernel's filter pay?
  weir experiment paper-loss --profile paper  the whole grid of the report
  weir experiment ./my.toml --runs 10 --out results/mine
  weir experiment --resume results/latest     go on where one was ended";

pub(crate) fn run(args: ExperimentArgs) -> anyhow::Result<ExitCode> {
    if args.list {
        return list();
    }
    let interrupt = Interrupt::listen().context("listening for SIGINT and SIGTERM")?;
    let folder = match args.resume.clone() {
        Some(dir) => resume(dir, args.name.as_deref())?,
        None => create(&args)?,
    };
    conduct(folder, &interrupt, args.json)
}

/// Makes the runs that `folder` misses, then its report.
fn conduct(mut folder: Folder, interrupt: &Interrupt, events: bool) -> anyhow::Result<ExitCode> {
    let is_interrupted = match experiment::conduct(&mut folder, interrupt, events) {
        Err(Unfinished::Because(error)) => return Err(error),
        conducted => conducted.is_err(),
    };
    let samples = store::read(&folder.dir)?.samples;
    if !samples.is_empty() {
        show_report(&folder.dir, events)?;
    }
    if is_interrupted {
        eprintln!("weir: interrupted; the samples so far are kept; {}", folder.how_to_resume());
        return Ok(ExitCode::from(interrupt::STATUS));
    }
    let failed = samples.iter().filter(|sample| sample.failure().is_some()).count();
    if failed > 0 {
        eprintln!(
            "weir: {failed} runs failed and are left out of the estimates; to make them again, {}",
            folder.how_to_resume()
        );
    } else if let Some(why) = weir_report::why_nothing(&samples) {
        eprintln!("weir: {why}");
    } else {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// Writes the report of `dir`, prints its tables and says where it lies.
fn show_report(dir: &Path, events: bool) -> anyhow::Result<()> {
    let again = || format!("the samples are kept; make the report with: weir report {}", dir.display());
    let report = weir_report::write_all(dir).with_context(again)?;
    if events {
        eprintln!("weir: report: {}", dir.join("report.html").display());
        return Ok(());
    }
    let text = report.to_terminal(is_plain());
    print(format!("{text}\nReport: {}\n", dir.join("report.html").display()))
}

fn create(args: &ExperimentArgs) -> anyhow::Result<Folder> {
    let name = args.name.as_deref().ok_or_else(|| UsageError("name an experiment, or --list them".into()))?;
    let mut resolved = catalogue::find(name)?.resolve(args.profile, args.runs.map(NonZeroU32::get))?;
    if let Some(within) = args.precision {
        resolved.definition.precision = Some(Precision { within, max_runs: args.max_runs.get() });
    }
    if let (Some(_), Err(error)) = (resolved.definition.audit_every, Audit::probe()) {
        eprintln!("weir: no run is audited: {error}");
        resolved.definition.audit_every = None;
    }
    let pinning = args.conducting.pinning();
    let seed = args.conducting.seed();
    let definition = &resolved.definition;
    check_ports(definition)?;
    let is_planned = |run: &&Scheduled| run.repetition < definition.runs;
    let planned_samples = schedule::of(definition, seed).iter().filter(is_planned).count() as u64;
    let manifest = |text: &str| {
        let ceiling = ceiling(definition, &pinning)?;
        Ok(Manifest::new(&resolved, text, seed, planned_samples, pinning, ceiling))
    };
    let folder = Folder::create(args.conducting.out.clone(), &resolved, manifest)?;
    eprintln!(
        "weir: {}: {planned_samples} runs, seed {seed}, into {}",
        definition.name,
        folder.dir.display()
    );
    Ok(folder)
}

/// The generator's ceiling, said aloud; nothing where all clients are somebody else's.
fn ceiling(definition: &Definition, pinning: &Pinning) -> anyhow::Result<Option<Ceiling>> {
    if definition.placements.iter().all(|row| row.external_client.is_some()) {
        return Ok(None);
    }
    let ceiling = Ceiling::measure(definition, pinning)?;
    eprintln!(
        "weir: the generator's ceiling is {:.0} packets/s, {:.0} to {:.0} in single measurements",
        ceiling.packets_per_s, ceiling.lowest, ceiling.highest
    );
    Ok(Some(ceiling))
}

fn resume(dir: PathBuf, name: Option<&str>) -> anyhow::Result<Folder> {
    let same_as = |manifest: &Manifest| -> anyhow::Result<Option<Definition>> {
        let Some(name) = name else { return Ok(None) };
        let resolved = catalogue::find(name)?.resolve(manifest.profile, Some(manifest.runs))?;
        let audit_every = resolved.definition.audit_every.filter(|_| manifest.audited);
        Ok(Some(Definition { precision: manifest.precision, audit_every, ..resolved.definition }))
    };
    let folder = Folder::resume(dir, "experiment", same_as)?;
    if !folder.missing()?.is_empty() {
        check_ports(&folder.definition)?;
    }
    for difference in folder.manifest.differences() {
        eprintln!("weir: {difference}; the report can't tell them apart");
    }
    Ok(folder)
}

/// A time to its first two digits at most: "40 s", "3 min", "1.5 h".
fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{} s", seconds.div_ceil(10) * 10),
        seconds @ 120..5400 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

fn list() -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    for definition in catalogue::built_in()? {
        writeln!(text, "{}: {}", definition.name, definition.question)?;
        for profile in definition.profiles.keys() {
            let resolved = definition.resolve(Some(*profile), None)?.definition;
            let runs = schedule::of(&resolved, 0);
            let packets: u64 = runs.iter().map(|run| run.cell.packets).sum();
            writeln!(
                text,
                "  {profile:<9} {:>5} runs, {packets} packets, about {}, {:.1} MB",
                runs.len(),
                rough(expected::time(&resolved, &runs)),
                expected::bytes(&runs) as f64 / 1e6
            )?;
        }
    }
    print(wrapped(&text))?;
    Ok(ExitCode::SUCCESS)
}
