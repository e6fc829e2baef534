//! A packet of which the reference and a program think differently, for people to look at and to try again.

use std::{fmt, net::SocketAddr};

use pretty_hex::{HexConfig, config_hex};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use weir_filters::{
    Combination, Filter, FilterName, Layer, Parameter, Site, SuperPackets, Verdict, corpus::Case,
};

use crate::fields::fields;

/// A packet and both verdicts.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The filter with its parameters.
    pub filter: Filter,
    /// The program.
    pub combination: Combination,
    /// Where it was loaded for.
    pub site: Site,
    /// Of a filter with a memory, the turn that it had it from.
    pub turn: Option<u32>,
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
        let Combination { toolkit, hook, .. } = self.combination;
        let mut command = format!("weir verify --filter {} --toolkit {toolkit} --hook {hook}", self.filter);
        if let Some(turn) = self.turn {
            command += &format!(" --turn {turn}");
        }
        command += &options(&self.filter, &self.site);
        command += &format!(" --packet {}", hex(&self.case.seen));
        if self.case.segments != 1 {
            command += &format!(" --segments {}", self.case.segments);
        }
        command
    }
}

fn address_of(site: &Site) -> SocketAddr {
    SocketAddr::new(site.endpoint.address, site.endpoint.port)
}

/// The options of `weir verify` that tell this program from others of the filter and hook, each behind a blank.
pub(super) fn options(filter: &Filter, site: &Site) -> String {
    let mut options = String::new();
    if filter.name == FilterName::Parameterized {
        options += &format!(" --parameter {} --bind {}", filter.parameter, filter.binding);
    }
    if site.hook.layer() != Layer::Udp {
        options += &format!(" --endpoint {}", address_of(site));
    }
    if site.super_packets == SuperPackets::Pass {
        options += " --super-packets pass";
    }
    options
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Combination { toolkit, hook, .. } = self.combination;
        let Filter { name, parameter, .. } = self.filter;
        write!(f, "{} with {toolkit} at {hook}", self.filter)?;
        if name == FilterName::Parameterized && parameter == Parameter::Drop {
            write!(f, " that is to drop")?;
        }
        let (expected, said) = (self.expected.as_str(), self.said.as_str());
        writeln!(f, ": the reference says {expected}, the program {said}")?;
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
        fields.serialize_field("reference", self.expected.as_str())?;
        fields.serialize_field("program", self.said.as_str())?;
        fields.serialize_field("endpoint", &address_of(&self.site))?;
        fields.serialize_field("command", &self.command())?;
        fields.end()
    }
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    pretty_hex::simple_hex(&bytes).split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use weir_filters::{Hook, Toolkit};

    use super::*;

    #[test]
    fn a_disagreement_shows_both_verdicts_the_fields_and_a_command() {
        let (toolkit, hook) = (Toolkit::Fun, Hook::Tc);
        let site = Site::new(hook, "[2001:db8::1]:7".parse().expect("an address"));
        let filter = Filter { parameter: Parameter::Drop, ..FilterName::Parameterized.into() };
        let seen = [&[0; 12][..], &[0x81, 0, 0, 1, 8, 0], &[0x45, 0, 0, 35]].concat();
        let combination = Combination { filter: filter.name, toolkit, hook };
        let (expected, said) = (Verdict::Accept, Verdict::Drop);
        let site = Site { super_packets: SuperPackets::Pass, ..site };
        let disagreement = Disagreement {
            filter,
            combination,
            site,
            turn: None,
            case: Case { seen, segments: 10 },
            expected,
            said,
        };
        let text = disagreement.to_string();
        for part in [
            "at tc that is to drop: the reference says accept, the program drop\n",
            "81 00 00 01",
            "22 bytes, segments 10\n",
            "Ethernet: tag 0x8100 type 0x0800\n",
            "there it ends, or isn't read further\n",
        ] {
            assert!(text.contains(part), "'{part}' in\n{text}");
        }
        let command = "weir verify --filter parameterized-filter --toolkit fun --hook tc --parameter drop --bind map \
                       --endpoint [2001:db8::1]:7 --super-packets pass \
                       --packet 00000000000000000000000081000001080045000023 --segments 10";
        assert_eq!(disagreement.command(), command);
    }
}
