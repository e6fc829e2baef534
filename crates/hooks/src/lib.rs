//! Load, attach and read BPF filters: the only part of weir that talks to the kernel's BPF side.
//!
//! ```no_run
//! use std::net::UdpSocket;
//!
//! use weir_filters::{Filter, FilterName, Toolkit};
//! use weir_hooks::KernelFilter;
//!
//! let socket = UdpSocket::bind("127.0.0.1:0")?;
//! let filter = KernelFilter::load(Filter::from(FilterName::ValidCommand), Toolkit::Aya)?;
//! let attached = filter.attach(&socket)?; // detaches when dropped
//! # drop(attached);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod any;
mod attached;
mod audit;
mod counters;
mod error;
mod filter;
mod loader;
mod object_file;
mod objects;
mod stats;
mod test_run;

pub use any::{AnyProgram, ProgramType, TestRun};
pub use attached::Attached;
pub use audit::{Audit, Drops};
pub use counters::{CapturedPacket, ParameterMap, VerdictCounts};
pub use error::HookError;
pub use filter::{KernelFilter, ProgramFacts};
pub use object_file::ObjectFile;
pub use stats::{ProgramRuns, Statistics};
