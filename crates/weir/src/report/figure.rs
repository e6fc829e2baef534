//! The figures that a report shows: one row each, with its name, its unit and where a sample has it.

use crate::sample::Sample;

/// What is measured of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Figure {
    /// CPU time of the server per packet sent.
    ServerCpu,
    /// CPU time of the clients per packet sent.
    ClientCpu,
    /// From the first packet sent to the last handled.
    Wall,
    /// Share of valid requests that were lost.
    Loss,
}

impl Figure {
    /// Every figure, in the order in which a report shows them.
    pub(super) const ALL: [Self; 4] = [Self::ServerCpu, Self::ClientCpu, Self::Wall, Self::Loss];

    /// Figures of which kernel ÷ user says something: those that are never zero.
    pub(super) const WITH_RATIO: [Self; 3] = [Self::ServerCpu, Self::ClientCpu, Self::Wall];

    /// The name as a title has it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::ServerCpu => "Server CPU time per packet sent",
            Self::ClientCpu => "Client CPU time per packet sent",
            Self::Wall => "Wall time",
            Self::Loss => "Loss of valid requests",
        }
    }

    /// The name inside a sentence.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::ServerCpu => "server CPU time",
            Self::ClientCpu => "client CPU time",
            Self::Wall => "wall time",
            Self::Loss => "loss of valid requests",
        }
    }

    /// The unit.
    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::ServerCpu | Self::ClientCpu => "µs",
            Self::Wall => "s",
            Self::Loss => "%",
        }
    }

    /// What an axis says: the name and the unit.
    pub(super) const fn axis_label(self) -> &'static str {
        match self {
            Self::ServerCpu => "server CPU time, µs per packet sent",
            Self::ClientCpu => "client CPU time, µs per packet sent",
            Self::Wall => "wall time, s",
            Self::Loss => "loss of valid requests, %",
        }
    }

    /// The name in file names.
    pub(super) const fn slug(self) -> &'static str {
        match self {
            Self::ServerCpu => "server-cpu",
            Self::ClientCpu => "client-cpu",
            Self::Wall => "wall",
            Self::Loss => "loss",
        }
    }

    /// Significant digits that are worth showing.
    pub(super) const fn digits(self) -> usize {
        match self {
            Self::Wall => 4,
            _ => 3,
        }
    }

    /// The figure of one sample, in its unit; nothing where the sample doesn't have it.
    pub(super) fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::ServerCpu => Some(sample.server_cpu_us_per_packet()),
            Self::ClientCpu => {
                let packets = (sample.valid_sent + sample.invalid_sent).max(1);
                Some(sample.client_cost.cpu().as_secs_f64() * 1e6 / packets as f64)
            }
            Self::Wall => sample.wall_s,
            Self::Loss => sample.loss_percent(),
        }
    }
}
