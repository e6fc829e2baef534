//! What a guard says, as tables and records: each service, its messages, and where it can be a program.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use serde::Serialize;
use weir_asm::Code;
use weir_filters::{Hook, Site, fun::service::service_object};
use weir_guard::meaning::{Condition, MessageId, Party, Protocol, Service};
use weir_hooks::{HookError, KernelFilter};
use weir_output::terminal;

use super::{
    capabilities::{HOOKS, needed, possible_hooks},
    reading::RuleTexts,
    words,
};

/// A service of a guard.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceSummary {
    service: String,
    listen: String,
    at: String,
    mode: &'static str,
    protocol: String,
    source: String,
    messages: Vec<MessageSummary>,
    /// Of all messages that are accepted.
    limits: Vec<String>,
    allow: usize,
    block: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<String>,
    fragments: &'static str,
    unreadable: &'static str,
    super_packets: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<String>,
    /// What `weir guard run` keeps once it stands, as far as it had it; where the hook is open, for any.
    capabilities: Vec<&'static str>,
    hooks: Vec<HookSummary>,
}

/// A message, and whose packets of it are accepted.
#[derive(Debug, Serialize)]
struct MessageSummary {
    message: String,
    accepted_from: Vec<String>,
    /// Whether the service alone sends it, so that it is never judged.
    is_of_service: bool,
    limits: Vec<String>,
}

/// Whether the service can be a program at a hook.
#[derive(Debug, Serialize)]
struct HookSummary {
    hook: Hook,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    maps: Vec<String>,
    /// What this machine's kernel made of it, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded: Option<Loaded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A program that the kernel took.
#[derive(Debug, Serialize)]
struct Loaded {
    /// Instructions that the verifier walked through, where the kernel says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_instructions: Option<u32>,
    /// From the service to its program in the kernel, with its maps and lists.
    milliseconds: f64,
}

impl ServiceSummary {
    /// Where its place in a guard is given, and where the rules of that stand, its programs are loaded too.
    pub(crate) fn of(service: &Arc<Service>, loading: Option<(usize, &RuleTexts)>) -> Self {
        // By message, since a guard may have 10 000 of each.
        let mut accepted: BTreeMap<MessageId, Vec<String>> = BTreeMap::new();
        for each in &service.accept {
            let when = if each.when == Condition::TRUE { "" } else { ", where its condition holds" };
            let from = words::senders(&each.from) + when;
            accepted.entry(each.message).or_default().push(from);
        }
        let mut limits: BTreeMap<Option<MessageId>, Vec<String>> = BTreeMap::new();
        for limit in &service.limits {
            limits.entry(limit.message).or_default().push(words::limit(limit));
        }
        let messages = service.protocol.messages.iter().enumerate().map(|(id, message)| MessageSummary {
            message: message.name.clone(),
            is_of_service: message.by == Some(Party::Service),
            accepted_from: accepted.remove(&MessageId(id)).unwrap_or_default(),
            limits: limits.remove(&Some(MessageId(id))).unwrap_or_default(),
        });
        let messages = messages.collect();
        let known = service.known.as_ref().map(|known| {
            let after = known.after.iter().map(|message| service.protocol.message(*message).name.as_str());
            let after = after.collect::<Vec<_>>().join(" or ");
            let bound = if service.most_known().is_some() {
                ""
            } else {
                ": no limit for all bounds how many become known"
            };
            let room = service.known_room();
            format!(
                "{:?} after {after}, by {}, at most {room} at once{bound}",
                known.lasting,
                words::source(known.by)
            )
        });
        let sample =
            service.sample.as_ref().map(|sample| format!("{} to {}", words::rate(sample.rate), sample.to));
        let possible = possible_hooks(service).into_iter().map(|hook| (&**service, hook));
        let capabilities = needed(possible).iter().map(|each| each.as_str()).collect();
        Self {
            service: service.name.clone(),
            listen: words::listen(service.listen),
            at: words::placement(&service.at),
            mode: service.mode.name(),
            protocol: service.protocol.name.clone(),
            source: service.protocol.source.clone(),
            messages,
            limits: limits.remove(&None).unwrap_or_default(),
            allow: service.allow.prefixes().len(),
            block: service.block.prefixes().len(),
            known,
            fragments: words::fate(service.unjudged.fragments),
            unreadable: words::fate(service.unjudged.unreadable),
            super_packets: words::fate(service.unjudged.super_packets),
            sample,
            capabilities,
            hooks: HOOKS.map(|hook| HookSummary::of(service, hook, loading)).into(),
        }
    }

