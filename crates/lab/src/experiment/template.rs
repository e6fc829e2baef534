//! Command lines with placeholders such as `{port}`, for servers and clients that are not weir's own.

use std::{fmt, net::SocketAddr, process::Command, str::FromStr};

use thiserror::Error;
use weir_filters::{names, saved_as_text};
use weir_results::cell::Cell;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The server's address without the port.
    Address,
    /// The server's port.
    Port,
    /// The share of invalid packets, percent.
    Percent,
    /// Packets that this client is to send.
    Packets,
    /// The behaviour's name.
    Behaviour,
    /// Payload of an invalid packet, bytes.
    InvalidSize,
    /// The client's seed.
    Seed,
    /// Where the decision is made.
    Placement,
    /// The filter that the placement names.
    Filter,
}

names! {
    /// The name between the braces.
    Placeholder::name {
        Address = "address",
        Port = "port",
        Percent = "percent",
        Packets = "packets",
        Behaviour = "behaviour",
        InvalidSize = "invalid_size",
        Seed = "seed",
        Placement = "placement",
        Filter = "filter"
    }
}

/// One argument of a command line, with its placeholders found. `{{` and `}}` stand for the braces themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<TemplatePart>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Value(Placeholder),
}

/// Why a text is no template.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TemplateError {
    /// No such placeholder.
    #[error("unknown placeholder '{{{name}}}' in '{text}'; there are: {known}", known = known())]
    Unknown {
        /// What stands between the braces.
        name: String,
        /// The whole text.
        text: String,
    },
    /// A brace without its partner.
    #[error("a lone '{brace}' in '{text}'; write '{brace}{brace}' for the character itself")]
    LoneBrace {
        /// The brace.
        brace: char,
        /// The whole text.
        text: String,
    },
}

fn known() -> String {
    Placeholder::ALL.map(|placeholder| format!("{{{placeholder}}}")).join(", ")
}

impl Template {
    /// Whether `placeholder` stands in it.
    pub fn names(&self, placeholder: Placeholder) -> bool {
        self.0.contains(&TemplatePart::Value(placeholder))
    }

    /// The text with each placeholder replaced by what `value` gives for it.
    pub fn expand(&self, value: impl Fn(Placeholder) -> String) -> String {
        let expand = |part: &TemplatePart| match part {
            TemplatePart::Text(text) => text.clone(),
            TemplatePart::Value(placeholder) => value(*placeholder),
        };
        self.0.iter().map(expand).collect()
    }
}

/// The command that `words` make in a run of `cell`. A server is told all its packets and no seed.
pub(super) fn command(
    words: &[Template],
    cell: &Cell,
    server: SocketAddr,
    packets: u64,
    seed: Option<u64>,
) -> Command {
    let value = |placeholder: Placeholder| match placeholder {
        Placeholder::Address => server.ip().to_string(),
        Placeholder::Port => server.port().to_string(),
        Placeholder::Percent => cell.invalid_percent.to_string(),
        Placeholder::Packets => packets.to_string(),
        Placeholder::Behaviour => cell.behaviour.clone(),
        Placeholder::InvalidSize => cell.invalid_size.map_or_else(String::new, |size| size.to_string()),
        Placeholder::Seed => seed.map_or_else(String::new, |seed| seed.to_string()),
        Placeholder::Placement => cell.placement.to_string(),
        Placeholder::Filter => cell.filter.to_string(),
    };
    let mut words = words.iter().map(|word| word.expand(value));
    let mut command = Command::new(words.next().expect("checked when parsed"));
    command.args(words);
    command
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let lone = |brace| TemplateError::LoneBrace { brace, text: text.to_owned() };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(at);
            push_text(&mut parts, before);
            if let Some(after) = from_brace.strip_prefix("{{").or_else(|| from_brace.strip_prefix("}}")) {
                push_text(&mut parts, &from_brace[..1]);
                rest = after;
                continue;
            }
            let inner = from_brace.strip_prefix('{').ok_or_else(|| lone('}'))?;
            let (name, after) = inner.split_once('}').ok_or_else(|| lone('{'))?;
            let placeholder = Placeholder::ALL.into_iter().find(|placeholder| placeholder.name() == name);
            parts.push(TemplatePart::Value(
                placeholder
                    .ok_or_else(|| TemplateError::Unknown { name: name.to_owned(), text: text.to_owned() })?,
            ));
            rest = after;
        }
        push_text(&mut parts, rest);
        Ok(Self(parts))
    }
}

fn push_text(parts: &mut Vec<TemplatePart>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(TemplatePart::Text(last)) => last.push_str(text),
        _ => parts.push(TemplatePart::Text(text.to_owned())),
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                TemplatePart::Value(placeholder) => write!(f, "{{{placeholder}}}")?,
            }
        }
        Ok(())
    }
}

saved_as_text!(Template);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let template: Template = text.parse().unwrap();
        assert_eq!(template.expand(|placeholder| placeholder.name().to_uppercase()), expected);
        assert_eq!(template.to_string(), text, "a template writes itself as it was read");
    }

    #[test]
    fn placeholders_are_replaced_and_everything_else_stays() {
        check("", "");
        check("--verbose", "--verbose");
        check("{port}", "PORT");
        check("{address}:{port}", "ADDRESS:PORT");
        check("-p{percent} -n{packets}", "-pPERCENT -nPACKETS");
        check("./{placement}-{filter}", "./PLACEMENT-FILTER");
        check("x{invalid_size}y{seed}z{behaviour}", "xINVALID_SIZEySEEDzBEHAVIOUR");
    }

    #[test]
    fn doubled_braces_are_braces() {
        check("{{port}}", "{port}");
        check("a{{{port}}}b", "a{PORT}b");
        check("}}{{", "}{");
    }

    fn check_refused(text: &str, part_of_the_message: &str) {
        let error = text.parse::<Template>().unwrap_err().to_string();
        assert!(error.contains(part_of_the_message), "{error}");
    }

    #[test]
    fn unknown_placeholders_and_lone_braces_are_refused() {
        check_refused("{prot}", "unknown placeholder '{prot}'");
        check_refused("{prot}", "{address}, {port}");
        check_refused("{}", "unknown placeholder '{}'");
        check_refused("a{port", "a lone '{'");
        check_refused("port}", "a lone '}'");
    }
}
