//! Captured frames become packets to compare on, whatever stands in the file.

use std::fs;

use weir_testing::Test;

use crate::{number, verify};

pub(crate) const IN_KERNEL: &[Test] = &[
    ("frames_of_pcap_and_pcapng_are_mutated_and_compared", frames_are_compared),
    ("a_damaged_capture_is_read_as_far_as_it_goes_or_refused", damaged_captures_end),
];

/// A capture in the older format, little-endian, of frames with that link type.
pub(crate) fn pcap(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link] {
        file.extend(u32::to_le_bytes(word));
    }
    for frame in frames {
        let len = frame.len() as u32;
        for word in [0, 0, len, len] {
            file.extend(u32::to_le_bytes(word));
        }
        file.extend(frame);
    }
    file
}

/// The same in the newer one: a section, an interface, and a block for each frame.
fn pcapng(link: u16, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file =
        block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    file.extend(block(1, &[&link.to_le_bytes()[..], &[0, 0], &65_535_u32.to_le_bytes()].concat()));
    for frame in frames {
        let len = (frame.len() as u32).to_le_bytes();
        let padding = vec![0; frame.len().next_multiple_of(4) - frame.len()];
        file.extend(block(6, &[&[0; 12][..], &len, &len, frame, &padding].concat()));
    }
    file
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, body, &len].concat()
}

/// IPv4 with UDP and a request, whole.
const IP: [u8; 35] =
    *b"\x45\0\0\x23\0\x01\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0\x02\x9c\x40\0\x35\0\x0f\0\0GET\x01\0\0\0";

fn frames() -> Vec<Vec<u8>> {
    let ethernet = [&[2; 12][..], &[8, 0], &IP].concat();
    let arp = [&[0xff; 12][..], &[8, 6], &[0; 46]].concat();
    vec![ethernet.clone(), arp, ethernet[..20].to_vec(), vec![1]]
}

fn frames_are_compared() {
    let folder = weir_testing::folder();
    let path = folder.path().join("capture");
    let packets = |args: &[&str]| {
        let place = ["--filter", "robust-valid-command", "--toolkit", "fun", "--json", "-n", "1"];
        let document = verify(&[&place, args].concat()).json();
        assert_eq!(number(&document, "disagreements"), 0);
        let rows = document["rows"].as_array().expect("rows").clone();
        rows.iter().map(|row| number(row, "packets") + number(row, "not_runnable")).sum::<u64>()
    };
    // With one packet asked for, the boundaries alone are compared, of which captured frames are.
    let without = packets(&[]);
    let cooked = [&[0; 14][..], &[8, 0], &IP].concat();
    let cooked_2 = [&[8, 0][..], &[0; 18], &IP].concat();
    for file in [
        pcap(1, &frames()),
        pcapng(1, &frames()),
        pcap(101, &[IP.to_vec()]),
        pcapng(101, &[IP.to_vec()]),
        pcap(113, &[cooked, vec![0; 15]]),
        pcapng(276, &[cooked_2, vec![0; 19]]),
    ] {
        fs::write(&path, file).expect("the file is written");
        assert!(packets(&["--pcap", path.to_str().expect("a name in UTF-8")]) > without);
    }
}

/// Every byte of a file damaged in turn: it ends, with a verdict or a reason.
fn damaged_captures_end() {
    let folder = weir_testing::folder();
    let path = folder.path().join("capture");
    for file in [pcap(1, &frames()[..1]), pcapng(1, &frames()[..1])] {
        for at in (0..file.len()).step_by(3) {
            let mut file = file.clone();
            file[at] ^= 0xff;
            fs::write(&path, file).expect("the file is written");
            let place = ["--filter", "reject-filter", "--toolkit", "fun", "--hook", "socket", "-n", "1"];
            let run = verify(&[&place[..], &["--pcap", path.to_str().expect("a name in UTF-8")]].concat());
            assert!(matches!(run.status, 0 | 2), "byte {at}: {}{}", run.stdout, run.stderr);
            assert!(!run.stderr.contains("panicked"), "byte {at}: {}", run.stderr);
        }
    }
}
