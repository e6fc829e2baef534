//! What a filter is attached to, and attaching again what was made again.

use weir_hooks::{Attached, HookError, Interface, KernelFilter, Owners};

/// What a filter is attached to, each with its name; empty where that is the server's socket.
pub(super) type AttachPlaces = Vec<(Attached, String)>;

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
