//! Guards' files: services, each by itself and beside the others.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    rc::Rc,
};

use weir_asm::{Diagnostic, Diagnostics, Span};

use super::{
    named_files::{FileReading, Files, Merged, NamedFiles},
    nearest,
    protocol::MessagePlaces,
    rules::Rules,
    table::{self, Fault, Table, Value, shown},
    values,
};
use crate::meaning::{
    Fate, FieldId, GuardHook, KnownSources, LimitId, Listen, MessageId, Mode, Placement, PrefixList, Sample,
    Service, ServicePart, Unjudged,
};

/// A guard's file and those that it names.
#[derive(Clone, Debug)]
pub struct GuardReading {
    /// What it says, unless there are errors in it or in a file that it names.
    pub services: Option<Vec<Service>>,
    /// Where the parts of each service stand.
    pub places: Vec<ServicePlaces>,
    /// What is wrong with the guard's own file.
    pub diagnostics: Diagnostics,
    /// The protocols and lists that it names, in the order in which they were asked for.
    pub files: Vec<FileReading>,
}

/// Where the parts of a service stand.
#[derive(Clone, Debug, Default)]
pub struct ServicePlaces {
    name: Span,
    listen: Span,
    interfaces: Span,
    allow: Option<Span>,
    block: Option<Span>,
    known: Option<Span>,
    accept: Vec<Span>,
    limits: Vec<Span>,
    /// Which of [`GuardReading::files`] each is in, and where in that.
    fields: Vec<(usize, Span)>,
    messages: Vec<(usize, MessagePlaces)>,
}

impl ServicePlaces {
    /// Where one stands: in which of [`GuardReading::files`], or in the guard's own file; nothing where the service hasn't got it.
    pub fn of(&self, part: ServicePart) -> Option<(Option<usize>, Span)> {
        let own = |span| (None, span);
        let message =
            |MessageId(at): MessageId| self.messages.get(at).map(|(file, each)| (Some(*file), each));
        match part {
            ServicePart::Name => Some(own(self.name)),
            ServicePart::Listen => Some(own(self.listen)),
            ServicePart::Interfaces => Some(own(self.interfaces)),
            ServicePart::Allow => self.allow.map(own),
            ServicePart::Block => self.block.map(own),
            ServicePart::Known => self.known.map(own),
            ServicePart::Field(FieldId(at)) => self.fields.get(at).map(|(file, span)| (Some(*file), *span)),
            ServicePart::Message(id) => message(id).map(|(file, each)| (file, each.when)),
            ServicePart::Conjunct(id, at) => {
                message(id).and_then(|(file, each)| Some((file, *each.conjuncts.get(at)?)))
            }
            ServicePart::Accept(at) => self.accept.get(at).copied().map(own),
            ServicePart::Limit(LimitId(at)) => self.limits.get(at).copied().map(own),
        }
    }
}

/// Reads a guard's file. `files` has the texts that it names.
pub fn guard(text: &str, files: &mut dyn Files) -> GuardReading {
    let mut diagnostics = Diagnostics::default();
    let mut named_files = NamedFiles::new(files);
    let services = table::parse(text, &mut diagnostics)
        .and_then(|file| read_services(Table::root(text, &file), &mut named_files, &mut diagnostics));
    let files = named_files.read;
    let has_errors = diagnostics.has_errors() || files.iter().any(|file| file.diagnostics.has_errors());
    let (services, places) = services.filter(|_| !has_errors).unzip();
    GuardReading { services, places: places.unwrap_or_default(), diagnostics, files }
}

fn read_services(
    mut root: Table<'_>,
    named_files: &mut NamedFiles<'_>,
    found: &mut Diagnostics,
) -> Option<(Vec<Service>, Vec<ServicePlaces>)> {
    let values = root.need("service", found).and_then(|services| services.items(found));
    root.finish(found);
    let values = values?;
    let mut neighbours = Neighbours::default();
    let mut services = Vec::with_capacity(values.len());
    for value in values {
        services.push(read_service(value, &mut neighbours, named_files, found));
        if found.has_more() && found.has_errors() {
            return None;
        }
    }
    services.into_iter().collect::<Option<Vec<_>>>().map(|services| services.into_iter().unzip())
}

/// What services before have taken.
#[derive(Default)]
struct Neighbours<'a> {
    names: HashMap<&'a str, Span>,
    /// By their network namespace and number.
    ports: HashMap<(Option<String>, u16), Port>,
}

/// Who listens at a port.
#[derive(Default)]
struct Port {
    first: Option<Span>,
    everywhere: Option<Span>,
    at: HashMap<IpAddr, Span>,
}

