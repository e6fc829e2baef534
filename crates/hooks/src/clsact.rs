//! Programs of tc without links, for kernels before 6.6: filters of the qdisc clsact (tc-bpf(8)), through rtnetlink(7).
//!
//! A filter outlives its process. Which filters are weir's is told by their priority and name, and which of these have no
//! process any more by a Unix socket of the interface's network namespace whose name is the filter's: the kernel closes it
//! with the process, whatever ends that.

use std::{
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd},
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    thread,
    time::Duration,
};

use rtnetlink::{
    packet_core::{NLM_F_CREATE, NLM_F_EXCL},
    packet_route::{
        RouteNetlinkMessage,
        tc::{TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption},
    },
};

use crate::{Direction, Interface, route};

/// The priority of weir's filters: behind those whose priority the kernel chose (net/sched/cls_api.c, tcf_auto_prio).
const PRIORITY: u16 = 0xc0de;
/// ETH_P_ALL, include/uapi/linux/if_ether.h.
const ALL_PROTOCOLS: u16 = 0x0003;
/// What the names of weir's filters begin with; what they are for follows.
const NAME: &str = "weir ";
/// So many of weir's filters may an interface have, in one direction.
const MOST: u32 = 1024;

/// A place among the filters of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClsactFilter {
    interface: Interface,
    direction: Direction,
    handle: u32,
    /// What it is for.
    purpose: String,
}

/// A program in such a place, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Clsact {
    pub(crate) filter: ClsactFilter,
    /// Whether the qdisc is ours, so that it goes with its last filter.
    is_ours: bool,
    /// Whether it is left when this is dropped, as a killed process leaves it.
    pub(crate) stays: bool,
    /// Says that a process has the place.
    _holder: UnixDatagram,
}

impl Clsact {
    /// Attaches a program to an interface, in the place of one that a killed process left for the same purpose, if there is
    /// one.
    pub(crate) fn attach(
        interface: &Interface,
        direction: Direction,
        purpose: &str,
        program: BorrowedFd<'_>,
    ) -> io::Result<Self> {
        let _turn = turn(interface)?;
        let present = filters(interface, direction)?;
        let is_there = |place: &ClsactFilter| present.iter().any(|filter| filter.handle == place.handle);
        let place = |handle| ClsactFilter {
            interface: interface.clone(),
            direction,
            handle,
            purpose: purpose.to_owned(),
        };
        let left = present.iter().filter(|filter| filter.purpose == purpose);
        let free = (1..=MOST).map(place).filter(|place| !is_there(place));
        let (filter, holder) = left
            .cloned()
            .chain(free)
            .find_map(|place| match bind(&place.holder()) {
                Ok(holder) => Some(Ok((place, holder))),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
                Err(error) => Some(Err(error)),
            })
            .unwrap_or_else(|| Err(io::ErrorKind::AddrInUse.into()))?;
        let is_made = make_qdisc(interface)?;
        // What a process left that was killed may be in a qdisc that it made.
        let is_ours = is_made || present.contains(&filter);
        if let Err(error) = filter.fill(program) {
            if is_made {
                remove_qdisc_if_empty(interface);
            }
            return Err(error);
        }
        Ok(Self { filter, is_ours, stays: false, _holder: holder })
    }
}

impl Drop for Clsact {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        // Nothing of it fails but where the interface is gone, and the filter with it.
        let _turn = turn(&self.filter.interface);
        let _ = self.filter.remove();
        if self.is_ours {
            remove_qdisc_if_empty(&self.filter.interface);
        }
    }
}

impl ClsactFilter {
    /// Those of weir's in this network namespace that no process has any more.
    ///
    /// # Errors
    /// What the kernel says to the question.
    pub fn leftovers() -> io::Result<Vec<Self>> {
        let mut leftovers = Vec::new();
        for interface in Interface::all()? {
            let [ingress, egress] = Direction::ALL.map(|direction| filters(&interface, direction));
            let found = [ingress?, egress?].concat();
            if !found.is_empty() {
                let _turn = turn(&interface)?;
                leftovers.extend(found.into_iter().filter(|filter| bind(&filter.holder()).is_ok()));
            }
        }
        Ok(leftovers)
    }

    /// Takes it away, if no process has it, and the qdisc where nothing else is in it.
    ///
    /// # Errors
    /// A process has it, or what the kernel says.
    pub fn remove_leftover(&self) -> io::Result<()> {
        let _turn = turn(&self.interface)?;
        let _holder = bind(&self.holder())?;
        self.remove()?;
        remove_qdisc_if_empty(&self.interface);
        Ok(())
    }

    /// Puts the program there in one step, whatever was there.
    pub(crate) fn fill(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        let options = vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd() as u32)),
            TcOption::Bpf(TcFilterBpfOption::ProgName(format!("{NAME}{}", self.purpose))),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ];
        let mut message = self.message();
        message.attributes.push(TcAttribute::Options(options));
        route::order(RouteNetlinkMessage::NewTrafficFilter(message), NLM_F_CREATE)
    }

    fn remove(&self) -> io::Result<()> {
        route::order(RouteNetlinkMessage::DelTrafficFilter(self.message()), 0)
    }

    fn message(&self) -> TcMessage {
        let info = u32::from(PRIORITY) << u16::BITS | u32::from(ALL_PROTOCOLS.to_be());
        let header = TcHeader {
            index: self.interface.index() as i32,
            handle: self.handle.into(),
            parent: parent(self.direction),
            info,
            ..TcHeader::default()
        };
        TcMessage::from_parts(header, vec![TcAttribute::Kind("bpf".to_owned())])
    }

    /// The name of the socket that its process has.
    fn holder(&self) -> String {
        format!("weir/tc/{}/{}/{:x}", self.interface.index(), self.direction, self.handle)
    }
}

