//! What a service's program stands at, and how that is followed while it comes and goes.

use std::{
    fs::{self, File},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use weir_filters::{Hook, Owner};
use weir_hooks::{Attached, BoundSocket, HookError, Interface, Owners, SocketHolder, SocketRefusal, XdpMode};

use super::{Absent, GuardedService, GuardingError, claim::Claim, pace::CALM, reach};

/// What a program is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PostOwner {
    /// A socket, by its cookie.
    Socket(u64),
    /// A control group, by its folder and the inode of that.
    Group(PathBuf, u64),
    /// An interface.
    Interface(Interface),
}

/// The programs at one of them.
pub(super) struct Post {
    pub(super) owner: PostOwner,
    /// The one that judges, where it is there, and the name of what it is at.
    pub(super) judging: Option<(Attached, String)>,
    /// The one that sees what the service sends, where that is asked for.
    pub(super) knowing: Option<Attached>,
    /// That a socket's filter is weir's; let go once it is taken off.
    pub(super) claim: Option<Claim>,
}

/// What is attached to something at once.
type Programs = (Option<(Attached, String)>, Option<Attached>, Option<Claim>);

impl Post {
    /// Its programs.
    pub(super) fn attached(&self) -> impl Iterator<Item = &Attached> {
        self.judging.iter().map(|(attached, _)| attached).chain(&self.knowing)
    }

    fn is_adrift(&self) -> bool {
        self.attached().any(Attached::is_adrift)
    }

    /// Takes its programs off, also those that would stay. What can't be taken off is said by whoever ends the guard.
    fn detach(self) {
        let programs = self.judging.into_iter().map(|(attached, _)| attached).chain(self.knowing);
        programs.for_each(|attached| drop(attached.detach()));
    }

    /// Leaves its programs where they are.
    pub(super) fn leave(self) {
        let Self { judging, knowing, mut claim, .. } = self;
        claim.iter_mut().for_each(Claim::leave);
        judging.into_iter().map(|(attached, _)| attached).chain(knowing).for_each(Attached::leave);
    }
}

/// What a look for a service has found.
#[derive(Debug, Default)]
pub struct Looked {
    /// Whether the program was attached to anything.
    pub is_new: bool,
    /// How long that was unguarded, at most: at the socket and the control group it came after the look before, and an interface
    /// when the kernel said so.
    pub unguarded: Option<Duration>,
    /// Since when what is found may be unguarded.
    since: Option<Instant>,
    /// What can't be guarded, and since when.
    missed: Vec<(PostOwner, Instant)>,
    /// The first thing that failed; the rest is tried all the same.
    error: Option<GuardingError>,
}

impl GuardedService {
    /// Attaches the program to what has come of the service since the last look, and forgets what is gone; what was found, also where
    /// something failed.
    ///
    /// # Errors
    /// Nothing of the service is there; or something that is there can't be guarded.
    pub fn look(&mut self) -> (Looked, Result<(), GuardingError>) {
        let network = self.network.clone();
        network.within(|| {
            let (look, done) = self.look_here();
            // Where something isn't there or can't be guarded, what is kept of it judges on.
            let done = done.and_then(|()| self.finish_taking_over());
            (look, done)
        })
    }

    fn look_here(&mut self) -> (Looked, Result<(), GuardingError>) {
        let now = Instant::now();
        let before = self.looked.replace(now);
        let since = before.map(|before| if self.hook().owner() == Owner::Interface { now } else { before });
        let mut look = Looked { since, ..Looked::default() };
        let count = self.posts.len();
        self.retain(|post| !post.is_adrift());
        let done = match self.hook() {
            Hook::Socket => self.look_for_sockets(&mut look),
            Hook::Cgroup => self.look_for_groups(&mut look),
            _ => self.look_for_interfaces(&mut look),
        };
        let done = done.and(look.error.take().map_or(Ok(()), Err));
        self.missed = std::mem::take(&mut look.missed);
        if let Some(unguarded) = look.unguarded {
            self.unguarded.add(unguarded);
        }
        if look.is_new {
            self.pace.found(now);
        } else if self.posts.len() < count || (before.is_none() && self.posts.is_empty()) {
            self.pace.lost(now);
        }
        self.due = now
            + match self.hook() {
                Hook::Xdp if done.is_ok() && self.changes.is_ok() => LONG,
                Hook::Tc | Hook::Xdp => CALM,
                _ => self.pace.next(now),
            };
        (look, done)
    }