    /// Whether the kernel took the program of the service's hook, or one where it names none.
    pub(crate) fn is_loaded(&self, service: &Service) -> bool {
        let named = service.at.hook.map(Hook::from);
        let mut hooks = self.hooks.iter().filter(|each| named.is_none_or(|hook| each.hook == hook));
        hooks.any(|each| each.loaded.is_some())
    }

    pub(crate) fn text(&self, plain: bool) -> String {
        let mut rows: Vec<[String; 2]> = vec![
            ["listen".to_owned(), self.listen.clone()],
            ["at".to_owned(), self.at.clone()],
            ["mode".to_owned(), self.mode.to_owned()],
            ["protocol".to_owned(), sourced(&self.protocol, &self.source)],
            ["allow".to_owned(), words::counted(self.allow, "prefix")],
            ["block".to_owned(), words::counted(self.block, "prefix")],
            ["limits of all".to_owned(), or_none(&self.limits)],
        ];
        for (what, said) in [("known", &self.known), ("sample", &self.sample)] {
            rows.extend(said.as_ref().map(|said| [what.to_owned(), said.clone()]));
        }
        rows.push([
            "fragments, unreadable, super-packets".to_owned(),
            [self.fragments, self.unreadable, self.super_packets].join(", "),
        ]);
        rows.push(["capabilities that it keeps".to_owned(), self.capabilities.join(" ")]);
        let mut text = table(["service", &self.service], rows, plain);
        let rows = self.messages.iter().map(|message| {
            let from = match message.accepted_from.as_slice() {
                [] if message.is_of_service => "the service sends it".to_owned(),
                [] => "not accepted".to_owned(),
                from => from.join("; "),
            };
            [message.message.clone(), from, or_none(&message.limits)]
        });
        text += &table(["message", "accepted from", "limits of it"], rows, plain);
        let rows = self.hooks.iter().map(|hook| {
            let count = hook.instructions.map_or_else(|| "no program".to_owned(), |count| count.to_string());
            let count = match &hook.loaded {
                Some(Loaded { verified_instructions: Some(verified), milliseconds }) => {
                    format!("{count}; {verified} steps of the verifier, {milliseconds:.1} ms")
                }
                Some(Loaded { milliseconds, .. }) => format!("{count}; {milliseconds:.1} ms"),
                None => count,
            };
            [hook.hook.to_string(), count, hook.reason.clone().unwrap_or_else(|| hook.maps.join(", "))]
        });
        text += &table(["hook", "instructions", "maps, or why it has none"], rows, plain);
        text
    }
}

/// Where a service's program runs, on a kernel that can everything.
pub(super) fn site(service: &Service, hook: Hook) -> Site {
    let address = service.listen.address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    Site::new(hook, SocketAddr::new(address, service.listen.port))
}

impl HookSummary {
    fn of(service: &Arc<Service>, hook: Hook, loading: Option<(usize, &RuleTexts)>) -> Self {
        let site = site(service, hook);
        let object = match service_object(service, &site) {
            Ok(object) => object,
            Err(refusal) => {
                let reason = Some(refusal.to_string());
                return Self { hook, instructions: None, maps: Vec::new(), loaded: None, reason };
            }
        };
        let code = object.programs.first().map(|program| &program.code);
        let slots = code.map_or(0, Code::slots);
        let load = |(at, texts): (usize, &RuleTexts)| {
            Loaded::of(service, &site).map_err(|error| texts.traced(at, service, error))
        };
        let loaded = loading.map(load).transpose();
        let (loaded, refused) = loaded.map_or_else(|error| (None, Some(error.to_string())), |it| (it, None));
        Self {
            hook,
            instructions: code.map(Code::len),
            reason: refused.or((hook == Hook::Socket).then(|| beyond(slots, option_memory())).flatten()),
            loaded,
            maps: object.maps.into_iter().map(|map| map.name).collect(),
        }
    }
}

impl Loaded {
    fn of(service: &Arc<Service>, site: &Site) -> Result<Self, HookError> {
        let started = Instant::now();
        let filter = KernelFilter::load_service(service, site)?;
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        Ok(Self { verified_instructions: filter.facts()?.verified_instructions, milliseconds })
    }
}

/// Why no socket takes a program of so many slots where it may spend so many bytes on options.
fn beyond(slots: usize, most: Option<usize>) -> Option<String> {
    let taken = 8 * slots;
    most.filter(|most| taken > *most).map(|most| {
        format!("it takes {taken} bytes, and net.core.optmem_max lets a socket here spend {most}: raise that")
    })
}

fn option_memory() -> Option<usize> {
    std::fs::read_to_string("/proc/sys/net/core/optmem_max").ok()?.trim().parse().ok()
}

/// A protocol by itself.
#[derive(Debug, Serialize)]
pub(crate) struct ProtocolSummary {
    protocol: String,
    source: String,
    constants: BTreeMap<String, u64>,
    fields: usize,
    messages: Vec<String>,
}

impl ProtocolSummary {
    pub(crate) fn of(protocol: &Protocol, constants: &BTreeMap<String, u64>) -> Self {
        Self {
            protocol: protocol.name.clone(),
            source: protocol.source.clone(),
            constants: constants.clone(),
            fields: protocol.fields.len(),
            messages: protocol.messages.iter().map(|message| message.name.clone()).collect(),
        }
    }

