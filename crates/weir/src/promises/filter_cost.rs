//! What a filter's own work costs in the kernel's test run, less an accept-all program's, and what its toolkit adds to
//! that.

use weir_filters::{Site, Toolkit};
use weir_lab::filter_cost::bad;
use weir_wire::Request;

use super::{
    Bound, PromisedFigure, Runner,
    places::{self, Pairs},
};

/// `valid-command` on a valid and on an invalid packet.
pub(super) fn measure(runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let put = Request::Put { key: 10, value: 1 }.to_bytes();
    let mut cost = |payload: &[u8]| {
        let site = Site::socket();
        let pairs = || Pairs::load(&site, &[Toolkit::Aya, Toolkit::Fun]);
        let repetitions = places::repeat(site.hook, pairs, payload, runner)?;
        let [aya, fun] = [Toolkit::Aya, Toolkit::Fun].map(|toolkit| places::of(toolkit, &repetitions));
        let fun_to_aya = fun.iter().zip(&aya).map(|(fun, aya)| fun / aya).collect();
        anyhow::Ok((aya, fun_to_aya))
    };
    let (put, put_to_aya) = cost(&put)?;
    let (bad, bad_to_aya) = cost(&bad())?;
    let ns = |name: &str, values| PromisedFigure::new(name, "ns", values, Bound::AtMost(40.0));
    let ratio = |name: &str, values| PromisedFigure::new(name, "", values, Bound::IntervalAtMost(1.1));
    Ok(vec![
        ns("valid-command on a PUT, test run less an accept-all program's", put),
        ns("valid-command on an invalid packet, the same", bad),
        ratio("valid-command on a PUT, ns over an accept-all program, fun ÷ aya", put_to_aya),
        ratio("  the same on an invalid packet", bad_to_aya),
    ])
}
