//! `weir capacity`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use weir_lab::{
    capacity::{
        self,
        plan::{self, SearchPlan},
        table,
    },
    experiment::{
        Unfinished,
        ceiling::Ceiling,
        definition::{Profile, Resolved},
        folder::Folder,
        interrupt::{self, Interrupt},
        manifest::Manifest,
    },
};
use weir_output::{print, terminal::wrapped, write_whole};
use weir_results::{capacity::Decider, cell::ReceiveWork, topology::Topology};
use weir_service::Io;

use super::{conducting::Conducting, is_plain, print_record};
use crate::arguments::time;

/// Search for the highest rate without loss, for filtering in the kernel and in the server.
///
/// Finds NDR, the highest rate at which no valid request is lost, and PDR, at which at most 0.5 % are, as MLRsearch does
/// (RFC 9971). The searches of the placements run side by side, trial by trial. A rate that the generator's ceiling cuts
/// off is marked as a lower bound. Each trial is on the disk before the next begins. Loading filters needs root.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CapacityArgs {
    /// How thorough to be
    #[arg(long, default_value = "quick")]
    profile: Profile,

    #[arg(long, value_delimiter = ',', value_name = "NAMES", help = placements())]
    placements: Option<Vec<Decider>>,

    /// Shares of invalid packets, percent
    #[arg(long, value_delimiter = ',', value_name = "PERCENTS")]
    invalid: Option<Vec<u8>>,

    /// Searches of each placement at each share; from 6 on there are intervals
    #[arg(long, value_name = "N")]
    searches: Option<u32>,

    /// Runs of each placement at the rate that all carry, for the server's CPU time; 0 for none
    #[arg(long, value_name = "N")]
    cost_runs: Option<u32>,

    /// Shortest trial, such as 200ms
    #[arg(long, value_name = "TIME", value_parser = time)]
    first_trial: Option<Duration>,

    /// Trial that a lower bound needs
    #[arg(long, value_name = "TIME", value_parser = time)]
    trial: Option<Duration>,

    /// How long a rate is tried, in several trials, until it is called carried or not
    #[arg(long, value_name = "TIME", value_parser = time)]
    sum: Option<Duration>,

    /// How far the bounds may lie apart, percent of the upper one
    #[arg(long, value_name = "PERCENT")]
    width: Option<f64>,

    /// What lies between client and server: veth, or loopback, which needs no root but where the sender's core does the
    /// server's receiving, so that no more can be offered than is carried
    #[arg(long, value_name = "TOPOLOGY")]
    topology: Option<Topology>,

    /// On whose core the kernel receives: the server's, as a device steers it, or the sender's
    #[arg(long, value_name = "WHOSE", value_parser = parse_receive_work)]
    receive_work: Option<ReceiveWork>,

    /// How the server reads: batch or simple
    #[arg(long, default_value_t)]
    io: Io,

    #[command(flatten)]
    conducting: Conducting,

    /// Go on with the searches of a results folder
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "profile", "placements", "invalid", "searches", "cost_runs", "first_trial", "trial", "sum", "width", "topology",
        "receive_work", "io", "seed", "out", "no_pin", "list",
    ])]
    resume: Option<PathBuf>,

    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,

    /// List the profiles and about how long they take
    #[arg(long)]
    list: bool,
}

fn placements() -> String {
    let names = Decider::ALL.map(|decider| match decider == Decider::KERNEL {
        true => format!("{decider} (at the {})", decider.hook()),
        false => decider.to_string(),
    });
    format!("Where the decision is made, of: {}", names.join(", "))
}

const EXAMPLES: &str = "\
Examples:
  weir capacity                          user against kernel at 99 % invalid
  weir capacity --profile standard       at 0, 50 and 99 %, with intervals
  weir capacity --placements user,kernel,tc,xdp --invalid 50
  weir capacity --placements plain --topology loopback   what needs no root
  weir capacity --resume results/latest  go on where a search was ended";