impl<'a> Neighbours<'a> {
    fn add_name(&mut self, name: &'a str, span: Span, found: &mut Diagnostics) {
        match self.names.get(name) {
            Some(first) => {
                found.push(
                    Diagnostic::error(span, format!("a second service '{name}'"))
                        .related(*first, "the first"),
                );
            }
            None => {
                self.names.insert(name, span);
            }
        }
    }

    fn add_listen(&mut self, network: Option<String>, listen: Listen, span: Span, found: &mut Diagnostics) {
        let port = self.ports.entry((network, listen.port)).or_default();
        let other = match listen.address {
            None => port.first,
            Some(address) => port.everywhere.or_else(|| port.at.get(&address).copied()),
        };
        if let Some(other) = other {
            let message = format!("a second service for packets to port {}", listen.port);
            let help = "one service may have several protocols, messages with senders of their own, and limits of each";
            found.push(Diagnostic::error(span, message).related(other, "the first").help(help.to_owned()));
        }
        port.first.get_or_insert(span);
        match listen.address {
            None => port.everywhere = port.everywhere.or(Some(span)),
            Some(address) => {
                port.at.entry(address).or_insert(span);
            }
        }
    }
}

/// Reads as much of a service as can be, and gives it where that is all of it.
fn read_service<'a>(
    value: Value<'a>,
    neighbours: &mut Neighbours<'a>,
    named_files: &mut NamedFiles<'_>,
    found: &mut Diagnostics,
) -> Option<(Service, ServicePlaces)> {
    let mut places = ServicePlaces::default();
    let mut table = value.table(found)?;
    let name = table.need("name", found);
    let name = name.and_then(|value| Some((value.name(found)?, value.span())));
    if let Some((name, span)) = name {
        places.name = span;
        neighbours.add_name(name, span, found);
    }
    let listen = table.need("listen", found);
    let listen = listen.and_then(|value| Some((value.parsed(values::listen, found)?, value.span())));
    let at = read_placement(&mut table, &mut places.interfaces, found);
    if let Some((listen, span)) = listen {
        places.listen = span;
        neighbours.add_listen(at.as_ref().and_then(|at| at.network.clone()), listen, span, found);
    }
    let modes = [("observe", Mode::Observe), ("enforce", Mode::Enforce)];
    let mode = table.take("mode").map(|mode| mode.one_of(&modes, found));
    let merged = read_protocols(&mut table, named_files, &mut places, found);
    let mut lists = |key, place: &mut Option<Span>, found: &mut Diagnostics| -> PrefixList {
        let value = table.take(key);
        *place = value.map(|value| value.span());
        let values = value.map(Value::items_or_itself).unwrap_or_default();
        named_files.prefixes(&values, found).into_iter().collect()
    };
    let allow = lists("allow", &mut places.allow, found);
    let block = lists("block", &mut places.block, found);
    let fates = [("drop", Fate::Drop), ("pass", Fate::Pass)];
    let mut fate = |key, found: &mut Diagnostics| {
        table.take(key).and_then(|fate| fate.one_of(&fates, found)).unwrap_or_default()
    };
    let unjudged = Unjudged {
        fragments: fate("fragments", found),
        unreadable: fate("unreadable", found),
        super_packets: fate("super_packets", found),
    };
    let sample = table.take("sample").map(|sample| read_sample(sample, found));
    let (accept, limit, known) = (table.need("accept", found), table.take("limit"), table.take("known"));
    table.finish(found);
    // What is said of messages is looked at where it is known which there are.
    let merged = merged?;
    places.known = known.map(Value::span);
    let known = known.map(|known| read_known(known, &merged, found));
    let mut rules = Rules { merged: &merged, has_known: known.is_some(), named_files, found };
    let accept = rules.accept(accept?);
    let limits = limit.map(|limit| rules.limits(limit, &accept)).unwrap_or_default();
    rules.warn_of_cuts(&accept);
    places.accept = accept.iter().map(|(_, span)| *span).collect();
    let (limits, spans) = limits.into_iter().unzip();
    places.limits = spans;
    let service = Service {
        name: name?.0.to_owned(),
        listen: listen?.0,
        at: at?,
        mode: mode.unwrap_or(Some(Mode::default()))?,
        protocol: merged.protocol.clone(),
        accept: accept.into_iter().map(|(acceptance, _)| acceptance).collect(),
        allow,
        block,
        limits,
        known: known.flatten(),
        unjudged,
        sample: sample.flatten(),
    };
    Some((service, places))
}

