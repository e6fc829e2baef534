//! The results folder of an experiment: made, continued, and given its samples.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use weir_output::{exit::UsageError, write_whole};
use weir_results::{
    sample::{SCHEMA, Sample},
    store::{self, DEFINITION, MANIFEST, SAMPLES, Samples},
};

use super::{
    definition::{Definition, Resolved},
    manifest::{Manifest, digest},
    schedule::{self, Scheduled},
};

/// Samples of failed runs that a continuation made again.
const FAILED: &str = "failed.jsonl";
/// Where results go unless told otherwise.
const RESULTS: &str = "results";

/// A results folder, open for appending.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub dir: PathBuf,
    /// The definition as run.
    pub definition: Definition,
    /// What surrounds the runs.
    pub manifest: Manifest,
    samples: Samples,
}

impl Folder {
    /// Makes the folder `dir` for an experiment that begins; without a name, `results/` and the time, with
    /// `results/latest` pointing there. `manifest` is asked once the definition is written: what it measures first is not
    /// measured for a folder that can't be used.
    ///
    /// # Errors
    /// There is something in it, or it can't be written; what `manifest` says, and then nothing is left in the folder.
    pub fn create(
        dir: Option<PathBuf>,
        resolved: &Resolved,
        manifest: impl FnOnce(&str) -> anyhow::Result<Manifest>,
    ) -> anyhow::Result<Self> {
        let definition = resolved.definition.clone();
        let text = to_toml(&definition)?;
        let named = dir.is_some();
        let dir = dir.unwrap_or_else(unused_folder);
        refuse_used(&dir, command_of(&definition))?;
        store::create_folder(&dir)?;
        let definition_path = dir.join(DEFINITION);
        write_whole(&definition_path, text.as_bytes())?;
        let manifest = manifest(&text).inspect_err(|_| {
            // The error is what matters, and the next attempt says what is still there.
            let _ = fs::remove_file(&definition_path);
        })?;
        let json = serde_json::to_string_pretty(&manifest).context("making JSON of the manifest")?;
        write_whole(&dir.join(MANIFEST), format!("{json}\n").as_bytes())?;
        let samples = Samples::open(&dir)?;
        if !named {
            point_latest_to(&dir);
        }
        Ok(Self { dir, definition, manifest, samples })
    }

    /// Opens the folder `dir` to go on with its runs, which `command` makes. `same_as` gives, for the manifest found, the definition
    /// that it must be of.
    ///
    /// # Errors
    /// It is no whole results folder, of another version, of another definition, or can't be written.
    pub fn resume(
        dir: PathBuf,
        command: &str,
        same_as: impl FnOnce(&Manifest) -> anyhow::Result<Option<Definition>>,
    ) -> anyhow::Result<Self> {
        let manifest = read_manifest(&dir)?;
        let path = dir.join(DEFINITION);
        let text = fs::read_to_string(&path).with_context(|| {
            format!("reading {}; without it the folder can't be continued, only reported on", path.display())
        })?;
        if digest(&text) != manifest.definition_sha256 {
            bail!(
                "{} is not the definition that the runs so far were made with ({} has its SHA-256); restore it, or begin anew with --out",
                path.display(),
                dir.join(MANIFEST).display()
            );
        }
        if let Some(definition) = same_as(&manifest)?
            && to_toml(&definition)? != text
        {
            bail!(
                "the definition of '{}' differs from {}, which the runs so far were made with; leave the name out to go on with that one, or begin anew with --out",
                definition.name,
                path.display()
            );
        }
        let definition = Definition::parse(&text, &path.display().to_string())?;
        let its_command = command_of(&definition);
        if its_command != command {
            let text = format!(
                "{0} is a folder of `weir {its_command}`: weir {its_command} --resume {0}",
                dir.display()
            );
            return Err(UsageError(text).into());
        }
        set_failed_aside(&dir)?;
        let samples = Samples::open(&dir)?;
        Ok(Self { dir, definition, manifest, samples })
    }

    /// The schedule's runs that have no sample yet.
    ///
    /// # Errors
    /// A sample that is there is not what the schedule has in its place.
    pub fn missing(&self) -> anyhow::Result<Vec<Scheduled>> {
        let mut missing = schedule::of(&self.definition, self.manifest.seed);
        for sample in &self.samples.saved().samples {
            let same = |run: &Scheduled| {
                (run.index, run.repetition, run.seed, &run.cell)
                    == (sample.index, sample.repetition, sample.seed, &sample.cell)
            };
            let Some(position) = missing.iter().position(same) else {
                bail!(
                    "sample {} of {} is not what seed {} schedules there; it was made by another version: report on it with `weir report`, and begin anew with --out",
                    sample.index,
                    self.dir.join(SAMPLES).display(),
                    self.manifest.seed
                );
            };
            missing.remove(position);
        }
        Ok(missing)
    }

