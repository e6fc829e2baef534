//! Sets of numbers, as ranges.

/// Numbers of 64 bits: ranges with both ends, sorted, none touching the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Values(Vec<(u64, u64)>);

impl Values {
    /// Those of all ranges, of which none is empty.
    pub(super) fn of(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
                _ => merged.push((low, high)),
            }
        }
        Self(merged)
    }

    /// Both ends and what lies between them; none where the ends are the wrong way round.
    pub(super) fn between(low: u64, high: u64) -> Self {
        if low <= high { Self(vec![(low, high)]) } else { Self(Vec::new()) }
    }

    pub(super) fn one(value: u64) -> Self {
        Self::between(value, value)
    }

    /// Them, or all others where the question is asked the other way round.
    pub(super) fn asked(self, truth: bool) -> Self {
        if truth { self } else { self.complement() }
    }

    pub(super) fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(0_u64);
        for &(low, high) in &self.0 {
            if let Some(start) = next
                && start < low
            {
                gaps.push((start, low - 1));
            }
            next = high.checked_add(1);
        }
        gaps.extend(next.map(|start| (start, u64::MAX)));
        Self(gaps)
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let (mut ones, mut others) = (self.0.iter().copied().peekable(), other.0.iter().copied().peekable());
        let mut both = Vec::new();
        while let (Some(one), Some(other)) = (ones.peek().copied(), others.peek().copied()) {
            let (low, high) = (one.0.max(other.0), one.1.min(other.1));
            if low <= high {
                both.push((low, high));
            }
            if one.1 < other.1 {
                ones.next();
            } else {
                others.next();
            }
        }
        Self(both)
    }

    /// Each of them and so much; those that don't fit 64 bits are left out.
    pub(super) fn up(&self, by: u64) -> Self {
        let moved = |&(low, high): &(u64, u64)| Some((low.checked_add(by)?, high.saturating_add(by)));
        Self(self.0.iter().filter_map(moved).collect())
    }

    /// Each of them less so much; those that would be below 0 are left out.
    pub(super) fn down(&self, by: u64) -> Self {
        let moved = |&(low, high): &(u64, u64)| Some((low.saturating_sub(by), high.checked_sub(by)?));
        Self(self.0.iter().filter_map(moved).collect())
    }

    pub(super) fn contains(&self, value: u64) -> bool {
        self.0.iter().any(|&(low, high)| (low..=high).contains(&value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Each of them, unless there are more than so many.
    pub(super) fn points(&self, most: u64) -> Option<Vec<u64>> {
        let counts = self.0.iter().map(|&(low, high)| (high - low).saturating_add(1));
        let are_few = counts.fold(0, u64::saturating_add) <= most;
        are_few.then(|| self.0.iter().flat_map(|&(low, high)| low..=high).collect())
    }
}
