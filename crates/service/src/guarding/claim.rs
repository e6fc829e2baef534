//! Which sockets have a filter of weir's, written down where a killed process leaves it: the kernel says of a socket's filter that there
//! is one, and not whose.

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::PathBuf,
    process,
};

use weir_hooks::{BoundSocket, LoadedProgram, SocketRefusal};

/// The file of a socket, locked for as long as a process has a program there. Its first line has that process and the programs of
/// which one is there.
pub(super) struct Claim {
    path: PathBuf,
    file: File,
    /// What a process that is gone may have left there.
    left: Vec<u32>,
    /// What this process has put there.
    placed: Option<u32>,
}

impl Claim {
    /// Of a socket of this thread's network namespace; nothing where such files can't be written.
    ///
    /// # Errors
    /// Another process stands there ([`SocketRefusal::Guarded`]).
    pub(super) fn of(socket: &BoundSocket) -> Result<Option<Self>, SocketRefusal> {
        let Ok((path, file)) = open(socket) else { return Ok(None) };
        let (process, programs) = read(&file).unwrap_or_default();
        match file.try_lock() {
            Ok(()) => {
                let left = programs.into_iter().filter(|id| LoadedProgram::of(*id) != LoadedProgram::Gone);
                Ok(Some(Self { path, file, left: left.collect(), placed: None }))
            }
            Err(TryLockError::WouldBlock) => {
                Err(SocketRefusal::Guarded { program: programs.last().copied().unwrap_or_default(), process })
            }
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }

    /// Whether the filter that the socket has was left by a process that is gone: one of its programs is loaded still, or may be.
    pub(super) fn is_left(&self, port: u16) -> bool {
        let may_be = |id: &u32| match LoadedProgram::of(*id) {
            LoadedProgram::Untold => true,
            program => program.guards(port),
        };
        self.left.iter().any(may_be)
    }

    /// Says that `program` is about to be there, in the place of what is, whatever comes between.
    pub(super) fn announce(&self, program: u32) -> io::Result<()> {
        self.write(self.left.iter().copied().chain(self.placed).chain([program]))
    }

    /// Says that `program` alone is there now.
    pub(super) fn place(&mut self, program: u32) -> io::Result<()> {
        self.left.clear();
        self.placed = Some(program);
        self.write([program].into_iter())
    }

    /// Its program can't be taken off, and is left to whoever comes.
    pub(super) fn leave(&mut self) {
        self.left.extend(self.placed);
    }

    fn write(&self, programs: impl Iterator<Item = u32>) -> io::Result<()> {
        let programs: String = programs.map(|id| format!(" {id}")).collect();
        self.file.write_all_at(format!("{}{programs}\n", process::id()).as_bytes(), 0)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What can't be removed is of a socket that no other is mistaken for.
        let _ = match self.left.is_empty() {
            true => fs::remove_file(&self.path),
            false => self.write(self.left.iter().copied()),
        };
    }
}

/// Removes the files of killed processes whose programs are loaded no more: their sockets are closed.
pub(super) fn sweep() {
    let is_over = |path: &PathBuf| {
        let Ok(file) = File::open(path) else { return false };
        let is_gone = |id: &u32| LoadedProgram::of(*id) == LoadedProgram::Gone;
        file.try_lock().is_ok() && read(&file).is_some_and(|(_, programs)| programs.iter().all(is_gone))
    };
    let files = fs::read_dir(folder()).into_iter().flatten().filter_map(Result::ok);
    for path in files.map(|entry| entry.path()).filter(is_over) {
        // It is in nobody's way.
        let _ = fs::remove_file(path);
    }
}

fn folder() -> PathBuf {
    // systemd says where a unit's own folder is.
    let own = env::var_os("RUNTIME_DIRECTORY").and_then(|folders| env::split_paths(&folders).next());
    own.unwrap_or_else(|| "/run/weir".into()).join("sockets")
}

fn open(socket: &BoundSocket) -> io::Result<(PathBuf, File)> {
    let folder = folder();
    fs::create_dir_all(&folder)?;
    // Before Linux 5.11 cookies are a namespace's own.
    let network = fs::metadata("/proc/thread-self/ns/net")?.ino();
    let path = folder.join(format!("{network}-{:x}", socket.cookie));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    Ok((path, file))
}

fn read(file: &File) -> Option<(u32, Vec<u32>)> {
    let mut bytes = [0; 256];
    let len = file.read_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(&bytes[..len]).ok()?;
    let mut numbers = text.split_once('\n')?.0.split(' ').map(str::parse);
    let process = numbers.next()?.ok()?;
    Some((process, numbers.collect::<Result<_, _>>().ok()?))
}
