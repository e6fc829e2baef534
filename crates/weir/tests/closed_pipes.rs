//! Commands whose stderr nobody reads any more go on with their work.

use std::{
    io,
    net::UdpSocket,
    process::{Command, Stdio},
};

use weir_testing::wait_until;

/// A pipe that takes nothing: its other end is closed.
fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn weir(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(closed_pipe());
    command
}

#[test]
fn a_server_serves_and_a_client_sends_whoever_reads_what_they_say() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut server = weir(&["serve", "--hook", "user", "--listen", &free]).spawn().unwrap();
    let odin = ["client", "-b", "odin", "--verbose", "--server", &free];
    wait_until("a client is answered and ends the server", || {
        weir(&odin).status().unwrap().success() || server.try_wait().unwrap().is_some()
    });
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn what_failed_keeps_its_status() {
    let status = weir(&["advise", "--invalid", "30", "--rate", "1", "--from", "/nonexistent"]).status();
    assert_eq!(status.unwrap().code(), Some(1));
    let status = weir(&["advise", "--invalid", "130", "--rate", "1"]).status();
    assert_eq!(status.unwrap().code(), Some(2));
}