fn read_placement(
    table: &mut Table<'_>,
    interfaces_at: &mut Span,
    found: &mut Diagnostics,
) -> Option<Placement> {
    let hooks = [
        ("auto", None),
        ("socket", Some(GuardHook::Socket)),
        ("cgroup", Some(GuardHook::Cgroup)),
        ("tc", Some(GuardHook::Tc)),
        ("xdp", Some(GuardHook::Xdp)),
    ];
    let hook = table.take("at").map_or(Some(None), |at| at.one_of(&hooks, found));
    let [named, group, process] = ["interfaces", "cgroup", "pid"].map(|key| table.take(key));
    match hook {
        Some(Some(hook)) => check_place(hook, [named, group, process], found),
        Some(None) => check_places([named, group, process], found),
        None => {}
    }
    let mut interfaces: Vec<String> = Vec::new();
    if let Some(value) = named {
        *interfaces_at = value.span();
        for value in value.items(found).unwrap_or_default() {
            let name = value.parsed(interface, found).unwrap_or_default();
            if interfaces.iter().any(|other| other == name) {
                found.push(Diagnostic::error(value.span(), format!("'{name}' is named twice")));
            }
            interfaces.push(name.to_owned());
        }
    }
    let group = group.map(|group| group.parsed(group_folder, found));
    let unit = table.take("unit").map(|unit| unit.parsed(unit_name, found));
    let pid = process.map(|pid| pid.integer(1..=i32::MAX as u64, found));
    let network = table.take("netns").map(|network| network.parsed(network_namespace, found));
    let keep = table.take("keep").map(|keep| keep.boolean(found));
    Some(Placement {
        hook: hook?,
        interfaces,
        group: group.flatten().map(str::to_owned),
        unit: unit.flatten().map(str::to_owned),
        pid: pid.flatten().map(|pid| pid as u32),
        network: network.flatten().map(str::to_owned),
        keep: keep.flatten().unwrap_or_default(),
    })
}

