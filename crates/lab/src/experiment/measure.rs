//! One run with what surrounds it, as a sample.

use weir_results::sample::Sample;

use super::{
    bench::Bench,
    failure::RunError,
    interrupt::Interrupted,
    machine,
    observed::Observed,
    one_run,
    record::{self, Circumstances},
    schedule::Scheduled,
};
use crate::surroundings::Reading;

/// Makes the run `scheduled`; what goes wrong in it is a flaw of the sample.
///
/// # Errors
/// A signal came: there is no sample.
pub fn measure(bench: &Bench<'_>, scheduled: &Scheduled) -> Result<Sample, Interrupted> {
    let started_at = jiff::Timestamp::now().to_string();
    let (stolen_before, before) = (machine::stolen_s(), Reading::now());
    let mut observed = Observed::default();
    let failure = match one_run::run(bench, scheduled, &mut observed) {
        Ok(()) => None,
        Err(RunError::Interrupted(interrupted)) => return Err(interrupted),
        Err(RunError::Failed(failure)) => Some(format!("{:#}", anyhow::Error::from(failure))),
    };
    let circumstances = Circumstances {
        experiment: &bench.definition.name,
        started_at,
        steal_s: machine::stolen_s() - stolen_before,
        surroundings: Reading::now().since(&before),
        ceiling: bench.ceiling,
        failure,
    };
    Ok(record::sample(scheduled, observed, circumstances))
}
