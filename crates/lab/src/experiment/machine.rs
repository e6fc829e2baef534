//! The machine that an experiment runs on: what it is, how it is set, and which cores belong to whom.

use std::{collections::BTreeMap, fs};

use nix::{
    sched::{CpuSet, sched_getaffinity},
    sys::utsname::uname,
    unistd::Pid,
};
use rustix::param::clock_ticks_per_second;
use serde::{Deserialize, Serialize};

/// Settings that change what is measured.
const SYSCTLS: [&str; 10] = [
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.core.netdev_max_backlog",
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "net.ipv4.udp_mem",
    "kernel.bpf_stats_enabled",
    "kernel.unprivileged_bpf_disabled",
];

/// What a machine is and how it is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Kernel release, as `uname -r` prints it.
    pub kernel: String,
    /// Architecture, as `uname -m` prints it.
    pub architecture: String,
    /// CPU model; nothing where /proc/cpuinfo doesn't name it.
    pub cpu_model: Option<String>,
    /// Cores that the harness may use.
    pub cores: usize,
    /// Whether the CPU says that a hypervisor runs beneath.
    pub hypervisor: bool,
    /// Whether the kernel compiles BPF programs; nothing where it isn't told.
    pub bpf_jit: Option<bool>,
    /// Settings that change what is measured; those that can't be read are left out.
    pub sysctls: BTreeMap<String, String>,
}

impl Machine {
    /// This machine, now.
    pub fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let sysctls: BTreeMap<_, _> =
            SYSCTLS.iter().filter_map(|name| Some(((*name).to_owned(), sysctl(name)?))).collect();
        let name = uname();
        let text = |part: Option<&std::ffi::OsStr>| {
            part.map_or_else(String::new, |part| part.to_string_lossy().into_owned())
        };
        Self {
            kernel: text(name.as_ref().ok().map(|name| name.release())),
            architecture: text(name.as_ref().ok().map(|name| name.machine())),
            cpu_model: cpu_field(&cpuinfo, "model name").map(str::to_owned),
            cores: usable_cores().len(),
            hypervisor: cpu_field(&cpuinfo, "flags")
                .is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor")),
            bpf_jit: sysctls.get("net.core.bpf_jit_enable").map(|value| value != "0"),
            sysctls,
        }
    }
}

fn sysctl(name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn cpu_field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.split_once(':').filter(|(key, _)| key.trim() == name);
    cpuinfo.lines().find_map(value).map(|(_, value)| value.trim())
}

/// Which cores server and clients are confined to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinning {
    /// The server's; empty for any.
    pub server: Vec<usize>,
    /// The clients', taken in turn; empty for any.
    pub clients: Vec<usize>,
    /// What must be known about it: why there is none, or that cores share a physical one.
    pub note: Option<String>,
}

impl Pinning {
    /// Nothing is pinned, because of `reason`.
    pub fn none(reason: &str) -> Self {
        Self { server: Vec::new(), clients: Vec::new(), note: Some(reason.to_owned()) }
    }

    /// The first usable core for the server and the others for the clients, without the server's hyperthreads where
    /// others are left.
    pub fn of_this_machine() -> Self {
        Self::of(&usable_cores(), siblings)
    }

    fn of(cores: &[usize], siblings: impl Fn(usize) -> Vec<usize>) -> Self {
        let [server, others @ ..] = cores else { return Self::none("no core is known") };
        if others.is_empty() {
            return Self::none("only one core can be used: server and clients share it");
        }
        let shared = siblings(*server);
        let apart: Vec<_> = others.iter().copied().filter(|core| !shared.contains(core)).collect();
        let (clients, note) = match apart.is_empty() {
            false => (apart, None),
            true => {
                (others.to_vec(), Some("server and clients run on hyperthreads of one physical core".into()))
            }
        };
        Self { server: vec![*server], clients, note }
    }

    /// The core of client `number`; nothing for any.
    pub fn client(&self, number: usize) -> Option<usize> {
        (!self.clients.is_empty()).then(|| self.clients[number % self.clients.len()])
    }
}

fn usable_cores() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false)).collect()
}

/// The cores that share a physical core with `core`, itself among them.
fn siblings(core: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    parse_core_list(&fs::read_to_string(path).unwrap_or_default())
}

/// Reads a list such as `0,4-6`.
fn parse_core_list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// CPU time that the hypervisor has taken from this machine since it started, seconds (proc_stat(5)).
pub fn stolen_s() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    steal_ticks(&stat) as f64 / clock_ticks_per_second() as f64
}

fn steal_ticks(stat: &str) -> u64 {
    let all_cores = stat.lines().find(|line| line.starts_with("cpu "));
    all_cores.and_then(|line| line.split_whitespace().nth(8)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_pinning(cores: &[usize], siblings: &[usize], server: &[usize], clients: &[usize], note: &str) {
        let pinning = Pinning::of(cores, |_| siblings.to_vec());
        assert_eq!((pinning.server.as_slice(), pinning.clients.as_slice()), (server, clients));
        assert!(pinning.note.unwrap_or_default().contains(note));
    }

    #[test]
    fn the_server_has_a_core_of_its_own_where_there_is_one() {
        check_pinning(&[3], &[3], &[], &[], "only one core");
        check_pinning(&[0, 1], &[0], &[0], &[1], "");
        check_pinning(&[0, 1], &[0, 1], &[0], &[1], "hyperthreads");
        check_pinning(&[0, 1, 2, 3], &[0, 2], &[0], &[1, 3], "");
        check_pinning(&[2, 5, 7], &[], &[2], &[5, 7], "");
    }

    #[test]
    fn clients_take_the_cores_in_turn() {
        let pinning = Pinning { server: vec![0], clients: vec![1, 3], note: None };
        assert_eq!([0, 1, 2].map(|number| pinning.client(number)), [Some(1), Some(3), Some(1)]);
        assert_eq!(Pinning::none("asked for").client(0), None);
    }

    #[test]
    fn core_lists_are_read_with_their_ranges() {
        assert_eq!(parse_core_list("0,4-6\n"), [0, 4, 5, 6]);
        assert_eq!(parse_core_list("7\n"), [7]);
        assert!(parse_core_list("").is_empty());
    }

    #[test]
    fn steal_is_the_eighth_number_of_the_line_of_all_cores() {
        assert_eq!(steal_ticks("cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1 1 1 1 1 1 1 44 1 1\n"), 88);
        assert_eq!(steal_ticks("cpu  1 2 3 4\n"), 0);
    }

    #[test]
    fn the_machine_knows_its_kernel_and_cores() {
        let machine = Machine::this();
        assert!(machine.kernel.starts_with(|first: char| first.is_ascii_digit()));
        assert!(machine.cores >= 1);
        assert!(machine.sysctls.contains_key("net.core.rmem_default"));
    }
}
