//! What running guards say, for people.

use std::fmt::Write as _;

use jiff::Timestamp;
use weir_output::terminal::printable;
use weir_service::{AttachedPlace, GuardStatus, SampleStatus, ServiceStatus};

use super::summary::table;

/// Where each service of a guard is guarded, and what was decided how.
pub(crate) fn status_text(guard: &GuardStatus, plain: bool) -> String {
    let mut text = String::new();
    let GuardStatus { file, process, since_ms, services, version } = guard;
    let _ = writeln!(
        text,
        "{}, process {process}, since {}, weir {}",
        printable(file),
        moment(*since_ms),
        printable(version)
    );
    for service in services {
        let ServiceStatus {
            service: name,
            listen,
            mode,
            hook,
            reason,
            places,
            said,
            error,
            commanded,
            samples,
            ..
        } = service;
        let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let head = format!("{name} ({mode}): {listen} at {hook}{reason}");
        let _ = writeln!(text, "{}", printable(&head));
        for line in commanded {
            let _ = writeln!(text, "  {}", printable(line));
        }
        for AttachedPlace { place, since_ms } in places {
            let _ = writeln!(text, "  {} since {}", printable(place), moment(*since_ms));
        }
        if places.is_empty() {
            let _ = writeln!(text, "  {}", printable(said));
        }
        if let Some(SampleStatus { file, written, unwritten, lost }) = samples {
            let missing = format!(", {unwritten} could not be, {lost} were lost before");
            let missing = if unwritten + lost > 0 { missing } else { String::new() };
            let _ = writeln!(text, "  samples: {written} written to {}{missing}", printable(file));
        }
        if let Some(error) = error {
            let _ = writeln!(text, "  what was decided can't be told: {}", printable(error));
        }
    }
    text + "\n" + &decisions(services, plain)
}

fn decisions(services: &[ServiceStatus], plain: bool) -> String {
    let made = services.iter().flat_map(|service| service.decisions.iter().map(move |each| (service, each)));
    let rows = made.filter(|(_, decision)| decision.packets > 0).map(|(service, decision)| {
        let (verdict, packets) = (decision.verdict.as_str().to_owned(), decision.packets.to_string());
        let message = decision.message.clone().unwrap_or_default();
        [service.service.clone(), rule(&decision.rule).to_owned(), message, verdict, packets]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return "nothing was decided yet\n".to_owned();
    }
    table(["service", "rule", "message", "verdict", "packets"], rows, plain)
}

/// A rule without its verdict, which may be another while the guard observes.
pub(super) fn rule(sentence: &str) -> &str {
    sentence.split_once(": ").map_or(sentence, |(_, rule)| rule)
}

/// To the second.
fn moment(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "a time that can't be".to_owned(), |at| at.to_string())
}
