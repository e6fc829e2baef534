//! What a server shows when it has ended.

use std::fmt::Write as _;

use pretty_hex::{HexConfig, PrettyHex as _};
use weir_hooks::{CapturedPacket, HookError, KernelFilter, ProgramRuns};

use super::ServerKind;

/// The text of that server's end, read from the program's maps and statistics.
pub(super) fn show(
    kind: ServerKind,
    program: &KernelFilter,
    runs: Option<ProgramRuns>,
) -> Result<String, HookError> {
    Ok(match kind {
        ServerKind::Print => packets(&program.captured()?),
        ServerKind::Count => counts(&program.counter()?),
        ServerKind::EbpfStats => runs.map(run_times).unwrap_or_default(),
        _ => String::new(),
    })
}

fn packets(packets: &[CapturedPacket]) -> String {
    if packets.is_empty() {
        return "no CPU saw a packet\n".to_owned();
    }
    let layout = HexConfig { title: false, width: 16, group: 0, ..HexConfig::default() };
    let mut text = String::new();
    for CapturedPacket { cpu, seen, len, bytes } in packets {
        let cut =
            if bytes.len() < *len { format!(", the first {} shown", bytes.len()) } else { String::new() };
        let _ =
            writeln!(text, "CPU {cpu}: {seen} packets; the last, {len} bytes from the UDP header on{cut}:");
        let _ = writeln!(text, "{:?}", bytes.hex_conf(layout));
    }
    text
}

fn counts(per_cpu: &[u64]) -> String {
    let mut text = String::new();
    for (cpu, count) in per_cpu.iter().enumerate() {
        let _ = writeln!(text, "CPU {cpu}: {count} packets");
    }
    let _ = writeln!(text, "total: {} packets", per_cpu.iter().sum::<u64>());
    text
}

fn run_times(runs: ProgramRuns) -> String {
    let mean = runs.mean().map_or("no run to average".to_owned(), |mean| {
        format!("mean {} ns a run, the measurement's own two clock reads included", mean.as_nanos())
    });
    format!("runs: {}\ntotal: {} ns\n{mean}\n", runs.count, runs.time_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_end_with_their_total() {
        assert_eq!(
            counts(&[3, 0, 4]),
            "CPU 0: 3 packets\nCPU 1: 0 packets\nCPU 2: 4 packets\ntotal: 7 packets\n"
        );
    }

    #[test]
    fn run_times_say_when_there_was_no_run() {
        assert!(run_times(ProgramRuns::default()).contains("no run to average"));
        assert!(run_times(ProgramRuns { count: 4, time_ns: 401 }).contains("mean 100 ns"));
    }

    #[test]
    fn a_cut_packet_says_how_much_is_shown() {
        let packet = CapturedPacket { cpu: 1, seen: 2, len: 600, bytes: b"PUT".to_vec() };
        let text = packets(&[packet]);
        assert!(text.contains("600 bytes") && text.contains("the first 3 shown"), "{text}");
        assert!(text.contains("50 55 54") || text.contains("505554"), "{text}");
        assert!(text.contains("PUT"), "{text}");
    }
}
