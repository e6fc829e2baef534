//! The reference: each filter's decision, written to be read rather than to be fast.

use weir_wire::{Command, udp};

use crate::{Filter, FilterName, Moment, Packet, Parameter, Reference, Verdict};

impl Filter {
    /// Decides one packet, as every other implementation must: a dynamic filter as if nothing were remembered, and as if
    /// nobody knew where the packet comes from. [`Reference`] has a memory.
    pub fn decide(&self, packet: Packet<'_>) -> Verdict {
        match self.name {
            FilterName::Simple | FilterName::Print | FilterName::Count => Verdict::Accept,
            FilterName::KnownKey | FilterName::Quota | FilterName::Blocklist => {
                Reference::new(*self).decide(packet, None, Moment::ZERO)
            }
            FilterName::Reject => Verdict::Drop,
            FilterName::ValidCommand => accept_if(leading_command(packet).is_some()),
            FilterName::RobustValidCommand => {
                accept_if(leading_command(packet).is_some_and(|command| {
                    packet.udp_length == Some(udp::length_field(command.request_len()))
                }))
            }
            FilterName::Parameterized => accept_if(self.parameter == Parameter::Accept),
        }
    }
}

fn leading_command(packet: Packet<'_>) -> Option<Command> {
    Command::ALL.into_iter().find(|command| packet.payload.starts_with(command.word()))
}

fn accept_if(condition: bool) -> Verdict {
    if condition { Verdict::Accept } else { Verdict::Drop }
}
