//! Lists of prefixes, watched for change.

use std::{
    collections::BTreeSet,
    ffi::{CStr, OsStr},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

use super::files::ListFile;

/// So long nothing happens in the folders of lists before they are read: who replaces one may be about to replace another.
const QUIET: Duration = Duration::from_millis(100);
/// They are read after so long however much happens there.
const LONGEST: Duration = Duration::from_secs(1);

/// The folders of lists, in which these are written or replaced (inotify(7)). A list that is being written is read once its writer
/// closes it.
pub(crate) struct ListWatch {
    events: Option<OwnedFd>,
    folders: BTreeSet<PathBuf>,
    /// Whether some folder tells nothing, so that it has to be looked.
    is_deaf: bool,
    /// Since when, and until when, something happens there.
    happening: Option<(Instant, Instant)>,
}

impl ListWatch {
    /// Of no folder yet.
    pub(crate) fn new() -> Self {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok();
        Self { is_deaf: events.is_none(), events, folders: BTreeSet::new(), happening: None }
    }

    /// Watches the folders of these lists, too, and of what they are links to.
    pub(crate) fn add(&mut self, lists: &[ListFile]) {
        let Some(events) = &self.events else { return };
        for list in lists {
            let leads_to = list.path.canonicalize().ok();
            for folder in [Some(&list.path), leads_to.as_ref()].into_iter().flatten().map(|path| folder(path))
            {
                if self.folders.contains(folder) {
                    continue;
                }
                let told =
                    WatchFlags::CLOSE_WRITE | WatchFlags::MOVE | WatchFlags::DELETE | WatchFlags::CREATE;
                match inotify::add_watch(events, folder, told | WatchFlags::ONLYDIR) {
                    Ok(_) => drop(self.folders.insert(folder.to_owned())),
                    Err(_) => self.is_deaf = true,
                }
            }
        }
    }

    /// What becomes readable when something happens there.
    pub(crate) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(|events| events.as_fd())
    }

    /// When [`Self::is_due`] is to be asked, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.happening {
            Some((_, until)) => Some(until),
            None => self.is_deaf.then(|| Instant::now() + LONGEST),
        }
    }

    /// Whether lists are to be looked at, since something has happened in their folders.
    pub(crate) fn is_due(&mut self) -> bool {
        if self.take_events() {
            let now = Instant::now();
            let since = self.happening.map_or(now, |(since, _)| since);
            self.happening = Some((since, (now + QUIET).min(since + LONGEST)));
        }
        let is_due = self.happening.is_none_or(|(_, until)| until <= Instant::now());
        if is_due && self.happening.take().is_some() {
            return true;
        }
        is_due && self.is_deaf
    }

    /// Whether there were any that a list may have changed by.
    fn take_events(&self) -> bool {
        let Some(events) = &self.events else { return false };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(events, &mut buffer);
        let mut is_any = false;
        loop {
            match reader.next() {
                // Of a file that is made its writer says when it is whole; a link is.
                Ok(event) => is_any |= event.events() != ReadFlags::CREATE || self.is_link(event.file_name()),
                Err(Errno::INTR) => {}
                Err(_) => return is_any,
            }
        }
    }

    /// Whether that is a symbolic link in any of the folders.
    fn is_link(&self, name: Option<&CStr>) -> bool {
        let Some(name) = name.map(|name| OsStr::from_bytes(name.to_bytes())) else { return true };
        self.folders.iter().any(|folder| folder.join(name).is_symlink())
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::{fs, io, thread};

    use super::*;

    /// Whether what was done is noticed, and the list another one.
    fn notices(act: impl FnOnce(&Path)) -> io::Result<bool> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("list.txt");
        fs::write(&path, "192.0.2.0/24\n")?;
        let list = ListFile::at(path.clone());
        let mut watch = ListWatch::new();
        watch.add(std::slice::from_ref(&list));
        assert!(!watch.is_due() && watch.due().is_none());
        act(&path);
        // The first look starts the wait for quiet.
        assert!(!watch.is_due());
        let Some(due) = watch.due() else { return Ok(false) };
        thread::sleep(due.saturating_duration_since(Instant::now()));
        Ok(watch.is_due() && list.has_changed())
    }

    #[test]
    fn a_list_that_is_written_or_replaced_is_noticed_and_one_that_is_being_written_is_not() -> io::Result<()>
    {
        assert!(notices(|path| fs::write(path, "198.51.100.0/24\n").expect("it is ours"))?);
        assert!(notices(|path| {
            let new = path.with_extension("new");
            fs::write(&new, "203.0.113.0/24\n").expect("it is ours");
            fs::rename(new, path).expect("it is ours");
        })?);
        assert!(notices(|path| fs::remove_file(path).expect("it is ours"))?);
        assert!(notices(|path| {
            let (other, link) = (path.with_extension("other"), path.with_extension("link"));
            fs::write(&other, "203.0.113.0/24\n").expect("it is ours");
            std::os::unix::fs::symlink(&other, &link).expect("it is ours");
            fs::rename(link, path).expect("it is ours");
        })?);
        assert!(!notices(|path| {
            let writing = fs::File::create(path).expect("it is ours");
            // It stays open behind the test.
            std::mem::forget(writing);
        })?);
        assert!(!notices(|_| {})?);
        Ok(())
    }
}
