//! All guards of a file while they run, and where they are asked.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    mem,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::{fs::DirBuilderExt as _, net::UnixStream},
    },
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::SystemTime,
};

use anyhow::Context as _;
use parking_lot::Mutex;
use weir_guard::meaning::{Mode, Service};
use weir_hooks::{VerdictCounts, kept_guards};
use weir_output::{exit::UsageError, terminal::printable};
use weir_service::{
    GuardStatus, ServiceDecisions,
    control::{Answers, GuardList, GuardRequest, Prefix, Reply},
    guarding::{Changed, GuardingError},
};

use super::{
    commanded::Commanded,
    files::ListFile,
    kept::KeptRules,
    reading::{FollowedGuard, RuleTexts},
    running::{RunningGuard, milliseconds},
    words::counted,
};

/// The guards of a file.
pub(crate) struct RunningGuards {
    file: PathBuf,
    /// The services that are meant; all where there are none.
    meant: Vec<String>,
    since: SystemTime,
    standing: Mutex<Standing>,
    /// Written to where there is something else to wait for.
    woken: (UnixStream, UnixStream),
}

/// The guards, and what they were read from.
struct Standing {
    guards: Vec<RunningGuard>,
    read: FollowedGuard,
    /// Of services that the file has no more, or elsewhere.
    ended: Vec<ServiceDecisions>,
}

impl RunningGuards {
    /// Those of a file, of which none runs yet.
    ///
    /// # Errors
    /// Descriptors have run out.
    pub(crate) fn of(file: &Path, meant: &[String], read: FollowedGuard) -> io::Result<Arc<Self>> {
        let woken = UnixStream::pair()?;
        woken.0.set_nonblocking(true)?;
        woken.1.set_nonblocking(true)?;
        let standing = Mutex::new(Standing { guards: Vec::new(), read, ended: Vec::new() });
        let (file, meant) = (file.to_owned(), meant.to_owned());
        Ok(Arc::new(Self { file, meant, since: SystemTime::now(), standing, woken }))
    }

    /// Has all of them stand before their services.
    ///
    /// # Errors
    /// One can't; then none does but those that did before this process.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        let Standing { guards, read, .. } = &mut *self.standing.lock();
        for (at, rules) in &read.services {
            match started(*at, rules, read, &self.file) {
                Ok(guard) => guards.push(guard),
                Err(error) => {
                    guards.drain(..).for_each(RunningGuard::abandon);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Does something with them, for which those wait that ask.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Vec<RunningGuard>) -> T) -> T {
        act(&mut self.standing.lock().guards)
    }

    /// Ends them; gives what those decided that had ended before.
    pub(crate) fn end(&self) -> (Vec<RunningGuard>, Vec<ServiceDecisions>) {
        let Standing { guards, ended, .. } = &mut *self.standing.lock();
        (mem::take(guards), mem::take(ended))
    }

    /// What becomes readable when they are others, until [`Self::rest`].
    pub(crate) fn woken(&self) -> BorrowedFd<'_> {
        self.woken.0.as_fd()
    }

    /// Forgets that they are others.
    pub(crate) fn rest(&self) {
        while (&self.woken.0).read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
    }

    fn wake(&self) {
        // Where there is no room it was woken.
        let _ = (&self.woken.1).write(&[0]);
    }

