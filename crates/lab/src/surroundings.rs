//! What of the machine changes during a run and is nobody's doing: clock, heat, energy, and the cores' backlogs.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use weir_results::surroundings::{CoreTime, Surroundings};

use crate::core_time;

/// A reading of what [`Surroundings`] compares.
#[derive(Clone, Debug)]
pub struct Reading {
    at: Instant,
    clock_mhz: Option<f64>,
    throttled: Option<u64>,
    energy: BTreeMap<String, Counter>,
    core_time: BTreeMap<usize, CoreTime>,
    backlog_drops: u64,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    now: u64,
    wraps_at: u64,
}

impl Reading {
    /// The machine now.
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            clock_mhz: clock_mhz(),
            throttled: throttled(),
            energy: energy_counters(Path::new("/sys/class/powercap")),
            core_time: core_time::now().unwrap_or_default(),
            backlog_drops: backlog_drops(&fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default()),
        }
    }

    /// What changed since `before`.
    pub fn since(&self, before: &Self) -> Surroundings {
        Surroundings {
            elapsed_s: Some(self.at.duration_since(before.at).as_secs_f64()),
            clock_mhz: before.clock_mhz.zip(self.clock_mhz),
            throttled: before.throttled.zip(self.throttled).map(|(before, now)| now.saturating_sub(before)),
            energy_j: self.energy_since(before),
            core_time: self.core_time_since(before),
            backlog_drops: self.backlog_drops.saturating_sub(before.backlog_drops),
        }
    }

    fn core_time_since(&self, before: &Self) -> BTreeMap<usize, CoreTime> {
        let spent = |(core, now): (&usize, &CoreTime)| Some((*core, now.since(*before.core_time.get(core)?)));
        self.core_time.iter().filter_map(spent).collect()
    }

    fn energy_since(&self, before: &Self) -> Option<f64> {
        let spent = self.energy.iter().filter_map(|(package, counter)| {
            let before = before.energy.get(package)?.now;
            let wrapped = if counter.now < before { counter.wraps_at } else { 0 };
            Some((counter.now + wrapped).saturating_sub(before))
        });
        (!self.energy.is_empty()).then(|| spent.sum::<u64>() as f64 / 1e6)
    }
}

fn clock_mhz() -> Option<f64> {
    let khz = cores().filter_map(|core| number(&core.join("cpufreq/scaling_cur_freq")));
    let governed = mean(khz.map(|khz| khz as f64 / 1e3));
    governed.or_else(|| {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let clocks = cpuinfo.lines().filter_map(|line| line.strip_prefix("cpu MHz")?.split(':').nth(1));
        mean(clocks.filter_map(|mhz| mhz.trim().parse::<f64>().ok()))
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn throttled() -> Option<u64> {
    let counts: Vec<_> =
        cores().filter_map(|core| number(&core.join("thermal_throttle/core_throttle_count"))).collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

fn cores() -> impl Iterator<Item = std::path::PathBuf> {
    (0..)
        .map(|core| Path::new("/sys/devices/system/cpu").join(format!("cpu{core}")))
        .take_while(|path| path.exists())
}

/// The packages' counters; their parts (`intel-rapl:0:1`) are in them already.
fn energy_counters(powercap: &Path) -> BTreeMap<String, Counter> {
    let Ok(entries) = fs::read_dir(powercap) else { return BTreeMap::new() };
    let counter = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let package = name.strip_prefix("intel-rapl:").is_some_and(|rest| !rest.contains(':'));
        let now = number(&entry.path().join("energy_uj")).filter(|_| package)?;
        let wraps_at = number(&entry.path().join("max_energy_range_uj"))?;
        Some((name, Counter { now, wraps_at }))
    };
    entries.flatten().filter_map(counter).collect()
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn backlog_drops(softnet_stat: &str) -> u64 {
    let dropped = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    softnet_stat.lines().filter_map(dropped).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backlogs_drops_are_the_second_column_in_hex() {
        assert_eq!(backlog_drops("0000fe10 0000000a 0000000d\n00000001 00000010 00000000\n"), 26);
        assert_eq!(backlog_drops(""), 0);
    }

    #[test]
    fn the_machine_spent_what_it_neither_idled_nor_lost_to_the_hypervisor() {
        let core = |idle_us, steal_us| CoreTime { idle_us, steal_us, ..CoreTime::default() };
        let mut changed = Surroundings {
            elapsed_s: Some(2.0),
            core_time: BTreeMap::from([(0, core(500_000, 0)), (1, core(1_500_000, 250_000))]),
            ..Surroundings::default()
        };
        assert_eq!(changed.machine_cpu_s(), Some(1.75));
        changed.elapsed_s = None;
        assert_eq!(changed.machine_cpu_s(), None);
    }

    #[test]
    fn energy_is_that_of_the_packages_and_survives_a_counter_that_wraps() {
        let dir = tempfile::tempdir().unwrap();
        let write = |zone: &str, uj: u64| {
            let zone = dir.path().join(zone);
            fs::create_dir_all(&zone).unwrap();
            fs::write(zone.join("energy_uj"), format!("{uj}\n")).unwrap();
            fs::write(zone.join("max_energy_range_uj"), "10000000\n").unwrap();
        };
        let read = || Reading { energy: energy_counters(dir.path()), ..Reading::now() };
        write("intel-rapl:0", 9_000_000);
        write("intel-rapl:0:0", 1);
        let before = read();
        write("intel-rapl:0", 1_500_000);
        write("intel-rapl:0:0", 9_000_001);
        assert_eq!(read().since(&before).energy_j, Some(2.5));
    }

    #[test]
    fn a_machine_without_meters_says_nothing_rather_than_zero() {
        let dir = tempfile::tempdir().unwrap();
        let reading = Reading { energy: energy_counters(dir.path()), throttled: None, ..Reading::now() };
        let changed = reading.since(&reading);
        assert_eq!((changed.energy_j, changed.throttled), (None, None));
    }
}