pub(crate) fn run(args: CapacityArgs) -> anyhow::Result<ExitCode> {
    if args.list {
        return list();
    }
    let interrupt = Interrupt::listen().context("listening for SIGINT and SIGTERM")?;
    let (folder, plan) = match &args.resume {
        Some(dir) => resume(dir)?,
        None => create(&args)?,
    };
    let (dir, how_to_resume) = (folder.dir.clone(), folder.how_to_resume());
    match capacity::conduct(folder, &plan, &interrupt) {
        Ok(summary) => print_record(args.json, &summary, || {
            format!("{}\nResults: {}\n", table::text(&summary, is_plain()), dir.display())
        })?,
        Err(Unfinished::Interrupted(_)) => {
            eprintln!("weir: interrupted; the samples so far are kept; {how_to_resume}");
            return Ok(ExitCode::from(interrupt::STATUS));
        }
        Err(Unfinished::Because(error)) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

fn create(args: &CapacityArgs) -> anyhow::Result<(Folder, SearchPlan)> {
    let plan = plan_of(args);
    plan.check()?;
    let resolved = Resolved { definition: plan.definition()?, profile: Some(args.profile) };
    let pinning = args.conducting.pinning();
    let seed = args.conducting.seed();
    let (planned_samples, time) = plan.budget();
    let manifest = |text: &str| {
        let ceiling = Some(Ceiling::measure(&resolved.definition, &pinning)?);
        Ok(Manifest::new(&resolved, text, seed, planned_samples, pinning, ceiling))
    };
    let folder = Folder::create(args.conducting.out.clone(), &resolved, manifest)?;
    let text = toml::to_string(&plan).context("making TOML of the plan")?;
    write_whole(&folder.dir.join(plan::FILE), text.as_bytes())?;
    eprintln!(
        "weir: capacity: about {planned_samples} runs, {}, seed {seed}, into {}",
        about(time),
        folder.dir.display()
    );
    Ok((folder, plan))
}

fn plan_of(args: &CapacityArgs) -> SearchPlan {
    let mut plan = SearchPlan { io: args.io, ..SearchPlan::of(args.profile) };
    if let Some(topology) = args.topology {
        plan.topology = topology;
        plan.receive_work = if topology == Topology::Veth { plan.receive_work } else { ReceiveWork::Sender };
    }
    plan.receive_work = args.receive_work.unwrap_or(plan.receive_work);
    plan.placements = args.placements.clone().unwrap_or(plan.placements);
    plan.invalid_percent = args.invalid.clone().unwrap_or(plan.invalid_percent);
    plan.searches = args.searches.unwrap_or(plan.searches);
    plan.cost_runs = args.cost_runs.unwrap_or(plan.cost_runs);
    for goal in plan.goals.iter_mut().map(|named| &mut named.goal) {
        goal.initial_trial = args.first_trial.unwrap_or(goal.initial_trial);
        goal.final_trial = args.trial.unwrap_or(goal.final_trial);
        goal.duration_sum = args.sum.unwrap_or(goal.duration_sum);
        goal.width = args.width.map_or(goal.width, |percent| percent / 100.0);
    }
    plan
}

fn resume(dir: &Path) -> anyhow::Result<(Folder, SearchPlan)> {
    let path = dir.join(plan::FILE);
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "reading {}: this is no folder of `weir capacity`; name one, or begin anew with --out",
            path.display()
        )
    })?;
    let damaged = || format!("reading {}: it is damaged; begin anew with --out", path.display());
    let plan: SearchPlan = toml::from_str(&text).with_context(damaged)?;
    plan.check().with_context(damaged)?;
    let definition = plan.definition()?;
    let folder = Folder::resume(dir.to_owned(), weir_results::capacity::NAME, |_| Ok(Some(definition)))?;
    for difference in folder.manifest.differences() {
        eprintln!("weir: {difference}; the results can't tell them apart");
    }
    Ok((folder, plan))
}

fn list() -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    for profile in [Profile::Quick, Profile::Standard, Profile::Paper] {
        let plan = SearchPlan::of(profile);
        let placements: Vec<_> = plan.placements.iter().map(|placement| placement.name()).collect();
        let percents: Vec<_> = plan.invalid_percent.iter().map(u8::to_string).collect();
        let (runs, time) = plan.budget();
        writeln!(
            text,
            "{profile:<9} {} searches of {} at {} % invalid: about {runs} runs, {}",
            plan.searches,
            placements.join(", "),
            percents.join(", "),
            about(time)
        )?;
    }
    print(wrapped(&text))?;
    Ok(ExitCode::SUCCESS)
}

fn about(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

fn parse_receive_work(name: &str) -> Result<ReceiveWork, String> {
    let found = ReceiveWork::ALL.into_iter().find(|whose| whose.name() == name);
    found.ok_or_else(|| format!("unknown '{name}'; it is one of sender, server"))
}