    /// How they stand before their services, and what they decided so far.
    pub(crate) fn status(&self) -> GuardStatus {
        GuardStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            file: self.file.display().to_string(),
            process: process::id(),
            since_ms: milliseconds(self.since),
            services: self.standing.lock().guards.iter().map(RunningGuard::status).collect(),
        }
    }

    /// The lists that they follow.
    pub(crate) fn lists(&self) -> Vec<ListFile> {
        self.standing.lock().read.lists.clone()
    }

    /// Has them stand for the file as it is now: those of services that it has no more end, and new ones begin. Gives in words what
    /// that changed.
    ///
    /// # Errors
    /// The file has an error, or one of its services can't be guarded so: then nothing has changed.
    pub(crate) fn reload(&self) -> anyhow::Result<String> {
        let read = FollowedGuard::read(&self.file, &self.meant)?;
        let mut standing = self.standing.lock();
        let done = standing.take(read, &self.file);
        drop(standing);
        self.wake();
        done
    }

    /// Has them search their lists as they are now, where any is another one than before; gives in words what that changed.
    ///
    /// # Errors
    /// One has an error: what was searched before is searched still.
    pub(crate) fn reload_lists(&self) -> anyhow::Result<Option<String>> {
        let mut standing = self.standing.lock();
        if !standing.read.lists.iter().any(ListFile::has_changed) {
            return Ok(None);
        }
        standing.read.read_lists()?;
        let Standing { guards, read, .. } = &mut *standing;
        let done = take_rules(guards, read)?;
        Ok((!done.is_empty()).then(|| done.join("; ")))
    }

    /// Has one of them stand for what is commanded besides its file.
    fn command(
        &self,
        service: &str,
        change: impl FnOnce(&mut Commanded) -> String,
    ) -> anyhow::Result<String> {
        let mut standing = self.standing.lock();
        let names: Vec<_> = standing.guards.iter().map(|guard| guard.name().to_owned()).collect();
        let guard = standing.guards.iter_mut().find(|guard| guard.name() == service);
        let guard = guard.ok_or_else(|| {
            let (service, names) = (printable(service), names.join(", "));
            anyhow::Error::msg(format!("no service '{service}' is guarded here; there are: {names}"))
        })?;
        let mut commanded = guard.commanded().clone();
        let did = change(&mut commanded);
        let changed = guard.command(commanded)?;
        let did = match changed {
            Changed::Nothing => format!("{service} did that before: nothing has changed"),
            Changed::Lists | Changed::Program => did,
        };
        drop(standing);
        self.wake();
        Ok(did)
    }
}

impl Standing {
    fn take(&mut self, read: FollowedGuard, file: &Path) -> anyhow::Result<String> {
        let is_kept = |guard: &RunningGuard| read.services.iter().any(|(_, rules)| guard.stands_for(rules));
        let stands = |rules: &Service| self.guards.iter().any(|guard| guard.stands_for(rules));
        let new: Vec<_> = read.services.iter().filter(|(_, rules)| !stands(rules)).cloned().collect();
        // Two guards for a port are one too many: those whose place is another go first.
        let is_moved = |guard: &RunningGuard| {
            let is_its = |(_, rules): &(usize, Arc<Service>)| {
                rules.name == guard.name() || rules.listen.port == guard.rules().listen.port
            };
            !is_kept(guard) && new.iter().any(is_its)
        };
        let (moved, staying) = mem::take(&mut self.guards).into_iter().partition(is_moved);
        self.guards = staying;
        let moved: Vec<RunningGuard> = moved;
        let moved_rules: Vec<_> =
            moved.iter().map(|guard| (Arc::clone(guard.rules()), guard.kept().clone())).collect();
        let mut did: Vec<String> = moved.into_iter().map(|guard| ended(guard, &mut self.ended)).collect();
        let mut begun = Vec::new();
        let started = new.iter().try_for_each(|(at, rules)| {
            let mut guard = started(*at, rules, &read, file)?;
            guard.sample().map_err(|error| refused(rules, error))?;
            begun.push(guard);
            anyhow::Ok(())
        });
        let changed = started.and_then(|()| take_rules(&mut self.guards, &read));
        match changed {
            Ok(changed) => did.extend(changed),
            Err(error) => {
                begun.into_iter().for_each(RunningGuard::abandon);
                // As it was.
                for (rules, kept) in moved_rules {
                    let again = RunningGuard::start(&rules, beside(file), &name_of(file), kept).and_then(
                        |mut guard| {
                            guard.sample()?;
                            Ok(guard)
                        },
                    );
                    match again {
                        Ok(guard) => self.guards.push(guard),
                        Err(again) => eprintln!("weir: {} isn't guarded any more: {again}", rules.name),
                    }
                }
                return Err(error);
            }
        }
        did.extend(begun.iter().map(|guard| format!("{} is guarded", guard.name())));
        self.guards.extend(begun);
        let is_wanted = |guard: &RunningGuard| read.services.iter().any(|(_, rules)| guard.stands_for(rules));
        let (staying, gone): (Vec<_>, Vec<_>) = mem::take(&mut self.guards).into_iter().partition(is_wanted);
        self.guards = staying;
        did.extend(gone.into_iter().map(|guard| ended(guard, &mut self.ended)));
        let place =
            |guard: &RunningGuard| read.services.iter().position(|(_, rules)| guard.stands_for(rules));
        self.guards.sort_by_key(place);
        self.read = read;
        Ok(if did.is_empty() { "nothing has changed".to_owned() } else { did.join("; ") })
    }
}

