//! What belongs to a service that runs already: its sockets, with who has them, their control groups, and its interfaces.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
};

use weir_filters::Hook;
use weir_guard::meaning::{Listen, Service};
use weir_hooks::{BoundSocket, HookError, Interface, SocketHolder, SocketHolders};

use super::{Absent, GuardingError};
use crate::control_group::{group_named, group_of_inode};

/// The address that a program of the service is made for: IPv6's unspecified one takes packets of both versions.
pub(super) fn address(service: &Service) -> IpAddr {
    service.listen.address.unwrap_or(Ipv6Addr::UNSPECIFIED.into())
}

/// A socket, and a process that has it.
pub(super) type HeldSocket = (BoundSocket, Result<Option<SocketHolder>, HookError>);

/// Those of `sockets` that the guard is about, each with a process that has it, or why there is none that is shown; at the control group's
/// hook also those whose process this one may not look at.
///
/// # Errors
/// The kernel's table can't be read.
pub(super) fn meant(
    service: &Service,
    hook: Hook,
    sockets: Vec<BoundSocket>,
) -> Result<Vec<HeldSocket>, GuardingError> {
    if sockets.is_empty() {
        return Ok(Vec::new());
    }
    let unit = &service.at.unit;
    let pid = service.at.pid;
    let is_meant = |holder: &SocketHolder| {
        pid.is_none_or(|pid| pid == holder.process)
            && unit.as_ref().is_none_or(|unit| is_of_unit(holder.process, unit))
    };
    let is_anybodys = pid.is_none() && unit.is_none();
    let holders = SocketHolders::of(&sockets);
    let mut found = Vec::new();
    for socket in sockets {
        let all = holders.all_of(&socket);
        match all.iter().copied().find(is_meant) {
            Some(holder) => found.push((socket, Ok(Some(holder)))),
            None if !all.is_empty() => {}
            None if holders.are_all_shown() && !is_anybodys => {}
            None if !holders.are_all_shown() && is_anybodys && hook == Hook::Cgroup => {
                found.push((socket, Ok(None)));
            }
            // It says why there is none, unless it was closed meanwhile.
            None => match holders.one_of(&socket) {
                Err(error) if socket.is_there()? => found.push((socket, Err(error))),
                _ => {}
            },
        }
    }
    Ok(found)
}

/// The sockets that packets for the service can come to.
///
/// # Errors
/// The kernel's table can't be read; or they are for other addresses too, which a program there isn't told.
pub(super) fn listening(listen: Listen, hook: Hook) -> Result<Vec<BoundSocket>, GuardingError> {
    let Listen { address, port } = listen;
    let sockets = BoundSocket::on_port(port)?;
    let Some(address) = address else { return Ok(sockets) };
    let (its_own, others): (Vec<_>, Vec<_>) =
        sockets.into_iter().partition(|socket| socket.local.ip().to_canonical() == address);
    let takes_it = |socket: &BoundSocket| {
        socket.local.ip().is_unspecified() && (socket.local.is_ipv6() || address.is_ipv4())
    };
    let of_every_address: Vec<_> = others.into_iter().filter(takes_it).collect();
    match hook {
        Hook::Socket if !its_own.is_empty() || of_every_address.is_empty() => Ok(its_own),
        Hook::Socket => Err(GuardingError::EveryAddress { address, port }),
        _ => Ok([its_own, of_every_address].concat()),
    }
}

/// Whether the guard says which group is meant, so that sockets don't.
pub(super) fn names_group(service: &Service, hook: Hook) -> bool {
    service.at.group.is_some() || (service.at.unit.is_some() && hook == Hook::Cgroup)
}

/// The control groups that packets for the service can be judged at, none of them below another: the one that is named; its unit's
/// parent, which stays when the unit is stopped; or those of `sockets`. And whether it was seen who has these.
///
/// # Errors
/// There is none yet; or the kernel doesn't say which.
pub(super) fn groups(
    service: &Service,
    hook: Hook,
    sockets: Vec<BoundSocket>,
) -> Result<(Vec<(PathBuf, File)>, bool), GuardingError> {
    let mut is_seen = true;
    let mut paths = match (&service.at.group, &service.at.unit) {
        (Some(group), _) => vec![group.into()],
        (None, Some(unit)) if hook == Hook::Cgroup => {
            let found = group_named(unit).map_err(failed(unit))?;
            let found = found.ok_or_else(|| GuardingError::Absent(Absent::Unit(unit.clone())))?;
            vec![found.parent().map_or_else(|| found.clone(), Path::to_owned)]
        }
        _ => meant(service, hook, sockets)?
            .into_iter()
            .map(|(socket, holder)| {
                match holder? {
                    Some(holder) => socket.refuse_encapsulating(holder)?,
                    None => is_seen = false,
                }
                group_of(&socket)
            })
            .collect::<Result<_, _>>()?,
    };
    if paths.is_empty() {
        return Err(GuardingError::Absent(Absent::socket(service)));
    }
    paths.sort();
    // Those below another come behind it.
    let mut topmost: Vec<PathBuf> = Vec::new();
    for path in paths {
        if topmost.iter().all(|above| !path.starts_with(above)) {
            topmost.push(path);
        }
    }
    let open = |path: PathBuf| match File::open(&path) {
        Ok(folder) => Ok((path, folder)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Err(GuardingError::Absent(Absent::Group(path)))
        }
        Err(cause) => Err(failed(path.display())(cause)),
    };
    Ok((topmost.into_iter().map(open).collect::<Result<_, _>>()?, is_seen))
}

fn group_of(socket: &BoundSocket) -> Result<PathBuf, GuardingError> {
    let what = format!("the control group of {socket}");
    let lacking = |why| failed(&what)(io::Error::new(io::ErrorKind::NotFound, why));
    let group =
        socket.group.ok_or_else(|| lacking("the kernel says none, which needs Linux 5.8 and cgroup2"))?;
    let path = group_of_inode(group).map_err(failed(&what))?;
    path.ok_or_else(|| lacking("cgroup2 isn't mounted here, or not with that group in it"))
}

fn failed(what: impl ToString) -> impl Fn(io::Error) -> GuardingError {
    move |cause| GuardingError::Group { what: what.to_string(), cause }
}

/// The interfaces that are named, or all by which packets for the service can come in.
pub(super) fn interfaces(service: &Service) -> Result<Vec<Interface>, GuardingError> {
    let named = |name: &String| {
        let failed = |cause| GuardingError::Interface { what: format!("the interface {name}"), cause };
        Interface::named(name).map_err(failed)
    };
    if !service.at.interfaces.is_empty() {
        return service.at.interfaces.iter().map(named).collect();
    }
    let address = address(service);
    let failed = |cause| GuardingError::Interface { what: format!("the interfaces of {address}"), cause };
    match Interface::delivering(address).map_err(failed)? {
        found if found.is_empty() => Err(failed(io::Error::other("none is up"))),
        found => Ok(found),
    }
}

/// Whether the process is in the unit's control group.
fn is_of_unit(process: u32, unit: &str) -> bool {
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    groups.lines().any(|line| line.split('/').any(|name| name == unit))
}