    pub(crate) fn text(&self, plain: bool) -> String {
        let mut rows = vec![
            ["source".to_owned(), self.source.clone()],
            ["fields".to_owned(), self.fields.to_string()],
            ["messages".to_owned(), self.messages.join(", ")],
        ];
        if !self.constants.is_empty() {
            let constants = self.constants.iter().map(|(name, value)| format!("{name} = {value}"));
            rows.push(["constants".to_owned(), constants.collect::<Vec<_>>().join(", ")]);
        }
        table(["protocol", &self.protocol], rows, plain)
    }

    /// Several, a row each.
    pub(crate) fn list(all: &[Self], plain: bool) -> String {
        let rows =
            all.iter().map(|each| [each.protocol.clone(), each.source.clone(), each.messages.join(", ")]);
        table(["protocol", "source", "messages"], rows, plain)
    }
}

/// A table, and an empty line behind it.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    plain: bool,
) -> String {
    let mut table = terminal::page_table(plain);
    table.set_header(head.map(terminal::printable));
    for row in rows {
        table.add_row(row.map(|cell| terminal::printable(&cell)));
    }
    terminal::keep_words(&mut table);
    let mut text = String::new();
    let _ = writeln!(text, "{table}\n");
    text
}

fn sourced(name: &str, source: &str) -> String {
    if source.is_empty() { name.to_owned() } else { format!("{name} ({source})") }
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() { "none".to_owned() } else { list.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_no_socket_here_takes_is_told() {
        assert_eq!(beyond(2560, Some(20_480)), None);
        assert_eq!(beyond(2561, None), None);
        let said = beyond(2561, Some(20_480)).expect("it is too long");
        assert!(said.contains("20488 bytes") && said.contains("20480"), "{said}");
    }
}