/// Gives the rules of the file to those that stand for them; in words what that changed.
///
/// # Errors
/// One of them can't: then all have the rules that they had.
fn take_rules(guards: &mut [RunningGuard], read: &FollowedGuard) -> anyhow::Result<Vec<String>> {
    let mut did = Vec::new();
    let mut before: Vec<(usize, Arc<Service>, KeptRules)> = Vec::new();
    for (place, rules) in &read.services {
        let Some(at) = guards.iter().position(|guard| guard.stands_for(rules)) else { continue };
        let (had, kept) = (Arc::clone(guards[at].rules()), guards[at].kept().clone());
        match guards[at].take_rules(rules, read.kept(&rules.name)) {
            Ok(Changed::Nothing) => {}
            Ok(Changed::Lists) => did.push(format!("{} has other lists", rules.name)),
            Ok(Changed::Program) => did.push(format!("{} has other rules", rules.name)),
            Err(error) => {
                for (at, had, kept) in before {
                    if let Err(again) = guards[at].take_rules(&had, kept) {
                        eprintln!("weir: {} has the new rules already: {again}", had.name);
                    }
                }
                return Err(traced(*place, rules, &read.texts, error));
            }
        }
        before.push((at, had, kept));
    }
    Ok(did)
}

/// A guard that stands before its service, and writes no samples yet.
fn started(
    at: usize,
    rules: &Arc<Service>,
    read: &FollowedGuard,
    file: &Path,
) -> anyhow::Result<RunningGuard> {
    let guard = RunningGuard::start(rules, beside(file), &name_of(file), read.kept(&rules.name));
    guard.map_err(|error| traced(at, rules, &read.texts, error))
}

