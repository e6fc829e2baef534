//! Load, attach and read BPF filters: the only part of weir that talks to the kernel's BPF side.
//!
//! ```no_run
//! use std::net::UdpSocket;
//!
//! use weir_filters::{FilterName, Site, Toolkit};
//! use weir_hooks::KernelFilter;
//!
//! let socket = UdpSocket::bind("127.0.0.1:0")?;
//! let filter = KernelFilter::load(FilterName::ValidCommand.into(), Toolkit::Aya, &Site::socket())?;
//! let attached = filter.attach(&socket)?; // detaches when dropped
//! # drop(attached);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod any;
mod attach_any;
mod attached;
mod attaching;
mod audit;
mod bare_loop;
mod changes;
mod classic;
mod clsact;
mod counters;
mod dynamic;
mod error;
pub mod ethtool;
mod features;
mod filter;
mod gso;
mod guard;
mod interface;
mod kernel_types;
mod lists;
mod loader;
pub mod maps;
mod netlink;
mod object_file;
mod objects;
mod obstacle;
mod occupant;
mod pins;
mod private;
mod program_type;
mod receive_probe;
mod route;
mod section_names;
mod sockets;
mod stats;
mod succession;
mod super_packets;
mod sys;
mod test_run;
mod trace_lines;
mod tracefs;
mod workers;

pub use any::{AnyProgram, RunOutput};
pub use attach_any::{AttachPoint, AttachedProgram, Direction};
pub use attached::{Attached, STAYS, XdpMode};
pub use attaching::{Owners, Target};
pub use audit::Audit;
pub use changes::Changes;
pub use clsact::ClsactFilter;
pub use counters::{CapturedPacket, ParameterMap};
pub use error::{Cause, HookError};
pub use features::{UnknownFeature, check_without, follows_speculation, kernel_features};
pub use filter::{KernelFilter, ProgramFacts};
pub use gso::gso_layout;
pub use guard::{decision_count, until_compiled, verdicts_of};
pub use interface::Interface;
pub use maps::Map;
pub use object_file::{Attachable, ObjectFile};
pub use objects::{available, loadable, object_in_c};
pub use obstacle::{Capabilities, Capability, Obstacle, Privileges};
pub use occupant::{LoadedProgram, Occupant};
pub use pins::{PinError, Pins, kept_guards};
pub use private::in_own_network;
pub use program_type::ProgramType;
pub use receive_probe::{ReceiveCalls, ReceiveProbe};
pub use sockets::{BoundSocket, SocketHolder, SocketHolders, SocketRefusal, owner_of_udp_port, socket_of};
pub use stats::Statistics;
pub use succession::{HandedOn, Remembered};
pub use sys::wait_for_programs;
pub use trace_lines::TraceLines;
pub use weir_records::{DecisionCount, Drops, ProgramRuns, VerdictCounts};
