//! A server and a client of the bag protocol that are not weir's, and that can misbehave.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write as _,
    net::UdpSocket,
    process::exit,
    thread::sleep,
    time::Duration,
};

use weir_wire::Request;

/// First argument that makes the test's binary a stand-in.
pub(crate) const ROLE: &str = "stand-in";

/// `server PORT LOG MISBEHAVIOUR` or `client ADDRESS PACKETS PERCENT LOG MISBEHAVIOUR`.
///
/// Each start appends its pid to the file LOG. MISBEHAVIOUR is `good`, or what is wrong and at which starts: `dies@2`
/// at the second, `dies@0` at every one.
pub(crate) fn run(arguments: &[String]) {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["server", port, log, misbehaviour] => {
            let wrong = wrong_now(log, misbehaviour);
            misbehave_before_work(wrong);
            serve(port.parse().expect("a port"), wrong == Some("mute"));
        }
        ["client", address, packets, percent, log, misbehaviour] => {
            misbehave_before_work(wrong_now(log, misbehaviour));
            send(address, packets.parse().expect("packets"), percent.parse().expect("a percentage"));
        }
        other => panic!("a stand-in can't be {other:?}"),
    }
}

fn wrong_now<'a>(log: &str, misbehaviour: &'a str) -> Option<&'a str> {
    let mut file = OpenOptions::new().append(true).create(true).open(log).expect("the log opens");
    writeln!(file, "{}", std::process::id()).expect("the log takes a line");
    let starts = fs::read_to_string(log).expect("the log reads").lines().count();
    let (what, at) = misbehaviour.split_once('@')?;
    let at: usize = at.parse().expect("a number of starts");
    (at == 0 || at == starts).then_some(what)
}

fn misbehave_before_work(wrong: Option<&str>) {
    match wrong {
        Some("dies") => {
            eprintln!("a line before\nthe stand-in has no wish to live");
            exit(3);
        }
        // Longer than any deadline of a test, and not for ever.
        Some("sleeps") => sleep(Duration::from_secs(60)),
        _ => {}
    }
}

fn serve(port: u16, mute: bool) {
    let socket = UdpSocket::bind(("127.0.0.1", port)).expect("the port is free");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout that is not zero");
    let mut bag: HashMap<u32, i64> = HashMap::new();
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).expect("a request before the timeout");
        match Request::parse(&buffer[..length]) {
            Ok(Request::Put { key, value }) => *bag.entry(key).or_default() += value,
            Ok(Request::Get { key }) if !mute => {
                let count = bag.get(&key).copied().unwrap_or_default();
                socket.send_to(count.to_string().as_bytes(), from).expect("a reply goes out");
            }
            Ok(Request::Delete { key }) => drop(bag.remove(&key)),
            Ok(Request::Stop) => return,
            Ok(Request::Get { .. }) | Err(_) => {}
        }
    }
}

fn send(address: &str, packets: u64, percent: u64) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let invalid = packets * percent / 100;
    for number in 0..packets {
        let sent = match number < invalid {
            true => socket.send_to(b"BAD", address),
            false => socket.send_to(&Request::Put { key: 10, value: 1 }.to_bytes(), address),
        };
        sent.expect("a packet goes out");
    }
}
