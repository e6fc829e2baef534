//! The table of a service: its sets, and its chains in the order in which a packet meets them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{IS_KNOWN, MOST_OF_NAME, Reason, Refusal, comment, condition::Conditions, table_name};
use crate::meaning::{
    Acceptance, Condition, Decision, Fate, KnownSources, Limit, LimitId, Message, MessageId, Mode, Party,
    Per, PrefixList, RateLimit, Senders, Service, ServicePart, SourceKey, UnjudgedKind,
};

/// The chain that judges what is the service's.
const GUARD: &str = "guard";
/// The chain of the limits of all messages; `limits` is a word of nft's own.
const LIMITS: &str = "common_limits";
/// The chain that looks at what the service sends, and the one of what makes its sources known.
const SENT: &str = "sent";
const KNOWING: &str = "knowing";
/// Sources that a limit has buckets for at once.
const MOST_SOURCES: u32 = 65_536;

pub(super) struct Table<'a> {
    service: &'a Service,
    conditions: Conditions<'a>,
    /// By message, each with its place in the list.
    accepted: BTreeMap<MessageId, Vec<(usize, &'a Acceptance)>>,
    /// By the message that they are of.
    limits: BTreeMap<Option<MessageId>, Vec<(LimitId, &'a Limit)>>,
    sets: String,
    /// Those behind [`GUARD`].
    chains: String,
    /// How many lists of senders have sets.
    lists: usize,
    refusals: Vec<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const BOTH: [Self; 2] = [Self::V4, Self::V6];
}

/// What nft calls the interface, the address and the port of one end of a datagram.
type End = [&'static str; 3];
const FROM: End = ["oifname", "saddr", "sport"];
const TO: End = ["iifname", "daddr", "dport"];

impl<'a> Table<'a> {
    pub(super) fn of(service: &'a Service) -> Self {
        let mut accepted: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, acceptance) in service.accept.iter().enumerate() {
            accepted.entry(acceptance.message).or_default().push((at, acceptance));
        }
        let mut limits: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, limit) in service.limits.iter().enumerate() {
            limits.entry(limit.message).or_default().push((LimitId(at), limit));
        }
        let conditions = Conditions::of(&service.protocol);
        let (sets, chains, refusals) = (String::new(), String::new(), Vec::new());
        Self { service, conditions, accepted, limits, sets, chains, lists: 0, refusals }
    }

    /// The whole file.
    pub(super) fn text(mut self) -> Result<String, Vec<Refusal>> {
        let service = self.service;
        if !is_name(&service.name) {
            self.refuse(ServicePart::Name, Reason::Name);
        }
        let input = [
            "type filter hook input priority filter - 10; policy accept;".to_owned(),
            rule(&self.service_end(TO), &format!("goto {GUARD}")),
        ];
        let guard = self.guard();
        let knowing = service.known.as_ref().map(|known| self.knowing(known)).unwrap_or_default();
        if !self.refusals.is_empty() {
            return Err(self.refusals);
        }
        let name = &service.name;
        let mut text = format!(
            "#!/usr/sbin/nft -f\n\
             # What the guard of '{name}' says, by `weir guard export nft`. Loading it again replaces it, counters and all.\n"
        );
        if service.limits.iter().any(|limit| limit.per != Per::All) {
            text +=
                &format!("# A limit by source has room for {MOST_SOURCES} at once; others are dropped.\n");
        }
        if service.unjudged.super_packets == Fate::Drop {
            text += "# nft can't tell a packet of several datagrams (UDP_GRO): its first one decides.\n";
        }
        let table = table_name(service);
        text += &format!("table inet {table}\ndelete table inet {table}\n\ntable inet {table} {{\n");
        text += &self.sets;
        text += chain("input", &input).trim_start_matches('\n');
        text += &chain(GUARD, &guard);
        text += &self.chains;
        text += &knowing;
        text += "}\n";
        Ok(text)
    }

    fn refuse(&mut self, part: ServicePart, reason: Reason) {
        // A message that both send is looked at twice.
        if self.refusals.iter().all(|refusal| refusal.part != part) {
            self.refusals.push(Refusal { part, reason });
        }
    }

    /// What matches packets of which one end is the service.
    fn service_end(&mut self, [interface, address, port]: End) -> String {
        let mut matches = Vec::new();
        let interfaces = &self.service.at.interfaces;
        for name in interfaces {
            // A '*' is any end of a name.
            if name.contains(['"', '\\', '*']) || name.contains(char::is_control) {
                let reason = Reason::Interface(name.escape_debug().to_string());
                self.refuse(ServicePart::Interfaces, reason);
            }
        }
        if !interfaces.is_empty() {
            let quoted: Vec<_> = interfaces.iter().map(|name| format!("\"{name}\"")).collect();
            matches.push(format!("{interface} {{ {} }}", quoted.join(", ")));
        }
        match self.service.listen.address {
            Some(IpAddr::V4(own)) => matches.push(format!("ip {address} {own}")),
            Some(IpAddr::V6(own)) => matches.push(format!("ip6 {address} {own}")),
            None => {}
        }
        matches.push(format!("udp {port} {}", self.service.listen.port));
        matches.join(" ")
    }

    /// The rules of the chain that judges.
    fn guard(&mut self) -> Vec<String> {
        let service = self.service;
        let mut rules = Vec::new();
        let (allow, block) = (Decision::Allowed, Decision::Blocked);
        for (set, list, decision) in [("allow", &service.allow, allow), ("block", &service.block, block)] {
            let verdict = self.counted(decision);
            let sources = self.sources_in(set, list);
            rules.extend(sources.into_iter().map(|(_, source)| rule(&source, &verdict)));
        }
        // IPv6 puts datagrams together behind this hook; the first fragment alone has a port. A length of 0 is IPv6's (net/ipv6/udp.c,
        // `__udp6_lib_rcv`).
        let unjudged =
            [("exthdr frag exists", UnjudgedKind::Fragment), ("udp length 0", UnjudgedKind::Unreadable)];
        let counted = |(matches, kind)| rule(matches, &self.counted(service.unjudged.decision(kind)));
        rules.extend(unjudged.map(counted));
        // What is behind the last one that is accepted is dropped, whatever it is.
        let judged = self.accepted.last_key_value().map_or(0, |(MessageId(last), _)| last + 1);
        for (id, message) in service.protocol.messages.iter().enumerate().take(judged) {
            if message.by != Some(Party::Service) {
                rules.extend(self.message(MessageId(id), message));
            }
        }
        let (mut common, at) = (Vec::new(), self.chains.len());
        for (id, limit) in self.limits.get(&None).cloned().unwrap_or_default() {
            common.extend(self.limit(id, limit));
        }
        if !common.is_empty() {
            self.chains.insert_str(at, &chain(LIMITS, &common));
        }
        rules.push(self.counted(Decision::NoMessage));
        rules
    }

    /// The chains that see what the service sends, which passes, and the sets of who is known by it.
    fn knowing(&mut self, known: &KnownSources) -> String {
        let service = self.service;
        let (seconds, milliseconds) = (known.lasting.as_secs(), known.lasting.subsec_millis());
        let milliseconds = if milliseconds == 0 { String::new() } else { format!("{milliseconds}ms") };
        let timeout = format!("{seconds}s{milliseconds}");
        let mut learning = Vec::new();
        for family in Family::BOTH {
            let set = format!("known_{}", family.suffix());
            self.dynamic_set(&set, family, known.by, service.known_room(), &timeout);
            let key = family.key(known.by, TO);
            learning.push(format!("update @{set} {{ {key} }} {}", accepted(IS_KNOWN)));
        }
        learning.push(accepted("no room for a source to be known"));
        let last = known.after.iter().max().map_or(0, |MessageId(last)| last + 1);
        let mut sent = Vec::new();
        for (at, message) in service.protocol.messages.iter().enumerate().take(last) {
            if message.by == Some(Party::Client) {
                continue;
            }
            let id = MessageId(at);
            let end = if known.after.contains(&id) { format!("goto {KNOWING}") } else { "accept".to_owned() };
            let matches = self.matches(&message.when, ServicePart::Message(id));
            sent.extend(matches.iter().map(|matches| rule(matches, &end)));
        }
        let output = [
            "type filter hook output priority filter + 10; policy accept;".to_owned(),
            rule(&self.service_end(FROM), &format!("goto {SENT}")),
        ];
        [("output", &output[..]), (SENT, &sent), (KNOWING, &learning)]
            .map(|(name, rules)| chain(name, rules))
            .concat()
    }

    /// A set of sources that rules add to.
    fn dynamic_set(&mut self, name: &str, family: Family, key: SourceKey, size: u32, timeout: &str) {
        let kind = family.kind();
        let port = if key.has_port { " . inet_service" } else { "" };
        self.sets += &format!(
            "\tset {name} {{\n\t\ttype {kind}{port}\n\t\tsize {size}\n\t\tflags dynamic,timeout\n\t\t\
             timeout {timeout}\n\t}}\n\n"
        );
    }

    /// A rule for each way in which a packet is the message.
    fn message(&mut self, id: MessageId, message: &Message) -> Vec<String> {
        if !is_name(&message.name) {
            self.refuse(ServicePart::Message(id), Reason::Name);
            return Vec::new();
        }
        let matches = self.matches(&message.when, ServicePart::Message(id));
        // What stands in the way of the rest is said too.
        if matches.is_empty() && self.refusals.is_empty() {
            return Vec::new();
        }
        let verdict = self.verdict(id, &message.name);
        matches.iter().map(|matches| rule(matches, &verdict)).collect()
    }

    /// The matches of each rule that a condition is.
    fn matches(&mut self, condition: &Condition, of: ServicePart) -> Vec<String> {
        let matches = self.conditions.matches(condition);
        matches.unwrap_or_else(|reason| {
            self.refuse(of, reason);
            Vec::new()
        })
    }

    /// What becomes of a message: a verdict, or the chain that gives it.
    fn verdict(&mut self, id: MessageId, name: &str) -> String {
        let unwelcome = self.counted(Decision::Unwelcome(id));
        let Some(acceptances) = self.accepted.get(&id).cloned() else {
            return unwelcome;
        };
        // A chain stands before those that it goes to.
        let at = self.chains.len();
        let accepted = self.within_limits(id, name);
        let is_for_all =
            |(_, each): &(usize, &Acceptance)| each.from == Senders::Anyone && each.when == Condition::TRUE;
        if acceptances.iter().any(is_for_all) {
            return accepted;
        }
        let mut rules = Vec::new();
        for (at, acceptance) in acceptances {
            let sources = self.senders(&acceptance.from);
            let sources = sources.map_or_else(
                || vec![String::new()],
                |sources| sources.into_iter().map(|(_, source)| source).collect(),
            );
            let matches = self.matches(&acceptance.when, ServicePart::Accept(at));
            for source in &sources {
                rules.extend(matches.iter().map(|matches| rule(source, &rule(matches, &accepted))));
            }
        }
        rules.push(unwelcome);
        let own = format!("message_{name}");
        self.chains.insert_str(at, &chain(&own, &rules));
        format!("goto {own}")
    }

    /// What becomes of a message that is accepted.
    fn within_limits(&mut self, id: MessageId, name: &str) -> String {
        let accepted = self.counted(Decision::Accepted(id));
        let own = self.limits.get(&Some(id)).cloned().unwrap_or_default();
        let has_common = self.limits.contains_key(&None);
        if own.is_empty() && !has_common {
            return accepted;
        }
        let (mut rules, at) = (Vec::new(), self.chains.len());
        for (id, limit) in own {
            rules.extend(self.limit(id, limit));
        }
        rules.extend(has_common.then(|| format!("jump {LIMITS}")));
        rules.push(accepted);
        let limited = format!("limits_{name}");
        self.chains.insert_str(at, &chain(&limited, &rules));
        format!("goto {limited}")
    }

    /// The rules that drop what is over a limit.
    fn limit(&mut self, id: LimitId, limit: &Limit) -> Vec<String> {
        let part = ServicePart::Limit(id);
        let (Some(often), Some(timeout)) = (rate(limit.rate), full_after(limit.rate)) else {
            self.refuse(part, Reason::Rate);
            return Vec::new();
        };
        // All messages of a limit have the same comment.
        let over = self.counted(Decision::OverLimit(limit.message.unwrap_or(MessageId(0)), id));
        let limited = format!("limit rate over {often} burst {} packets", limit.rate.burst);
        let senders = self.senders(&limit.from);
        let number = id.0 + 1;
        let key = match limit.per {
            Per::Source(key) => key,
            Per::All => {
                let limited = rule(&limited, &over);
                let Some(senders) = senders else {
                    return vec![limited];
                };
                // One bucket for both IP versions.
                let own = format!("limit_{number}");
                self.chains += &chain(&own, &[limited]);
                return senders.into_iter().map(|(_, source)| format!("{source} jump {own}")).collect();
            }
        };
        let anyone = || Family::BOTH.map(|family| (family, String::new())).into();
        let mut rules = Vec::new();
        let message = limit.message.map(|id| format!("{} ", self.service.protocol.message(id).name));
        let no_room = self.dropped(&format!("{}by too many sources", message.unwrap_or_default()));
        for (family, source) in senders.unwrap_or_else(anyone) {
            let set = format!("limit_{number}_{}", family.suffix());
            self.dynamic_set(&set, family, key, MOST_SOURCES, &format!("{timeout}s"));
            let key = family.key(key, FROM);
            rules.push(rule(&source, &format!("update @{set} {{ {key} {limited} }} {over}")));
            rules.push(rule(&source, &format!("{key} != @{set} {no_room}")));
        }
        rules
    }

    /// What matches their packets, or nothing for everybody's.
    fn senders(&mut self, senders: &Senders) -> Option<Vec<(Family, String)>> {
        match senders {
            Senders::Anyone => None,
            Senders::Known | Senders::Unknown => {
                let (is_not, all) =
                    if *senders == Senders::Unknown { ("!= ", None) } else { ("", Some(Vec::new())) };
                let Some(known) = &self.service.known else {
                    return all;
                };
                let of_family = |family: Family| {
                    (family, format!("{} {is_not}@known_{}", family.key(known.by, FROM), family.suffix()))
                };
                Some(Family::BOTH.map(of_family).into())
            }
            Senders::Listed(list) => {
                self.lists += 1;
                let set = format!("from_{}", self.lists);
                Some(self.sources_in(&set, list))
            }
        }
    }

    /// Makes sets of a list, and what matches their packets.
    fn sources_in(&mut self, set: &str, list: &PrefixList) -> Vec<(Family, String)> {
        let mut sources = Vec::new();
        for family in Family::BOTH {
            let of_family = list.prefixes().iter().filter(|prefix| family.has(prefix));
            let elements: Vec<_> = of_family.map(element).collect();
            if elements.is_empty() {
                continue;
            }
            let (kind, suffix) = (family.kind(), family.suffix());
            self.sets += &format!(
                "\tset {set}_{suffix} {{\n\t\ttype {kind}\n\t\tflags interval\n\t\tauto-merge\n\t\t\
                 elements = {{\n\t\t\t{}\n\t\t}}\n\t}}\n\n",
                elements.join(",\n\t\t\t"),
            );
            sources.push((family, format!("{} saddr @{set}_{suffix}", family.protocol())));
        }
        sources
    }

    /// The statements that a decision ends in.
    fn counted(&self, decision: Decision) -> String {
        let comment = comment(self.service, decision);
        if decision.is_accepted() { accepted(&comment) } else { self.dropped(&comment) }
    }

    /// The statements for what is dropped, unless the guard observes.
    fn dropped(&self, comment: &str) -> String {
        match self.service.mode {
            Mode::Enforce => format!("counter drop comment \"{comment}\""),
            Mode::Observe => accepted(comment),
        }
    }
}

