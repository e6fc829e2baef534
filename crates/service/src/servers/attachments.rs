//! What a filter is attached to, and attaching again what was made again.

use weir_hooks::{Attached, HookError, Interface, KernelFilter, Owners, STAYS};

/// What a filter is attached to, each with its name; empty where that is the server's socket.
pub(crate) type AttachPlaces = Vec<(Attached, String)>;

/// A place in a line: its name, the mode that XDP runs in, and why it isn't another one.
pub(crate) fn described((attached, name): &(Attached, String), fallback: Option<&str>) -> String {
    let mode = attached.mode().map(|mode| format!(" ({mode})")).unwrap_or_default();
    let stays = attached.outlives_its_process().then_some(STAYS);
    let fallback = attached.fallback().or(fallback).or(stays);
    let fallback = fallback.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{name}{mode}{fallback}")
}

/// Attaches the filter to every interface that has the name of one that it was attached to, and is another.
pub(super) fn heal(places: &mut AttachPlaces, filter: &KernelFilter) -> Result<Vec<String>, HookError> {
    let mut healed = Vec::new();
    for (attached, _) in places {
        let Some(before) = attached.interface() else { continue };
        // By one that is gone nothing comes.
        let Ok(now) = Interface::named(before.name()) else { continue };
        if now.index() != before.index() {
            let xdp_mode = attached.mode().unwrap_or_default();
            *attached = filter.attach_to(Owners { interface: Some(&now), xdp_mode, ..Owners::default() })?;
            healed.push(now.to_string());
        }
    }
    Ok(healed)
}
