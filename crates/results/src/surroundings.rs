//! What of the machine changed during a run and is nobody's doing: clock, heat, energy, and the cores' time and backlogs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What changed from a run's beginning to its end; nothing where this machine doesn't tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Surroundings {
    /// How long it took, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_s: Option<f64>,
    /// Mean clock of the cores before and after, MHz (`scaling_cur_freq`, else /proc/cpuinfo).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<(f64, f64)>,
    /// How often a core was slowed down for its heat (`thermal_throttle/core_throttle_count`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled: Option<u64>,
    /// Energy of the processor packages, joules (RAPL, `intel-rapl:*/energy_uj`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    /// What every core spent its time on: all processes' time, and the receiving that no process is charged for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub core_time: BTreeMap<usize, CoreTime>,
    /// Packets of the whole machine that a core's backlog was too full for (/proc/net/softnet_stat, second column).
    pub backlog_drops: u64,
}

impl Surroundings {
    /// CPU time that the whole machine spent, seconds: what its cores did neither idly nor for the hypervisor's other
    /// guests. Receiving that no process is charged for is in it, and so is what strangers did. Nothing where it isn't
    /// known.
    ///
    /// It is taken from the idle time, which the kernel measures, rather than from the busy time, which it samples at
    /// its ticks (kernel/sched/cputime.c); each core's is exact to a tick.
    pub fn machine_cpu_s(&self) -> Option<f64> {
        let elapsed = self.elapsed_s.filter(|_| !self.core_time.is_empty())?;
        let busy = |core: &CoreTime| elapsed - (core.idle_us + core.steal_us) as f64 / 1e6;
        Some(self.core_time.values().map(|core| busy(core).max(0.0)).sum())
    }

    /// The share by which the clock moved; nothing where it isn't known.
    pub fn clock_shift(&self) -> Option<f64> {
        self.clock_mhz.map(|(before, after)| (after - before) / before)
    }
}

/// The time that a core spent, microseconds, as exact as the kernel's clock tick (10 ms as a rule).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreTime {
    /// In processes' own code, niced or not.
    pub user_us: u64,
    /// In system calls, `ksoftirqd` among them.
    pub system_us: u64,
    /// In soft interrupts that found somebody else at work, or nobody.
    pub softirq_us: u64,
    /// In nothing.
    pub idle_us: u64,
    /// Taken by the hypervisor.
    pub steal_us: u64,
}

impl CoreTime {
    /// What was spent since `earlier`, of the same core.
    pub fn since(self, earlier: Self) -> Self {
        // Idle time can go back a little (proc_stat(5)).
        Self {
            user_us: self.user_us.saturating_sub(earlier.user_us),
            system_us: self.system_us.saturating_sub(earlier.system_us),
            softirq_us: self.softirq_us.saturating_sub(earlier.softirq_us),
            idle_us: self.idle_us.saturating_sub(earlier.idle_us),
            steal_us: self.steal_us.saturating_sub(earlier.steal_us),
        }
    }
}
