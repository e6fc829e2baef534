//! Samples of which none is sound: why, before anything else is said of them.

use std::mem::discriminant;

use weir_results::{
    number::count,
    sample::{Flaw, Sample},
};

/// Why no estimate can be made of `samples`, the commonest reason first; nothing where one is sound, or there is none.
pub fn why_nothing(samples: &[Sample]) -> Option<String> {
    if samples.is_empty() || samples.iter().any(Sample::is_sound) {
        return None;
    }
    let all = count(samples.len() as u64);
    let reasons: Vec<_> = reasons(samples)
        .into_iter()
        .map(|(flaw, runs)| {
            // A flaw of the same kind may say something else of another run.
            let first = if runs > 1 && *flaw != Flaw::NoReply { ", the first of them" } else { "" };
            format!("{} of {all}{first}: {flaw}", count(runs))
        })
        .collect();
    let advice = unreached(samples).unwrap_or_default();
    Some(format!(
        "No run is valid, so nothing can be said of this experiment. {}.{advice}",
        reasons.join("; ")
    ))
}

/// Each kind of flaw by its first occurrence, and how many runs have it, the most first.
fn reasons(samples: &[Sample]) -> Vec<(&Flaw, u64)> {
    let mut kinds: Vec<(&Flaw, u64)> = Vec::new();
    for flaw in samples.iter().flat_map(|sample| &sample.flaws) {
        match kinds.iter_mut().find(|(first, _)| discriminant(*first) == discriminant(flaw)) {
            Some((_, runs)) => *runs += 1,
            None => kinds.push((flaw, 1)),
        }
    }
    kinds.sort_by_key(|&(_, runs)| std::cmp::Reverse(runs));
    kinds
}

/// What to do where no packet of somebody else's client came to a server of weir's.
fn unreached(samples: &[Sample]) -> Option<String> {
    let nothing_came = |sample: &Sample| {
        let served = sample.server.as_ref().map(|server| &server.served);
        sample.cell.external_client.is_some()
            && served.is_some_and(|served| served.requests.put + served.socket_drops == 0)
    };
    samples.iter().all(nothing_came).then(|| {
        " No PUT of an external client came to weir's server: a client that can be told where to send takes {port} into its \
         command, and one that always sends to the same port needs that as `port` in the definition."
            .to_owned()
    })
}
