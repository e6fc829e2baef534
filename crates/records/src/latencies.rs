//! Times as an HdrHistogram: recorded while a run goes on, and kept whole in its record.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How times were distributed: some order statistics, and the histogram that they were read from. All in
/// nanoseconds, with three significant digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    /// Times recorded.
    pub count: u64,
    /// The shortest.
    pub min_ns: u64,
    /// Half of them are no longer.
    pub p50_ns: u64,
    /// 90 % are no longer.
    pub p90_ns: u64,
    /// 99 % are no longer.
    pub p99_ns: u64,
    /// 99.9 % are no longer.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// The histogram in HdrHistogram's V2 format, deflated, in base64: the payload of a line of its interval logs,
    /// so that the tools around HdrHistogram read it too. Empty where a record was kept without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub histogram: String,
}

/// A recorded histogram can't be read.
#[derive(Debug, Error)]
#[error("reading a histogram of latencies: {0}; the record is damaged or was not written by weir")]
pub struct LatenciesError(String);

impl Latencies {
    /// What `histogram` says, or nothing where it is empty.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .expect("a histogram of counts below 2^63 is written to memory");
        let at = |quantile| histogram.value_at_quantile(quantile);
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            min_ns: histogram.min(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: histogram.max(),
            histogram: STANDARD.encode(bytes),
        })
    }

    /// The histogram, to add it to others or to plot it.
    ///
    /// # Errors
    /// The text is no base64, or what it encodes is no histogram.
    pub fn histogram(&self) -> Result<Histogram<u64>, LatenciesError> {
        let bytes = STANDARD.decode(&self.histogram).map_err(|error| LatenciesError(error.to_string()))?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| LatenciesError(error.to_string()))
    }
}

/// The longest time told apart from longer ones, an hour in nanoseconds.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// An empty histogram of nanoseconds, three significant digits up to an hour.
pub fn nanoseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are constant and valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(times: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = nanoseconds();
        for ns in times {
            histogram.saturating_record(ns);
        }
        histogram
    }

    #[test]
    fn order_statistics_are_those_of_the_times_recorded() {
        let latencies = Latencies::of(&histogram(1..=1000)).unwrap();
        let Latencies { count, min_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns, .. } = latencies;
        assert_eq!(
            (count, min_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns),
            (1000, 1, 500, 900, 990, 999, 1000)
        );
    }

    #[test]
    fn a_histogram_survives_its_record_and_adds_up() {
        let latencies = Latencies::of(&histogram([0, 70, 123_456, 2 * LONGEST_NS])).unwrap();
        let text = serde_json::to_string(&latencies).unwrap();
        let read: Latencies = serde_json::from_str(&text).unwrap();
        assert_eq!(read, latencies);
        let mut sum = read.histogram().unwrap();
        assert_eq!(sum, histogram([0, 70, 123_456, 2 * LONGEST_NS]));
        sum.add(latencies.histogram().unwrap()).unwrap();
        assert_eq!((sum.len(), sum.count_at(70)), (8, 2));
    }

    #[test]
    fn no_time_has_no_order_statistics() {
        assert_eq!(Latencies::of(&nanoseconds()), None);
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        let sound = Latencies::of(&histogram([1])).unwrap();
        for text in ["", "no base64!", "AAAA"] {
            let error = Latencies { histogram: text.into(), ..sound.clone() }.histogram().unwrap_err();
            assert!(error.to_string().contains("reading a histogram"), "{error}");
        }
    }
}
