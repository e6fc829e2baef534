//! Why a pair could not be made, looked at or taken down.

use std::io;

use nix::errno::Errno;
use thiserror::Error;
use weir_results::net::Side;

use super::name_path;

/// Why a pair could not be made, looked at or taken down.
#[derive(Debug, Error)]
pub enum NetError {
    /// The kernel refused a step.
    #[error("{tried}: {cause}{}", remedy(cause))]
    Refused {
        /// The step, and on what.
        tried: String,
        /// What came back.
        cause: io::Error,
    },
    /// The kernel took a step and yet left something as it was.
    #[error("{tried}: the kernel said yes, but {found}; this kernel's veth can't do that")]
    NoEffect {
        /// The step, and on what.
        tried: String,
        /// How things are.
        found: String,
    },
    /// The pair is there, but a datagram does not come through.
    #[error(
        "waiting for {what} took more than {seconds} s; another program may change interfaces in every namespace"
    )]
    NeverReady {
        /// What did not come.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// There is a pair of this name.
    #[error("{} is there already: `weir net status` shows it, `weir net down` takes it down", name_path(*.0).display())]
    AlreadyUp(Side),
    /// There is no pair of this name.
    #[error("there is no namespace {}: `weir net up` makes it", name_path(*.0).display())]
    NotUp(Side),
}

impl NetError {
    /// For `map_err`: `tried` was refused.
    pub(super) fn tried<E: Into<io::Error>>(tried: impl Into<String>) -> impl FnOnce(E) -> Self {
        let tried = tried.into();
        move |cause| Self::Refused { tried, cause: cause.into() }
    }
}

/// What to do about an error number, as the end of a message.
fn remedy(cause: &io::Error) -> &'static str {
    let remedies: [(Errno, &str); 5] = [
        (Errno::EPERM, "; needs CAP_SYS_ADMIN and CAP_NET_ADMIN, or root"),
        (Errno::EACCES, "; needs CAP_SYS_ADMIN and CAP_NET_ADMIN, or root"),
        (Errno::EOPNOTSUPP, "; the kernel needs CONFIG_VETH (`modprobe veth`)"),
        (Errno::ENOSYS, "; needs Linux 5.6 with CONFIG_NET_NS"),
        (Errno::EOVERFLOW, "; this machine hasn't got such a core (`nproc`; they count from 0)"),
    ];
    let number = cause.raw_os_error().map(Errno::from_raw);
    remedies.iter().find(|(errno, _)| Some(*errno) == number).map_or("", |(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(errno: Errno, expected: &str) {
        let error = NetError::tried("making the pair")(errno);
        assert_eq!(format!("{:#}", anyhow::Error::from(error)), expected);
    }

    #[test]
    fn an_error_says_what_was_tried_what_came_back_and_what_to_do() {
        check(
            Errno::EPERM,
            "making the pair: Operation not permitted (os error 1); needs CAP_SYS_ADMIN and CAP_NET_ADMIN, or root",
        );
        check(
            Errno::EOVERFLOW,
            "making the pair: Value too large for defined data type (os error 75); this machine hasn't got such a \
             core (`nproc`; they count from 0)",
        );
        check(Errno::ENODEV, "making the pair: No such device (os error 19)");
    }
}
