//! What a client's record says, in lines for people.

use std::time::Duration;

use weir_results::number;
use weir_service::{ClientSummary, GetOutcome, ReplyLedger};

/// The record in lines: each GET, what was sent, and how a load went.
pub(super) fn describe(summary: &ClientSummary, verbose: bool) -> String {
    let gets = summary.gets.iter().map(|get| describe_get(get, verbose));
    let load = describe_pace(summary).into_iter().chain(summary.replies.as_ref().map(describe_replies));
    gets.chain([describe_sent(summary)]).chain(load).map(|line| line + "\n").collect()
}

fn describe_get(get: &GetOutcome, verbose: bool) -> String {
    let after = || format!("no reply after {}", attempts(get.attempts));
    let answer = match (get.reply, get.reply_expected) {
        (Some(count), false) if !get.either => format!("{count} (no reply was expected)"),
        (Some(count), _) => count.to_string(),
        (None, true) => after(),
        (None, false) if get.either => format!("{}: the key is absent, or each was lost", after()),
        (None, false) => "no reply (expected)".to_owned(),
    };
    let took = match get.latency_ns {
        Some(ns) if verbose => format!(", {}, {:?}", attempts(get.attempts), Duration::from_nanos(ns)),
        _ => String::new(),
    };
    format!("GET {} -> {answer}{took}", get.key)
}

fn attempts(count: u32) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

fn describe_sent(summary: &ClientSummary) -> String {
    let sent = &summary.sent;
    let kinds = [
        (sent.put, "PUT"),
        (sent.get, "GET"),
        (sent.delete, "DELETE"),
        (sent.stop, "STOP"),
        (sent.invalid, "invalid"),
    ];
    let kinds: Vec<_> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    let total = sent.total();
    let mut line = format!("sent {total} packet{}", if total == 1 { "" } else { "s" });
    if !kinds.is_empty() {
        line += &format!(" ({})", kinds.join(", "));
    }
    line += &format!(", {} bytes", summary.bytes);
    if let Some(rate) = summary.achieved_rate {
        line += &format!(", {rate:.0} packets/s");
    }
    if let Some(rate) = summary.offered_rate {
        line += &match rate {
            0.0..10.0 => format!(" of {} offered", number::number(rate, 3)),
            _ => format!(" of {rate:.0} offered"),
        };
    }
    if summary.gso {
        line += ", by UDP GSO";
    }
    if summary.refused > 0 {
        let reasons = summary.refused_by.iter().map(|(errno, packets)| format!("{packets} {errno}"));
        let reasons: Vec<_> = reasons.collect();
        line += &format!("; the kernel refused {} more ({})", summary.refused, reasons.join(", "));
    }
    line
}

/// How well the schedule was kept.
fn describe_pace(summary: &ClientSummary) -> Option<String> {
    let pace = summary.pace.as_ref()?;
    let lag = pace.lag.as_ref()?;
    let mut line = format!(
        "behind schedule: {} of {} packets by more than {:?}; median {:?}, 99 % {:?}, at most {:?}",
        pace.late,
        lag.count,
        Duration::from_nanos(pace.late_after_ns),
        Duration::from_nanos(lag.p50_ns),
        Duration::from_nanos(lag.p99_ns),
        Duration::from_nanos(lag.max_ns),
    );
    if let Some(ratio) = pace.achieved_ratio {
        line += &format!("; achieved {:.2} % of the rate", ratio * 100.0);
    }
    if summary.unsent > 0 {
        line += &format!("; {} packets never left in time", summary.unsent);
    }
    Some(line)
}

/// Where the GETs of a load went.
fn describe_replies(replies: &ReplyLedger) -> String {
    let mut line = format!("{} of {} GETs answered", replies.answered, replies.sent);
    if let Some(latency) = &replies.latency {
        let at = [
            ("50", latency.p50_ns),
            ("90", latency.p90_ns),
            ("99", latency.p99_ns),
            ("99.9", latency.p999_ns),
        ];
        for (percent, ns) in at {
            line += &format!(", {percent} % within {:?}", Duration::from_nanos(ns));
        }
        line += &format!(", the slowest in {:?}", Duration::from_nanos(latency.max_ns));
    }
    let odd = [
        (replies.late, "late"),
        (replies.untimed, "not timed"),
        (replies.duplicates, "duplicates"),
        (replies.unexpected, "unexpected"),
    ];
    for (count, what) in odd.into_iter().filter(|(count, _)| *count > 0) {
        line += &format!("; {count} {what}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: Option<i64>, (reply_expected, either): (bool, bool), expected: &str) {
        let get = GetOutcome { key: 10, reply_expected, either, reply, attempts: 5, latency_ns: None };
        assert_eq!(describe_get(&get, false), expected);
    }

    #[test]
    fn a_get_is_told_in_a_line() {
        let (reply, silence, either) = ((true, false), (false, false), (false, true));
        check(Some(14), reply, "GET 10 -> 14");
        check(None, silence, "GET 10 -> no reply (expected)");
        check(None, reply, "GET 10 -> no reply after 5 attempts");
        check(Some(3), silence, "GET 10 -> 3 (no reply was expected)");
        check(Some(3), either, "GET 10 -> 3");
        check(None, either, "GET 10 -> no reply after 5 attempts: the key is absent, or each was lost");
    }
}
