//! The figures of the original report, to stand beside ours.

use serde::Deserialize;
use weir_results::{cell::Placement, stats::aggregate_difference_percent};

/// The report's tables.
#[derive(Debug, Deserialize)]
pub(super) struct Reported {
    /// The packet counts that the rows follow.
    pub(super) packets: Vec<u64>,
    throughput: Vec<ReportedCell>,
    loss: Vec<ReportedCell>,
}

/// A server of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ReportedServer {
    /// With Aya.
    Rust,
    /// With fun eBPF.
    Haskell,
}

#[derive(Debug, Deserialize)]
struct ReportedCell {
    server: Option<ReportedServer>,
    invalid_percent: u8,
    user: Vec<f64>,
    kernel: Vec<f64>,
}

impl ReportedCell {
    fn of(&self, placement: Placement) -> Option<&[f64]> {
        match placement {
            Placement::Plain | Placement::Sender => None,
            Placement::User => Some(&self.user),
            Placement::Kernel => Some(&self.kernel),
        }
    }
}

const TEXT: &str = include_str!("../../../experiments/report-figures.toml");

impl Reported {
    /// The figures of `experiments/report-figures.toml`, which every weir carries.
    pub(super) fn load() -> Self {
        toml::from_str(TEXT).expect("the report's figures parse: a test reads them")
    }

    /// Wall time in seconds, about 2 s of fixed start-up included: the mean of 2 runs.
    pub(super) fn wall_s(&self, placement: Placement, invalid_percent: u8, packets: u64) -> Option<f64> {
        self.find(self.throughput.iter(), placement, invalid_percent, packets)
    }

    /// Loss of valid requests of `server` in percent: the mean of 10 runs.
    pub(super) fn loss_percent(
        &self,
        server: ReportedServer,
        placement: Placement,
        invalid_percent: u8,
        packets: u64,
    ) -> Option<f64> {
        let rows = self.loss.iter().filter(|row| row.server == Some(server));
        self.find(rows, placement, invalid_percent, packets)
    }

    /// The invalid shares of the throughput tables.
    pub(super) fn percents(&self) -> impl Iterator<Item = u8> {
        self.throughput.iter().map(|row| row.invalid_percent)
    }

    /// The report's aggregate difference of wall time over `cells` of (percent, packets); nothing where it has none.
    pub(super) fn aggregate_difference(&self, cells: &[(u8, u64)]) -> Option<f64> {
        let pair = |&(percent, packets): &(u8, u64)| {
            Some((
                self.wall_s(Placement::User, percent, packets)?,
                self.wall_s(Placement::Kernel, percent, packets)?,
            ))
        };
        aggregate_difference_percent(&cells.iter().filter_map(pair).collect::<Vec<_>>())
    }

    fn find<'a>(
        &self,
        mut rows: impl Iterator<Item = &'a ReportedCell>,
        placement: Placement,
        invalid_percent: u8,
        packets: u64,
    ) -> Option<f64> {
        let column = self.packets.iter().position(|&column| column == packets)?;
        let row = rows.find(|row| row.invalid_percent == invalid_percent)?;
        row.of(placement)?.get(column).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_value_for_each_packet_count() {
        let reported = Reported::load();
        for row in reported.throughput.iter().chain(&reported.loss) {
            assert_eq!(row.user.len(), reported.packets.len(), "{row:?}");
            assert_eq!(row.kernel.len(), reported.packets.len(), "{row:?}");
        }
    }

    #[test]
    fn figures_are_found_by_placement_percent_and_packets() {
        let reported = Reported::load();
        assert_eq!(reported.wall_s(Placement::Kernel, 99, 10_000_000), Some(7.985));
        assert_eq!(reported.loss_percent(ReportedServer::Rust, Placement::User, 25, 100_000), Some(0.04));
        assert_eq!(
            reported.loss_percent(ReportedServer::Haskell, Placement::Kernel, 1, 10_000_000),
            Some(3.07)
        );
        assert_eq!(reported.wall_s(Placement::Plain, 99, 10_000_000), None);
        assert_eq!(reported.wall_s(Placement::User, 99, 200_000), None);
    }

    #[test]
    fn the_aggregate_differences_are_those_that_the_report_names() {
        let reported = Reported::load();
        let table: toml::Table = toml::from_str(TEXT).unwrap();
        let named = |key: &str| table["aggregate_difference_percent"][key].as_float().unwrap();
        let at_1_percent: Vec<_> = reported.packets.iter().map(|&packets| (1, packets)).collect();
        let at_100000: Vec<_> = reported.percents().map(|percent| (percent, 100_000)).collect();
        let close = |cells: &[_], expected: f64| {
            (reported.aggregate_difference(cells).unwrap() - expected).abs() < 1e-4
        };
        assert!(close(&at_1_percent, named("over_packets_at_1_percent_invalid")));
        assert!(close(&at_100000, named("over_percents_at_100000_packets")));
    }
}
