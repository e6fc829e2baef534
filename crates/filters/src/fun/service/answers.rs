//! What the service sends: the sources that it answers so are known for a while.

use weir_asm::{
    Code, Label, Reg,
    maps::{MapSpec, PerCpuArray},
};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{KnownSources, Party, Service, ServicePart};

use super::{
    Compiler, KNOWN, Refusal, WrittenService,
    bucket::{self, clear_key},
    integer::constant,
};
use crate::{
    Site, Verdict,
    fun::{
        parse::{Judge, Unjudged, Wants, parse},
        source_check::MOMENT,
    },
};

/// What the service sent, by [`Answer`].
pub const ANSWERS: MapSpec<PerCpuArray<u64>> = MapSpec::new("answers", Answer::ALL.len() as u32);

/// What a packet of the service did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Who gets it is known from now on.
    Known,
    /// So it should be, and [`KNOWN`] has no room.
    NoRoom,
    /// It can't be told what it is: a fragment, several datagrams in one, more headers than are read. Nobody is known by it.
    Unjudged,
}

impl Answer {
    /// Every one, in the order in which they are counted.
    pub const ALL: [Self; 3] = [Self::Known, Self::NoRoom, Self::Unjudged];
}

/// The program that sees what the service sends; all of it passes.
pub(super) fn knowing(
    service: &Service,
    known: &KnownSources,
    site: &Site,
    rules: Option<WrittenService<'_>>,
) -> Result<Code, Refusal> {
    let mut code = Code::new();
    let mut compiler = Compiler::new(service, site, Party::Service, rules)?;
    compiler.mark(&code, ServicePart::Listen);
    let [ignored, unjudged] = [(); 2].map(|()| code.fresh_label());
    let wants = Wants::Payload { beginning: compiler.beginning(), source: true };
    let mut written = Ok(());
    let place = |code: &mut Code| written = compiler.know(code, known, ignored, unjudged);
    let ends = Unjudged { fragment: unjudged, unreadable: unjudged, super_packet: unjudged };
    parse(
        &mut code,
        site,
        Judge { wants, by: Party::Service, no_command: ignored, unjudged: Some(ends), place },
    );
    written?;
    compiler.finish_code(&mut code);
    Ok(code)
}

impl Compiler<'_> {
    /// Writes the program from where the payload is found on.
    fn know(
        &mut self,
        code: &mut Code,
        known: &KnownSources,
        ignored: Label,
        unjudged: Label,
    ) -> Result<(), Refusal> {
        let [learn, found, count] = [(); 3].map(|()| code.fresh_label());
        self.load_source(code, ignored);
        self.at_hand(code, [ignored, unjudged], |compiler, code| {
            for (message, label) in compiler.messages(code, ignored)? {
                let end = if known.after.contains(&message) { learn } else { ignored };
                ebpf! { in code;
                $label:
                    ja $end
                }
            }
            Ok(())
        })?;
        self.mark(code, ServicePart::Known);
        ebpf! { in code; $learn: }
        clear_key(code);
        self.key_of_source(code, known.by, ignored);
        let lasting = u64::try_from(known.lasting.as_nanos()).unwrap_or(u64::MAX).min(i64::MAX as u64);
        ebpf! { in code; call ktime_get_ns }
        constant(code, Reg::R1, lasting);
        let entry = &ebpf! {
            lmap r1, {KNOWN.name()}
            mov r2, r10
            add r2, {i32::from(bucket::KEY)}
        };
        ebpf! { in code;
            add r0, r1
            stxdw [$MOMENT], r0
            $entry
            call map_lookup_elem
            jne r0, 0, $found
            $entry
            mov r3, r10
            add r3, {i32::from(MOMENT.off)}
            mov r4, 0
            call map_update_elem
            mov r1, {Answer::Known as i32}
            jeq r0, 0, $count
            mov r1, {Answer::NoRoom as i32}
            ja $count
        $found:
            ldxdw r1, [$MOMENT]
            stxdw [r0], r1
            mov r1, {Answer::Known as i32}
            ja $count
        $unjudged:
            mov r1, {Answer::Unjudged as i32}
        }
        self.count_and_give(code, count, super::ANSWERS.name(), Verdict::Accept);
        ebpf! { in code;
        $ignored:
            mov r0, {self.access.return_value(Verdict::Accept)}
            exit
        }
        Ok(())
    }
}