fn accepted(comment: &str) -> String {
    format!("counter accept comment \"{comment}\"")
}

impl Family {
    const fn protocol(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }

    /// The type of its addresses.
    const fn kind(self) -> &'static str {
        match self {
            Self::V4 => "ipv4_addr",
            Self::V6 => "ipv6_addr",
        }
    }

    fn has(self, prefix: &IpNet) -> bool {
        matches!((self, prefix), (Self::V4, IpNet::V4(_)) | (Self::V6, IpNet::V6(_)))
    }

    /// What counts as the same source, which is one end of a datagram.
    fn key(self, key: SourceKey, [_, address, port]: End) -> String {
        let mask: Option<IpAddr> = match self {
            Self::V4 => Ipv4Net::new(Ipv4Addr::UNSPECIFIED, key.v4).ok().map(|net| net.netmask().into()),
            Self::V6 => Ipv6Net::new(Ipv6Addr::UNSPECIFIED, key.v6).ok().map(|net| net.netmask().into()),
        };
        let is_whole = match self {
            Self::V4 => key.v4 >= 32,
            Self::V6 => key.v6 >= 128,
        };
        let mask = mask.filter(|_| !is_whole).map(|mask| format!(" & {mask}")).unwrap_or_default();
        let port = if key.has_port { format!(" . udp {port}") } else { String::new() };
        format!("{} {address}{mask}{port}", self.protocol())
    }
}

