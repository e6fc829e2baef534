//! The kernel's table of UDP sockets, `/proc/net/udp` and `/proc/net/udp6` (proc_net(5)), of the network namespace that
//! the calling thread is in.

use std::fs;

use super::failure::{RunError, refused};

/// Sum of the drop counts of the UDP sockets on local port `port`; nothing where there is no such socket.
///
/// # Errors
/// The tables can't be read.
pub fn drops(port: u16) -> Result<Option<u64>, RunError> {
    // Rows are left out where other sockets come and go while the table is read.
    for _ in 1..LOOKS {
        let found = drops_once(port)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    drops_once(port)
}

/// How often a socket is looked for that isn't there.
const LOOKS: usize = 5;

fn drops_once(port: u16) -> Result<Option<u64>, RunError> {
    let v4 = fs::read_to_string("/proc/thread-self/net/udp")
        .map_err(refused(format!("looking for port {port} in /proc/net/udp")))?;
    // A kernel without IPv6 has no second table.
    let v6 = fs::read_to_string("/proc/thread-self/net/udp6").unwrap_or_default();
    let counts: Vec<_> = [v4, v6].iter().flat_map(|table| drops_in(table, port)).collect();
    Ok((!counts.is_empty()).then(|| counts.iter().sum()))
}

/// The drop counts of the sockets of `table` on local port `port`.
fn drops_in(table: &str, port: u16) -> Vec<u64> {
    let row = |line: &str| {
        let (_, port_in_hex) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
        let drops = line.split_whitespace().last()?.parse().ok()?;
        (u16::from_str_radix(port_in_hex, 16) == Ok(port)).then_some(drops)
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const TABLE: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  412: 0100007F:3039 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 23456 2 0000000000000000 17
  512: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 23457 2 0000000000000000 0
  512: 0100007F:3039 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 23458 2 0000000000000000 3
";

    fn check(port: u16, expected: &[u64]) {
        assert_eq!(drops_in(TABLE, port), expected);
    }

    #[test]
    fn a_socket_is_found_by_its_local_port() {
        check(12345, &[17, 3]);
        check(53, &[0]);
        check(54, &[]);
    }

    #[test]
    fn a_bound_socket_stands_in_the_table_with_no_drops() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(drops(socket.local_addr().unwrap().port()).unwrap(), Some(0));
    }
}
