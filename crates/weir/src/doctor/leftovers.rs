//! What a run that was killed left behind: only what weir made, which its names say.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use weir_hooks::ClsactFilter;
use weir_lab::topology::named;
use weir_service::ControlGroup;

use super::Check;

/// Something that nobody uses any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// An empty control group of a server.
    ControlGroup(PathBuf),
    /// A filter of a server that was killed, at tc without a link.
    Filter(ClsactFilter),
    /// A part of the veth pair with names, which lacks the rest.
    Pair(String),
    /// A temporary folder of an experiment.
    Folder(PathBuf),
}

impl Leftover {
    fn kind(&self) -> &'static str {
        match self {
            Self::ControlGroup(_) => "leftover control group",
            Self::Filter(_) => "leftover filter",
            Self::Pair(_) => "leftover of weir net",
            Self::Folder(_) => "leftover folder",
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::ControlGroup(path) | Self::Folder(path) => path.display().to_string(),
            Self::Filter(filter) => filter.to_string(),
            Self::Pair(reason) => reason.clone(),
        }
    }

    /// Takes it away, and says what it was.
    ///
    /// # Errors
    /// It is in use again, or not this user's to remove.
    pub(crate) fn remove(&self) -> anyhow::Result<String> {
        match self {
            Self::ControlGroup(path) => fs::remove_dir(path)?,
            Self::Filter(filter) => filter.remove_leftover()?,
            Self::Pair(_) => drop(named::down()?),
            Self::Folder(path) => fs::remove_dir_all(path)?,
        }
        Ok(self.shown())
    }
}

/// Everything that is left.
///
/// # Errors
/// What can't be looked at.
pub(crate) fn find() -> anyhow::Result<Vec<Leftover>> {
    let groups = ControlGroup::leftovers().context("looking for control groups")?;
    let mut found: Vec<_> = groups.into_iter().map(Leftover::ControlGroup).collect();
    let filters = ClsactFilter::leftovers().context("looking for filters at tc")?;
    found.extend(filters.into_iter().map(Leftover::Filter));
    if let named::PairStatus::Broken { reason } = named::status()? {
        found.push(Leftover::Pair(reason));
    }
    let folder = std::env::temp_dir();
    let folders =
        folders_in(&folder, MIN_AGE).with_context(|| format!("looking into {}", folder.display()))?;
    found.extend(folders.into_iter().map(Leftover::Folder));
    Ok(found)
}

pub(super) fn findings() -> Vec<Check> {
    match find() {
        Ok(found) if found.is_empty() => vec![Check::ok("leftovers", "none")],
        Ok(found) => {
            let row = |leftover: &Leftover| {
                Check::gap(leftover.kind(), leftover.shown(), "`weir doctor --fix` removes it")
            };
            found.iter().map(row).collect()
        }
        Err(error) => vec![Check::gap("leftovers", format!("{error:#}"), "look again as root")],
    }
}

/// How the folder of a run is called; six letters or digits follow.
const PREFIX: &str = "weir-";
const LETTERS: usize = 6;
/// A folder that is younger may be one that is about to be used.
const MIN_AGE: Duration = Duration::from_secs(60);

/// Folders of runs in which no socket is bound any more: a run has one in its folder as long as it lives.
fn folders_in(folder: &Path, min_age: Duration) -> io::Result<Vec<PathBuf>> {
    let bound = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let is_one = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let letters = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).unwrap_or_default();
        let is_named =
            letters.len() == LETTERS && letters.chars().all(|letter| letter.is_ascii_alphanumeric());
        is_named && entry.file_type().is_ok_and(|kind| kind.is_dir())
    };
    let age = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        modified.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok()).unwrap_or_default()
    };
    let is_used = |path: &Path| bound.lines().any(|line| line.contains(&format!("{}/", path.display())));
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    let old = entries.filter(|entry| is_one(entry) && age(entry) >= min_age);
    Ok(old.map(|entry| entry.path()).filter(|path| !is_used(path)).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_runs_folder_is_a_leftover_when_its_socket_is_gone() {
        let home = tempfile::tempdir().unwrap();
        for name in ["weir-aB3dE6", "weir-toolong", "other-aB3dE6", "weir-aB.dE6"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        let run = home.path().join("weir-aB3dE6");
        let find = |age| folders_in(home.path(), age).unwrap();
        assert_eq!(find(Duration::ZERO), std::slice::from_ref(&run));
        assert!(find(Duration::from_secs(3600)).is_empty(), "it is young");

        let socket = UnixDatagram::bind(run.join("notify")).unwrap();
        assert!(find(Duration::ZERO).is_empty(), "a run is using it");
        drop(socket);
        let leftover = Leftover::Folder(run.clone());
        leftover.remove().unwrap();
        assert!(!run.exists());
    }
}
