//! Made-up samples: the shape of real ones, numbers from a seeded generator, so that tests know what to expect.

use std::{fs, path::Path};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use weir_filters::{FilterName, Hook, Toolkit};
use weir_results::{
    cell::{Cell, Conditions, Placement},
    ledger::Ledger,
    sample::{SCHEMA, Sample},
    store,
    surroundings::Surroundings,
};
use weir_service::{Cost, Io};

/// What a made-up experiment consists of.
#[derive(Clone, Debug)]
pub(crate) struct Experiment {
    pub(crate) placements: Vec<Placement>,
    pub(crate) percents: Vec<u8>,
    pub(crate) packets: Vec<u64>,
    pub(crate) repetitions: u32,
    pub(crate) seed: u64,
}

impl Experiment {
    /// The shape of the quick experiment.
    pub(crate) fn quick() -> Self {
        Self {
            placements: vec![Placement::User, Placement::Kernel],
            percents: vec![0, 50, 99],
            packets: vec![200_000],
            repetitions: 6,
            seed: 1,
        }
    }

    /// The shape of the report's grid.
    pub(crate) fn paper() -> Self {
        Self {
            placements: vec![Placement::User, Placement::Kernel],
            percents: vec![1, 25, 50, 75, 99],
            packets: vec![100, 1000, 10_000, 100_000, 1_000_000, 10_000_000],
            repetitions: 6,
            seed: 2,
        }
    }

    /// Its samples, in schedule order.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut samples = Vec::new();
        for repetition in 0..self.repetitions {
            for &packets in &self.packets {
                for &percent in &self.percents {
                    for &placement in &self.placements {
                        let index = samples.len() as u64;
                        samples.push(sample(
                            index,
                            repetition,
                            cell(placement, percent, packets),
                            &mut random,
                        ));
                    }
                }
            }
        }
        samples
    }
}

/// A cell as the built-in experiments have it.
pub(crate) fn cell(placement: Placement, invalid_percent: u8, packets: u64) -> Cell {
    let (filter, toolkit, hook) = match placement {
        Placement::Plain => (FilterName::ValidCommand, Toolkit::Rust, Hook::User),
        Placement::User => (FilterName::Simple, Toolkit::Aya, Hook::Socket),
        Placement::Kernel => (FilterName::ValidCommand, Toolkit::Aya, Hook::Socket),
        Placement::Sender => (FilterName::ValidCommand, Toolkit::Aya, Hook::Tc),
    };
    Cell {
        placement,
        filter,
        toolkit,
        hook,
        io: Io::Batch,
        invalid_percent,
        packets,
        invalid_size: None,
        behaviour: "frigg".to_owned(),
        clients: 1,
        external_server: None,
        external_client: None,
        guard: None,
        conditions: Conditions::default(),
    }
}

fn sample(index: u64, repetition: u32, cell: Cell, random: &mut StdRng) -> Sample {
    let mut noise = |spread: f64| 1.0 + spread * (random.random::<f64>() - 0.5);
    let invalid_sent = cell.packets * u64::from(cell.invalid_percent) / 100;
    let valid_sent = cell.packets - invalid_sent;
    let dropped_by_filter = if cell.placement == Placement::Kernel { invalid_sent } else { 0 };
    let arriving = valid_sent + invalid_sent - dropped_by_filter;
    let lost = match cell.placement {
        Placement::Kernel => 0,
        _ => {
            (arriving as f64 * 0.01 * (noise(2.0) - 0.6).max(0.0) * f64::from(cell.invalid_percent) / 99.0)
                as u64
        }
    };
    let lost_valid = lost * valid_sent / arriving.max(1);
    let expected_value = valid_sent as i64 * 10;
    let us =
        |per_packet: f64, packets: u64, noise: f64| ((per_packet * packets as f64 + 400.0) * noise) as u64;
    let cost = |total: u64| Cost {
        user_us: total / 3,
        system_us: total - total / 3,
        voluntary_switches: total / 900,
        involuntary_switches: 7,
        minor_faults: 210,
        major_faults: 0,
        peak_rss_kib: 6200,
    };
    let read = arriving - lost + 2;
    let server_us = us(0.8, read, noise(0.12));
    Sample {
        schema: SCHEMA,
        experiment: "made-up".to_owned(),
        index,
        repetition,
        seed: 40 + index,
        started_at: format!("2025-01-01T00:00:{:02}Z", index % 60),
        valid_sent,
        invalid_sent,
        get_value: Some(expected_value - lost_valid as i64 * 10),
        expected_value,
        port: Some(12345),
        socket_drops: Some(dropped_by_filter + lost),
        wall_s: Some(us(1.05, cell.packets, noise(0.06)) as f64 / 1e6),
        ledger: Some(Ledger {
            sent: cell.packets + 2,
            dropped_by_filter,
            dropped_for_buffer: lost,
            read,
            ..Ledger::default()
        }),
        audit: None,
        audit_set_aside: None,
        replies: None,
        server: None,
        clients: Vec::new(),
        server_cost: cost(server_us),
        client_cost: cost(us(1.0, cell.packets, noise(0.08))),
        first_sent_at: None,
        steal_s: 0.0,
        net: None,
        neighbours: Vec::new(),
        test_run: None,
        surroundings: Surroundings::default(),
        limited_by_generator: false,
        flaws: Vec::new(),
        cell,
    }
}

/// A results folder that holds `samples`.
pub(crate) fn folder_of(samples: &[Sample]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), samples);
    dir
}

/// The table `slug` of the report in `dir`, its head first.
pub(crate) fn table(dir: &Path, slug: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(dir.join(format!("tables/{slug}.csv")))
        .unwrap_or_else(|error| panic!("{slug}: {error}"));
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Writes `samples` into the results folder `dir`, with a manifest and a definition.
pub(crate) fn write(dir: &Path, samples: &[Sample]) {
    let mut log = store::Samples::open(dir).unwrap();
    samples.iter().for_each(|sample| log.append(sample).unwrap());
    let manifest = serde_json::json!({
        "kernel": "6.18.0", "cpu": "a made-up processor", "cores": 2, "jit": true, "profile": "quick", "seed": 1,
        "planned_samples": samples.len(),
        "sysctls": { "net.core.rmem_default": 212_992, "net.core.rmem_max": 4_194_304 },
        "pinning": { "server": [0], "client": [1] },
        "versions": { "weir": "0.1.0", "rustc": "1.95.0" },
        "git": { "commit": "0123456789abcdef", "dirty": false },
        "started_at": "2025-01-01T00:00:00Z",
    });
    fs::write(dir.join(store::MANIFEST), manifest.to_string()).unwrap();
    fs::write(dir.join(store::DEFINITION), "name = \"made-up\"\n").unwrap();
}