/// What is said of interfaces, a control group and a process where they mean nothing at the hook.
fn check_place(hook: GuardHook, [named, group, process]: [Option<Value<'_>>; 3], found: &mut Diagnostics) {
    let is_of_interface = matches!(hook, GuardHook::Tc | GuardHook::Xdp);
    let is_of_group = hook == GuardHook::Cgroup && group.is_some();
    let rows = [
        (
            named.filter(|_| !is_of_interface),
            "the hooks socket and cgroup see the packets of every interface",
            "write at = \"tc\" or \"xdp\"",
        ),
        (
            group.filter(|_| hook != GuardHook::Cgroup),
            "the hook cgroup alone belongs to a control group",
            "write at = \"cgroup\"",
        ),
        (
            process.filter(|_| is_of_interface),
            "the hooks tc and xdp see all packets for the port, whoever has its sockets",
            "leave 'pid' out, or write at = \"socket\"",
        ),
        (
            process.filter(|_| is_of_group),
            "all packets for the control group's sockets are judged, whichever process has them",
            "leave 'pid' or 'cgroup' out",
        ),
    ];
    for (value, message, help) in rows {
        if let Some(value) = value {
            found.push(Diagnostic::error(value.span(), message).help(help.to_owned()));
        }
    }
}

/// What is said where each of interfaces, a control group and a process would choose another hook.
fn check_places([named, group, process]: [Option<Value<'_>>; 3], found: &mut Diagnostics) {
    let places = [("interfaces", named, "tc"), ("cgroup", group, "cgroup"), ("pid", process, "socket")];
    let mut said = places.into_iter().filter_map(|(key, value, hook)| Some((key, value?, hook)));
    let Some((first, value, hook)) = said.next() else { return };
    for (other, another, other_hook) in said {
        let message = format!("'{other}' is of the hook {other_hook}, and '{first}' of {hook}");
        let error = Diagnostic::error(another.span(), message).related(value.span(), "the other");
        found.push(error.help("leave one of them out".to_owned()));
    }
}

/// A network interface's name as the kernel takes it (`dev_valid_name`, net/core/dev.c).
fn interface(text: &str) -> Result<&str, Fault> {
    let is_part = |byte: u8| !matches!(byte, 0 | b'/' | b':') && !byte.is_ascii_whitespace();
    if matches!(text.len(), 1..=15) && !matches!(text, "." | "..") && text.bytes().all(is_part) {
        return Ok(text);
    }
    let help = "it has 1 to 15 bytes, without blanks, / and :";
    Err(Fault::new(format!("'{}' can't be an interface", shown(text)), help))
}

fn group_folder(text: &str) -> Result<&str, Fault> {
    if text.starts_with('/') && !text.contains('\0') {
        return Ok(text);
    }
    let message = format!("'{}' can't be a control group's folder", shown(text));
    Err(Fault::new(message, "write its whole path, such as '/sys/fs/cgroup/system.slice'"))
}

/// A name is a file of iproute2's folder.
fn network_namespace(text: &str) -> Result<&str, Fault> {
    let is_name = matches!(text.len(), 1..=255) && !text.contains('/') && !matches!(text, "." | "..");
    if (is_name || text.starts_with('/')) && !text.contains('\0') {
        return Ok(text);
    }
    let message = format!("'{}' can't be a network namespace", shown(text));
    Err(Fault::new(
        message,
        "write its name as `ip netns` has it, or a whole path, such as '/proc/1234/ns/net'",
    ))
}

fn unit_name(text: &str) -> Result<&str, Fault> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if matches!(text.len(), 1..=255) && text.contains('.') && text.bytes().all(is_part) {
        return Ok(text);
    }
    let message = format!("'{}' can't be a systemd unit", shown(text));
    Err(Fault::new(message, "write its whole name, such as 'unbound.service'"))
}

/// The protocols of a service as one, with the constants that it sets, and where what they say stands.
fn read_protocols(
    table: &mut Table<'_>,
    named_files: &mut NamedFiles<'_>,
    places: &mut ServicePlaces,
    found: &mut Diagnostics,
) -> Option<Rc<Merged>> {
    let (protocol, constants) = (table.need("protocol", found), table.take("constants"));
    let constants = constants.and_then(|constants| constants.table(found)).map(Table::into_entries);
    let constants = constants.unwrap_or_default();
    let values = protocol?.items_or_itself();
    if values.is_empty() {
        let help = "name one: protocol = \"dns\"".to_owned();
        found.push(Diagnostic::error(protocol?.span(), "a service has a protocol").help(help));
    }
    let mut names = Vec::with_capacity(values.len());
    for value in &values {
        names.push((value.text(found)?, value.span()));
    }
    let mut set = BTreeMap::new();
    for (key, value) in &constants {
        set.insert(key.text.to_owned(), value.integer(0..=u64::MAX, found)?);
    }
    if names.is_empty() {
        return None;
    }
    let merged = named_files.merged(&names, &set, found)?;
    for ((part, _), (name, _)) in merged.parts.iter().zip(&names) {
        let file = named_files.file_of_protocol(name)?;
        places.fields.extend(part.places.fields.iter().map(|span| (file, *span)));
        places.messages.extend(part.places.messages.iter().map(|each| (file, each.clone())));
    }
    for (key, _) in constants {
        let known = || merged.parts.iter().flat_map(|(part, _)| part.constants.keys()).map(String::as_str);
        if known().any(|known| known == key.text) {
            continue;
        }
        let message = format!("no protocol of this service has a constant '{}'", shown(key.text));
        let help = nearest(key.text, known()).map(|near| format!("did you mean '{near}'?"));
        found.push(Diagnostic::error(key.span, message).help(help));
        if found.has_more() {
            break;
        }
    }
    Some(merged)
}

fn read_known(value: Value<'_>, merged: &Merged, found: &mut Diagnostics) -> Option<KnownSources> {
    let mut table = value.table(found)?;
    let after = table.need("after", found).map(|after| {
        let after =
            after.items_or_itself().into_iter().map(|each| super::rules::sent_message(each, merged, found));
        after.collect::<Option<Vec<_>>>()
    });
    let by = table.need("by", found).and_then(|by| by.parsed(values::source, found));
    let lasting = table.need("for", found).and_then(|lasting| lasting.parsed(values::duration, found));
    table.finish(found);
    Some(KnownSources { after: after??, by: by?, lasting: lasting? })
}

fn read_sample(value: Value<'_>, found: &mut Diagnostics) -> Option<Sample> {
    let mut table = value.table(found)?;
    let rate = table.need("dropped", found).and_then(|rate| rate.parsed(values::rate, found));
    let path = |text: &str| match text {
        "" => Err(Fault::new("a capture file has a name", "to = \"dropped.pcapng\"")),
        _ if text.contains('\0') => Err(Fault::new("a path has no byte 0", "to = \"dropped.pcapng\"")),
        _ => Ok(text.to_owned()),
    };
    let to = table.need("to", found).and_then(|to| to.parsed(path, found));
    table.finish(found);
    Some(Sample { rate: rate?, to: to? })
}
