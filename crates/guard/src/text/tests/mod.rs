//! Protocols' and guards' files, as they are meant to be and as they aren't.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr};

use proptest::prelude::*;
use weir_asm::{Diagnostics, LineColumn, Severity};

use super::{
    Files, GuardReading, NamedText, ProtocolReading, Unavailable, check::Relations, guard, protocol,
};
use crate::meaning::{
    Decision, FieldId, GuardHook, LimitId, Listen, Memory, MessageId, Mode, Packet, Party, Per, Senders,
    ServicePart, SourceKey,
};

mod guards;
mod hostile;
mod protocols;
mod successors;

const DNS: &str = r#"name = "dns"
[constants]
most = 1232
[fields]
questions = "u16 @ 4"
flags = "u16 @ 2"
[[message]]
name = "query"
length = "12..=most"
when = "flags & 0xf800 == 0 and questions == 1"
[[message]]
name = "notify"
when = "flags & 0xf800 == 0x2000"
[[message]]
name = "reply"
when = "flags & 0x8000 != 0"
"#;

const SERVICE: &str =
    "[[service]]\nname = \"dns\"\nlisten = \"udp/53\"\nprotocol = \"dns\"\naccept = [\"query\"]\n";

/// The reference's, all in one.
const GUARD: &str = r#"[[service]]
name     = "dns"
listen   = "udp/[2001:db8::1]:53"
at       = "tc"
interfaces = ["eth0"]
unit     = "unbound.service"
netns    = "inner"
mode     = "enforce"
protocol = "dns"
constants = { most = 512 }
accept   = ["query", { message = "notify", from = "@secondaries.txt", when = "questions == 1" }]
allow    = ["192.0.2.0/24", "@office.txt"]
block    = ["@blocked.txt"]
limit    = [{ per = "source/32,/56", rate = "200/s", burst = 400 },
            { message = "notify", per = "all", rate = "10/m" }]
known    = { after = "reply", by = "source+port/32,/64", for = "60s" }
fragments = "pass"
sample   = { dropped = "10/s", to = "dropped.pcapng" }
"#;

/// The files of these tests: each name's text.
struct Texts(BTreeMap<&'static str, String>);

impl Texts {
    fn get(&self, name: &str) -> Result<NamedText, Unavailable> {
        let text = self.0.get(name).cloned();
        let text =
            text.ok_or_else(|| Unavailable { message: "there is no such file".to_owned(), help: None })?;
        Ok(NamedText { name: name.to_owned(), text })
    }
}

impl Files for Texts {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        self.get(name)
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
        self.get(path)
    }
}

fn read(text: &str, more: &[(&'static str, &str)]) -> GuardReading {
    let own = [("dns", DNS)];
    let texts = own.iter().chain(more).map(|(name, text)| (*name, (*text).to_owned()));
    let reading = guard(text, &mut Texts(texts.collect()));
    let has_errors = |diagnostics: &Diagnostics| diagnostics.has_errors();
    let is_wrong =
        has_errors(&reading.diagnostics) || reading.files.iter().any(|file| has_errors(&file.diagnostics));
    assert_eq!(reading.services.is_none(), is_wrong, "what isn't read has an error: {text}");
    reading
}

/// Each diagnostic as `error 3:7 what | what to do`.
fn told(text: &str, diagnostics: &Diagnostics) -> Vec<String> {
    let one = |diagnostic: &weir_asm::Diagnostic| {
        let severity = match diagnostic.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let LineColumn { line, column } = LineColumn::of(text.as_bytes(), diagnostic.span.start);
        let help = diagnostic.help.as_deref().unwrap_or_default();
        format!("{severity} {line}:{column} {} | {help}", diagnostic.message)
    };
    diagnostics.iter().map(one).collect()
}

/// One diagnostic that begins so and has these words, and nothing else.
#[track_caller]
fn assert_told(told: &[String], place: &str, words: &[&str]) {
    let [one] = told else {
        panic!("{place} {words:?} alone is wanted: {told:#?}");
    };
    let has_all = words.iter().all(|word| one.contains(word));
    assert!(one.starts_with(&format!("{place} ")) && has_all, "{place} {words:?} is wanted: {one}");
}

fn read_protocol(text: &str) -> ProtocolReading {
    let reading = protocol(text, &BTreeMap::new());
    assert_eq!(
        reading.protocol.is_none(),
        reading.diagnostics.has_errors(),
        "what isn't read has an error: {text}"
    );
    reading
}
