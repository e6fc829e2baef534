//! What of a run's accounts makes its sample invalid.

use weir_filters::Hook;
use weir_hooks::Drops;
use weir_results::{
    cell::{Cell, ReceiveWork},
    ledger::{Ledger, RunReplies},
    sample::Flaw,
};
use weir_service::ServerSummary;

use super::accounts::dropped_at;

/// Why an audit can't speak against exact counts, where it can't.
pub(super) fn set_aside(cell: &Cell) -> Option<&'static str> {
    (cell.conditions.receive_work == ReceiveWork::Server).then_some(
        "receive work is steered to another core, and in some soft interrupts that find that core idle \
         the kernel starts no program: some drops are not traced",
    )
}

/// What the audit counted otherwise than the filter and the socket, where it judges.
pub(super) fn disagreement(cell: &Cell, ledger: &Ledger, audit: &Drops) -> Option<Flaw> {
    if set_aside(cell).is_some() {
        return None;
    }
    [
        ("the filter's drops", ledger.dropped_by_filter, dropped_at(cell, audit)),
        ("drops for a full buffer", ledger.dropped_for_buffer, audit.receive_buffer()),
    ]
    .into_iter()
    .find(|(_, counted, traced)| counted != traced)
    .map(|(what, counted, traced)| Flaw::AuditDisagrees {
        what: format!("{what}: {counted}, and {traced} traced"),
    })
}

/// The flaw of replies that don't balance.
pub(super) fn lost_replies(replies: &RunReplies) -> Option<Flaw> {
    let difference = replies.difference().filter(|&difference| difference != 0)?;
    Some(Flaw::RepliesUnbalanced { difference: difference.clamp(i64::MIN.into(), i64::MAX.into()) as i64 })
}

/// The flaw of a ledger that doesn't balance. That the socket dropped less than its filter is one too: then
/// `dropped_for_buffer` is no count.
pub(super) fn unbalanced(hook: Hook, ledger: &Ledger, server: Option<&ServerSummary>) -> Option<Flaw> {
    let drops = server.map_or(0, |server| server.served.socket_drops);
    let counted = if hook.is_counted_by_the_socket() { ledger.dropped_by_filter } else { 0 };
    let short = i128::from(counted.saturating_sub(drops));
    let difference = ledger.difference() + short;
    (difference != 0 || short != 0).then(|| Flaw::Unbalanced {
        difference: difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
    })
}
