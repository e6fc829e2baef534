//! The figures that a report shows: one row each, with its name, its unit and where a sample has it.

use serde::{Deserialize, Serialize};
use weir_records::Cost;

use crate::sample::Sample;

macro_rules! figures {
    (
        runs { $($(#[$meaning:meta])* $figure:ident: $names:expr,)* }
        searches { $($(#[$found:meta])* $capacity:ident: $its_names:expr,)* }
    ) => {
        /// What is measured of a run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Figure {
            $($(#[$meaning])* $figure,)*
            $($(#[$found])* $capacity,)*
        }

        impl Figure {
            /// Every figure of a run, in the order in which a report shows them.
            pub const ALL: [Self; [$(stringify!($figure)),*].len()] = [$(Self::$figure),*];

            /// Title, noun inside a sentence, unit, what an axis adds to the unit, and name in files.
            const fn names(self) -> [&'static str; 5] {
                match self {
                    $(Self::$figure => $names,)*
                    $(Self::$capacity => $its_names,)*
                }
            }
        }
    };
}

figures! {
    runs {
        /// CPU time of the server per packet sent, from readiness to the end; of its whole life where the server, which isn't
        /// weir's, doesn't say when it was ready.
        ServerCpu: ["Server CPU time per packet sent", "server CPU time", "µs", " per packet sent", "server-cpu"],
        /// CPU time of the server's whole process per packet sent: start-up included, in which the program is loaded.
        ServerCpuProcess: ["CPU time of the server's whole process per packet sent", "the server's CPU time, start-up included,", "µs", " per packet sent", "server-cpu-process"],
        /// CPU time of the clients per packet sent.
        ClientCpu: ["Client CPU time per packet sent", "client CPU time", "µs", " per packet sent", "client-cpu"],
        /// CPU time of the whole machine per packet sent: of processes, and of receiving that no process is charged for.
        MachineCpu: ["CPU time of the whole machine per packet sent", "the whole machine's CPU time", "µs", " per packet sent", "machine-cpu"],
        /// From the first packet sent to the last handled.
        Wall: ["Wall time", "wall time", "s", "", "wall"],
        /// Share of valid requests that were lost.
        Loss: ["Loss of valid requests", "loss of valid requests", "%", "", "loss"],
        /// CPU time of the server per valid request served.
        ServerCpuPerValid: ["Server CPU time per valid request", "server CPU time", "µs", " per valid request served", "server-cpu-per-valid"],
        /// CPU time of the clients per valid request served.
        ClientCpuPerValid: ["Client CPU time per valid request", "client CPU time", "µs", " per valid request served", "client-cpu-per-valid"],
        /// CPU time of both per valid request served.
        TotalCpuPerValid: ["CPU time of server and client per valid request", "CPU time of both", "µs", " per valid request served", "total-cpu-per-valid"],
        /// CPU time of the whole machine per valid request served.
        MachineCpuPerValid: ["CPU time of the whole machine per valid request", "the whole machine's CPU time", "µs", " per valid request served", "machine-cpu-per-valid"],
        /// CPU time of the whole machine per invalid packet sent, each of which somebody drops.
        MachineCpuPerInvalid: ["CPU time of the whole machine per invalid packet", "the whole machine's CPU time", "µs", " per invalid packet dropped", "machine-cpu-per-invalid"],
        /// Valid requests served per second.
        Goodput: ["Goodput", "valid requests served", "requests/s", "", "goodput"],
        /// Packets per second asked for.
        OfferedRate: ["Offered rate", "offered rate", "packets/s", "", "offered-rate"],
        /// Packets per second reached.
        AchievedRate: ["Achieved rate", "achieved rate", "packets/s", "", "achieved-rate"],
        /// Median latency of a GET, from the moment that it was due.
        LatencyP50: ["GET latency, p50", "median GET latency", "µs", "", "latency-p50"],
        /// 90th percentile of it.
        LatencyP90: ["GET latency, p90", "90th percentile of GET latency", "µs", "", "latency-p90"],
        /// 99th percentile of it.
        LatencyP99: ["GET latency, p99", "99th percentile of GET latency", "µs", "", "latency-p99"],
        /// 99.9th percentile of it.
        LatencyP999: ["GET latency, p99.9", "99.9th percentile of GET latency", "µs", "", "latency-p999"],
        /// The longest.
        LatencyMax: ["GET latency, longest", "longest GET latency", "µs", "", "latency-max"],
        /// Energy of the processor packages per million packets sent.
        Energy: ["Energy per million packets", "energy", "J", " per million packets", "energy"],
        /// Time of a run of the attached program as the kernel's statistics tell it (`run_time_ns` ÷ `run_cnt`).
        ProgramRun: ["Time of a run of the program", "time of a run of the program", "ns", "", "program-run"],
        /// Time of a test run of the program, less that of an accept-all program.
        TestRun: ["Test run less an accept-all program's", "test run less an accept-all program's", "ns", "", "test-run"],
        /// CPU time of the server ([`Self::ServerCpu`]) as a share of the wall time.
        CpuShare: ["CPU share of the server", "the server's CPU share", "%", "", "cpu-share"],
        /// Page faults of the server's whole process, with and without a read from disk.
        PageFaults: ["Page faults", "page faults", "", "", "page-faults"],
        /// Context switches of the server's whole process because it waited.
        VoluntarySwitches: ["Voluntary context switches", "voluntary context switches", "", "", "voluntary-switches"],
        /// Context switches of the server's whole process because something else came first.
        InvoluntarySwitches: ["Involuntary context switches", "involuntary context switches", "", "", "involuntary-switches"],
        /// Largest resident set of the server's process.
        PeakMemory: ["Peak memory", "peak memory", "MiB", "", "peak-memory"],
    }
    searches {
        /// Capacity: the highest offered rate at which no valid request is lost. No single run has it.
        Ndr: ["Capacity without loss (NDR)", "capacity without loss (NDR)", "packets/s", "", "ndr"],
        /// The same with as much loss as its goal allows.
        Pdr: ["Capacity with the loss allowed (PDR)", "capacity with the loss allowed (PDR)", "packets/s", "", "pdr"],
    }
}

/// What "server CPU time" leaves out.
pub const SCOPE: &str = "Server CPU time counts from readiness to the end and leaves out start-up, in which the program \
    is loaded; \"start-up included\" is the whole process's. Of a server that isn't weir's it is always the latter.";

impl Figure {
    /// Figures that have tables of the report's shape.
    pub const SHAPED: [Self; 4] = [Self::ServerCpu, Self::ClientCpu, Self::Wall, Self::Loss];

    /// Figures of which kernel ÷ user says something: those that are never zero.
    pub const WITH_RATIO: [Self; 3] = [Self::ServerCpu, Self::ClientCpu, Self::Wall];

    /// What a run cost and carried.
    pub const CARRIED: [Self; 7] = [
        Self::OfferedRate,
        Self::AchievedRate,
        Self::Goodput,
        Self::ServerCpuPerValid,
        Self::ClientCpuPerValid,
        Self::TotalCpuPerValid,
        Self::Energy,
    ];

    /// What the server's process used.
    pub const PROCESS: [Self; 7] = [
        Self::CpuShare,
        Self::PageFaults,
        Self::VoluntarySwitches,
        Self::InvoluntarySwitches,
        Self::PeakMemory,
        Self::ServerCpu,
        Self::ServerCpuProcess,
    ];

    /// Latencies of GETs.
    pub const LATENCIES: [Self; 5] =
        [Self::LatencyP50, Self::LatencyP90, Self::LatencyP99, Self::LatencyP999, Self::LatencyMax];

    /// The goal of the searches that find it; nothing for what a run has.
    pub const fn goal(self) -> Option<&'static str> {
        match self {
            Self::Ndr => Some("NDR"),
            Self::Pdr => Some("PDR"),
            _ => None,
        }
    }

    /// The name as a title has it.
    pub const fn title(self) -> &'static str {
        self.names()[0]
    }

    /// The name inside a sentence.
    pub const fn noun(self) -> &'static str {
        self.names()[1]
    }

    /// The unit.
    pub const fn unit(self) -> &'static str {
        self.names()[2]
    }

    /// What an axis says: the name and the unit.
    pub fn axis_label(self) -> String {
        let [_, noun, unit, per, _] = self.names();
        format!("{noun}, {unit}{per}")
    }

    /// The title with the unit, as the head of a column or the title of a table.
    pub fn head(self) -> String {
        let [title, _, unit, ..] = self.names();
        if unit.is_empty() { title.to_owned() } else { format!("{title}, {unit}") }
    }

    /// Which part of the server's life its CPU time is of, where the name doesn't say it; else empty.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::ServerCpu | Self::ServerCpuPerValid | Self::TotalCpuPerValid | Self::CpuShare => SCOPE,
            _ => "",
        }
    }

    /// Whether a lower value is the better one; nothing where it is neither better nor worse.
    pub const fn lower_is_better(self) -> Option<bool> {
        match self {
            Self::Goodput | Self::Ndr | Self::Pdr => Some(false),
            Self::OfferedRate | Self::AchievedRate | Self::CpuShare => None,
            _ => Some(true),
        }
    }

    /// The name in file names, definitions and `summary.json`.
    pub const fn slug(self) -> &'static str {
        self.names()[4]
    }

    /// The name of a column of plain numbers, with the unit.
    pub fn column(self) -> String {
        let [_, _, unit, per, slug] = self.names();
        let unit = match unit {
            "%" => "percent",
            "µs" => "us",
            "requests/s" | "packets/s" => "per_s",
            "J" => "j",
            unit => unit,
        };
        let per = if per == " per packet sent" { "_per_packet" } else { "" };
        let unit = if unit.is_empty() { String::new() } else { format!("_{}", unit.to_lowercase()) };
        format!("{}{unit}{per}", slug.replace('-', "_"))
    }

    /// Significant digits that are worth showing.
    pub const fn digits(self) -> usize {
        match self {
            Self::Wall => 4,
            _ => 3,
        }
    }

    /// The figure of one sample, in its unit; nothing where the sample doesn't have it.
    pub fn of(self, sample: &Sample) -> Option<f64> {
        let packets = (sample.valid_sent + sample.invalid_sent).max(1) as f64;
        let server_us = sample.server_cpu_us_per_packet() * packets;
        let client_us = sample.client_cost.cpu().as_secs_f64() * 1e6;
        let machine_us = sample.surroundings.machine_cpu_s().map(|cpu_s| cpu_s * 1e6);
        let per_valid =
            |us: f64| valid_served(sample).filter(|&served| served > 0.0).map(|served| us / served);
        match self {
            Self::ServerCpu => Some(server_us / packets),
            Self::ServerCpuProcess => {
                of_process(sample, |cost| cost.user_us + cost.system_us).map(|us| us / packets)
            }
            Self::ClientCpu => Some(client_us / packets),
            Self::MachineCpu => Some(machine_us? / packets),
            Self::Wall => sample.wall_s,
            Self::Loss => sample.loss_percent(),
            Self::ServerCpuPerValid => per_valid(server_us),
            Self::ClientCpuPerValid => per_valid(client_us),
            Self::TotalCpuPerValid => per_valid(server_us + client_us),
            Self::MachineCpuPerValid => per_valid(machine_us?),
            Self::MachineCpuPerInvalid => {
                (sample.invalid_sent > 0).then_some(machine_us? / sample.invalid_sent as f64)
            }
            Self::Goodput => Some(valid_served(sample)? / sample.wall_s.filter(|&wall| wall > 0.0)?),
            Self::OfferedRate => sample.cell.conditions.rate.map(|rate| rate as f64),
            Self::AchievedRate => sum(sample.clients.iter().map(|client| client.achieved_rate)),
            Self::LatencyP50 => latency_us(sample, 0.5),
            Self::LatencyP90 => latency_us(sample, 0.9),
            Self::LatencyP99 => latency_us(sample, 0.99),
            Self::LatencyP999 => latency_us(sample, 0.999),
            Self::LatencyMax => latency_us(sample, 1.0),
            Self::Energy => sample.surroundings.energy_j.map(|joules| joules / packets * 1e6),
            Self::ProgramRun => program_run_ns(sample),
            Self::TestRun => sample.test_run.as_ref()?.over_accept_all_ns(),
            Self::CpuShare => Some(server_us / 1e4 / sample.wall_s.filter(|&wall| wall > 0.0)?),
            Self::PageFaults => of_process(sample, |cost| cost.minor_faults + cost.major_faults),
            Self::VoluntarySwitches => of_process(sample, |cost| cost.voluntary_switches),
            Self::InvoluntarySwitches => of_process(sample, |cost| cost.involuntary_switches),
            Self::PeakMemory => of_process(sample, |cost| cost.peak_rss_kib).map(|kib| kib / 1024.0),
            Self::Ndr | Self::Pdr => None,
        }
    }
}

/// A count of the server's whole process; nothing where none was taken, which leaves all of them at zero.
fn of_process(sample: &Sample, count: impl Fn(&Cost) -> u64) -> Option<f64> {
    let cost = &sample.server_cost;
    (*cost != Cost::default()).then(|| count(cost) as f64)
}

/// Mean time of a run of the attached program, where statistics were on.
fn program_run_ns(sample: &Sample) -> Option<f64> {
    let runs = sample.server.as_ref()?.runs.filter(|runs| runs.count > 0)?;
    Some(runs.time_ns as f64 / runs.count as f64)
}

/// The sum, where there is something to add and all of it is known.
fn sum(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values = values.collect::<Option<Vec<_>>>()?;
    (!values.is_empty()).then(|| values.iter().sum())
}

/// Valid requests that the server served: its own count, else the PUTs that its final value shows.
fn valid_served(sample: &Sample) -> Option<f64> {
    match &sample.server {
        Some(server) => {
            let requests = &server.served.requests;
            Some((requests.put + requests.get + requests.delete) as f64)
        }
        None => Some(sample.valid_sent as f64 * (1.0 - sample.loss_percent()? / 100.0)),
    }
}

/// The latency that `quantile` of the load's GETs did not exceed, over all clients, microseconds.
fn latency_us(sample: &Sample, quantile: f64) -> Option<f64> {
    let mut latencies = sample.clients.iter().filter_map(|client| client.replies.as_ref()?.latency.as_ref());
    let mut all = latencies.next()?.histogram().ok()?;
    for one in latencies {
        all.add(one.histogram().ok()?).ok()?;
    }
    Some(all.value_at_quantile(quantile) as f64 / 1e3)
}
