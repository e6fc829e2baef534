//! Arguments of the commands that make runs and keep their samples in a folder.

use std::path::PathBuf;

use weir_lab::experiment::machine::Pinning;

#[derive(Debug, clap::Args)]
pub(super) struct Conducting {
    /// Seed of the order of the runs and of the clients; by default another one each time, kept in the manifest
    #[arg(long, value_name = "N")]
    seed: Option<u32>,

    /// Folder for the results; by default results/ and the time, with results/latest pointing there
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,

    /// Let server and clients run on any core
    #[arg(long)]
    no_pin: bool,
}

impl Conducting {
    /// Any number will do: it is kept in the manifest.
    pub(super) fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| jiff::Timestamp::now().subsec_nanosecond().unsigned_abs()).into()
    }

    /// Which cores are whose; said aloud where it isn't as usual.
    pub(super) fn pinning(&self) -> Pinning {
        let pinning =
            if self.no_pin { Pinning::none("--no-pin was given") } else { Pinning::of_this_machine() };
        if let Some(note) = &pinning.note {
            eprintln!("weir: pinning: {note}");
        }
        pinning
    }
}