    /// What the folder held when it was opened.
    pub fn saved(&self) -> &store::Saved {
        self.samples.saved()
    }

    /// Appends `sample`; when this returns, it is on the disk.
    ///
    /// # Errors
    /// It could not be written; the samples before it are kept.
    pub fn append(&mut self, sample: &Sample) -> anyhow::Result<()> {
        self.samples.append(sample).with_context(|| {
            format!("run {} is lost, the samples before it are kept; {}", sample.index, self.how_to_resume())
        })
    }

    /// How to go on, for messages.
    pub fn how_to_resume(&self) -> String {
        format!("go on with: weir {} --resume {}", command_of(&self.definition), self.dir.display())
    }
}

fn to_toml(definition: &Definition) -> anyhow::Result<String> {
    toml::to_string(definition).context("making TOML of the definition")
}

fn unused_folder() -> PathBuf {
    let name = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
    let numbered = (2..1000).map(|number| format!("{name}-{number}"));
    let mut folders = std::iter::once(name.clone()).chain(numbered).map(|name| Path::new(RESULTS).join(name));
    folders.find(|folder| !folder.exists()).unwrap_or_else(|| Path::new(RESULTS).join(name))
}

/// The command that makes the runs of `definition`.
fn command_of(definition: &Definition) -> &'static str {
    if definition.name == weir_results::capacity::NAME { "capacity" } else { "experiment" }
}

fn refuse_used(dir: &Path, command: &str) -> anyhow::Result<()> {
    let used = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            let remedy = "it must be a folder that you may read, or one that can be made; choose another one with --out";
            return Err(error).with_context(|| format!("looking into {}: {remedy}", dir.display()));
        }
        Ok(mut entries) => entries.next().is_some(),
    };
    if !used {
        return Ok(());
    }
    Err(UsageError(format!(
        "{0} is not empty; choose another folder with --out, or go on with what is there: weir {command} --resume {0}",
        dir.display()
    ))
    .into())
}

fn read_manifest(dir: &Path) -> anyhow::Result<Manifest> {
    let path = dir.join(MANIFEST);
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "reading {}: this is no results folder, or its experiment was ended before its first run; begin anew with --out",
            path.display()
        )
    })?;
    let damaged = || format!("reading {}: it is damaged; begin anew with --out", path.display());
    let value: serde_json::Value = serde_json::from_str(&text).with_context(damaged)?;
    match value["schema"].as_u64() {
        Some(schema) if schema == u64::from(SCHEMA) => serde_json::from_value(value).with_context(damaged),
        found => bail!(
            "{} has sample format {}, and this weir writes format {SCHEMA}; go on with the weir that made the folder, or begin anew with --out",
            path.display(),
            found.map_or_else(|| "unknown".into(), |schema| schema.to_string())
        ),
    }
}

/// Moves the samples of failed runs out of the way, so that the runs are made again.
fn set_failed_aside(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(SAMPLES);
    if !path.exists() {
        return Ok(());
    }
    // Opened, so that no other weir appends while the file is replaced.
    let samples = Samples::open(dir)?;
    let (aside, kept): (Vec<_>, Vec<_>) =
        samples.saved().samples.iter().partition(|sample| sample.failure().is_some());
    if aside.is_empty() {
        return Ok(());
    }
    let aside_path = dir.join(FAILED);
    let mut all_aside = fs::read(&aside_path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(Vec::new()),
        _ => Err(error).with_context(|| format!("reading {}", aside_path.display())),
    })?;
    all_aside.extend(to_lines(&aside)?);
    write_whole(&aside_path, &all_aside)?;
    write_whole(&path, &to_lines(&kept)?)
}

fn to_lines(samples: &[&Sample]) -> anyhow::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for sample in samples {
        serde_json::to_writer(&mut lines, sample).context("making JSON of a sample")?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Points `results/latest` to `dir`. It is a convenience: that it can't be made is told, and no reason to stop.
fn point_latest_to(dir: &Path) {
    let (Some(folder), Some(name)) = (dir.parent(), dir.file_name()) else { return };
    let beside = folder.join(format!(".latest.{}", std::process::id()));
    let latest = folder.join("latest");
    if let Err(error) = symlink(name, &beside).and_then(|()| fs::rename(&beside, &latest)) {
        let _ = fs::remove_file(&beside);
        eprintln!("weir: pointing {} to {}: {error}", latest.display(), dir.display());
    }
}