impl std::fmt::Display for ClsactFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { interface, direction, handle, purpose } = self;
        write!(f, "tc {direction} of {interface}, priority {PRIORITY}, handle {handle:#x}, for {purpose}")
    }
}

fn parent(direction: Direction) -> TcHandle {
    let minor = match direction {
        Direction::Ingress => TcHandle::MIN_INGRESS,
        Direction::Egress => TcHandle::MIN_EGRESS,
    };
    TcHandle { minor, ..TcHandle::CLSACT }
}

/// A socket of that name, which no file has (unix(7), abstract).
fn bind(name: &str) -> io::Result<UnixDatagram> {
    UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

/// How long another process may take to change an interface's filters.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Keeps other processes of weir from changing the interface's filters.
fn turn(interface: &Interface) -> io::Result<UnixDatagram> {
    let name = format!("weir/tc/{}", interface.index());
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        match bind(&name) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => thread::sleep(PAUSE),
            bound => return bound,
        }
    }
    bind(&name).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => io::Error::new(io::ErrorKind::AddrInUse, Held(name)),
        _ => error,
    })
}

/// A process has a socket of weir's for longer than a change takes. Names of such sockets are anybody's.
#[derive(Debug, thiserror::Error)]
#[error(
    "the socket @{0}, by which filters of an interface are changed in turn, is held by another process; `ss -xap` names it"
)]
struct Held(String);

/// Weir's filters of an interface in a direction.
fn filters(interface: &Interface, direction: Direction) -> io::Result<Vec<ClsactFilter>> {
    Ok(programs(interface, direction)?.into_iter().map(|(filter, _)| filter).collect())
}

/// Weir's programs at the way in of an interface that a process has, by the kernel's ids.
pub(crate) fn held_programs(interface: &Interface) -> io::Result<Vec<u32>> {
    let found = programs(interface, Direction::Ingress)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let _turn = turn(interface)?;
    let is_held = |filter: &ClsactFilter| bind(&filter.holder()).is_err();
    Ok(found.into_iter().filter(|(filter, _)| is_held(filter)).filter_map(|(_, id)| id).collect())
}

/// Weir's filters of an interface in a direction, each with its program's id, where the kernel says that.
fn programs(interface: &Interface, direction: Direction) -> io::Result<Vec<(ClsactFilter, Option<u32>)>> {
    let messages = dump(interface, direction)?;
    let ours = messages.iter().filter(|message| (message.header.info >> u16::BITS) as u16 == PRIORITY);
    let filter = |message: &TcMessage| {
        let purpose = options(message).find_map(|option| match option {
            TcFilterBpfOption::ProgName(name) => name.strip_prefix(NAME),
            _ => None,
        });
        let id = options(message).find_map(|option| match option {
            TcFilterBpfOption::ProgId(id) => Some(*id),
            _ => None,
        });
        let handle = message.header.handle.into();
        let purpose = purpose?.to_owned();
        Some((ClsactFilter { interface: interface.clone(), direction, handle, purpose }, id))
    };
    Ok(ours.filter_map(filter).collect())
}

/// Everybody's filters of an interface in a direction.
fn dump(interface: &Interface, direction: Direction) -> io::Result<Vec<TcMessage>> {
    let header =
        TcHeader { index: interface.index() as i32, parent: parent(direction), ..TcHeader::default() };
    let question = RouteNetlinkMessage::GetTrafficFilter(TcMessage::from_parts(header, Vec::new()));
    let replies = match route::dump(question) {
        // There is no such qdisc.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => Vec::new(),
        replies => replies?,
    };
    let filters = replies.into_iter().filter_map(|reply| match reply {
        RouteNetlinkMessage::NewTrafficFilter(filter) => Some(filter),
        _ => None,
    });
    Ok(filters.collect())
}

fn options(filter: &TcMessage) -> impl Iterator<Item = &TcFilterBpfOption> {
    let options = filter.attributes.iter().filter_map(|attribute| match attribute {
        TcAttribute::Options(options) => Some(options),
        _ => None,
    });
    options.flatten().filter_map(|option| match option {
        TcOption::Bpf(option) => Some(option),
        _ => None,
    })
}

fn qdisc(interface: &Interface) -> TcMessage {
    let header = TcHeader {
        index: interface.index() as i32,
        handle: TcHandle { minor: 0, ..TcHandle::CLSACT },
        parent: TcHandle::CLSACT,
        ..TcHeader::default()
    };
    TcMessage::from_parts(header, vec![TcAttribute::Kind("clsact".to_owned())])
}

/// Whether it wasn't there yet.
fn make_qdisc(interface: &Interface) -> io::Result<bool> {
    let message = RouteNetlinkMessage::NewQueueDiscipline(qdisc(interface));
    match route::order(message, NLM_F_CREATE | NLM_F_EXCL) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where it can't be asked whether it is empty, it stays.
fn remove_qdisc_if_empty(interface: &Interface) {
    let is_empty = |direction| dump(interface, direction).is_ok_and(|filters| filters.is_empty());
    if Direction::ALL.into_iter().all(is_empty) {
        let _ = route::order(RouteNetlinkMessage::DelQueueDiscipline(qdisc(interface)), 0);
    }
}
