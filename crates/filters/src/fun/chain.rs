//! A chain in one program: the source checks' code, then that of the filter that decides.

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;
use weir_guard::meaning::Party;
use weir_wire::udp;

use super::{
    access::Access,
    command::{Decision, decision},
    parse::{Judge, LENGTH, Wants, beginning, parse},
    source_check, verdict,
};
use crate::{Filter, Layer, Site, Verdict};

/// Decides by the source checks and then by the filter itself.
pub(super) fn chain(code: &mut Code, filter: Filter, site: &Site) {
    let access = &Access::at(site);
    let refused = code.label("refused");
    let place = |code: &mut Code| {
        source_check::place(code, filter, site, refused);
        decide(code, filter, site, refused);
        verdict::place(code, access, refused, Verdict::Drop);
    };
    parse(
        code,
        site,
        Judge { wants: Wants::Source, no_command: refused, by: Party::Client, unjudged: None, place },
    );
}

fn decide(code: &mut Code, filter: Filter, site: &Site, refused: Label) {
    let access = &Access::at(site);
    let found = code.label("found");
    match decision(filter) {
        Decision::Alike { end, .. } => end(code, access),
        Decision::Beginning { length: is_wanted, find } => {
            if is_wanted {
                length(code, site, refused);
            }
            beginning(code, access, refused);
            find(code, found);
            ebpf! { in code; ja $refused }
            verdict::place(code, access, found, Verdict::Accept);
        }
        Decision::Payload(decide) => {
            length(code, site, refused);
            beginning(code, access, refused);
            decide(code, access, refused);
        }
    }
}

/// [`LENGTH`], which nobody looked at yet where a program sees UDP alone.
fn length(code: &mut Code, site: &Site, absent: Label) {
    if site.hook.layer() != Layer::Udp {
        return;
    }
    Access::at(site).load(code, udp::LENGTH_OFFSET as i32, size_of::<u16>(), SLOT, absent);
    ebpf! { in code;
        ldxh $LENGTH, [r10 + $SLOT]
        be16 $LENGTH
    }
}

const SLOT: i16 = -8;
