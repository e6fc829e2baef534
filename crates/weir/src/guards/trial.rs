//! A guard tried on a capture: what becomes of each packet, with nothing attached.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use serde::Serialize;
use weir_filters::{Carried, CarriedUdp};
use weir_guard::meaning::{Listen, Service};
use weir_verify::CapturedFrame;

use super::{
    dropped::DroppedFrames,
    judged::{DecisionReport, JudgedService},
    summary::table,
    words,
};

/// Sources that are counted; others are dropped without.
const MOST_SOURCES: usize = 1 << 20;
/// Sources that are told.
const TOP: usize = 10;

/// A guard and what of a capture it has seen.
pub(crate) struct Trial<'a> {
    services: Vec<JudgedService<'a>>,
    /// The address of the services, where that is said beside the guard.
    to: Option<IpAddr>,
    counts: Counts,
    dropped_sources: HashMap<IpAddr, u64>,
    uncounted_sources: u64,
    /// The first time stamp.
    begin: Option<u64>,
    /// Nanoseconds since then, which never go back.
    now: u64,
    out: Option<DroppedFrames>,
}

/// Packets of a capture.
#[derive(Debug, Default, Serialize)]
struct Counts {
    packets: u64,
    /// To a service.
    judged: u64,
    /// Of those, without bytes that the capture left out.
    judged_cut: u64,
    /// From a service.
    answers: u64,
    /// UDP of nobody here.
    nobody: u64,
    not_udp: u64,
    fragments: u64,
    /// More headers than are read.
    unreadable: u64,
    /// Less than the headers was captured.
    cut: u64,
    /// Of link types that are not read.
    other_links: u64,
}

/// What became of a capture's packets.
#[derive(Debug, Serialize)]
pub(crate) struct TrialReport {
    #[serde(flatten)]
    counts: Counts,
    services: Vec<ServiceReport>,
    /// Those of which most would be dropped.
    dropped_sources: Vec<DroppedSource>,
    #[serde(skip_serializing_if = "is_none")]
    uncounted_dropped: u64,
    /// Dropped frames that the written file can't hold.
    #[serde(skip_serializing_if = "is_none")]
    not_written: u64,
    /// Why the capture was not read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) damaged: Option<String>,
}

#[derive(Debug, Serialize)]
struct ServiceReport {
    service: String,
    listen: String,
    mode: &'static str,
    packets: u64,
    decisions: Vec<DecisionReport>,
}