/// From where a guard's relative paths are seen.
fn beside(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// The services of that guard that are kept and that no process has, by their names, but for those in `others`.
///
/// # Errors
/// What the kernel says.
pub(crate) fn kept_apart(guard: &str, others: &[&str]) -> io::Result<Vec<String>> {
    let folders = match fs::read_dir(kept_guards().join(guard)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folders => folders?,
    };
    let names = folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.retain(|name| !others.contains(&name.as_str()));
    names.sort();
    Ok(names)
}

/// Why a service isn't guarded so, with the line of the rule where the kernel refuses its program.
fn traced(at: usize, rules: &Service, texts: &RuleTexts, error: GuardingError) -> anyhow::Error {
    match error {
        GuardingError::Hook(error) => refused(rules, texts.traced(at, rules, error).into()),
        error => refused(rules, error),
    }
}

/// Why a service isn't guarded.
pub(crate) fn refused(service: &Service, error: GuardingError) -> anyhow::Error {
    let text = format!("guarding {}: {error}", service.name);
    if error.is_usage() { UsageError(text).into() } else { anyhow::Error::msg(text) }
}

/// Ends a guard whose service the file has no more, or elsewhere; in words what it counted.
fn ended(guard: RunningGuard, all: &mut Vec<ServiceDecisions>) -> String {
    let name = guard.name().to_owned();
    match guard.end() {
        Ok((decisions, staying)) => {
            for error in staying {
                eprintln!("weir: {name}: the program stays attached: {error}");
            }
            let VerdictCounts { accepted, dropped } = decisions.verdicts;
            all.push(decisions);
            format!("{name} isn't guarded there any more: {accepted} packets passed, {dropped} were dropped")
        }
        Err(error) => format!("{name} isn't guarded there any more; what was decided can't be told: {error}"),
    }
}

impl Answers for RunningGuards {
    type Request = GuardRequest;

    fn answer(&self, request: GuardRequest) -> Reply {
        let mode = |service: &str, mode: Mode| {
            self.command(service, |commanded| {
                commanded.mode = Some(mode);
                format!(
                    "{service}: {} from now on, until its file says another mode than before",
                    mode.name()
                )
            })
        };
        let did = match request {
            GuardRequest::Status => return Reply::Guard(self.status()),
            GuardRequest::Reload => self.reload(),
            GuardRequest::Enforce { service } => mode(&service, Mode::Enforce),
            GuardRequest::Observe { service } => mode(&service, Mode::Observe),
            GuardRequest::List { service, list, remove, prefixes } => self.command(&service, |commanded| {
                let listed = match list {
                    GuardList::Block => &mut commanded.blocked,
                    GuardList::Allow => &mut commanded.allowed,
                };
                let before = listed.len();
                for Prefix(prefix) in prefixes {
                    if remove {
                        listed.remove(&prefix)
                    } else {
                        listed.insert(prefix)
                    };
                }
                let changed = before.abs_diff(listed.len());
                let how = match (list, remove) {
                    (GuardList::Block, false) => "blocked",
                    (GuardList::Block, true) => "blocked no more",
                    (GuardList::Allow, false) => "allowed",
                    (GuardList::Allow, true) => "allowed no more",
                };
                format!("{service}: {} {how}; {} by command in all", counted(changed, "prefix"), listed.len())
            }),
        };
        match did {
            Ok(did) => {
                eprintln!("weir: by command: {did}");
                Reply::Done { did }
            }
            Err(error) => Reply::Error { error: format!("{error:#}") },
        }
    }
}

/// Where the folders of running guards are.
const FOLDERS: &str = "/run/weir";

/// The socket in such a folder.
const SOCKET: &str = "control";

/// The folder of a guard's control socket; one that this process made goes when this is dropped.
pub(crate) struct ControlFolder {
    path: PathBuf,
    is_own: bool,
}

impl ControlFolder {
    /// The folder that systemd made for the unit (RuntimeDirectory in systemd.exec(5)); without one it is made, for its owner alone.
    ///
    /// # Errors
    /// It can't be made.
    pub(crate) fn make(guard: &Path) -> anyhow::Result<Self> {
        if let Some(folders) = env::var_os("RUNTIME_DIRECTORY")
            && let Some(path) = env::split_paths(&folders).next()
        {
            return Ok(Self { path, is_own: false });
        }
        let path = Path::new(FOLDERS).join(name_of(guard));
        let make = |path: &Path, mode| match fs::DirBuilder::new().mode(mode).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error).with_context(|| {
                format!("making the folder {}; --control names another place", path.display())
            }),
            _ => Ok(()),
        };
        make(Path::new(FOLDERS), 0o755)?;
        make(&path, 0o700)?;
        Ok(Self { path, is_own: true })
    }

    /// The path of the socket in it.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }
}

impl Drop for ControlFolder {
    fn drop(&mut self) {
        if self.is_own {
            // What isn't empty is somebody's.
            let _ = fs::remove_dir(&self.path).and_then(|()| fs::remove_dir(FOLDERS));
        }
    }
}

/// The guard's name as that of a unit and of a folder: its file's, without what these don't take.
pub(crate) fn name_of(guard: &Path) -> String {
    let stem = guard.file_stem().unwrap_or_default().to_string_lossy();
    let is_part = |each: char| each.is_ascii_alphanumeric() || "-_".contains(each);
    let name: String = stem.chars().map(|each| if is_part(each) { each } else { '_' }).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// The control sockets of all guards that were started without `--control`, by their folders' names.
///
/// # Errors
/// Their folder can't be read; that it isn't there is none.
pub(crate) fn control_sockets() -> io::Result<Vec<PathBuf>> {
    let folders = match fs::read_dir(FOLDERS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folders => folders?,
    };
    let mut sockets = folders
        .map(|folder| Ok(folder?.path().join(SOCKET)))
        .filter(|socket| !socket.as_ref().is_ok_and(|socket: &PathBuf| !socket.exists()))
        .collect::<io::Result<Vec<_>>>()?;
    sockets.sort();
    Ok(sockets)
}