/// A limit's rate in nft's words: `200/second`.
pub(super) fn rate(limit: RateLimit) -> Option<String> {
    let (count, seconds) = limit.as_written()?;
    let unit = match seconds {
        1 => "second",
        60 => "minute",
        _ => "hour",
    };
    Some(format!("{count}/{unit}"))
}

/// Seconds after which a bucket from which all was taken is full again; nothing where nft has no number for it.
fn full_after(limit: RateLimit) -> Option<u64> {
    /// nft takes eight digits of a time.
    const MOST: u64 = 99_999_999;
    let full = limit.interval.get().checked_mul(limit.burst.get().into())?.div_ceil(1_000_000_000);
    (full <= MOST).then_some(full)
}

/// Whether nft takes it as part of a name and of a comment.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    matches!(text.len(), 1..=MOST_OF_NAME) && text.bytes().all(is_part)
}

fn element(prefix: &IpNet) -> String {
    let is_address = prefix.prefix_len() == prefix.max_prefix_len();
    if is_address { prefix.addr().to_string() } else { prefix.to_string() }
}

/// Matches, and what becomes of what they match.
fn rule(matches: &str, statements: &str) -> String {
    if matches.is_empty() { statements.to_owned() } else { format!("{matches} {statements}") }
}

fn chain(name: &str, rules: &[String]) -> String {
    let lines: String = rules.iter().map(|rule| format!("\t\t{rule}\n")).collect();
    format!("\n\tchain {name} {{\n{lines}\t}}\n")
}