    fn look_for_sockets(&mut self, look: &mut Looked) -> Result<(), GuardingError> {
        let there = reach::listening(self.service.listen, Hook::Socket)?;
        self.retain(|post| match post.owner {
            PostOwner::Socket(cookie) => there.iter().any(|socket| socket.cookie == cookie),
            _ => true,
        });
        if self.service.known.is_some() && !there.is_empty() {
            let known = self.look_for_groups(look);
            look.error = known.err();
        }
        let new = there.into_iter().filter(|socket| !self.stands_at(&PostOwner::Socket(socket.cookie)));
        for (socket, holder) in reach::meant(&self.service, Hook::Socket, new.collect())? {
            let attached = match holder {
                Ok(None) => continue,
                Ok(Some(holder)) => self.attach_to_socket(&socket, holder),
                Err(error) => Err(error),
            };
            // It was closed meanwhile.
            if attached.is_err() && !socket.is_there()? {
                continue;
            }
            self.post(PostOwner::Socket(socket.cookie), attached, look);
        }
        match self.places().is_empty() && look.error.is_none() {
            true => Err(GuardingError::Absent(Absent::socket(&self.service))),
            false => Ok(()),
        }
    }

    /// What a killed process has left there is replaced.
    fn attach_to_socket(&self, socket: &BoundSocket, holder: SocketHolder) -> Result<Programs, HookError> {
        let mut claim = Claim::of(socket).map_err(|refusal| socket.refused(refusal))?;
        let program = self.filter.facts()?.id;
        if let Some(claim) = &claim {
            // Without it the program is attached all the same, and would be somebody's.
            let _ = claim.announce(program);
        }
        let attached = match self.filter.attach_to_anothers(socket, holder) {
            Err(HookError::RefusedSocket { refusal: SocketRefusal::HasFilter(_), .. })
                if claim.as_ref().is_some_and(|claim| claim.is_left(self.service.listen.port)) =>
            {
                self.filter.replace_at_anothers(socket, holder)?
            }
            attached => attached?,
        };
        if let Some(claim) = &mut claim {
            let _ = claim.place(program);
        }
        let name = format!("{socket} of process {}", holder.process);
        Ok((Some((attached, name)), None, claim))
    }

    /// At the socket only what the service sends is seen at a group.
    fn look_for_groups(&mut self, look: &mut Looked) -> Result<(), GuardingError> {
        self.retain(|post| match &post.owner {
            PostOwner::Group(path, inode) => fs::metadata(path).is_ok_and(|found| found.ino() == *inode),
            _ => true,
        });
        let stands = self.posts.iter().any(|post| matches!(post.owner, PostOwner::Group(..)));
        let hook = self.hook();
        let sockets = match reach::names_group(&self.service, hook) {
            true if stands => return Ok(()),
            true => Vec::new(),
            false => reach::listening(self.service.listen, hook)?,
        };
        let cookies: Vec<_> = sockets.iter().map(|socket| socket.cookie).collect();
        if stands && cookies.iter().all(|cookie| self.seen.contains(cookie)) {
            return Ok(());
        }
        let (groups, is_seen) = reach::groups(&self.service, hook, sockets)?;
        self.is_seen = is_seen;
        for (path, folder) in groups {
            self.post_at_group(path, &folder, look)?;
        }
        self.seen = cookies;
        Ok(())
    }

    fn post_at_group(
        &mut self,
        path: PathBuf,
        folder: &File,
        look: &mut Looked,
    ) -> Result<(), GuardingError> {
        let failed = |cause| GuardingError::Group { what: path.display().to_string(), cause };
        let owner = PostOwner::Group(path.clone(), folder.metadata().map_err(failed)?.ino());
        let is_covered =
            |post: &Post| matches!(&post.owner, PostOwner::Group(above, _) if path.starts_with(above));
        if self.posts.iter().any(is_covered) {
            return Ok(());
        }
        let owners = Owners { group: Some(folder.as_fd()), ..Owners::default() };
        let attach = || -> Result<_, HookError> {
            let knowing = self.filter.attach_knowing(owners)?;
            let judging = match self.hook() {
                Hook::Cgroup => {
                    self.filter.refuse_occupied(owners)?;
                    Some((self.filter.attach_to(owners)?, path.display().to_string()))
                }
                _ => None,
            };
            Ok((judging, knowing, None))
        };
        let attached = attach();
        let is_attached = attached.is_ok();
        self.post(owner.clone(), attached, look);
        if is_attached {
            // What is below would judge a second time.
            let is_below =
                |post: &Post| matches!(&post.owner, PostOwner::Group(below, _) if below.starts_with(&path));
            self.retain(|post| post.owner == owner || !is_below(post));
        }
        Ok(())
    }

