//! The smallest packet that still shows what a larger one showed.

use weir_filters::corpus::Case;

/// Packets that are tried, at most.
const MAX_TRIES: usize = 20_000;

/// Cuts and zeroes bytes of `case`, and takes segments away, for as long as it `shows` the same (delta debugging: in
/// large pieces first, then smaller ones, until no single byte can go).
pub(super) fn minimise(case: &Case, mut shows: impl FnMut(&Case) -> bool) -> Case {
    let mut best = case.clone();
    let mut tries = MAX_TRIES;
    let mut attempt = |candidate: Case, best: &mut Case| {
        let is_new = candidate != *best && !candidate.seen.is_empty() && tries > 0;
        if !is_new {
            return false;
        }
        tries -= 1;
        let is_smaller = shows(&candidate);
        if is_smaller {
            *best = candidate;
        }
        is_smaller
    };
    for segments in [1, 2] {
        if best.segments > segments {
            attempt(Case { segments, ..best.clone() }, &mut best);
        }
    }
    loop {
        let mut changed = false;
        for change in [cut, zero] {
            let mut len = best.seen.len().next_power_of_two();
            while len > 0 {
                let mut at = 0;
                while at < best.seen.len() {
                    let candidate = Case { seen: change(&best.seen, at, len), ..best.clone() };
                    let before = best.seen.len();
                    changed |= attempt(candidate, &mut best);
                    // What moved up into the gap is next.
                    at += if best.seen.len() < before { 0 } else { len };
                }
                len /= 2;
            }
        }
        if !changed {
            return best;
        }
    }
}

fn cut(bytes: &[u8], at: usize, len: usize) -> Vec<u8> {
    [&bytes[..at], &bytes[(at + len).min(bytes.len())..]].concat()
}

fn zero(bytes: &[u8], at: usize, len: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let end = (at + len).min(bytes.len());
    bytes[at..end].fill(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_it_is_all_that_stays() {
        let check = |seen: &[u8], shows: fn(&Case) -> bool, expected: &[u8]| {
            let case = Case { seen: seen.to_vec(), segments: 10 };
            let smallest = minimise(&case, shows);
            assert_eq!(smallest, Case { seen: expected.to_vec(), segments: 1 });
        };
        check(b"hay needle hay", |case| case.seen.windows(2).any(|pair| pair == b"ee"), b"ee");
        check(&[7; 100], |case| case.seen.len() >= 5, &[0; 5]);
        check(b"abcabc", |case| case.seen.iter().filter(|byte| **byte == b'c').count() == 2, b"cc");
    }

    #[test]
    fn segments_stay_where_they_matter() {
        let case = Case { seen: vec![1, 2, 3], segments: 10 };
        assert_eq!(minimise(&case, |case| case.segments > 1), Case { seen: vec![0], segments: 2 });
    }
}
