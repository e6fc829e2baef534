//! How far repeated searches lie apart, and what was seen that explains it.

use serde::Serialize;

use super::record::SearchRecord;

/// Two searches in a row are to lie within this share of the higher one.
const AGREE_WITHIN: f64 = 0.1;
/// From this share of the time or of the trials on, a disturbance is named.
const WORTH_NAMING: f64 = 0.01;
/// The harness itself is among the others.
const OTHERS_WORTH_NAMING: f64 = 0.05;

/// How well searches of the same capacity agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Highest rate found ÷ lowest; nothing where that is 0.
    pub highest_to_lowest: Option<f64>,
    /// Largest difference of two searches in a row, as a share of the higher one; nothing with one search.
    pub in_a_row: Option<f64>,
    /// Where two in a row differ by more than 10 %: what was seen.
    pub why: Vec<String>,
}

impl Spread {
    /// Of the searches of one cell for one goal, in their order.
    pub(super) fn of(records: &[&SearchRecord]) -> Self {
        let rates: Vec<_> = records.iter().map(|record| record.rate()).collect();
        let highest = rates.iter().copied().fold(0.0, f64::max);
        let lowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let apart = |pair: &[f64]| (pair[0] - pair[1]).abs() / pair[0].max(pair[1]).max(1.0);
        let in_a_row = rates.windows(2).map(apart).reduce(f64::max);
        let differ = in_a_row.is_some_and(|apart| apart > AGREE_WITHIN);
        Self {
            highest_to_lowest: (lowest > 0.0).then(|| highest / lowest),
            in_a_row,
            why: if differ { seen(records) } else { Vec::new() },
        }
    }
}

fn seen(records: &[&SearchRecord]) -> Vec<String> {
    let sum = |of: &dyn Fn(&SearchRecord) -> f64| records.iter().map(|record| of(record)).sum::<f64>();
    let trials = sum(&|record| record.rest.samples.len() as f64);
    let at_lower = sum(&|record| f64::from(record.result.lower_trials));
    let exceeding = sum(&|record| f64::from(record.result.lower_exceeding));
    let behind = sum(&|record| record.rest.behind.len() as f64);
    let stolen = sum(&|record| record.rest.stolen_s) / sum(&|record| record.rest.under_load_s).max(1e-9);
    let limited = records.iter().filter(|record| record.result.limited).count();
    let mut why = Vec::new();
    if exceeding > 0.0 {
        why.push(format!(
            "of {at_lower} full-length trials at the rates found, {exceeding} lost more than allowed: single trials are noisy here"
        ));
    }
    let again = sum(&|record| record.rest.again.len() as f64);
    let disturbed = sum(&|record| record.rest.disturbed.len() as f64);
    if again + disturbed > 0.0 {
        why.push(format!(
            "others used the cores in {} of {} trials, of which {again} were made again and {disturbed} used all the same",
            again + disturbed,
            trials + again
        ));
    }
    let others = sum(&|record| record.rest.others_s) / sum(&|record| record.rest.cores_s).max(1e-9);
    if others > OTHERS_WORTH_NAMING {
        why.push(format!("other processes used {:.0} % of the machine's cores meanwhile", others * 100.0));
    }
    if stolen > WORTH_NAMING {
        why.push(format!("the hypervisor took {:.0} % of a core's time meanwhile", stolen * 100.0));
    }
    if behind > trials * WORTH_NAMING {
        why.push(format!("the generator ran behind schedule in {behind} of {trials} trials"));
    }
    if limited > 0 && limited < records.len() {
        why.push(format!("the generator limited {limited} of {} searches", records.len()));
    }
    if why.is_empty() {
        why.push("nothing that is recorded explains it; longer trials (--trial, --sum) would tell".into());
    }
    why
}
