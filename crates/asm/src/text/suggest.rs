//! The known name that somebody may have meant.

/// The help that names it.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|meant| format!("did you mean '{meant}'?"))
}

/// Nobody means a name that is longer; comparing two takes time by the product of their lengths.
const LONGEST: usize = 64;

/// The nearest of `known` by edits, unless it takes about as many as there are letters.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    // Lengths alone rule out most.
    let close = known.into_iter().filter(|known| known.len().abs_diff(name.len()) <= 2);
    // Of two as near, the one of the same letters: they were only swapped.
    let letters = |name: &str| {
        let mut letters = name.as_bytes().to_vec();
        letters.sort_unstable();
        letters
    };
    let own = letters(name);
    let distances = close.map(|known| (strsim::osa_distance(name, known), letters(known) != own, known));
    let (distance, _, nearest) = distances.min()?;
    (distance <= (name.len() / 3).clamp(1, 2)).then_some(nearest)
}
