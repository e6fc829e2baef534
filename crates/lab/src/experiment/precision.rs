//! Repeating a cell until its interval is narrow enough.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use weir_filters::saved_as_text;

/// How narrow the interval of each cell is to become, and after how many runs to give up.
///
/// What is judged is the server's CPU time per packet. Runs are added for a point of the grid, all placements side by
/// side, until each of its cells is there: so pairs stay pairs. Stopping looks at an interval's width and never at
/// where it lies, which keeps its coverage near what it says; a test of this module measures how near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// Largest distance of the interval's ends from the median, as a share of the median.
    pub within: Within,
    /// Most runs of a cell.
    pub max_runs: u32,
}

/// A share in percent, to a hundredth; written `2%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Within {
    hundredths: u32,
}

impl Within {
    /// The share, 1 for all.
    pub fn share(self) -> f64 {
        f64::from(self.hundredths) / 10_000.0
    }
}

impl FromStr for Within {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_end_matches('%').trim_end();
        let percent: f64 =
            number.parse().map_err(|_| format!("'{text}' is no percentage; write 2% or 0.5%"))?;
        if !(0.01..=100.0).contains(&percent) {
            return Err(format!("'{text}' is not between 0.01% and 100%"));
        }
        Ok(Self { hundredths: (percent * 100.0).round() as u32 })
    }
}

saved_as_text!(Within);

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.hundredths) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<f64, &str>) {
        match (text.parse::<Within>(), expected) {
            (Ok(percent), Ok(share)) => assert!((percent.share() - share).abs() < 1e-9, "{text}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_percentage_is_a_number_with_or_without_its_sign() {
        check("2%", Ok(0.02));
        check(" 0.5 % ", Ok(0.005));
        check("100", Ok(1.0));
        check("0", Err("not between"));
        check("101%", Err("not between"));
        check("two", Err("no percentage"));
        check("NaN%", Err("not between"));
        assert_eq!("0.50%".parse::<Within>().unwrap().to_string(), "0.5%");
    }
}