    fn look_for_interfaces(&mut self, look: &mut Looked) -> Result<(), GuardingError> {
        let failed = |cause| GuardingError::Interface { what: "interfaces".to_owned(), cause };
        let all = Interface::all().map_err(failed)?;
        self.retain(|post| match &post.owner {
            PostOwner::Interface(interface) => all.contains(interface),
            _ => true,
        });
        let service = Arc::clone(&self.service);
        let named = &service.at.interfaces;
        let wanted = match named.is_empty() {
            true => Interface::delivering(reach::address(&service)).map_err(failed)?,
            false => all.into_iter().filter(|found| named.iter().any(|name| name == found.name())).collect(),
        };
        if self.hook() == Hook::Tc {
            self.look_for_generic_xdp(look);
        }
        // What tells packets of several datagrams is for no driver.
        let xdp_mode = if self.fallback.is_some() { XdpMode::Generic } else { XdpMode::Auto };
        for interface in wanted {
            let owner = PostOwner::Interface(interface.clone());
            if self.stands_at(&owner) {
                continue;
            }
            let owners = Owners { interface: Some(&interface), xdp_mode, ..Owners::default() };
            let attach = || -> Result<_, HookError> {
                self.filter.refuse_occupied(owners)?;
                let judging = (self.filter.attach_to(owners)?, interface.to_string());
                Ok((Some(judging), self.filter.attach_knowing(owners)?, None))
            };
            let attached = attach();
            self.post(owner, attached, look);
        }
        match self.posts.is_empty() && look.error.is_none() {
            true => Err(GuardingError::Absent(Absent::Interfaces(named.join(", ")))),
            false => Ok(()),
        }
    }

    /// Behind it nothing is judged at tc. No link of it is said by the kernel.
    fn look_for_generic_xdp(&self, look: &mut Looked) {
        for post in &self.posts {
            let PostOwner::Interface(interface) = &post.owner else { continue };
            let missed = self.missed_since(&post.owner);
            match self.filter.refuse_behind_generic_xdp(interface) {
                Ok(()) => look.unguarded = look.unguarded.max(missed.map(|since| since.elapsed())),
                Err(error) => {
                    look.missed.extend(missed.or(look.since).map(|since| (post.owner.clone(), since)));
                    look.error.get_or_insert(error.into());
                }
            }
        }
    }

    fn retain(&mut self, is_there: impl Fn(&Post) -> bool) {
        self.posts.extract_if(.., |post| !is_there(post)).for_each(Post::detach);
    }

    fn missed_since(&self, owner: &PostOwner) -> Option<Instant> {
        self.missed.iter().find(|(missed, _)| missed == owner).map(|(_, since)| *since)
    }

    fn stands_at(&self, owner: &PostOwner) -> bool {
        self.posts.iter().any(|post| post.owner == *owner)
    }

    /// What was, or couldn't be, attached to something that was found.
    fn post(&mut self, owner: PostOwner, attached: Result<Programs, HookError>, look: &mut Looked) {
        let since = self.missed_since(&owner).or(look.since);
        match attached {
            Ok((judging, knowing, claim)) => {
                let unguarded = since.filter(|_| judging.is_some()).map(|since| since.elapsed());
                look.unguarded = look.unguarded.max(unguarded);
                look.is_new = true;
                self.posts.push(Post { owner, judging, knowing, claim });
            }
            Err(error) => {
                look.missed.extend(since.map(|since| (owner, since)));
                look.error.get_or_insert(error.into());
            }
        }
    }
}

/// As good as for ever: interfaces that come are said.
const LONG: Duration = Duration::from_secs(3600);
