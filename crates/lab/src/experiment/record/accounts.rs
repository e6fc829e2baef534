//! Where the packets and the replies of a run went.

use std::collections::BTreeMap;

use weir_filters::{FilterName, Hook};
use weir_hooks::Drops;
use weir_results::{
    cell::{Cell, Placement},
    ledger::{Ledger, RunReplies},
    surroundings::Surroundings,
};
use weir_service::ClientSummary;

use crate::experiment::observed::Observed;

/// Where the replies went; nothing where the server or a client keeps no counts.
pub(super) fn replies(cell: &Cell, observed: &Observed) -> Option<RunReplies> {
    let server = observed.server.as_ref()?;
    if cell.external_client.is_some() {
        return None;
    }
    let to_steps =
        |client: &ClientSummary| client.gets.iter().filter(|get| get.reply.is_some()).count() as u64;
    let to_load = |client: &ClientSummary| {
        let answers = client.replies.as_ref().map_or(0, |got| got.answered + got.duplicates + got.unexpected);
        answers + client.prepared_replies
    };
    Some(RunReplies {
        sent: server.served.replies.sent,
        refused: server.served.replies.failed,
        received: observed.clients.iter().map(|client| to_steps(client) + to_load(client)).sum::<u64>()
            + u64::from(observed.replied_at.is_some()),
        undelivered: observed.reply_audit.as_ref().map(Drops::total),
    })
}

/// Where every packet went; nothing where the server or a client keeps no counts.
pub(super) fn ledger(cell: &Cell, observed: &Observed, surroundings: &Surroundings) -> Option<Ledger> {
    let server = observed.server.as_ref()?;
    if cell.external_client.is_some() {
        return None;
    }
    let dropped_by_filter = match (observed.sender_verdicts.or(server.verdicts), &observed.audit) {
        (Some(verdicts), _) => verdicts.dropped,
        (None, _) if cell.hook == Hook::User || cell.filter == FilterName::Simple => 0,
        (None, Some(audit)) => dropped_at(cell, audit),
        (None, None) => return None,
    };
    let refused = observed.clients.iter().map(|client| client.refused).sum::<u64>();
    let taken = observed.clients.iter().map(|client| client.sent.total()).sum::<u64>();
    Some(Ledger {
        sent: taken + refused + observed.harness_sent,
        refused,
        dropped_by_filter,
        dropped_for_buffer: server
            .served
            .socket_drops
            .saturating_sub(if cell.hook.is_counted_by_the_socket() { dropped_by_filter } else { 0 }),
        dropped_elsewhere: dropped_elsewhere(cell, observed, surroundings),
        read: server.served.requests.total(),
        unread: server.served.unread + observed.audit.as_ref().and_then(|audit| audit.unread).unwrap_or(0),
    })
}

/// What the audit saw dropped by the filter of `cell`.
pub(super) fn dropped_at(cell: &Cell, audit: &Drops) -> u64 {
    drop_reasons(cell).iter().map(|reason| audit.reason(reason)).sum()
}

/// The kernel's reasons for what the filter of `cell` drops.
fn drop_reasons(cell: &Cell) -> &'static [&'static str] {
    match cell.placement {
        Placement::Sender => &["TC_EGRESS"],
        _ => cell.hook.drop_reasons(),
    }
}

/// What was dropped neither by the filter nor for a full receive buffer, by reason.
fn dropped_elsewhere(cell: &Cell, observed: &Observed, surroundings: &Surroundings) -> BTreeMap<String, u64> {
    if let Some(audit) = &observed.audit {
        let has_its_term = |reason: &str| reason == "SOCKET_RCVBUFF" || drop_reasons(cell).contains(&reason);
        let by_reason = audit.by_reason.iter().filter(|(reason, _)| !has_its_term(reason));
        return by_reason.map(|(reason, &count)| (reason.clone(), count)).collect();
    }
    let (reason, count) = match observed.site.dropped_by_link {
        Some(count) => ("LINK", count),
        None => ("CPU_BACKLOG", surroundings.backlog_drops),
    };
    if count > 0 { BTreeMap::from([(reason.to_owned(), count)]) } else { BTreeMap::new() }
}
