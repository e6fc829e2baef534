//! What makes no sense is refused with exit status 2 and a reason.

use std::fs;

use weir_testing::Test;

use crate::{captures, verify};

pub(crate) const ANYWHERE: &[Test] = &[
    ("a_packet_that_is_no_hex_is_refused", || {
        for packet in ["zz", "123", "", "0x12"] {
            check(&["--packet", packet], "no packet in hex");
        }
    }),
    ("a_combination_that_isnt_there_is_refused_with_the_matrix_reason", || {
        check(&["--toolkit", "cbpf", "--hook", "xdp"], "the kernel takes classic BPF at sockets alone");
        check(&["--toolkit", "rust", "--hook", "xdp"], "plain Rust runs in the server's loop");
        check(&["--toolkit", "rust"], "the reference itself");
    }),
    ("names_that_nobody_knows_are_refused", || {
        check(&["--filter", "nonsense"], "unknown filter 'nonsense'");
        check(&["--toolkit", "nonsense"], "unknown toolkit 'nonsense'");
        check(&["--hook", "nonsense"], "unknown hook 'nonsense'");
        check(&["--endpoint", "nonsense"], "--endpoint");
        check(&["--super-packets", "nonsense"], "drop or pass");
        check(&["--packets", "0"], "--packets");
        check(&["--segments", "2"], "--packet");
    }),
    ("a_capture_that_is_none_is_refused", captures_are_refused),
];

fn check(args: &[&str], reason: &str) {
    let run = verify(args);
    assert_eq!(run.status, 2, "{args:?}: {}", run.stderr);
    assert!(run.stderr.contains(reason), "{args:?}: {}", run.stderr);
    assert_eq!(run.stdout, "", "{args:?}");
}

fn captures_are_refused() {
    check(&["--pcap", "/nonexistent.pcap"], "/nonexistent.pcap");
    let folder = weir_testing::folder();
    let path = folder.path().join("file");
    let name = path.to_str().expect("a name in UTF-8");
    let whole = captures::pcap(1, &[vec![0; 60]]);
    let mut too_long = whole.clone();
    too_long[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    for (bytes, reason) in [
        (b"".to_vec(), "ends before it has begun"),
        (b"this is no capture at all, whatever it is".to_vec(), "is no capture"),
        (whole[..whole.len() - 1].to_vec(), "ends in the middle"),
        (too_long, "too long"),
        (captures::pcap(1, &[]), "no frame"),
        // IEEE 802.11's frames begin with another header.
        (captures::pcap(105, &[vec![0; 60]]), "its link type is"),
    ] {
        fs::write(&path, bytes).expect("the file is written");
        check(&["--pcap", name], reason);
    }
    check(&["--pcap", folder.path().to_str().expect("a name in UTF-8")], "can't be read");
}
