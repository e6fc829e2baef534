//! What each core spent its time on: the only place where receive work shows that was steered away from a process.
//!
//! The kernel receives packets in soft interrupts. On the sender's core they run inside its system call and count as
//! its time; on a core that they were steered to (RPS) they interrupt whoever runs there and count as nobody's, unless
//! there are so many that `ksoftirqd` takes over. getrusage(2) of a server therefore hardly tells them apart.

use std::{collections::BTreeMap, fs, io};

use rustix::param::clock_ticks_per_second;
use weir_results::surroundings::CoreTime;

/// What every core has spent since the machine started (proc_stat(5)): all processes' time, not only ours.
///
/// # Errors
/// /proc/stat can't be read.
pub fn now() -> io::Result<BTreeMap<usize, CoreTime>> {
    Ok(parse(&fs::read_to_string("/proc/stat")?, clock_ticks_per_second()))
}

fn parse(stat: &str, ticks_per_second: u64) -> BTreeMap<usize, CoreTime> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let core = words.next()?.strip_prefix("cpu")?.parse().ok()?;
        let us: Vec<u64> = words
            .map_while(|ticks| Some(ticks.parse::<u64>().ok()? * 1_000_000 / ticks_per_second))
            .collect();
        let [user, nice, system, idle, waiting, _irq, softirq, steal, ..] = us[..] else { return None };
        let time = CoreTime {
            user_us: user + nice,
            system_us: system,
            softirq_us: softirq,
            idle_us: idle + waiting,
            steal_us: steal,
        };
        Some((core, time))
    };
    stat.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_core_has_its_line() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu12 0 0 0 0 0 0 0 9 0 0\nintr 5\n";
        let first = CoreTime {
            user_us: 30_000,
            system_us: 30_000,
            softirq_us: 70_000,
            idle_us: 90_000,
            steal_us: 80_000,
        };
        let last = CoreTime { steal_us: 90_000, ..CoreTime::default() };
        assert_eq!(parse(stat, 100), BTreeMap::from([(0, first), (12, last)]));
    }

    #[test]
    fn time_passes() {
        let before = now().unwrap();
        let after = now().unwrap();
        assert!(!before.is_empty());
        assert!(before.keys().eq(after.keys()));
        assert_eq!(
            after[before.keys().next().unwrap()].since(after[before.keys().next().unwrap()]),
            CoreTime::default()
        );
    }
}