#[derive(Debug, Serialize)]
struct DroppedSource {
    source: IpAddr,
    packets: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl<'a> Trial<'a> {
    /// Of these services; `out` is the file that dropped frames are written to.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn of(
        services: impl IntoIterator<Item = &'a Service>,
        to: Option<IpAddr>,
        out: Option<&Path>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            services: services.into_iter().map(JudgedService::of).collect(),
            to: to.map(|to| to.to_canonical()),
            counts: Counts::default(),
            dropped_sources: HashMap::new(),
            uncounted_sources: 0,
            begin: None,
            now: 0,
            out: out.map(DroppedFrames::to).transpose()?,
        })
    }

    /// Judges a frame.
    ///
    /// # Errors
    /// The dropped one can't be written.
    pub(crate) fn take(&mut self, frame: &CapturedFrame<'_>) -> anyhow::Result<()> {
        self.counts.packets += 1;
        if let Some(at) = frame.at {
            let begin = *self.begin.get_or_insert(at);
            self.now = self.now.max(at.saturating_sub(begin));
        }
        let Some((layer, bytes)) = frame.contents else {
            self.counts.other_links += 1;
            return Ok(());
        };
        let count = match Carried::of(layer, bytes, frame.missing()) {
            Carried::Udp(udp) => return self.take_udp(&udp, frame),
            Carried::FirstFragment { source, destination } => {
                self.counts.fragments += 1;
                return self.take_fragment(source, destination, frame);
            }
            Carried::Fragment => &mut self.counts.fragments,
            Carried::Unreadable => &mut self.counts.unreadable,
            Carried::Cut => &mut self.counts.cut,
            Carried::Other => &mut self.counts.not_udp,
        };
        *count += 1;
        Ok(())
    }

    fn take_udp(&mut self, udp: &CarriedUdp<'_>, frame: &CapturedFrame<'_>) -> anyhow::Result<()> {
        let now = self.now;
        if let Some(service) = self.service_at(udp.destination) {
            let decision = service.judge(udp, now);
            self.counts.judged += 1;
            self.counts.judged_cut += u64::from(udp.payload.len() < usize::from(udp.len));
            if !decision.is_accepted() {
                return self.drop_from(udp.source.ip(), frame);
            }
        } else if let Some(service) = self.service_at(udp.source) {
            service.answered(udp, now);
            self.counts.answers += 1;
        } else {
            self.counts.nobody += 1;
        }
        Ok(())
    }

    fn take_fragment(
        &mut self,
        source: IpAddr,
        destination: SocketAddr,
        frame: &CapturedFrame<'_>,
    ) -> anyhow::Result<()> {
        let now = self.now;
        match self.service_at(destination).map(|service| service.judge_fragment(source, now)) {
            Some(decision) if !decision.is_accepted() => self.drop_from(source, frame),
            _ => Ok(()),
        }
    }

    /// The service whose packets go to, or come from, `place`.
    fn service_at(&mut self, place: SocketAddr) -> Option<&mut JudgedService<'a>> {
        let to = self.to;
        self.services.iter_mut().find(|each| {
            let Listen { address, port } = each.service.listen;
            let address = to.or(address);
            port == place.port() && address.is_none_or(|address| address == place.ip().to_canonical())
        })
    }

    fn drop_from(&mut self, source: IpAddr, frame: &CapturedFrame<'_>) -> anyhow::Result<()> {
        let has_room = self.dropped_sources.len() < MOST_SOURCES;
        match self.dropped_sources.get_mut(&source) {
            Some(packets) => *packets += 1,
            None if has_room => _ = self.dropped_sources.insert(source, 1),
            None => self.uncounted_sources += 1,
        }
        self.out.as_mut().map_or(Ok(()), |out| out.write(frame))
    }

    /// Ends the file of dropped frames, and says what became of all.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn end(self, damaged: Option<String>) -> anyhow::Result<TrialReport> {
        let not_written = self.out.map(DroppedFrames::end).transpose()?.unwrap_or(0);
        let mut sources: Vec<_> = self.dropped_sources.into_iter().collect();
        sources.sort_unstable_by_key(|(source, packets)| (u64::MAX - packets, *source));
        sources.truncate(TOP);
        let services = self.services.iter().map(|judged| ServiceReport {
            service: judged.service.name.clone(),
            listen: words::listen(judged.service.listen),
            mode: judged.service.mode.name(),
            packets: judged.packets,
            decisions: judged.decisions(),
        });
        let dropped_sources = sources.into_iter().map(|(source, packets)| DroppedSource { source, packets });
        Ok(TrialReport {
            counts: self.counts,
            services: services.collect(),
            dropped_sources: dropped_sources.collect(),
            uncounted_dropped: self.uncounted_sources,
            not_written,
            damaged,
        })
    }
}

impl TrialReport {
    pub(crate) fn text(&self, plain: bool) -> String {
        let mut text = String::new();
        for each in &self.services {
            let mode = if each.mode == "observe" {
                ", in observe mode: what is dropped here would pass"
            } else {
                ""
            };
            text += &format!("{} ({}): {} packets{mode}\n", each.service, each.listen, each.packets);
            if each.decisions.is_empty() {
                text += "\n";
                continue;
            }
            let rows = each.decisions.iter().map(|row| {
                [
                    row.words.clone(),
                    row.packets.to_string(),
                    row.bytes.to_string(),
                    format!("{:.1}", 100.0 * row.share),
                    format!("{:.6}", row.first_s),
                    format!("{:.6}", row.last_s),
                    row.example.clone(),
                ]
            });
            let head =
                ["decision", "packets", "bytes", "share, %", "first, s", "last, s", "the first begins"];
            text += &table(head, rows, plain);
        }
        if !self.dropped_sources.is_empty() {
            let rows =
                self.dropped_sources.iter().map(|row| [row.source.to_string(), row.packets.to_string()]);
            text += &table(["dropped most", "packets"], rows, plain);
        }
        let always = [("all", self.counts.packets), ("for a service", self.counts.judged)];
        let others = [
            ("of those, cut short and judged by what is there", self.counts.judged_cut),
            ("answers of a service", self.counts.answers),
            ("UDP for nobody here", self.counts.nobody),
            ("not UDP", self.counts.not_udp),
            ("fragments", self.counts.fragments),
            ("more headers than are read", self.counts.unreadable),
            ("cut short within the headers", self.counts.cut),
            ("of a link type that is not read", self.counts.other_links),
            ("dropped, of sources beyond the first million", self.uncounted_dropped),
            ("dropped, not written: of another link type", self.not_written),
        ];
        let others = others.into_iter().filter(|(_, count)| *count > 0);
        let rows = always.into_iter().chain(others).map(|(what, count)| [what.to_owned(), count.to_string()]);
        text += &table(["in the capture", "packets"], rows, plain);
        text.truncate(text.trim_end().len());
        text + "\n"
    }
}
