//! A socket of another process: found by its port, and taken a descriptor of.

use std::{fs, io, os::fd::OwnedFd, path::Path};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::HookError;

/// So often the table of sockets is read again where it has none on a port.
const MORE_LOOKS: usize = 2;

/// A descriptor of our own of what process `process` has as its descriptor `descriptor` (pidfd_getfd(2), Linux 5.6).
///
/// Needs to be allowed to trace that process: the same user as far as Yama lets him, or CAP_SYS_PTRACE.
///
/// # Errors
/// There is no such process or descriptor, or it may not be had.
pub fn socket_of(process: u32, descriptor: i32) -> Result<OwnedFd, HookError> {
    let what = format!("descriptor {descriptor} of process {process}");
    let failed = |call, error: rustix::io::Errno| {
        let remedy = match (call, error) {
            (_, rustix::io::Errno::PERM) => "; needs root, or CAP_SYS_PTRACE",
            ("pidfd_open", rustix::io::Errno::SRCH) => "; no such process runs",
            ("pidfd_getfd", rustix::io::Errno::BADF) => {
                "; it has none of that number: /proc/PID/fd lists them"
            }
            (_, rustix::io::Errno::NOSYS) => "; needs Linux 5.6",
            _ => "",
        };
        HookError::ForeignSocket {
            what: what.clone(),
            reason: format!("{call}: {}{remedy}", io::Error::from(error)),
        }
    };
    let number = i32::try_from(process).ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(|| failed("pidfd_open", rustix::io::Errno::SRCH))?;
    let held = pidfd_open(number, PidfdFlags::empty()).map_err(|error| failed("pidfd_open", error))?;
    pidfd_getfd(&held, descriptor, PidfdGetfdFlags::empty()).map_err(|error| failed("pidfd_getfd", error))
}

/// The process, and its descriptor, of the one UDP socket on that local port, in the network namespace that the calling
/// thread is in.
///
/// # Errors
/// There is none, or several; or its process isn't shown to this user.
pub fn owner_of_udp_port(port: u16) -> Result<(u32, i32), HookError> {
    let refused =
        |reason: String| HookError::ForeignSocket { what: format!("the socket on UDP port {port}"), reason };
    let failed = |error| refused(format!("/proc/net/udp: {error}; is /proc mounted?"));
    let mut found = sockets_on(port).map_err(failed)?;
    // While others close, the kernel may leave a row out between two reads of its table (net/ipv4/udp.c, udp_seq_next).
    for _ in 0..MORE_LOOKS {
        if found.is_empty() {
            found = sockets_on(port).map_err(failed)?;
        }
    }
    match found[..] {
        [] => Err(refused("there is none in this network namespace".to_owned())),
        [only] => owner(&format!("socket:[{only}]")).ok_or_else(|| {
            refused("no process that this user may look at has it; needs root, or CAP_SYS_PTRACE".to_owned())
        }),
        _ => Err(refused(format!(
            "{} sockets share it; name one by its process and descriptor (--pid, --fd)",
            found.len()
        ))),
    }
}

/// The inodes of the UDP sockets on that local port, in the network namespace that the calling thread is in.
fn sockets_on(port: u16) -> io::Result<Vec<u64>> {
    let read = |table| fs::read_to_string(format!("/proc/thread-self/net/{table}"));
    // A kernel without IPv6 has no second table.
    let tables = [read("udp")?, read("udp6").unwrap_or_default()];
    Ok(tables.iter().flat_map(|table| inodes(table, port)).collect())
}

/// The inodes of the sockets of a table on that local port (proc_net(5)).
fn inodes(table: &str, port: u16) -> Vec<u64> {
    let row = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let inode = fields.get(9)?.parse().ok()?;
        (u16::from_str_radix(local, 16) == Ok(port)).then_some(inode)
    };
    table.lines().skip(1).filter_map(row).collect()
}

fn owner(link: &str) -> Option<(u32, i32)> {
    let numbers = |folder: &Path| -> Vec<u32> {
        let names = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    };
    numbers(Path::new("/proc")).into_iter().find_map(|process| {
        let folder = format!("/proc/{process}/fd");
        let is_it = |descriptor: &u32| {
            fs::read_link(format!("{folder}/{descriptor}")).is_ok_and(|found| found.as_os_str() == link)
        };
        let descriptor = numbers(Path::new(&folder)).into_iter().find(is_it)?;
        Some((process, i32::try_from(descriptor).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::AsRawFd as _};

    use super::*;

    #[test]
    fn a_socket_is_found_by_its_port() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("it is bound").port();
        let owner = owner_of_udp_port(port).expect("it is ours");
        assert_eq!(owner, (std::process::id(), socket.as_raw_fd()));
        drop(socket);
        let error = owner_of_udp_port(port).expect_err("it is closed").to_string();
        assert!(error.contains("there is none"), "{error}");
    }

    #[test]
    fn a_process_or_descriptor_that_is_not_there_is_said() {
        let said =
            |process, descriptor| socket_of(process, descriptor).expect_err("it is not there").to_string();
        assert!(said(u32::MAX, 0).contains("no such process runs"));
        let error = said(std::process::id(), 1_000_000);
        assert!(error.contains("none of that number") || error.contains("needs"), "{error}");
    }
}
