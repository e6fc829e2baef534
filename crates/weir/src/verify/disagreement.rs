//! A packet of which the reference and a program think differently, for people to look at and to try again.

use std::{fmt, net::SocketAddr};

use pretty_hex::{HexConfig, config_hex};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use weir_filters::{
    Binding, Combination, Filter, FilterName, Layer, Parameter, Site, SuperPackets, Verdict, corpus::Case,
};

use super::fields::fields;

/// A packet and both verdicts.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The filter with its parameters.
    pub filter: Filter,
    /// The program.
    pub combination: Combination,
    /// Where it was loaded for.
    pub site: Site,
    /// The packet, made as small as it goes.
    pub case: Case,
    /// What the reference says.
    pub expected: Verdict,
    /// What the program says.
    pub said: Verdict,
}

impl Disagreement {
    /// The command that shows it again.
    pub fn command(&self) -> String {
        let Combination { filter, toolkit, hook } = self.combination;
        let mut command = format!("weir verify --filter {filter} --toolkit {toolkit} --hook {hook}");
        if self.filter.name == FilterName::Parameterized {
            let binding = match self.filter.binding {
                Binding::Map => "map",
                Binding::Constant => "constant",
            };
            command += &format!(" --parameter {} --bind {binding}", self.filter.parameter);
        }
        if hook.layer() != Layer::Udp {
            command += &format!(" --endpoint {}", self.endpoint());
        }
        if self.site.super_packets == SuperPackets::Pass {
            command += " --super-packets pass";
        }
        command += &format!(" --packet {}", hex(&self.case.seen));
        if self.case.segments != 1 {
            command += &format!(" --segments {}", self.case.segments);
        }
        command
    }

    fn endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.site.endpoint.address, self.site.endpoint.port)
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Combination { filter, toolkit, hook } = self.combination;
        let Filter { name, parameter, .. } = self.filter;
        write!(f, "{filter} with {toolkit} at {hook}")?;
        if name == FilterName::Parameterized && parameter == Parameter::Drop {
            write!(f, ", which is to drop,")?;
        }
        writeln!(f, ": the reference says {}, the program {}", name_of(self.expected), name_of(self.said))?;
        let layout = HexConfig { title: false, ..HexConfig::default() };
        writeln!(f, "{}", config_hex(&self.case.seen, layout))?;
        writeln!(f, "{} bytes, segments {}", self.case.seen.len(), self.case.segments)?;
        writeln!(f, "{}", fields(hook.layer(), &self.case.seen))?;
        write!(f, "see it again: {}", self.command())
    }
}

impl Serialize for Disagreement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Disagreement", 6)?;
        fields.serialize_field("packet", &hex(&self.case.seen))?;
        fields.serialize_field("segments", &self.case.segments)?;
        fields.serialize_field("reference", name_of(self.expected))?;
        fields.serialize_field("program", name_of(self.said))?;
        fields.serialize_field("endpoint", &self.endpoint())?;
        fields.serialize_field("command", &self.command())?;
        fields.end()
    }
}

/// How a verdict is called.
pub(super) const fn name_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Drop => "drop",
    }
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    pretty_hex::simple_hex(&bytes).split_whitespace().collect()
}
